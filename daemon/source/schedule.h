/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to check a configuration: pure functions over monotonic nanoseconds. Good checks follow each
 * other in the interval that the service or the user asks for, whichever is longer; failed ones
 * back off from 1 s to 60 s, each time with up to 20 % more or less, so that daemons that failed
 * together do not come back together.
 */
#ifndef SHMCONFD_SCHEDULE_H
#define SHMCONFD_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct schedule {
    uint64_t due_ns;      /* when the next check begins */
    uint64_t allowed_ns;  /* the service forbids it earlier */
    uint64_t interval_ns; /* between good checks */
    uint64_t wished_ns;   /* the same as the user wants it */
    uint64_t random;
    unsigned failures; /* in a row */
};

/* Due since `late_ns` before now. Equal seeds make equal delays. */
void schedule_init(struct schedule *schedule, uint64_t now_ns, uint64_t late_ns,
                   uint64_t interval_ns, uint64_t seed);

/* A good check; `service_s` is what the service asks for, 0: nothing. */
void schedule_succeed(struct schedule *schedule, uint64_t now_ns, unsigned service_s);

/*
 * Where somebody waits for checks, `taken_ns` is how long this one took: the pause is nine times as
 * long then, up to the interval, so that a service that is down costs a tenth of the time. 0:
 * nobody does.
 */
void schedule_fail(struct schedule *schedule, uint64_t now_ns, uint64_t taken_ns);

/* The service said that it was too early: half the interval more, 1 s at least. */
void schedule_postpone(struct schedule *schedule, uint64_t now_ns);

/* As soon as it is allowed. */
void schedule_hurry(struct schedule *schedule, uint64_t now_ns);

/* Time that the monotonic clock has not seen. */
void schedule_elapse(struct schedule *schedule, uint64_t missed_ns);

bool schedule_is_due(const struct schedule *schedule, uint64_t now_ns);

/*
 * Is the check that began at `begun_ns`, or would begin then, late by more than `late_max_ns`,
 * which timers of a daemon that runs are not? Then the machine stood still meanwhile, or there was
 * no daemon.
 */
bool schedule_is_overdue(const struct schedule *schedule, uint64_t begun_ns, uint64_t late_max_ns);

#endif
