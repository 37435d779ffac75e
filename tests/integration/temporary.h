/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TEMPORARY_H
#define TESTS_TEMPORARY_H

#include <dirent.h>
#include <string.h>

/* How many temporary names of the writer's stand in a directory. */
static inline unsigned count_temporary(const char *path)
{
    unsigned count = 0;
    DIR *stream = opendir(path);
    for (struct dirent *entry; stream && (entry = readdir(stream));)
        count += strncmp(entry->d_name, ".t", 2) == 0;
    if (stream)
        closedir(stream);
    return count;
}

#endif
