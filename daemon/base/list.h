/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMCONFD_LIST_H
#define SHMCONFD_LIST_H

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

/* The entries of an open directory, from the first one; NULL if they cannot be listed. */
static inline DIR *list_directory(int directory)
{
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (!stream && fd >= 0)
        close(fd);
    return stream;
}

#endif
