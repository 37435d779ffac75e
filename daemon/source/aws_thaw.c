/* SPDX-License-Identifier: Apache-2.0 */
/* What no longer holds when this process was frozen, or is a copy that goes on from a snapshot. */
#include "base/clock.h"
#include "log/log.h"
#include "source/aws_internal.h"

/* A timer that is later than this was not only kept waiting. */
static const uint64_t late_max = 2 * NS_PER_S;

/* The first event after a restore comes no later than this, if the restore was noticed before. */
static const uint64_t first_event_max = 10 * NS_PER_S;

/* What a copy knows, others know as well. */
static bool may_be_copy(const struct aws_source *source, enum thaw_kind kind)
{
    return kind == THAW_RESTORED && !source->has_no_copies;
}

static void elapse(struct follow *follow, enum thaw_kind kind, uint64_t missed_ns, uint64_t now)
{
    struct schedule shifted = follow->schedule;
    /* What a copy of a snapshot knows is every copy's, and perhaps old. */
    bool is_copy = follow->source->snapshot == SNAPSHOT_PARKED;
    if (kind == THAW_RESTORED)
        missed_ns = follow->missed_ns += missed_ns;
    schedule_elapse(&shifted, is_copy ? UINT64_MAX : missed_ns);
    if (kind == THAW_RESTORED && !schedule_is_due(&shifted, now))
        return; /* the clock may only have been set: the service counts on */
    if (kind == THAW_RESTORED)
        follow->missed_ns = 0;
    if (may_be_copy(follow->source, kind))
        follow_drop_token(follow);
    follow->schedule = shifted;
}

/*
 * Last, since who waits for all of them is told when none runs. Who waits for one may do anything,
 * such as asking for a name that takes the place of the next: each look begins with the first.
 */
static void give_up_interrupted(struct aws_source *source)
{
    struct follow *follow = source->first;
    while (follow) {
        bool is_found = follow->is_interrupted && !follow->call;
        follow->is_interrupted = false;
        if (is_found)
            follow_give_up(follow);
        follow = is_found ? source->first : follow->next;
    }
}

static void begin_anew(struct aws_source *source, enum thaw_kind kind, uint64_t missed_ns)
{
    uint64_t now = clock_monotonic_ns();
    source->beat_ns = 0; /* it has been told; the calls that begin now have one of their own */
    for (struct follow *follow = source->first; follow; follow = follow->next) {
        follow->is_interrupted = follow->call != NULL;
        follow_interrupt(follow);
        if (may_be_copy(source, kind))
            follow->begun_anew = 0; /* by the original */
        if (kind != THAW_NONE)
            elapse(follow, kind, missed_ns, now);
    }
    /* A snapshot is taken when nobody waits for checks; before that a clock was set. */
    if (source->snapshot == SNAPSHOT_PARKED && !source->settled)
        source->restored_ns = now;
    transfers_drop_idle(source->transfers, may_be_copy(source, kind));
    if (kind != THAW_NONE)
        appconfig_data_drop_credentials(source->data);
    /* Each once: what was missed meanwhile is not made up for. No timer is late any more after
       this, so that a freeze is told once. */
    for (struct follow *follow = source->first; follow; follow = follow->next) {
        if (follow->is_interrupted)
            follow->is_interrupted = !follow_begin_anew(follow);
        else if (follow->timer.position)
            follow_go(follow);
        if (!follow->call)
            follow_arm(follow);
    }
    give_up_interrupted(source);
}

void aws_source_look_for_thaw(struct aws_source *source, uint64_t late_ns)
{
    uint64_t missed_ns;
    struct thaw_clocks now = thaw_clocks_now();
    enum thaw_kind kind = thaw_look(&source->thaw, &now, &missed_ns);
    if ((kind == THAW_NONE && late_ns <= late_max) || source->is_stopping)
        return;
    log_info("%s for %.1f s: new connections, and checks what is due",
             kind == THAW_SLEPT      ? "the machine slept"
             : kind == THAW_RESTORED ? "the wall clock jumped"
                                     : "the process was stopped",
             (double)(missed_ns > late_ns ? missed_ns : late_ns) / (double)NS_PER_S);
    begin_anew(source, source->snapshot == SNAPSHOT_PARKED ? THAW_RESTORED : kind, missed_ns);
}

/*
 * The first event is the restored copy's, whatever its clocks say: which of them stand still in a
 * snapshot is not documented. One that a clock has told of a moment ago has done all this.
 */
void aws_source_look_for_event(struct aws_source *source)
{
    aws_source_look_at_beat(source);
    if (source->snapshot == SNAPSHOT_PARKED && !source->is_stopping) {
        uint64_t now = clock_monotonic_ns();
        if (!source->restored_ns || now - source->restored_ns > first_event_max) {
            log_info("the first event, restored from a snapshot: new sessions and connections");
            begin_anew(source, THAW_RESTORED, 0);
        }
        source->snapshot = SNAPSHOT_NONE;
    }
    if (source->snapshot == SNAPSHOT_STARTING)
        source->snapshot = SNAPSHOT_PARKED;
}

bool aws_source_holds_back(struct aws_source *source, const struct follow *follow)
{
    return source->snapshot == SNAPSHOT_PARKED && follow->token;
}

/*
 * Before the first event nobody knows whether this is the original, whose start asks for something,
 * or a copy, whose handler is faster than its event.
 */
void aws_source_share_nothing(struct follow *follow)
{
    if (follow->source->snapshot != SNAPSHOT_PARKED)
        return;
    follow_drop_token(follow);
    /* The connections of one that runs are as new as it is, and not to be waited for. */
    if (aws_source_is_settled(follow->source))
        transfers_drop_idle(follow->source->transfers, true);
}
