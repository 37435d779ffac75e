/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: getopt_long with options made from the table. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "settings/table.h"
#include "shmconf/name.h"

#define TRY_HELP "try 'shmconfd --help'"

static int usage_error(struct settings *settings, const char *subject, const char *problem,
                       struct error *error)
{
    char quoted[120];
    settings->exit_status = EXIT_STATUS_USAGE;
    json_escape(quoted, sizeof quoted, subject, strlen(subject));
    return error_set(error, EINVAL, quoted, "%s; " TRY_HELP, problem);
}

static int unknown_option(struct settings *settings, const char *option, struct error *error)
{
    char near[SETTING_SPELLING_SIZE];
    char problem[SETTING_SPELLING_SIZE + 40];
    if (!setting_suggest(option, near))
        return usage_error(settings, option, "unknown option", error);
    snprintf(problem, sizeof problem, "unknown option, did you mean %s", near);
    return usage_error(settings, option, problem, error);
}

static int keep(struct settings *settings, size_t row, const char *text, struct error *error)
{
    struct settings_value *value = &settings->values[row];
    char *copy = strdup(text);
    if (!copy)
        return error_system(error, ENOMEM, "", "the settings cannot be read");
    free(value->text);
    value->text = copy;
    value->source = SOURCE_OPTION;
    return 0;
}

/* Values of `struct option`: above those of characters, commands after the rows. */
enum { FIRST_VALUE = 256 };

typedef char spelling[SETTING_SPELLING_SIZE];

static void make_options(struct option *options, spelling *names)
{
    size_t count = 0;
    for (size_t i = 0; i < settings_count; i++) {
        if (!setting_spelling(&settings_table[i], SOURCE_OPTION, names[i]))
            continue;
        options[count++] =
            (struct option){names[i] + strlen("--"), required_argument, NULL, FIRST_VALUE + (int)i};
    }
    for (size_t i = 0; i < setting_commands_count; i++)
        options[count++] = (struct option){setting_commands[i].name, no_argument, NULL,
                                           FIRST_VALUE + (int)(settings_count + i)};
}

/* What --once is to fetch; nothing: what PREFETCH_LIST says. */
static int take_names(struct settings *settings, int argc, char **argv, struct error *error)
{
    struct shmconf_name name;
    settings->names = argv + optind;
    settings->name_count = (size_t)(argc - optind);
    for (int i = optind; i < argc; i++)
        if (shmconf_name_parse(&name, argv[i]) != 0)
            return usage_error(settings, argv[i], "not of the form application:environment:profile",
                               error);
    return 0;
}

static int take_options(struct settings *settings, int argc, char **argv,
                        const struct option *options, struct error *error)
{
    optind = 0; /* glibc: start afresh */
    opterr = 0;
    for (;;) {
        int at = optind > 0 ? optind : 1;
        int found = getopt_long(argc, argv, "+:h", options, NULL);
        if (found == -1)
            break;
        if (found == 'h') {
            settings->action = SETTINGS_HELP;
            return 0;
        }
        if (found == ':')
            return usage_error(settings, argv[at], "the option needs a value", error);
        if (found == '?' && optopt >= FIRST_VALUE)
            return usage_error(settings, argv[at], "the option takes no value", error);
        if (found == '?')
            return unknown_option(settings, argv[at], error);
        size_t index = (size_t)(found - FIRST_VALUE);
        if (index >= settings_count) {
            settings->action = setting_commands[index - settings_count].action;
            if (settings->action != SETTINGS_CHECK && settings->action != SETTINGS_ONCE)
                return 0;
            continue;
        }
        int result = keep(settings, index, optarg, error);
        if (result < 0)
            return result;
    }
    if (settings->action == SETTINGS_ONCE)
        return take_names(settings, argc, argv, error);
    if (optind < argc)
        return usage_error(settings, argv[optind], "superfluous argument", error);
    return 0;
}

int settings_read_options(struct settings *settings, int argc, char **argv, struct error *error)
{
    struct option *options = calloc(settings_count + setting_commands_count + 1, sizeof *options);
    spelling *names = calloc(settings_count, sizeof *names);
    int result;
    if (options && names) {
        make_options(options, names);
        result = take_options(settings, argc, argv, options, error);
    } else {
        result = error_system(error, ENOMEM, "", "the settings cannot be read");
    }
    free(names);
    free(options);
    return result;
}
