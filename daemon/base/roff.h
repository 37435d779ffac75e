/* SPDX-License-Identifier: Apache-2.0 */
/* Text for man pages: what troff would take for its own is escaped. */
#ifndef SHMCONFD_ROFF_H
#define SHMCONFD_ROFF_H

#include <stdbool.h>
#include <stdio.h>

/* A single newline stays one, two begin a paragraph. */
static inline void roff_put(FILE *out, const char *text)
{
    bool is_start = true;
    for (; *text; text++) {
        bool is_paragraph = text[0] == '\n' && text[1] == '\n';
        if (is_start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        if (is_paragraph)
            fputs("\n.PP", out);
        else if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\\')
            fputs("\\e", out);
        else
            fputc(*text, out);
        is_start = *text == '\n';
    }
}

/* A term and what it means. */
static inline void roff_item(FILE *out, const char *term, const char *argument, const char *meaning)
{
    fputs(".TP\n\\fB", out);
    roff_put(out, term);
    fputs("\\fR", out);
    if (argument) {
        fputs(" \\fI", out);
        roff_put(out, argument);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    roff_put(out, meaning);
    fputc('\n', out);
}

#endif
