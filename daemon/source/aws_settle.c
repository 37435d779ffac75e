/* SPDX-License-Identifier: Apache-2.0 */
/* Between two events of Lambda: what is due is begun, and somebody is told when all has ended. */
#include "base/clock.h"
#include "source/aws_internal.h"

/* Nobody's first invocation waits for what nobody listed. */
static bool is_awaited(const struct follow *follow)
{
    return follow->is_kept || !follow->source->is_starting;
}

bool aws_source_is_settled(const struct aws_source *source)
{
    const struct follow *follow = source->first;
    while (follow && !(follow->call && is_awaited(follow)))
        follow = follow->next;
    return follow == NULL;
}

bool aws_source_is_busy(const struct aws_source *source)
{
    const struct follow *follow = source->first;
    while (follow && !follow->call)
        follow = follow->next;
    return follow != NULL;
}

void aws_source_end_check(struct aws_source *source)
{
    if (source->settled && aws_source_is_settled(source))
        source_waiters_wake(&source->settled);
}

bool aws_source_settle(struct source *base, struct source_waiter *waiter)
{
    struct aws_source *source = (struct aws_source *)base;
    source->is_starting = !source->has_started;
    source->has_started = true;
    aws_source_look_for_event(source);
    configurations_look(source->configurations); /* a handler may have emptied /tmp */
    for (struct follow *follow = source->first; follow; follow = follow->next) {
        if (follow->timer.position && is_awaited(follow))
            follow_go(follow);
        if (!follow->call)
            follow_arm(follow);
    }
    if (aws_source_is_settled(source))
        return false;
    source_waiter_add(&source->settled, waiter);
    return true;
}
