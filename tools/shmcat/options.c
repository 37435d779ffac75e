/* SPDX-License-Identifier: Apache-2.0 */
/* Options from tables, and how they are spelt. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "shmcat/shmcat.h"

enum { ROWS_MAX = 16, WORD_MAX = 32 };

/* The tables as getopt_long wants them; the long option `i` answers `i + 256`. */
struct parser {
    const struct option_row *rows[ROWS_MAX];
    int count;
    struct option longs[ROWS_MAX + 1];
    char shorts[2 * ROWS_MAX + 3];
    size_t short_size;
};

static int number_parse(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || errno || *end || number == 0 || number == NOT_GIVEN)
        return -EINVAL;
    *out = number;
    return 0;
}

static int duration_parse(const char *text, uint64_t *ns)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {{"ms", NS_PER_MS}, {"s", NS_PER_S}, {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S}};
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || errno)
        return -EINVAL;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].name) != 0 || number > INT64_MAX / 2 / units[i].ns)
            continue;
        *ns = number * units[i].ns;
        return 0;
    }
    return -EINVAL;
}

static int option_set(const struct option_row *row, const char *text)
{
    static const char *const wanted[] = {
        [OPTION_FLAG] = "",
        [OPTION_TEXT] = "may not be empty",
        [OPTION_DIRECTORY] = "may not be empty",
        [OPTION_WHEN] = "may not be empty",
        [OPTION_DURATION] = "is not a duration: write it like 500ms, 5s, 2m or 1h",
        [OPTION_NUMBER] = "is not a number from 1",
    };
    int rc = 0;
    if (row->kind == OPTION_FLAG)
        *(bool *)row->value = true;
    else if (row->kind == OPTION_DURATION)
        rc = duration_parse(text, row->value);
    else if (row->kind == OPTION_NUMBER)
        rc = number_parse(text, row->value);
    else if (*text)
        *(const char **)row->value = text;
    else
        rc = -EINVAL;
    char name[WORD_MAX];
    snprintf(name, sizeof name, "--%s", row->name);
    if (rc)
        complain(name, "\"%.40s\" %s", text, wanted[row->kind]);
    return rc;
}

static void parser_add(struct parser *parser, const struct option_row *row)
{
    for (; row && row->name && parser->count < ROWS_MAX; row++) {
        int i = parser->count++;
        parser->rows[i] = row;
        parser->longs[i] = (struct option){row->name, row->argument != NULL, NULL, 256 + i};
        if (row->letter)
            parser->shorts[parser->short_size++] = row->letter;
        if (row->letter && row->argument)
            parser->shorts[parser->short_size++] = ':';
    }
}

static const struct option_row *parser_row(const struct parser *parser, int answer)
{
    if (answer >= 256)
        return parser->rows[answer - 256];
    for (int i = 0; i < parser->count; i++)
        if (parser->rows[i]->letter == (char)answer)
            return parser->rows[i];
    return NULL;
}

int options_parse(const struct option_row *first, const struct option_row *second, bool stop,
                  int argc, char **argv)
{
    struct parser parser = {.shorts = ":", .short_size = 1};
    if (stop)
        parser = (struct parser){.shorts = "+:", .short_size = 2};
    parser_add(&parser, first);
    parser_add(&parser, second);
    optind = 0;
    for (int answer; (answer = getopt_long(argc, argv, parser.shorts, parser.longs, NULL)) != -1;) {
        const struct option_row *row =
            answer == '?' || answer == ':' ? NULL : parser_row(&parser, answer);
        if (row && option_set(row, optarg) == 0)
            continue;
        if (!row && optopt > 0 && optopt < 256)
            complain((char[]){'-', (char)optopt, '\0'},
                     answer == ':' ? "needs a value: see --help" : "unknown option: see --help");
        else if (!row)
            complain(argv[optind - 1], answer == ':' ? "needs a value: see --help"
                                       : optopt      ? "takes no value: see --help"
                                                     : "unknown option: see --help");
        return -1;
    }
    return optind;
}

void options_help(const struct option_row *rows)
{
    for (const struct option_row *row = rows; row && row->name; row++) {
        char left[WORD_MAX];
        char letter[] = {'-', row->letter, ',', ' ', '\0'};
        snprintf(left, sizeof left, "%s--%s%s%s", row->letter ? letter : "    ", row->name,
                 row->argument ? " " : "", row->argument ? row->argument : "");
        printf("  %-24s  %s\n", left, row->help);
    }
}

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned edit_distance(const char *a, const char *b)
{
    unsigned row[WORD_MAX];
    if (strlen(a) >= WORD_MAX || strlen(b) >= WORD_MAX)
        return WORD_MAX;
    for (unsigned j = 0; j < WORD_MAX; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1]; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; b[j - 1]; j++) {
            unsigned above = row[j];
            row[j] = smaller(smaller(above, row[j - 1]) + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[strlen(b)];
}
