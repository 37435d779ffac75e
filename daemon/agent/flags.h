/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of a JSON object by name, as the bytes that stand there: nothing is parsed into a tree,
 * copied or printed anew, so a flag of a document of a megabyte costs one look over it.
 */
#ifndef SHMCONFD_AGENT_FLAGS_H
#define SHMCONFD_AGENT_FLAGS_H

#include <stdbool.h>

#include "http/request.h"

enum { FLAGS_MAX = 256 };

/* One flag that was asked for. */
struct flag {
    struct http_text name;  /* decoded */
    struct http_text key;   /* in the document, with its quotation marks */
    struct http_text value; /* in the document; data NULL: there is no such member */
};

/* What a query asks for, in its order, each name once. */
struct flags {
    size_t count;
    struct flag list[FLAGS_MAX];
    char text[HTTP_LINE_MAX + FLAGS_MAX]; /* of the names */
};

/* All parameters `flag`. -EINVAL: malformed; -E2BIG: more than FLAGS_MAX. */
int flags_parse(struct flags *flags, struct http_text query);

/*
 * Finds key and value of each flag; of equal keys the last one counts, as in most parsers. -EINVAL:
 * the text is no JSON object. Any bytes are safe, but strict is only what leads to the members: the
 * inside of values is checked for brackets and strings alone.
 */
int flags_find(struct flags *flags, const char *json, size_t size);

#endif
