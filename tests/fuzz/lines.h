/* SPDX-License-Identifier: Apache-2.0 */
/* An input of lines: options, which begin with "--", and variables of the environment. */
#ifndef TESTS_FUZZ_LINES_H
#define TESTS_FUZZ_LINES_H

#include "require.h"

enum { LINES_MAX = 32 };

struct lines {
    char *text;
    char *options[LINES_MAX + 2]; /* after the program's name */
    char *variables[LINES_MAX + 1];
    int option_count; /* with the program's name */
    size_t variable_count;
};

/* A NUL ends it: neither an option nor a variable holds one. */
static inline void lines_read(struct lines *lines, const void *data, size_t size)
{
    static char program[] = "shmconfd";
    char *rest;
    lines->text = copy_text(data, size);
    lines->option_count = 0;
    lines->options[lines->option_count++] = program;
    lines->variable_count = 0;
    for (char *line = strtok_r(lines->text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (strncmp(line, "--", 2) == 0 && lines->option_count <= LINES_MAX)
            lines->options[lines->option_count++] = line;
        else if (strchr(line, '=') && lines->variable_count < LINES_MAX)
            lines->variables[lines->variable_count++] = line;
    lines->options[lines->option_count] = NULL;
    lines->variables[lines->variable_count] = NULL;
}

/* The first one of that name, or NULL. */
static inline const char *lines_variable(const struct lines *lines, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < lines->variable_count; i++)
        if (strncmp(lines->variables[i], name, size) == 0 && lines->variables[i][size] == '=')
            return lines->variables[i] + size + 1;
    return NULL;
}

static inline void lines_free(struct lines *lines)
{
    free(lines->text);
}

#endif
