/* SPDX-License-Identifier: Apache-2.0 */
#include "source/schedule.h"

#include "base/clock.h"

static const uint64_t backoff_min = NS_PER_S;
static const uint64_t backoff_max = 60 * NS_PER_S;
static const uint64_t pause_per_taken = 9;

/* splitmix64 */
static uint64_t next_random(struct schedule *schedule)
{
    uint64_t z = (schedule->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

void schedule_init(struct schedule *schedule, uint64_t now_ns, uint64_t late_ns,
                   uint64_t interval_ns, uint64_t seed)
{
    *schedule = (struct schedule){.due_ns = minus(now_ns, late_ns),
                                  .interval_ns = interval_ns,
                                  .wished_ns = interval_ns,
                                  .random = seed};
}

void schedule_succeed(struct schedule *schedule, uint64_t now_ns, unsigned service_s)
{
    schedule->failures = 0;
    schedule->interval_ns = later(service_s * NS_PER_S, schedule->wished_ns);
    schedule->allowed_ns = now_ns + service_s * NS_PER_S;
    schedule->due_ns = now_ns + schedule->interval_ns;
}

/* What is frozen amid a check may have taken years. */
static uint64_t pause_after(const struct schedule *schedule, uint64_t taken_ns)
{
    uint64_t longest = schedule->interval_ns;
    return taken_ns < longest / pause_per_taken ? taken_ns * pause_per_taken : longest;
}

void schedule_fail(struct schedule *schedule, uint64_t now_ns, uint64_t taken_ns)
{
    uint64_t delay = backoff_min;
    for (unsigned i = 0; i < schedule->failures && delay < backoff_max; i++)
        delay *= 2;
    if (delay > backoff_max)
        delay = backoff_max;
    if (taken_ns)
        delay = later(delay, pause_after(schedule, taken_ns));
    delay = delay / 5 * 4 + next_random(schedule) % (delay / 5 * 2 + 1);
    schedule->failures++;
    schedule->due_ns = later(now_ns + delay, schedule->allowed_ns);
}

void schedule_postpone(struct schedule *schedule, uint64_t now_ns)
{
    schedule->due_ns = now_ns + later(schedule->interval_ns / 2, NS_PER_S);
    schedule->allowed_ns = schedule->due_ns;
}

void schedule_hurry(struct schedule *schedule, uint64_t now_ns)
{
    uint64_t soon = later(now_ns, schedule->allowed_ns);
    if (soon < schedule->due_ns)
        schedule->due_ns = soon;
}

void schedule_elapse(struct schedule *schedule, uint64_t missed_ns)
{
    schedule->due_ns = minus(schedule->due_ns, missed_ns);
    schedule->allowed_ns = minus(schedule->allowed_ns, missed_ns);
}

bool schedule_is_due(const struct schedule *schedule, uint64_t now_ns)
{
    return now_ns >= schedule->due_ns;
}

bool schedule_is_overdue(const struct schedule *schedule, uint64_t begun_ns, uint64_t late_max_ns)
{
    return minus(begun_ns, schedule->due_ns) > late_max_ns;
}
