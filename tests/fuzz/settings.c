/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines as command line and environment. Either there is an error in one line that names what is
 * wrong, and nothing secret, or all values are in their ranges, and what --check prints, given as
 * variables, means the same settings again.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "lines.h"
#include "settings/table.h"
#include "shmconf/name.h"
#include "source/name_list.h"

/* Every spelling of every setting, and what else an error of the command line may name. */
static const struct setting *find_row(const char *spelling)
{
    char known[SETTING_SPELLING_SIZE];
    for (size_t i = 0; i < settings_count; i++)
        for (enum settings_source source = SOURCE_OPTION; source < SOURCE_COUNT; source++)
            if (setting_spelling(&settings_table[i], source, known) && strcmp(known, spelling) == 0)
                return &settings_table[i];
    return NULL;
}

static void check_refusal(const struct settings *settings, const struct error *error)
{
    require(error->code == EINVAL && error->subject[0] && error->message[0]);
    require(is_clean(error->message) && is_clean(error->subject));
    if (settings->exit_status == EXIT_STATUS_USAGE)
        return;
    const struct setting *row = find_row(error->subject);
    require(settings->exit_status == EXIT_STATUS_SETTINGS && row);
    if (row->state == SETTING_REFUSED) {
        require(strncmp(error->message, "not implemented yet", 19) == 0);
        return;
    }
    char allowed[160];
    char end[sizeof allowed + 16];
    setting_allowed(row, allowed, sizeof allowed);
    size_t size = (size_t)snprintf(end, sizeof end, "; allowed: %s", allowed);
    size_t said = strlen(error->message);
    require(said > size && strcmp(error->message + said - size, end) == 0);
}

static void check_warnings(const struct settings *settings)
{
    for (size_t i = 0; i < settings->warning_count; i++)
        require(settings->warnings[i][0] && is_clean(settings->warnings[i]));
}

static const char *value_of(const struct settings *settings, size_t row)
{
    return settings->values[row].text ? settings->values[row].text : settings_table[row].preset;
}

/* A duration once more, by the C library's reading of numbers. */
static long double expected_duration(const struct setting *row, const char *text)
{
    char *unit;
    long double number = strtold(text, &unit);
    long double ns = 0;
    if (strcmp(unit, "h") == 0)
        ns = 3600.0L * NS_PER_S;
    else if (strcmp(unit, "m") == 0)
        ns = 60.0L * NS_PER_S;
    else if (strcmp(unit, "ms") == 0 || (!*unit && row->type == SETTING_MILLISECONDS))
        ns = NS_PER_MS;
    else if (strcmp(unit, "s") == 0 || !*unit)
        ns = NS_PER_S;
    return roundl(number * ns);
}

static void check_duration(const struct setting *row, const char *text, const void *member)
{
    uint64_t value;
    uint64_t unit = row->type == SETTING_SECONDS ? NS_PER_S : NS_PER_MS;
    memcpy(&value, member, sizeof value);
    require(value >= row->min * unit && value <= row->max * unit);
    require((long double)value == expected_duration(row, text));
}

static void check_number(const struct setting *row, const char *text, const void *member)
{
    unsigned value;
    memcpy(&value, member, sizeof value);
    require(value >= row->min && value <= row->max && value == strtoul(text, NULL, 10));
}

static void check_choice(const struct setting *row, const char *text, const void *member)
{
    unsigned value;
    const char *at = row->choices;
    memcpy(&value, member, sizeof value);
    for (unsigned i = 0; i < value; i++) {
        at = strchr(at, '|');
        require(at);
        at++;
    }
    size_t size = strcspn(at, "|");
    require(strlen(text) == size);
    for (size_t i = 0; i < size; i++)
        require(tolower((unsigned char)text[i]) == at[i]);
}

/* What is taken as a list is one: the source drops no name of it. */
static void check_names(const char *list)
{
    char *text;
    char **names;
    size_t count;
    size_t expected = 1;
    for (const char *c = list; *c; c++)
        expected += *c == ',';
    require(name_list_split(list, &text, &names, &count) == 0);
    require(count == expected);
    for (size_t i = 0; i < count; i++) {
        struct shmconf_name name;
        require(names[i] >= text && names[i] + strlen(names[i]) <= text + strlen(list));
        require(shmconf_name_parse(&name, names[i]) == 0);
    }
    free(names);
    free(text);
}

static void check_values(const struct settings *settings)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        const char *text = value_of(settings, i);
        if (!text || row->member == SETTING_NO_MEMBER)
            continue;
        const char *member = (const char *)settings + row->member;
        if (row->type == SETTING_SECONDS || row->type == SETTING_MILLISECONDS)
            check_duration(row, text, member);
        else if (row->type == SETTING_NUMBER)
            check_number(row, text, member);
        else if (row->type == SETTING_CHOICE && row->member != offsetof(struct settings, log_level))
            check_choice(row, text, member);
        else if (row->type == SETTING_CONFIGURATIONS)
            check_names(text);
    }
}

