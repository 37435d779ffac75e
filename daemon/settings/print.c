/* SPDX-License-Identifier: Apache-2.0 */
/* --help, --check and docs/configuration.md, made from the table. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "settings/table.h"

enum { WIDTH = 80, MEANING_COLUMN = 30 };

/* The last title is not a topic: it collects what is not implemented. */
static const char *const titles[] = {
    [TOPIC_HTTP] = "HTTP server", [TOPIC_REGION] = "Region in shared memory",
    [TOPIC_LOG] = "Log",          [TOPIC_SOURCE] = "Source of the configurations",
    [TOPIC_PROCESS] = "Process",  "Not yet implemented",
};

enum { TITLE_COUNT = sizeof titles / sizeof *titles, TITLE_LATER = TITLE_COUNT - 1 };

static size_t title_of(const struct setting *row)
{
    bool later = row->state == SETTING_IGNORED || row->state == SETTING_REFUSED;
    return later ? TITLE_LATER : (size_t)row->topic;
}

/* Continues a line at `column`, breaking at spaces; ends the line. */
static void print_wrapped(FILE *out, size_t column, const char *text)
{
    size_t at = column;
    while (*text) {
        size_t length = strcspn(text, " ");
        if (at > column && at + 1 + length > WIDTH) {
            fprintf(out, "\n%*s", (int)column, "");
            at = column;
        }
        if (at > column) {
            fputc(' ', out);
            at++;
        }
        fwrite(text, 1, length, out);
        at += length;
        text += length + strspn(text + length, " ");
    }
    fputc('\n', out);
}

/* Two columns; a long left side has a line of its own. */
static void print_entry(FILE *out, const char *left, const char *right)
{
    int used = fprintf(out, "  %s", left);
    if (used + 2 > MEANING_COLUMN)
        fprintf(out, "\n%*s", MEANING_COLUMN, "");
    else
        fprintf(out, "%*s", MEANING_COLUMN - used, "");
    print_wrapped(out, MEANING_COLUMN, right);
}

static const char *default_of(const struct setting *row)
{
    return row->preset ? row->preset : row->absence ? row->absence : "none";
}

/* What happens when a setting that is not implemented is given. */
static const char *state_of(const struct setting *row)
{
    return row->state == SETTING_REFUSED && !row->lead ? "refused" : "ignored with a warning";
}

static void help_row(FILE *out, const struct setting *row)
{
    char left[SETTING_SPELLING_SIZE + 16];
    char spelling[SETTING_SPELLING_SIZE];
    char right[512];
    char allowed[160];
    if (setting_spelling(row, SOURCE_OPTION, spelling))
        snprintf(left, sizeof left, "%s %s", spelling, row->argument);
    else if (setting_spelling(row, SOURCE_OWN, spelling))
        snprintf(left, sizeof left, "%s=%s", spelling, row->argument);
    setting_allowed(row, allowed, sizeof allowed);
    if (row->state == SETTING_REFUSED && row->lead)
        snprintf(right, sizeof right, "%s Has no effect without %s.", row->meaning, row->lead);
    else if (row->state == SETTING_REFUSED)
        snprintf(right, sizeof right, "%s Refused when given, since otherwise %s.", row->meaning,
                 row->harm);
    else
        snprintf(right, sizeof right, "%s Allowed: %s. Default: %s.", row->meaning, allowed,
                 default_of(row));
    print_entry(out, left, right);
}

/* Where AWS's variables are not simply named like the option. */
static void help_spellings(FILE *out)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        char option[SETTING_SPELLING_SIZE];
        char own[2 * SETTING_SPELLING_SIZE];
        char name[SETTING_SPELLING_SIZE];
        bool differs = row->prefixed && strcmp(row->prefixed, row->name) != 0;
        if (!setting_spelling(row, SOURCE_OPTION, option))
            continue;
        if (differs && setting_spelling(row, SOURCE_PREFIXED, name))
            print_entry(out, option, name);
        if (setting_spelling(row, SOURCE_PREFIXED_ALIAS, name)) {
            snprintf(own, sizeof own, "also %s and %s", name, row->alias);
            print_entry(out, option, own);
        }
    }
    fputs("Settings that AWS does not have are only options and SHMCONF_ variables:\n  ", out);
    size_t at = 2;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        if (row->prefixed)
            continue;
        size_t length = strlen(row->name);
        if (at > 2 && at + 1 + length > WIDTH) {
            fputs("\n  ", out);
            at = 2;
        }
        at += (size_t)fprintf(out, at > 2 ? " %s" : "%s", row->name);
    }
    fputc('\n', out);
}

