/* SPDX-License-Identifier: Apache-2.0 */
/* When checks happen: intervals, back-off, and time that was slept through. */
#include "source/schedule.h"
#include "base/clock.h"
#include "check.h"
#include "source/thaw.h"

static const uint64_t start = 1000 * NS_PER_S;

static void good_checks_follow_the_longer_interval(void)
{
    struct schedule schedule;
    schedule_init(&schedule, start, 0, 45 * NS_PER_S, 1);
    CHECK(schedule_is_due(&schedule, start));
    schedule_succeed(&schedule, start, 60);
    CHECK_INT(start + 60 * NS_PER_S, schedule.due_ns);
    schedule_succeed(&schedule, start, 15);
    CHECK_INT(start + 45 * NS_PER_S, schedule.due_ns);
    CHECK(!schedule_is_due(&schedule, start + 45 * NS_PER_S - 1));
}

static void nothing_comes_before_the_service_allows_it(void)
{
    struct schedule schedule;
    schedule_init(&schedule, start, 0, 45 * NS_PER_S, 1);
    schedule_succeed(&schedule, start, 30);
    schedule_hurry(&schedule, start + NS_PER_S);
    CHECK_INT(start + 30 * NS_PER_S, schedule.due_ns);
    schedule_fail(&schedule, start + NS_PER_S, 0);
    CHECK_INT(start + 30 * NS_PER_S, schedule.due_ns);
    schedule_hurry(&schedule, start + 40 * NS_PER_S);
    CHECK_INT(start + 30 * NS_PER_S, schedule.due_ns);
    schedule_postpone(&schedule, start + 30 * NS_PER_S);
    schedule_hurry(&schedule, start + 31 * NS_PER_S);
    CHECK_INT(start + 52 * NS_PER_S + 500 * NS_PER_MS, schedule.due_ns);
}

static void failures_back_off_from_a_second_to_a_minute(void)
{
    static const unsigned seconds[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    struct schedule schedule;
    struct schedule same;
    struct schedule other;
    unsigned different = 0;
    schedule_init(&schedule, start, 0, 45 * NS_PER_S, 7);
    schedule_init(&same, start, 0, 45 * NS_PER_S, 7);
    schedule_init(&other, start, 0, 45 * NS_PER_S, 8);
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        uint64_t base = seconds[i] * NS_PER_S;
        schedule_fail(&schedule, start, 0);
        schedule_fail(&same, start, 0);
        schedule_fail(&other, start, 0);
        CHECK(schedule.due_ns >= start + base / 5 * 4);
        CHECK(schedule.due_ns <= start + base / 5 * 6);
        CHECK_INT(schedule.due_ns, same.due_ns);
        different += schedule.due_ns != other.due_ns;
    }
    CHECK(different > 0);
    for (int i = 0; i < 1000; i++)
        schedule_fail(&schedule, start, 0);
    CHECK(schedule.due_ns <= start + 72 * NS_PER_S);
    schedule_succeed(&schedule, start, 0);
    schedule_fail(&schedule, start, 0);
    CHECK(schedule.due_ns <= start + 1200 * NS_PER_MS);
}

static void slow_failures_that_are_waited_for_cost_a_tenth(void)
{
    struct schedule schedule;
    schedule_init(&schedule, start, 0, 45 * NS_PER_S, 7);
    schedule_fail(&schedule, start, NS_PER_MS);
    CHECK(schedule.due_ns <= start + 1200 * NS_PER_MS);
    schedule_fail(&schedule, start, 3 * NS_PER_S);
    CHECK(schedule.due_ns >= start + 27 * NS_PER_S / 5 * 4);
    CHECK(schedule.due_ns <= start + 27 * NS_PER_S / 5 * 6);
    schedule_fail(&schedule, start, UINT64_MAX);
    CHECK(schedule.due_ns >= start + 45 * NS_PER_S / 5 * 4);
    CHECK(schedule.due_ns <= start + 45 * NS_PER_S / 5 * 6);
}

