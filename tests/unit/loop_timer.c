/* SPDX-License-Identifier: Apache-2.0 */
/* What loop/loop.h promises of timers, on each backend. */
#include "base/clock.h"
#include "check.h"
#include "loop/backend.h"
#include "loop_probe.h"

static void stop_expired(struct loop *l, struct loop_timer *timer)
{
    (void)timer;
    loop_stop(l);
}

static unsigned fired[8];
static size_t fired_count;
static struct loop_timer timers[4];

static void timer_noted(struct loop *l, struct loop_timer *timer)
{
    fired[fired_count++] = (unsigned)(timer - timers);
    if (timer == &timers[3])
        loop_stop(l);
}

/* The first stops the second, and starts the third and itself again. */
static void timer_meddles(struct loop *l, struct loop_timer *timer)
{
    timer_noted(l, timer);
    loop_timer_stop(l, &timers[1]);
    if (fired_count > 1)
        return;
    loop_timer_start(l, &timers[2], loop_now(l), timer_noted);
    loop_timer_start(l, timer, 0, timer_meddles);
}

static void timers_expire_in_order_of_deadline(void)
{
    uint64_t now = clock_monotonic_ns();
    static const unsigned order[] = {2, 0, 1, 3};
    fired_count = 0;
    loop_timer_start(loop, &timers[3], now + 2 * NS_PER_MS, timer_noted);
    loop_timer_start(loop, &timers[2], now + NS_PER_S, timer_noted);
    loop_timer_start(loop, &timers[1], now + NS_PER_MS, timer_noted);
    loop_timer_start(loop, &timers[0], now, timer_noted);
    loop_timer_start(loop, &timers[2], now - 1, timer_noted);
    CHECK_INT(0, loop_run(loop, NULL));
    CHECK_INT(4, fired_count);
    for (size_t i = 0; i < 4; i++)
        CHECK_INT(order[i], fired[i]);
    CHECK(loop_now(loop) >= now + 2 * NS_PER_MS);
}

static void timers_can_be_changed_while_they_expire(void)
{
    uint64_t now = loop_now(loop);
    static const unsigned order[] = {0, 3, 0, 2, 3};
    fired_count = 0;
    loop_timer_start(loop, &timers[0], now - 4, timer_meddles);
    loop_timer_start(loop, &timers[1], now - 3, timer_noted);
    loop_timer_start(loop, &timers[2], now - 2, timer_noted);
    loop_timer_start(loop, &timers[3], now - 1, timer_noted);
    CHECK_INT(0, loop_run(loop, NULL));
    CHECK_INT(2, fired_count); /* the third was started again, so it has left this turn */
    loop_timer_start(loop, &timers[3], loop_now(loop) + 1, timer_noted);
    CHECK_INT(0, loop_run(loop, NULL));
    CHECK_INT(5, fired_count);
    for (size_t i = 0; i < 5; i++)
        CHECK_INT(order[i], fired[i]);
    for (size_t i = 0; i < 4; i++)
        loop_timer_stop(loop, &timers[i]);
}

static void many_timers_keep_their_order(void)
{
    enum { COUNT = 500 };
    static struct loop_timer many[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        loop_timer_start(loop, &many[i], 1 + i * 7919 % COUNT, stop_expired);
    for (size_t i = 0; i < COUNT; i += 2)
        loop_timer_stop(loop, &many[i]);
    for (size_t i = 1; i < COUNT; i += 2) {
        struct loop_timer *first = loop->timers.heap[0];
        CHECK((first - many) % 2 == 1);
        for (size_t j = 1; j < COUNT; j += 2)
            CHECK(!many[j].position || many[j].deadline >= first->deadline);
        loop_timer_stop(loop, first);
    }
    CHECK_INT(0, loop->timers.count);
}

int main(void)
{
    static const struct scenario scenarios[] = {
        {"timers in order", timers_expire_in_order_of_deadline},
        {"timers changed while they expire", timers_can_be_changed_while_they_expire},
        {"many timers", many_timers_keep_their_order},
    };
    return run_on_both(scenarios, sizeof scenarios / sizeof scenarios[0]);
}