void settings_print_help(FILE *out)
{
    fputs("Usage: shmconfd [OPTION VALUE]...\n"
          "       shmconfd [OPTION VALUE]... --once [NAME]...\n\n"
          "Takes the place of the AWS AppConfig Agent: serves configurations over HTTP on\n"
          "localhost and publishes them in shared memory, where readers need no request.\n",
          out);
    for (size_t title = 0; title < TITLE_COUNT; title++) {
        fprintf(out, "\n%s%s:\n", titles[title],
                title == TITLE_LATER ? " (ignored with a warning, where not said otherwise)" : "");
        for (size_t i = 0; i < settings_count; i++) {
            if (title_of(&settings_table[i]) == title)
                help_row(out, &settings_table[i]);
        }
    }
    fputs("\nOther options:\n", out);
    for (size_t i = 0; i < setting_commands_count; i++) {
        char left[SETTING_SPELLING_SIZE];
        snprintf(left, sizeof left, "--%s", setting_commands[i].name);
        print_entry(out, left, setting_commands[i].meaning);
    }
    fputs("\nVariables:\n"
          "Every setting is a variable too. In this order of precedence, --log-level is\n"
          "  --log-level LEVEL, SHMCONF_LOG_LEVEL, AWS_APPCONFIG_EXTENSION_LOG_LEVEL, and,\n"
          "  unless AWS_LAMBDA_RUNTIME_API is set, LOG_LEVEL.\n"
          "An empty variable counts as not set. With other names than the option's:\n",
          out);
    help_spellings(out);
    fputs("\nStandard variables of AWS, without option and other spelling:\n", out);
    for (size_t i = 0; i < setting_standards_count; i++)
        print_entry(out, setting_standards[i].name, setting_standards[i].meaning);
    fputs("\nExit status:\n", out);
    for (size_t i = 0; i < setting_statuses_count; i++)
        fprintf(out, "  %d  %s\n", (int)setting_statuses[i].status, setting_statuses[i].meaning);
    fputs("\nExample:\n"
          "  mkdir configurations\n"
          "  echo '{\"limit\": 10}' > configurations/Shop:Prod:Limits.json\n"
          "  shmconfd --local-development-directory configurations &\n"
          "  curl localhost:2772/applications/Shop/environments/Prod/configurations/Limits\n",
          out);
}

static void markdown_row(FILE *out, const struct setting *row)
{
    char name[SETTING_SPELLING_SIZE];
    char allowed[160];
    const char *separator = "";
    fputs("| ", out);
    for (enum settings_source source = SOURCE_OPTION; source < SOURCE_COUNT; source++) {
        if (!setting_spelling(row, source, name))
            continue;
        fprintf(out, "%s`%s`", separator, name);
        separator = "<br>";
    }
    setting_allowed(row, allowed, sizeof allowed);
    fprintf(out, " | %s", row->meaning);
    if (row->harm)
        fprintf(out, " Refused, since otherwise %s.", row->harm);
    if (row->lead)
        fprintf(out, " Has no effect without `%s`.", row->lead);
    fprintf(out, " | %s | %s%s%s |", allowed, row->preset ? "`" : "", default_of(row),
            row->preset ? "`" : "");
    if (title_of(row) == TITLE_LATER)
        fprintf(out, " %s |", state_of(row));
    fputc('\n', out);
}

