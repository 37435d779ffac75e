/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has the machine been frozen or restored? The monotonic clock stops then, at least in some
 * environments; the others tell how long it was.
 */
#ifndef SHMCONFD_THAW_H
#define SHMCONFD_THAW_H

#include <stdint.h>

/* One look at the clocks, in nanoseconds. */
struct thaw_clocks {
    uint64_t monotonic;
    uint64_t boot;
    uint64_t real;
};

/* What the clocks said last, and what the monotonic one has not seen of it so far; zeroed memory is
 * one that has not looked yet. */
struct thaw {
    struct thaw_clocks last;
    uint64_t slept_ns;
    uint64_t jumped_ns;
};

enum thaw_kind {
    THAW_NONE,
    THAW_SLEPT,    /* CLOCK_BOOTTIME went on without the monotonic clock */
    THAW_RESTORED, /* only the wall clock did: restored from a snapshot, or somebody set the clock
                    */
};

struct thaw_clocks thaw_clocks_now(void);

/* `*missed_ns` receives what the monotonic clock has not seen. Short freezes add up until they are
 * worth telling. */
enum thaw_kind thaw_look(struct thaw *thaw, const struct thaw_clocks *now, uint64_t *missed_ns);

#endif
