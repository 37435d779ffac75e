/* SPDX-License-Identifier: Apache-2.0 */
/* Between two events of Lambda: what is due is begun, and somebody is told when all has ended. */
#include "base/clock.h"
#include "source/aws_internal.h"

/* After being parked for longer than this, nothing is to be expected of what is as old. */
static const uint64_t parked_max = 2 * NS_PER_S;

bool aws_source_is_busy(const struct aws_source *source)
{
    const struct follow *follow = source->first;
    while (follow && !follow->call)
        follow = follow->next;
    return follow != NULL;
}

void aws_source_end_check(struct aws_source *source)
{
    if (source->settled && !aws_source_is_busy(source))
        source_waiters_wake(&source->settled);
}

/*
 * A check that was under way when the process was frozen is lost, whether it had begun before it
 * was parked or by a timer since; one that an HTTP request has begun just now, coming before the
 * event, is as good as new. Idle connections are no matter here: they are too old to be used again.
 */
static bool interrupt_old(struct follow *follow)
{
    if (!follow->call || clock_monotonic_ns() - follow->started_ns <= parked_max)
        return false;
    follow_interrupt(follow);
    return true;
}

bool aws_source_settle(struct source *base, uint64_t parked_ns, struct source_waiter *waiter)
{
    struct aws_source *source = (struct aws_source *)base;
    aws_source_look_for_event(source);
    for (struct follow *follow = source->first; follow; follow = follow->next) {
        bool was_running = parked_ns > parked_max && interrupt_old(follow);
        if (was_running || follow->timer.position)
            follow_go(follow);
        if (!follow->call)
            follow_arm(follow);
    }
    if (!aws_source_is_busy(source))
        return false;
    source_waiter_add(&source->settled, waiter);
    return true;
}
