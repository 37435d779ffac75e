/* SPDX-License-Identifier: Apache-2.0 */
/* What the writer's files are called, exactly: everything else is somebody else's. */
#ifndef SHMCONFD_REGION_FILE_NAMES_H
#define SHMCONFD_REGION_FILE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Where the configurations come from: see source.c. */
#define REGION_SOURCE_FILE ".source"

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
