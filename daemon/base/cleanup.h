/* SPDX-License-Identifier: Apache-2.0 */
/* Variables that clean up after themselves, so that an early return is always right. */
#ifndef SHMCONFD_CLEANUP_H
#define SHMCONFD_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_free_pointer(void *pointer)
{
    free(*(void **)pointer);
}

#define cleanup_close __attribute__((cleanup(cleanup_close_fd)))
#define cleanup_free  __attribute__((cleanup(cleanup_free_pointer)))

/* Hands a descriptor on: the variable no longer closes it. */
static inline int steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

#endif