/* Takes the escapes out of a value that --check has printed; false when that loses something. */
static bool unescape(char *text, size_t size)
{
    static const char letters[] = "bfnrt\"\\";
    static const char meanings[] = "\b\f\n\r\t\"\\";
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '\\') {
            text[used++] = text[i];
            continue;
        }
        const char *letter = strchr(letters, text[++i]);
        if (letter) {
            text[used++] = meanings[letter - letters];
            continue;
        }
        unsigned code = 0;
        require(text[i] == 'u' && i + 4 < size && sscanf(text + i + 1, "%4x", &code) == 1);
        if (code >= 0x7f)
            return false; /* more than a byte, or a byte that was not UTF-8 */
        text[used++] = (char)code;
        i += 4;
    }
    text[used] = '\0';
    return true;
}

/*
 * The line "NAME = value  [origin]..." of a row as a variable of ours: NULL when it is not given.
 * What the line only abbreviates is taken from the settings.
 */
static char *variable_of(const struct settings *settings, size_t row, char *line)
{
    const char *given = settings->values[row].text;
    char *value = line + strlen(settings_table[row].name) + strlen(" = ");
    char *end = line + strlen(line);
    char *variable;
    require(strncmp(line, settings_table[row].name, strlen(settings_table[row].name)) == 0);
    require(is_clean(line));
    while (end > value && strncmp(end, "  [", 3) != 0)
        end--;
    *end = '\0';
    if (!given)
        return NULL;
    if (settings_table[row].secret)
        require(strcmp(value, "(secret)") == 0);
    else if ((end - value < 3 || strcmp(end - 3, "...") != 0) &&
             unescape(value, (size_t)(end - value)))
        require(strcmp(value, given) == 0);
    require(asprintf(&variable, "SHMCONF_%s=%s", settings_table[row].name, given) > 0);
    return variable;
}

/* The settings' bytes, without what is a pointer. */
static void check_same(const struct settings *a, const struct settings *b)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        size_t size = sizeof(unsigned);
        if (row->member == SETTING_NO_MEMBER)
            continue;
        const char *a_member = (const char *)a + row->member;
        const char *b_member = (const char *)b + row->member;
        if (row->type == SETTING_SECONDS || row->type == SETTING_MILLISECONDS)
            size = sizeof(uint64_t);
        else if (row->type == SETTING_BOOLEAN)
            size = sizeof(bool);
        if (row->type == SETTING_NUMBER || row->type == SETTING_CHOICE ||
            row->type == SETTING_GROUP || size != sizeof(unsigned))
            require(memcmp(a_member, b_member, size) == 0);
        const char *a_text = value_of(a, i);
        const char *b_text = value_of(b, i);
        require(a_text && b_text ? strcmp(a_text, b_text) == 0 : a_text == b_text);
    }
    require(a->dir_given == b->dir_given);
}

/* A round trip over what --check prints. */
static void check_again(const struct settings *settings)
{
    static char program[] = "shmconfd";
    static char once[] = "--once";
    char *printed;
    size_t printed_size;
    char *rest;
    size_t count = 0;
    struct settings again;
    struct error error;
    bool is_once = settings->action == SETTINGS_ONCE;
    char *options[] = {program, is_once ? once : NULL, NULL};
    char **variables = calloc(settings_count + 2, sizeof *variables);
    FILE *out = open_memstream(&printed, &printed_size);
    require(out && variables);
    settings_print_effective(out, settings);
    require(fclose(out) == 0);
    char *line = strtok_r(printed, "\n", &rest);
    for (size_t i = 0; i < settings_count; i++, line = strtok_r(NULL, "\n", &rest)) {
        require(line);
        variables[count] = variable_of(settings, i, line);
        count += variables[count] != NULL;
    }
    require(!line);
    require(settings_load(&again, is_once ? 2 : 1, options, variables, &error) == 0);
    check_same(settings, &again);
    settings_free(&again);
    for (size_t i = 0; i < count; i++)
        free(variables[i]);
    free(variables);
    free(printed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lines lines;
    struct settings settings;
    struct error error = {0};
    lines_read(&lines, data, size);
    int rc = settings_load(&settings, lines.option_count, lines.options, lines.variables, &error);
    check_warnings(&settings);
    if (rc) {
        check_refusal(&settings, &error);
    } else if (settings.action == SETTINGS_RUN || settings.action == SETTINGS_CHECK ||
               settings.action == SETTINGS_ONCE) {
        check_values(&settings);
        if (!settings.name_count)
            check_again(&settings);
    }
    settings_free(&settings);
    lines_free(&lines);
    return 0;
}
