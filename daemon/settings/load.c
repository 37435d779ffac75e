/* SPDX-License-Identifier: Apache-2.0 */
/* Sources and their precedence. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "settings/table.h"

static int no_memory(struct error *error)
{
    return error_system(error, ENOMEM, "", "the settings cannot be read");
}

static int warn(struct settings *settings, struct error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int warn(struct settings *settings, struct error *error, const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        return no_memory(error);
    char **longer =
        realloc(settings->warnings, (settings->warning_count + 1) * sizeof *settings->warnings);
    if (!longer) {
        free(text);
        return no_memory(error);
    }
    settings->warnings = longer;
    settings->warnings[settings->warning_count++] = text;
    return 0;
}

/* NULL when the variable is not set or empty. */
static const char *variable(char **environment, const char *name)
{
    size_t length = strlen(name);
    for (; *environment; environment++) {
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return (*environment)[length + 1] ? *environment + length + 1 : NULL;
    }
    return NULL;
}

static int read_variables(struct settings *settings, char **environment, struct error *error)
{
    enum settings_source end = settings->lambda ? SOURCE_UNPREFIXED : SOURCE_COUNT;
    for (size_t i = 0; i < settings_count; i++) {
        struct settings_value *value = &settings->values[i];
        for (enum settings_source source = SOURCE_OWN; source < end && !value->text; source++) {
            char name[SETTING_SPELLING_SIZE];
            if (!setting_spelling(&settings_table[i], source, name))
                continue;
            const char *text = variable(environment, name);
            if (!text)
                continue;
            value->text = strdup(text);
            value->source = source;
            if (!value->text)
                return no_memory(error);
        }
    }
    return 0;
}

static bool is_known(const char *name)
{
    for (size_t i = 0; i < settings_count; i++) {
        for (enum settings_source source = SOURCE_OWN; source < SOURCE_UNPREFIXED; source++) {
            char known[SETTING_SPELLING_SIZE];
            if (setting_spelling(&settings_table[i], source, known) && strcmp(known, name) == 0)
                return true;
        }
    }
    return false;
}

static bool is_ours(const char *variable)
{
    return strncmp(variable, SETTING_OWN_PREFIX, strlen(SETTING_OWN_PREFIX)) == 0 ||
           strncmp(variable, SETTING_AWS_PREFIX, strlen(SETTING_AWS_PREFIX)) == 0;
}

static int warn_unknown(struct settings *settings, char **environment, struct error *error)
{
    for (; *environment; environment++) {
        char name[256];
        char near[SETTING_SPELLING_SIZE];
        size_t length = strcspn(*environment, "=");
        if (!is_ours(*environment))
            continue;
        json_escape(name, sizeof name, *environment, length);
        if (is_known(name))
            continue;
        int result =
            setting_suggest(name, near)
                ? warn(settings, error, "%s: unknown variable, did you mean %s?", name, near)
                : warn(settings, error, "%s: unknown variable", name);
        if (result < 0)
            return result;
    }
    return 0;
}

static bool is_given(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings_count; i++) {
        if (strcmp(settings_table[i].name, name) == 0)
            return settings->values[i].text != NULL;
    }
    return false;
}

/* A setting that the daemon does not implement was given. */
static int object(struct settings *settings, const struct setting *row, const char *spelling,
                  struct error *error)
{
    if (row->state == SETTING_IGNORED)
        return warn(settings, error, "%s: not implemented yet, ignored", spelling);
    if (row->lead && !is_given(settings, row->lead))
        return warn(settings, error, "%s: has no effect without %s", spelling, row->lead);
    return error_set(error, EINVAL, spelling,
                     "not implemented yet and cannot be ignored: %s; unset it to start without",
                     row->harm ? row->harm : "it belongs to a setting that is refused");
}

/* Of a list, what is in it and allowed by itself; it becomes shorter in place. */
static int keep_allowed(struct settings *settings, const struct setting *row, const char *spelling,
                        char *list, struct error *error)
{
    char *end = list;
    char *entry = list;
    char among[64] = "";
    struct error first;
    size_t refused = 0;
    do {
        struct error problem;
        size_t size = strcspn(entry, ",");
        char *next = entry[size] ? entry + size + 1 : NULL;
        entry[size] = '\0';
        if (setting_parse(settings, row, spelling, entry, &problem) != 0) {
            if (refused++ == 0)
                first = problem;
        } else {
            if (end != list)
                *end++ = ',';
            memmove(end, entry, size);
            end += size;
        }
        entry = next;
    } while (entry);
    *end = '\0';
    if (refused == 0)
        return 0;
    if (refused > 1)
        snprintf(among, sizeof among, "; the first of %zu such entries", refused);
    return warn(settings, error, "%s: %s%s; the rest of the list counts", first.subject,
                first.message, among);
}