static void markdown_frame(FILE *out)
{
    fputs(
        "<!-- Made by `shmconfd --print-configuration-reference`; change "
        "daemon/settings/table.c instead. -->\n"
        "# Configuration\n\n"
        "`shmconfd` is configured by command line options and environment variables. There is no\n"
        "configuration file. `shmconfd --check` prints what is in effect and where it came "
        "from.\n\n"
        "## Precedence\n\n"
        "For each setting the first of these counts:\n\n"
        "1. the option, `--log-level debug` or `--log-level=debug`; of several, the last,\n"
        "2. our variable, `SHMCONF_LOG_LEVEL`,\n"
        "3. the variable of AWS's Lambda extension, `AWS_APPCONFIG_EXTENSION_LOG_LEVEL`,\n"
        "4. the variable of AWS's container agent, `LOG_LEVEL`.\n\n"
        "In Lambda, that is when `AWS_LAMBDA_RUNTIME_API` is set, variables of the fourth kind "
        "are\n"
        "not read: a function's own `LOG_LEVEL` is not meant for the daemon. Settings that AWS "
        "does\n"
        "not have exist only as options and `SHMCONF_` variables. An empty variable counts as not\n"
        "set; an empty option is an error, as one that is wrong is, but not in Lambda.\n\n"
        "Only the value that counts is checked. If it is malformed, the daemon names the option "
        "or\n"
        "variable and what is allowed, and ends; in Lambda its default counts, and it goes on. A\n"
        "variable that begins with `SHMCONF_` or `AWS_APPCONFIG_EXTENSION_` and is unknown gives "
        "a\n"
        "warning.\n\n"
        "## Units\n\n"
        "Durations are whole numbers in the unit that the tables name, or numbers with a unit:\n"
        "`s`, `m` or `h` where the unit is the second (`90`, `90s`, `1.5m`), `ms` or `s` where it "
        "is\n"
        "the millisecond (`1500`, `1500ms`, `1.5s`). A fraction has at most three digits. "
        "Booleans\n"
        "and words such as log levels may be written in upper or lower case.\n",
        out);
}

void settings_print_markdown(FILE *out)
{
    markdown_frame(out);
    for (size_t title = 0; title < TITLE_COUNT; title++) {
        bool later = title == TITLE_LATER;
        fprintf(out, "\n## %s\n\n", titles[title]);
        if (later)
            fputs(
                "These settings of AWS's agent are known and, where they are not refused, "
                "checked,\n"
                "but have no effect yet. A setting is refused when running without it would make\n"
                "answers wrong or leave them unprotected.\n\n",
                out);
        fprintf(out, "| option and variables | meaning | allowed | default |%s\n",
                later ? " now |" : "");
        fprintf(out, "|---|---|---|---|%s\n", later ? "---|" : "");
        for (size_t i = 0; i < settings_count; i++) {
            if (title_of(&settings_table[i]) == title)
                markdown_row(out, &settings_table[i]);
        }
    }
    fputs(
        "\n## AWS's standard variables\n\n"
        "They mean what they mean to AWS's SDKs, have no option and no other spelling, and count\n"
        "when configurations come from AWS. Credentials come from the environment or a "
        "container's\nendpoint.\n\n"
        "| variable | meaning |\n|---|---|\n",
        out);
    for (size_t i = 0; i < setting_standards_count; i++)
        fprintf(out, "| `%s` | %s |\n", setting_standards[i].name, setting_standards[i].meaning);
    fputs("\n## Other options\n\n| option | meaning |\n|---|---|\n", out);
    for (size_t i = 0; i < setting_commands_count; i++)
        fprintf(out, "| `--%s` | %s |\n", setting_commands[i].name, setting_commands[i].meaning);
    fputs("\n## Exit status\n\n| status | meaning |\n|---|---|\n", out);
    for (size_t i = 0; i < setting_statuses_count; i++)
        fprintf(out, "| %d | %s |\n", (int)setting_statuses[i].status, setting_statuses[i].meaning);
}

static void print_value(FILE *out, const struct setting *row, const struct settings_value *value)
{
    char shown[512];
    if (!value->text) {
        fprintf(out, row->preset ? "%s" : "(%s)", default_of(row));
    } else if (row->secret) {
        fputs("(secret)", out);
    } else {
        size_t length = json_escape(shown, sizeof shown, value->text, strlen(value->text));
        fprintf(out, "%s%s", shown, length >= sizeof shown ? "..." : "");
    }
}

void settings_print_effective(FILE *out, const struct settings *settings)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        const struct settings_value *value = &settings->values[i];
        char origin[SETTING_SPELLING_SIZE] = "default";
        if (value->text)
            setting_spelling(row, value->source, origin);
        fprintf(out, "%s = ", row->name);
        print_value(out, row, value);
        fprintf(out, "  [%s]%s\n", origin,
                title_of(row) == TITLE_LATER ? " (not implemented yet)" : "");
    }
}
