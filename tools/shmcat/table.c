/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "shmcat/shmcat.h"

enum { CELLS = 8, STATE_CELL = CELLS - 1, WIDEST = 48 };

static const struct {
    const char *title;
    bool right;
} columns[CELLS] = {
    {"NAME", false},  {"GENERATION", true}, {"SIZE", true},    {"TYPE", false},
    {"LABEL", false}, {"UPDATED", true},    {"CHECKED", true}, {"STATE", false},
};

static const char *const tints[] = {
    [ROW_OK] = "\033[32m",    [ROW_FAILING] = "\033[33m", [ROW_STALE] = "\033[33m",
    [ROW_EMPTY] = "\033[33m", [ROW_MOVED] = "\033[33m",   [ROW_DAMAGED] = "\033[31m",
};

static char *cell_text(const char *text)
{
    return text && *text ? text_visible(text, strlen(text)) : text_format("-");
}

static char *cell_number(const struct row *row, uint64_t number)
{
    return row->record.generation ? text_format("%" PRIu64, number) : text_format("-");
}

static char *cell_age(uint64_t now, uint64_t then)
{
    char age[AGE_SIZE];
    text_age(age, now, then);
    return text_format("%s", age);
}

static void cells_make(char *cells[CELLS], const struct row *row, uint64_t now)
{
    char state[192];
    row_state_text(row, state, sizeof state);
    cells[0] = cell_text(row->name ? row->name : row->path);
    cells[1] = cell_number(row, row->record.generation);
    cells[2] = cell_number(row, row->record.payload_size);
    cells[3] = cell_text(row->type);
    cells[4] = cell_text(row->label);
    cells[5] = cell_age(now, row->record.fetched_ns);
    cells[6] = cell_age(now, row->record.checked_ns);
    cells[STATE_CELL] = cell_text(state);
}

/* A line in the three parts that may differ in colour: bold throughout, the state tinted. */
static void line_print(FILE *out, char *const cells[CELLS], const unsigned widths[CELLS],
                       const struct view *view, bool is_bold, const char *tint)
{
    char *line = text_format("%s", "");
    for (int i = 0; i < STATE_CELL; i++) {
        unsigned width = text_width(cells[i]);
        int pad = width < widths[i] ? (int)(widths[i] - width) : 0;
        char *longer = text_format("%s%*s%s%*s  ", line, columns[i].right ? pad : 0, "", cells[i],
                                   columns[i].right ? 0 : pad, "");
        free(line);
        line = longer;
    }
    size_t state = strlen(line);
    char *whole = text_format("%s%s", line, cells[STATE_CELL]);
    if (view->columns)
        text_cut(whole, view->columns);
    if (state > strlen(whole))
        state = strlen(whole);
    fprintf(out, "%s%.*s%s%s%s%s", view->color && is_bold ? "\033[1m" : "", (int)state, whole,
            view->color ? tint : "", whole + state, view->color ? "\033[0m" : "", view->end);
    free(whole);
    free(line);
}

static bool has_changed(const struct row *row, const struct rows *before)
{
    const struct row *old = before ? rows_find(before, row) : row;
    return !old || old->instance != row->instance || old->state != row->state ||
           old->record.generation != row->record.generation;
}

void table_print(FILE *out, const struct rows *rows, const struct view *view)
{
    char *titles[CELLS];
    unsigned widths[CELLS] = {0};
    uint64_t now = clock_realtime_ns();
    size_t shown = view->lines && view->lines < rows->count ? view->lines : rows->count;
    char *(*cells)[CELLS] = calloc(shown + 1, sizeof *cells);
    for (int i = 0; i < CELLS; i++) {
        titles[i] = text_format("%s", columns[i].title);
        widths[i] = (unsigned)strlen(columns[i].title);
    }
    for (size_t i = 0; cells && i < shown; i++) {
        cells_make(cells[i], &rows->at[i], now);
        for (int j = 0; j < CELLS; j++) {
            unsigned width = text_width(cells[i][j]);
            if (width > widths[j])
                widths[j] = width < WIDEST ? width : WIDEST;
        }
    }
    line_print(out, titles, widths, view, true, "");
    for (size_t i = 0; cells && i < shown; i++) {
        line_print(out, cells[i], widths, view, has_changed(&rows->at[i], view->before),
                   tints[rows->at[i].state]);
        for (int j = 0; j < CELLS; j++)
            free(cells[i][j]);
    }
    if (shown < rows->count)
        fprintf(out, "and %zu more%s", rows->count - shown, view->end);
    for (int i = 0; i < CELLS; i++)
        free(titles[i]);
    free(cells);
}
