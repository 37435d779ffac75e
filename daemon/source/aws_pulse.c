/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has the process stood still while a call ran? Where the monotonic clock goes on meanwhile, as in
 * a sandbox that is frozen, only a timer that is late tells; so one beats as long as a check runs.
 */
#include "base/clock.h"
#include "source/aws_internal.h"

static const uint64_t pause_ns = 50 * NS_PER_MS;

static void on_beat(struct loop *loop, struct loop_timer *timer);

static void arm(struct aws_source *source)
{
    source->beat_ns = clock_monotonic_ns() + pause_ns;
    loop_timer_start(source->loop, &source->beat, source->beat_ns, on_beat);
}

/* How late the beat is: a failure may be seen before it, in the turn after a thaw. */
static uint64_t look(struct aws_source *source)
{
    uint64_t now = clock_monotonic_ns();
    uint64_t late_ns = source->beat_ns && now > source->beat_ns ? now - source->beat_ns : 0;
    if (late_ns > HELD_UP_MIN_NS)
        source->stopped_ns = source->beat_ns;
    return late_ns;
}

void aws_source_look_at_beat(struct aws_source *source)
{
    aws_source_look_for_thaw(source, look(source));
}

static void on_beat(struct loop *loop, struct loop_timer *timer)
{
    struct aws_source *source =
        (struct aws_source *)((char *)timer - offsetof(struct aws_source, beat));
    (void)loop;
    aws_source_look_at_beat(source);
    source->beat_ns = 0;
    if (aws_source_is_busy(source))
        arm(source);
}

void aws_source_beat(struct aws_source *source)
{
    if (!source->beat_ns)
        arm(source);
}

bool aws_source_has_stopped(struct aws_source *source, uint64_t since_ns)
{
    look(source);
    return since_ns && source->stopped_ns >= since_ns;
}
