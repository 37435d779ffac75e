/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where configurations come from, whichever source runs. A source adds what it knows to the set of
 * configurations and reports every check there; this is how the rest of the daemon asks it.
 */
#ifndef SHMCONFD_SOURCE_H
#define SHMCONFD_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "shmconf/name.h"

struct source;

/* Somebody who waits for a check to end; the memory is his until then or until he gives up. */
struct source_waiter {
    void (*done)(struct source_waiter *waiter);
    bool is_patient; /* waits for any check that runs, not only for a first or a late one */
    struct source_waiter *next;
    struct source_waiter **link; /* what points at it; NULL: it waits for nothing */
};

enum source_wanted {
    SOURCE_KNOWN,    /* what there is, good or bad, is in the set of configurations */
    SOURCE_UNKNOWN,  /* the source has no such configuration */
    SOURCE_REFUSED,  /* it cannot be taken up; the error says why */
    SOURCE_FETCHING, /* it is fetched for the first time: `done` will be called */
    SOURCE_OVERDUE,  /* there is a version, but its check is late and runs: `done` will be called */
};

/* The functions of one kind of source; `struct source` is its first member. */
struct source_kind {
    enum source_wanted (*want)(struct source *source, const struct shmconf_name *name,
                               struct source_waiter *waiter, struct error *error);
    void (*check)(struct source *source);
    bool (*settle)(struct source *source, struct source_waiter *waiter);
    void (*stop)(struct source *source, void (*closed)(void *context), void *context);
    void (*close)(struct source *source);
};

struct source {
    const struct source_kind *kind;
};

/*
 * Somebody wants this configuration now. The waiter (`done` filled in) is only kept with the last
 * two answers; `done` is never called inside, and then once, when the check has ended either way.
 */
static inline enum source_wanted source_want(struct source *source, const struct shmconf_name *name,
                                             struct source_waiter *waiter, struct error *error)
{
    return source->kind->want(source, name, waiter, error);
}

/* Checks everything now, as far as the other side allows. */
static inline void source_check(struct source *source)
{
    source->kind->check(source);
}

/*
 * Begins every check that is due. False when none runs then; else the waiter's `done` is called,
 * never inside, when none runs any more.
 */
static inline bool source_settle(struct source *source, struct source_waiter *waiter)
{
    return source->kind->settle(source, waiter);
}

/*
 * Stops following and lets nobody wait any longer. `closed` is called when nothing of it is active
 * on the loop any more: at once, or in a later turn.
 */
static inline void source_stop(struct source *source, void (*closed)(void *context), void *context)
{
    source->kind->stop(source, closed, context);
}

/* NULL is allowed. Only after `closed`, or before the loop ran. */
static inline void source_close(struct source *source)
{
    if (source)
        source->kind->close(source);
}

/* For the waiter: gives up. Allowed at any time. */
void source_waiter_cancel(struct source_waiter *waiter);

/* One that waits goes on waiting at another place: memory is only needed by those who wait. */
void source_waiter_move(struct source_waiter *waiter, struct source_waiter *to);

/* For sources: a list of waiters, the last one first. */
void source_waiter_add(struct source_waiter **list, struct source_waiter *waiter);

/*
 * Empties the list and calls each one's `done`. Those may do anything, so nothing that the list
 * belongs to may be touched afterwards.
 */
void source_waiters_wake(struct source_waiter **list);

#endif
