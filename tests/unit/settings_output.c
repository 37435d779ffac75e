/* SPDX-License-Identifier: Apache-2.0 */
/* --help, --check and the reference in docs/ say what the table says. */
#include <ctype.h>

#include "check.h"
#include "settings/settings.h"
#include "settings/table.h"

static char *text;
static size_t size;

static FILE *start(void)
{
    free(text);
    text = NULL;
    FILE *out = open_memstream(&text, &size);
    CHECK(out);
    return out;
}

static void print(void (*function)(FILE *))
{
    FILE *out = start();
    function(out);
    CHECK(fclose(out) == 0);
}

static bool contains_words(const char *words)
{
    /* A line may be broken at any space. */
    for (const char *at = text; *at; at++) {
        const char *a = at;
        const char *b = words;
        while (*b && (*a == *b || (*b == ' ' && isspace((unsigned char)*a)))) {
            bool space = *b++ == ' ';
            for (a++; space && isspace((unsigned char)*a);)
                a++;
        }
        if (!*b)
            return true;
    }
    return false;
}

static void check_every_row(bool all_spellings)
{
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        char name[SETTING_SPELLING_SIZE];
        for (enum settings_source source = SOURCE_OPTION; source < SOURCE_COUNT; source++) {
            bool readers_own = source == SOURCE_OWN && row->state == SETTING_READERS;
            if (!setting_spelling(row, source, name))
                continue;
            if (all_spellings || source == SOURCE_OPTION || readers_own) {
                if (!strstr(text, name))
                    fprintf(stderr, "missing: %s\n", name);
                CHECK(strstr(text, name));
            }
        }
        CHECK(contains_words(row->meaning));
        CHECK(!row->preset || contains_words(row->preset));
        CHECK(!row->harm || contains_words(row->harm));
    }
    for (size_t i = 0; i < setting_standards_count; i++) {
        CHECK(strstr(text, setting_standards[i].name));
        CHECK(contains_words(setting_standards[i].meaning));
    }
    for (size_t i = 0; i < setting_commands_count; i++) {
        CHECK(strstr(text, setting_commands[i].name));
        CHECK(contains_words(setting_commands[i].meaning));
    }
}

static void help_has_every_setting_and_fits_the_screen(void)
{
    print(settings_print_help);
    CHECK(strncmp(text, "Usage: shmconfd ", 16) == 0);
    check_every_row(false);
    CHECK(strstr(text, "AWS_APPCONFIG_EXTENSION_POLL_TIMEOUT_MILLIS"));
    CHECK(strstr(text, "PRELOAD_BACKUP\n") || contains_words("and PRELOAD_BACKUP"));
    CHECK(strstr(text, "\nExit status:\n  0  "));
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        if (strcspn(line, "\n") > 80)
            fprintf(stderr, "%.*s\n", (int)strcspn(line, "\n"), line);
        CHECK(strcspn(line, "\n") <= 80);
        CHECK(line[0] == '\n' || line[strcspn(line, "\n") - 1] != ' ');
    }
}

static void the_reference_has_every_spelling(void)
{
    print(settings_print_markdown);
    check_every_row(true);
    CHECK(strstr(text, "| 5 | "));
}

static void the_committed_reference_is_current(void)
{
    static char committed[1 << 16];
    FILE *in = fopen(SHMCONF_SOURCE_DIR "/docs/configuration.md", "r");
    CHECK(in);
    size_t length = fread(committed, 1, sizeof committed - 1, in);
    fclose(in);
    committed[length] = '\0';
    print(settings_print_markdown);
    CHECK_STRING(committed, text);
}

static void check_prints_values_with_their_origin_and_hides_secrets(void)
{
    char *argv[] = {(char[]){"shmconfd"}, (char[]){"--check"}, (char[]){"--http-port=8080"}, NULL};
    char *environment[] = {
        (char[]){"LOG_LEVEL=Warn"}, (char[]){"AWS_APPCONFIG_EXTENSION_POLL_INTERVAL_SECONDS=60s"},
        (char[]){"SHMCONF_DIR=/a\n/b"}, (char[]){"PROXY_HEADERS=authorization: hunter2"}, NULL};
    struct settings settings;
    struct error error;
    CHECK_INT(0, settings_load(&settings, 3, argv, environment, &error));
    FILE *out = start();
    settings_print_effective(out, &settings);
    CHECK(fclose(out) == 0);
    CHECK(strstr(text, "HTTP_PORT = 8080  [--http-port]\n"));
    CHECK(strstr(text, "HTTP_HOST = localhost  [default]\n"));
    CHECK(strstr(text, "LOG_LEVEL = Warn  [LOG_LEVEL]\n"));
    CHECK(strstr(text, "LOG_PATH = (standard error)  [default]\n"));
    CHECK(strstr(text, "\nDIR = /a\\n/b  [SHMCONF_DIR]\n"));
    CHECK(strstr(text, "POLL_INTERVAL = 60s  [AWS_APPCONFIG_EXTENSION_POLL_INTERVAL_SECONDS]\n"));
    CHECK(strstr(text, "PRELOAD_BACKUPS = true  [default] (not implemented yet)\n"));
    CHECK(strstr(text, "PROXY_HEADERS = (secret)  [PROXY_HEADERS]"));
    CHECK(!strstr(text, "hunter2"));
    for (size_t i = 0; i < settings_count; i++)
        CHECK(strstr(text, settings_table[i].name));
    settings_free(&settings);
}

static void a_malformed_secret_is_not_repeated(void)
{
    const struct setting row = {
        .name = "PIN", .type = SETTING_NUMBER, .secret = true, .member = SETTING_NO_MEMBER};
    struct settings settings;
    struct error error;
    CHECK(setting_parse(&settings, &row, "SHMCONF_PIN", "hunter2", &error) < 0);
    CHECK_STRING("SHMCONF_PIN", error.subject);
    CHECK(!strstr(error.message, "hunter2") && strstr(error.message, "a whole number"));
}

int main(void)
{
    help_has_every_setting_and_fits_the_screen();
    the_reference_has_every_spelling();
    the_committed_reference_is_current();
    check_prints_values_with_their_origin_and_hides_secrets();
    a_malformed_secret_is_not_repeated();
    free(text);
    return 0;
}
