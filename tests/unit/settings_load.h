/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of settings_load share: one call, written as two texts. */
#ifndef TESTS_SETTINGS_LOAD_H
#define TESTS_SETTINGS_LOAD_H

#include <errno.h>

#include "check.h"
#include "settings/settings.h"

enum { MAX_WORDS = 8 };

static struct settings settings;
static struct error error;

/* Both are divided by newlines, which therefore cannot occur in values here. */
static inline size_t divide(char *copy, char **words)
{
    size_t count = 0;
    for (char *word = strtok(copy, "\n"); word; word = strtok(NULL, "\n")) {
        CHECK(count < MAX_WORDS);
        words[count++] = word;
    }
    words[count] = NULL;
    return count;
}

static inline int load(const char *options, const char *variables)
{
    /* The names of --once stay in argv. */
    static char option_copy[1024];
    static char variable_copy[1024];
    static char *argv[MAX_WORDS + 1];
    static char *environment[MAX_WORDS + 1];
    strcpy(option_copy, "shmconfd\n");
    strcat(option_copy, options);
    strcpy(variable_copy, variables);
    int argc = (int)divide(option_copy, argv);
    divide(variable_copy, environment);
    settings_free(&settings);
    error = (struct error){0};
    return settings_load(&settings, argc, argv, environment, &error);
}

static inline void check_refused(const char *subject, const char *part)
{
    CHECK_INT(EXIT_STATUS_SETTINGS, settings.exit_status);
    CHECK_INT(EINVAL, error.code);
    CHECK_STRING(subject, error.subject);
    if (!strstr(error.message, part)) {
        fprintf(stderr, "\"%s\" is not in \"%s\"\n", part, error.message);
        exit(1);
    }
}

#endif
