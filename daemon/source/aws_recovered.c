/* SPDX-License-Identifier: Apache-2.0 */
/* Going on with what a predecessor followed, without a storm of calls at the start. */
#include "base/clock.h"
#include "log/log.h"
#include "source/aws_internal.h"

/* Between two checks that are late already. */
static const uint64_t pause_max = 100 * NS_PER_MS;

/*
 * From now to the check that the predecessor had planned: a new session receives the content once
 * more, so an earlier one would only cost. No longer than an interval of our own: the clock may
 * have been set, and a new session owes nothing to the old one's.
 */
uint64_t aws_source_wait_of(const struct aws_source *source, const struct shmconf_record *record)
{
    uint64_t now = clock_realtime_ns();
    uint64_t wait = record->next_ns > now ? record->next_ns - now : 0;
    return wait < source->poll_interval_ns ? wait : source->poll_interval_ns;
}

static bool resume(struct aws_source *source, const struct recovered_one *one, uint64_t late_ns)
{
    struct error error;
    struct shmconf_name name = recovered_name(one);
    struct follow *follow = aws_source_add(source, &name, &error);
    if (!follow) {
        log_error_object(LOG_LEVEL_WARN, &error);
        return false;
    }
    uint64_t wait = aws_source_wait_of(source, &one->record);
    uint64_t now = clock_monotonic_ns();
    follow->is_left = true;
    follow->is_transient = true; /* also where its version was lost */
    if (wait)
        follow->schedule.due_ns = now + wait;
    else
        follow->not_before_ns = now + late_ns; /* a request has it checked at once */
    follow_arm(follow);
    return !wait;
}

void aws_source_resume(struct aws_source *source, const struct recovered *recovered)
{
    uint64_t pause = source->poll_interval_ns / (recovered->count + 1);
    size_t before = configurations_count(source->configurations);
    size_t late = 0;
    size_t left = 0;
    if (pause > pause_max)
        pause = pause_max;
    for (size_t i = 0; i < recovered->count; i++) {
        const struct recovered_one *one = recovered->list[i];
        if (aws_source_find(source, &one->name))
            continue; /* named by the prefetch list */
        if (configurations_are_full(source->configurations))
            left++;
        else if (resume(source, one, late * pause))
            late++;
    }
    size_t resumed = configurations_count(source->configurations) - before;
    if (resumed)
        log_info("%zu configurations of the region are followed on", resumed);
    if (left)
        log_warn("%zu more are not, beyond SHMCONF_MAX_CONFIGURATIONS", left);
}
