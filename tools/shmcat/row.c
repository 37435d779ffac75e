/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "shmcat/shmcat.h"

/* How long past its time a check may be before it seems that nobody checks any more. */
static const uint64_t patience_ns = 5 * NS_PER_S;

static const char *const states[] = {
    [ROW_OK] = "ok",       [ROW_FAILING] = "failing", [ROW_STALE] = "stale?",
    [ROW_EMPTY] = "empty", [ROW_MOVED] = "moved",     [ROW_DAMAGED] = "damaged",
};

void row_last_error(const struct shmconf_record *record, char *out, size_t size)
{
    if (record->http_status >= 400)
        snprintf(out, size, "HTTP %" PRIu32, record->http_status);
    else if (record->error == EINVAL)
        snprintf(out, size, "content refused, see shmconfd's log");
    else
        snprintf(out, size, "%s", record->error ? strerror((int)record->error) : "none");
}

/* When the next check should have been over, without the patience; 0: not known. */
static uint64_t row_due(const struct shmconf_record *record)
{
    uint64_t interval = record->interval_s * NS_PER_S;
    if (record->next_ns)
        return record->next_ns + interval;
    return record->checked_ns && interval ? record->checked_ns + 2 * interval : 0;
}

static void row_judge(struct row *row, uint64_t now)
{
    const struct shmconf_record *record = &row->record;
    uint64_t due = row_due(record);
    char text[96];
    char age[AGE_SIZE];
    row->state = ROW_OK;
    if (row->error) {
        row->state = row->error == -ENOENT ? ROW_EMPTY : ROW_DAMAGED;
        snprintf(row->reason, sizeof row->reason, "%s", problem_of(row->error));
    } else if (record->state & SHMCONF_MOVED) {
        row->state = ROW_MOVED;
        snprintf(row->reason, sizeof row->reason, "another head takes its place");
    } else if (record->failures) {
        row->state = ROW_FAILING;
        row_last_error(record, text, sizeof text);
        snprintf(row->reason, sizeof row->reason, "%" PRIu32 ", %s", record->failures, text);
    } else if (due && now > due && now - due > patience_ns) {
        row->state = ROW_STALE;
        text_age(age, now, record->checked_ns);
        snprintf(row->reason, sizeof row->reason, "last check %s ago", age);
    }
}

void row_fill(struct row *row, struct config *config)
{
    struct shmconf_version *version = NULL;
    char name[SHMCONF_NAME_TEXT_MAX];
    *row = (struct row){.path = text_format("%s", config->path), .error = config->error};
    if (!row->error)
        row->error = config_current(config, &version);
    if (config->name.size) {
        shmconf_name_print(&config->name, name);
        row->name = text_format("%s", name);
    }
    if (!config->error) {
        row->record = config->record;
        row->instance = config->instance;
    }
    if (version) {
        row->type = text_format("%s", version->content_type.data);
        row->label = text_format("%s", version->label.data);
        row->record.payload_size = (uint32_t)version->text.size;
        shmconf_version_release(version);
    }
    row_judge(row, clock_realtime_ns());
}

void row_free(struct row *row)
{
    free(row->name);
    free(row->path);
    free(row->type);
    free(row->label);
}

void row_state_text(const struct row *row, char *out, size_t size)
{
    snprintf(out, size, row->reason[0] ? "%s (%s)" : "%s", states[row->state], row->reason);
}

static void json_text(FILE *out, const char *lead, const char *text)
{
    if (text && *text)
        json_string(out, lead, text, strlen(text));
    else
        fprintf(out, "%snull", lead);
}

void row_json(FILE *out, const struct row *row)
{
    const struct shmconf_record *record = &row->record;
    json_text(out, "{\"name\":", row->name);
    json_text(out, ",\"path\":", row->path);
    json_text(out, ",\"state\":", states[row->state]);
    json_text(out, ",\"reason\":", row->reason);
    if (record->generation) {
        char text[96];
        row_last_error(record, text, sizeof text);
        fprintf(out,
                ",\"generation\":%" PRIu64 ",\"instance\":\"%016" PRIx64 "\",\"size\":%" PRIu32,
                record->generation, row->instance, record->payload_size);
        json_text(out, ",\"content_type\":", row->type);
        json_text(out, ",\"label\":", row->label);
        json_time(out, ",\"updated\":", record->fetched_ns);
        json_time(out, ",\"checked\":", record->checked_ns);
        json_time(out, ",\"tried\":", record->tried_ns);
        json_time(out, ",\"next\":", record->next_ns);
        fprintf(out, ",\"interval_s\":%" PRIu32 ",\"failures\":%" PRIu32, record->interval_s,
                record->failures);
        json_text(out, ",\"last_error\":", record->failures || record->error ? text : NULL);
    }
    putc('}', out);
}

/* ---- All rows ---- */

struct collection {
    struct rows *rows;
    size_t room;
};

static bool rows_add(struct config *config, void *context)
{
    struct collection *all = context;
    if (all->rows->count == all->room) {
        size_t room = all->room ? 2 * all->room : 64;
        struct row *grown = realloc(all->rows->at, room * sizeof *grown);
        if (!grown)
            return false;
        all->rows->at = grown;
        all->room = room;
    }
    row_fill(&all->rows->at[all->rows->count++], config);
    return true;
}

static int row_order(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->path, ((const struct row *)b)->path);
}

int rows_scan(struct rows *rows, const struct shmconf_place *place)
{
    struct collection all = {.rows = rows};
    *rows = (struct rows){0};
    int rc = region_scan(place, rows_add, &all);
    if (rows->count)
        qsort(rows->at, rows->count, sizeof *rows->at, row_order);
    return rc;
}

void rows_free(struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        row_free(&rows->at[i]);
    free(rows->at);
    *rows = (struct rows){0};
}

const struct row *rows_find(const struct rows *rows, const struct row *of_path)
{
    return rows->count ? bsearch(of_path, rows->at, rows->count, sizeof *rows->at, row_order)
                       : NULL;
}

void rows_json(FILE *out, const struct rows *rows, const struct shmconf_place *place)
{
    json_time(out, "{\"time\":", clock_realtime_ns());
    json_text(out, ",\"dir\":", place->root);
    fputs(",\"configurations\":[", out);
    for (size_t i = 0; i < rows->count; i++) {
        if (i)
            putc(',', out);
        row_json(out, &rows->at[i]);
    }
    fputs("]}\n", out);
}
