/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, in nanoseconds. Ages are taken by the real-time clock, timers by the monotonic one. */
#ifndef SHMCONFD_CLOCK_H
#define SHMCONFD_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* By some scheduling whatever has its time comes late, but not by so much: the process was held up.
 */
#define HELD_UP_MIN_NS (NS_PER_S / 4)

static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

static inline uint64_t clock_realtime_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

#endif
