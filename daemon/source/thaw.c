/* SPDX-License-Identifier: Apache-2.0 */
#include "source/thaw.h"

#include <stdbool.h>

#include "base/clock.h"

/* Less is told later, together with what comes. */
static const uint64_t jump_min = 2 * NS_PER_S;

/* Less is scheduling, and of the wall clock also an eighth of the time: it may be slewed, by chrony
 * by a twelfth. */
static const uint64_t piece_min = 10 * NS_PER_MS;
enum { SLEWED_MOST = 8 };

struct thaw_clocks thaw_clocks_now(void)
{
    struct thaw_clocks now;
    /* Kept waiting between two of them, the later ones would seem to have jumped. */
    do
        now = (struct thaw_clocks){.monotonic = clock_monotonic_ns(),
                                   .boot = clock_ns(CLOCK_BOOTTIME),
                                   .real = clock_realtime_ns()};
    while (clock_monotonic_ns() - now.monotonic > piece_min / 2);
    return now;
}

/* How much further than `monotonic_ns` a clock has gone from `then` to `now`. */
static uint64_t jump(uint64_t then, uint64_t now, uint64_t monotonic_ns)
{
    uint64_t gone = now > then ? now - then : 0;
    return gone > monotonic_ns ? gone - monotonic_ns : 0;
}

static uint64_t more_than(uint64_t piece_ns, uint64_t least_ns)
{
    return piece_ns > least_ns ? piece_ns : 0;
}

enum thaw_kind thaw_look(struct thaw *thaw, const struct thaw_clocks *now, uint64_t *missed_ns)
{
    struct thaw_clocks last = thaw->last;
    uint64_t monotonic = now->monotonic - last.monotonic;
    thaw->last = *now;
    *missed_ns = 0;
    if (last.monotonic == 0)
        return THAW_NONE;
    thaw->slept_ns += more_than(jump(last.boot, now->boot, monotonic), piece_min);
    thaw->jumped_ns +=
        more_than(jump(last.real, now->real, monotonic), piece_min + monotonic / SLEWED_MOST);
    bool has_slept = thaw->slept_ns > jump_min;
    if (!has_slept && thaw->jumped_ns <= jump_min)
        return THAW_NONE;
    *missed_ns = has_slept ? thaw->slept_ns : thaw->jumped_ns;
    thaw->slept_ns = 0; /* the wall clock has gone on in that as well */
    thaw->jumped_ns = 0;
    return has_slept ? THAW_SLEPT : THAW_RESTORED;
}
