/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "loop/backend.h"

#include <stdlib.h>

/* In a timer's position: the rest is an index into `fired`. */
#define FIRED (SIZE_MAX ^ (SIZE_MAX >> 1))

static void place(struct timers *timers, struct loop_timer *timer, size_t position)
{
    timers->heap[position - 1] = timer;
    timer->position = position;
}

static void move_up(struct timers *timers, struct loop_timer *timer)
{
    size_t position = timer->position;
    while (position > 1 && timers->heap[position / 2 - 1]->deadline > timer->deadline) {
        place(timers, timers->heap[position / 2 - 1], position);
        position /= 2;
    }
    place(timers, timer, position);
}

static void move_down(struct timers *timers, struct loop_timer *timer)
{
    size_t position = timer->position;
    for (size_t child = position * 2; child <= timers->count; child = position * 2) {
        if (child < timers->count &&
            timers->heap[child]->deadline < timers->heap[child - 1]->deadline)
            child++;
        if (timers->heap[child - 1]->deadline >= timer->deadline)
            break;
        place(timers, timers->heap[child - 1], position);
        position = child;
    }
    place(timers, timer, position);
}

static void heap_remove(struct timers *timers, struct loop_timer *timer)
{
    struct loop_timer *last = timers->heap[--timers->count];
    if (last != timer) {
        place(timers, last, timer->position);
        move_up(timers, last);
        move_down(timers, last);
    }
    timer->position = 0;
}

static struct loop_timer **grow(struct loop_timer **array, size_t capacity)
{
    struct loop_timer **grown = reallocarray(array, capacity, sizeof(struct loop_timer *));
    /* A daemon without its deadlines would hang silently; one that has ended is started again. */
    if (!grown)
        abort();
    return grown;
}

static void reserve(struct timers *timers)
{
    if (timers->count < timers->capacity)
        return;
    timers->capacity = timers->capacity ? timers->capacity * 2 : 64;
    timers->heap = grow(timers->heap, timers->capacity);
    timers->fired = grow(timers->fired, timers->capacity);
}

void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t deadline,
                      loop_expired *expired)
{
    struct timers *timers = &loop->timers;
    if (loop->is_abandoned)
        return;
    if (timer->position & FIRED)
        loop_timer_stop(loop, timer);
    timer->deadline = deadline;
    timer->expired = expired;
    if (!timer->position) {
        reserve(timers);
        place(timers, timer, ++timers->count);
    }
    move_up(timers, timer);
    move_down(timers, timer);
}

void loop_timer_stop(struct loop *loop, struct loop_timer *timer)
{
    if (loop->is_abandoned)
        return;
    if (timer->position & FIRED)
        loop->timers.fired[timer->position ^ FIRED] = NULL;
    else if (timer->position)
        heap_remove(&loop->timers, timer);
    timer->position = 0;
}

bool loop_timer_was_held_up(const struct loop *loop, const struct loop_timer *timer)
{
    return loop->now - timer->deadline > HELD_UP_MIN_NS;
}

/* All that are due leave the heap first: one that is started again meanwhile waits for its turn. */
void timers_expire(struct loop *loop)
{
    struct timers *timers = &loop->timers;
    size_t count = 0;
    while (timers->count && timers->heap[0]->deadline <= loop->now) {
        struct loop_timer *timer = timers->heap[0];
        heap_remove(timers, timer);
        timer->position = FIRED | count;
        timers->fired[count++] = timer;
    }
    for (size_t i = 0; i < count; i++) {
        struct loop_timer *timer = timers->fired[i];
        if (!timer)
            continue;
        timer->position = 0;
        timer->expired(loop, timer);
    }
}

uint64_t timers_timeout(const struct loop *loop)
{
    if (!loop->timers.count)
        return WAIT_FOREVER;
    uint64_t deadline = loop->timers.heap[0]->deadline;
    uint64_t now = clock_monotonic_ns();
    return deadline > now ? deadline - now : 0;
}

void timers_free(struct timers *timers)
{
    free(timers->heap);
    free(timers->fired);
}
