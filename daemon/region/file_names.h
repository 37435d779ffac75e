/* SPDX-License-Identifier: Apache-2.0 */
/* What the writer's files are called, exactly: everything else is somebody else's. */
#ifndef SHMCONFD_REGION_FILE_NAMES_H
#define SHMCONFD_REGION_FILE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Where the configurations come from: "SINCE SOURCE\n", SINCE as unix time in ns. See source.c. */
#define REGION_SOURCE_FILE ".source"

enum { REGION_SOURCE_MAX = 1024 };

/* SOURCE with its line feed, and SINCE; NULL: that is no such file. */
static inline const char *region_source_parse(const char *text, uint64_t *since_ns)
{
    char *end;
    *since_ns = strtoull(text, &end, 10);
    if (*since_ns == 0 || *end != ' ' || end[strlen(end) - 1] != '\n')
        return NULL;
    return end + 1;
}

/* Counted from 1, no daemon comes this far, and some more are no overflow for whoever goes on. */
#define REGION_GENERATION_MAX (UINT64_MAX >> 1)

static inline bool region_has_digits(const char *text, size_t least, size_t most)
{
    size_t count = strspn(text, "0123456789abcdef");
    return count >= least && count <= most && text[count] == '\0';
}

/* Of a file that is not finished, or never was. */
static inline bool region_file_is_temporary(const char *name)
{
    return strncmp(name, ".t", 2) == 0 && region_has_digits(name + 2, 16, 16);
}

/* Of a version, of whatever generation. */
static inline bool region_file_is_version(const char *name)
{
    return name[0] == 'v' && region_has_digits(name + 1, 8, 16);
}

#endif