static void slept_time_makes_a_check_due(void)
{
    struct schedule schedule;
    schedule_init(&schedule, start, 0, 45 * NS_PER_S, 1);
    schedule_succeed(&schedule, start, 45);
    schedule_elapse(&schedule, 44 * NS_PER_S);
    CHECK(!schedule_is_due(&schedule, start));
    CHECK(schedule_is_due(&schedule, start + NS_PER_S));
    CHECK(!schedule_is_overdue(&schedule, start + 2 * NS_PER_S, NS_PER_S));
    CHECK(schedule_is_overdue(&schedule, start + 2 * NS_PER_S + 1, NS_PER_S));
    schedule_elapse(&schedule, UINT64_MAX);
    CHECK_INT(0, schedule.due_ns);
}

static void what_a_predecessor_left_may_be_overdue(void)
{
    struct schedule schedule;
    schedule_init(&schedule, start, NS_PER_S, 45 * NS_PER_S, 1);
    CHECK(schedule_is_due(&schedule, start) && !schedule_is_overdue(&schedule, start, NS_PER_S));
    schedule_init(&schedule, start, NS_PER_S + 1, 45 * NS_PER_S, 1);
    CHECK(schedule_is_overdue(&schedule, start, NS_PER_S));
}

static void what_counts_after_a_failure_is_the_next_try(void)
{
    struct schedule schedule;
    schedule_init(&schedule, start, 3600 * NS_PER_S, 45 * NS_PER_S, 1);
    CHECK(schedule_is_overdue(&schedule, start, NS_PER_S));
    schedule_fail(&schedule, start, 0);
    CHECK(!schedule_is_overdue(&schedule, start, NS_PER_S));
    CHECK(!schedule_is_overdue(&schedule, schedule.due_ns + NS_PER_S, NS_PER_S));
    CHECK(schedule_is_overdue(&schedule, schedule.due_ns + NS_PER_S + 1, NS_PER_S));
}

static enum thaw_kind look(struct thaw *thaw, uint64_t monotonic, uint64_t boot, uint64_t real,
                           uint64_t *missed)
{
    struct thaw_clocks clocks = {monotonic * NS_PER_MS, boot * NS_PER_MS, real * NS_PER_MS};
    return thaw_look(thaw, &clocks, missed);
}

static void a_thaw_shows_in_the_clocks(void)
{
    struct thaw thaw = {0};
    uint64_t missed;
    CHECK_INT(THAW_NONE, look(&thaw, 10000, 10000, 500000, &missed));
    CHECK_INT(THAW_NONE, look(&thaw, 20000, 20000, 510000, &missed));
    CHECK_INT(THAW_NONE, look(&thaw, 20010, 21900, 511900, &missed));
    CHECK_INT(THAW_SLEPT, look(&thaw, 20020, 81900, 571900, &missed));
    CHECK_INT((1890 + 59990) * NS_PER_MS, missed); /* with what was too little to be told */
    CHECK_INT(THAW_RESTORED, look(&thaw, 20030, 81910, 999999, &missed));
    CHECK_INT((999999 - 571900 - 10) * NS_PER_MS, missed);
    CHECK_INT(THAW_NONE, look(&thaw, 20040, 81920, 1000, &missed)); /* set back */
    CHECK_INT(0, missed);
}

static void short_freezes_add_up(void)
{
    struct thaw thaw = {0};
    uint64_t missed;
    CHECK_INT(THAW_NONE, look(&thaw, 10000, 10000, 500000, &missed));
    CHECK_INT(THAW_NONE, look(&thaw, 10010, 10010, 501010, &missed));
    CHECK_INT(THAW_NONE, look(&thaw, 10020, 10020, 502020, &missed));
    CHECK_INT(THAW_RESTORED, look(&thaw, 10030, 10030, 503030, &missed));
    CHECK_INT(3000 * NS_PER_MS, missed);
    CHECK_INT(THAW_NONE, look(&thaw, 10040, 10040, 503050, &missed)); /* kept waiting */
    for (unsigned i = 1; i < 1000; i++) /* a twelfth faster than it should */
        CHECK_INT(THAW_NONE,
                  look(&thaw, 10040 + i * 12000, 10040 + i * 12000, 503050 + i * 13000, &missed));
}

int main(void)
{
    good_checks_follow_the_longer_interval();
    nothing_comes_before_the_service_allows_it();
    failures_back_off_from_a_second_to_a_minute();
    slow_failures_that_are_waited_for_cost_a_tenth();
    slept_time_makes_a_check_due();
    what_a_predecessor_left_may_be_overdue();
    what_counts_after_a_failure_is_the_next_try();
    a_thaw_shows_in_the_clocks();
    short_freezes_add_up();
    return 0;
}
