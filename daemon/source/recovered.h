/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a predecessor left in the region, and which of it is worth following. Nothing is ever
 * removed from a region, so names that nobody uses any more may lie there for ever; to go on with
 * them would cost calls for ever.
 */
#ifndef SHMCONFD_SOURCE_RECOVERED_H
#define SHMCONFD_SOURCE_RECOVERED_H

#include <stddef.h>
#include <stdint.h>

#include "shmconf/format.h"
#include "shmconf/name.h"

struct recovered_one {
    struct shmconf_record record;
    struct shmconf_name name; /* last: memory ends with its text, so it must not be assigned */
};

/* Zeroed memory is an empty one. */
struct recovered {
    struct recovered_one **list;
    size_t count;
    size_t capacity;
};

/* `context` is the struct recovered. What there is no memory for is left out. */
void recovered_add(void *context, const struct shmconf_name *name,
                   const struct shmconf_record *record);

/*
 * Keeps what the predecessor followed to its end: whose last good check was at most a day (and two
 * of its intervals) before the last one of any, and not before `since_ns`. Compared with each other
 * and not with now: a machine may have been off, or the service gone, for longer. What was never
 * checked, since a start after a boot put it there, until it has failed for a day. Those that were
 * checked last come first.
 */
void recovered_select(struct recovered *recovered, uint64_t since_ns, uint64_t now_ns);

/* The one of that name, or NULL. */
const struct recovered_one *recovered_find(const struct recovered *recovered,
                                           const struct shmconf_name *name);

/* Its name, of the whole size, as one that is copied has to be. */
struct shmconf_name recovered_name(const struct recovered_one *one);

void recovered_free(struct recovered *recovered);

#endif
