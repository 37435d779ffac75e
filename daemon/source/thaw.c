/* SPDX-License-Identifier: Apache-2.0 */
#include "source/thaw.h"

#include "base/clock.h"

/* Less is scheduling, or the wall clock being slewed. */
static const uint64_t jump_min = 2 * NS_PER_S;

struct thaw_clocks thaw_clocks_now(void)
{
    struct thaw_clocks now;
    /* Frozen between two of them, the later ones would seem to have jumped. */
    do
        now = (struct thaw_clocks){.monotonic = clock_monotonic_ns(),
                                   .boot = clock_ns(CLOCK_BOOTTIME),
                                   .real = clock_realtime_ns()};
    while (clock_monotonic_ns() - now.monotonic > jump_min / 2);
    return now;
}

/* How much further than `monotonic_ns` a clock has gone from `then` to `now`. */
static uint64_t jump(uint64_t then, uint64_t now, uint64_t monotonic_ns)
{
    uint64_t gone = now > then ? now - then : 0;
    return gone > monotonic_ns ? gone - monotonic_ns : 0;
}

enum thaw_kind thaw_look(struct thaw *thaw, const struct thaw_clocks *now, uint64_t *missed_ns)
{
    struct thaw_clocks last = thaw->last;
    uint64_t monotonic = now->monotonic - last.monotonic;
    thaw->last = *now;
    *missed_ns = 0;
    if (last.monotonic == 0)
        return THAW_NONE;
    *missed_ns = jump(last.boot, now->boot, monotonic);
    if (*missed_ns > jump_min)
        return THAW_SLEPT;
    *missed_ns = jump(last.real, now->real, monotonic);
    if (*missed_ns > jump_min)
        return THAW_RESTORED;
    *missed_ns = 0;
    return THAW_NONE;
}