/* A function must not be without its configuration for a slip in another setting or entry. */
static int apply_rest(struct settings *settings, const struct setting *row,
                      struct settings_value *value, const struct error *problem,
                      struct error *error)
{
    char spelling[SETTING_SPELLING_SIZE];
    int result;
    bool is_list = row->type == SETTING_CONFIGURATIONS && strchr(value->text, ',');
    setting_spelling(row, value->source, spelling);
    if (is_list)
        result = keep_allowed(settings, row, spelling, value->text, error);
    else
        result = warn(settings, error, "%s: %s; its default counts instead", problem->subject,
                      problem->message);
    if (!result && is_list && *value->text)
        return setting_parse(settings, row, spelling, value->text, error);
    free(value->text);
    value->text = NULL;
    return !result && row->preset ? setting_parse(settings, row, spelling, row->preset, error)
                                  : result;
}

static int apply_given(struct settings *settings, const struct setting *row,
                       struct settings_value *value, struct error *error)
{
    char spelling[SETTING_SPELLING_SIZE];
    struct error problem;
    setting_spelling(row, value->source, spelling);
    if (row->state == SETTING_REFUSED)
        return object(settings, row, spelling, error);
    int result = setting_parse(settings, row, spelling, value->text, &problem);
    /* The daemon does not need it: it is the readers' to refuse. */
    if (result < 0 && row->state == SETTING_READERS)
        return warn(settings, error, "%s: %s", problem.subject, problem.message);
    if (result < 0 && settings->lambda && settings->action == SETTINGS_RUN)
        return apply_rest(settings, row, value, &problem, error);
    if (result < 0)
        return error_set(error, EINVAL, problem.subject, "%s", problem.message);
    return row->state == SETTING_IGNORED ? object(settings, row, spelling, error) : 0;
}

/* What the daemon can do, but its readers perhaps not. */
static int warn_of_access(struct settings *settings, struct error *error)
{
    int result = 0;
    if (settings->dir[0] != '/')
        result = warn(settings, error,
                      SETTING_OWN_PREFIX "DIR: each program looks for a relative path from its own "
                                         "directory on: begin it with /");
    if (result == 0 && settings->group != SETTINGS_NO_GROUP &&
        settings->access == SETTINGS_ACCESS_OWNER)
        result =
            warn(settings, error,
                 SETTING_OWN_PREFIX "GROUP: gives the group no access unless " SETTING_OWN_PREFIX
                                    "ACCESS is group");
    return result;
}

static int apply(struct settings *settings, struct error *error)
{
    struct error later;
    int failure = 0;
    /* The first failure is told, and the rest applied: those of the log say how. */
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        struct settings_value *value = &settings->values[i];
        struct error *where = failure ? &later : error;
        int result = value->text   ? apply_given(settings, row, value, where)
                     : row->preset ? setting_parse(settings, row, row->name, row->preset, where)
                                   : 0;
        if (!failure)
            failure = result;
    }
    if (failure < 0)
        return failure;
    settings->dir_given = is_given(settings, "DIR");
    if (settings->action == SETTINGS_ONCE && settings->name_count == 0 &&
        !settings->prefetch_list) {
        settings->exit_status = EXIT_STATUS_USAGE;
        return error_set(error, EINVAL, "--once",
                         "name what to fetch, application:environment:profile, here or in "
                         "PREFETCH_LIST");
    }
    /* It reports on standard error itself. */
    if (settings->action == SETTINGS_ONCE && !is_given(settings, "LOG_LEVEL"))
        settings->log_level = LOG_LEVEL_FATAL;
    return warn_of_access(settings, error);
}

static int read_all(struct settings *settings, int argc, char **argv, char **environment,
                    struct error *error)
{
    const char *lambda = variable(environment, "AWS_LAMBDA_RUNTIME_API");
    settings->lambda = lambda ? strdup(lambda) : NULL;
    if (lambda && !settings->lambda)
        return no_memory(error);
    int result = settings_read_options(settings, argc, argv, error);
    if (result == -EINVAL && settings->lambda && settings->action == SETTINGS_RUN) {
        settings->exit_status = EXIT_STATUS_OK;
        result = warn(settings, error, "%s: %s; ignored, as is what follows it", error->subject,
                      error->message);
    }
    if (result < 0)
        return result;
    if (settings->action == SETTINGS_RUN || settings->action == SETTINGS_CHECK ||
        settings->action == SETTINGS_ONCE) {
        result = read_variables(settings, environment, error);
        if (result == 0)
            result = warn_unknown(settings, environment, error);
        if (result == 0)
            result = apply(settings, error);
    }
    return result;
}

int settings_load(struct settings *settings, int argc, char **argv, char **environment,
                  struct error *error)
{
    *settings = (struct settings){.group = SETTINGS_NO_GROUP};
    settings->values = calloc(settings_count, sizeof *settings->values);
    int result =
        settings->values ? read_all(settings, argc, argv, environment, error) : no_memory(error);
    if (result < 0 && settings->exit_status == EXIT_STATUS_OK)
        settings->exit_status = result == -ENOMEM ? EXIT_STATUS_FAILURE : EXIT_STATUS_SETTINGS;
    return result;
}

void settings_free(struct settings *settings)
{
    for (size_t i = 0; settings->values && i < settings_count; i++)
        free(settings->values[i].text);
    free(settings->values);
    free(settings->lambda);
    for (size_t i = 0; i < settings->warning_count; i++)
        free(settings->warnings[i]);
    free(settings->warnings);
    *settings = (struct settings){.group = SETTINGS_NO_GROUP};
}
