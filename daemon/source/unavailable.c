/* SPDX-License-Identifier: Apache-2.0 */
#include "source/unavailable.h"

#include <errno.h>
#include <stdlib.h>

struct unavailable_source {
    struct source base;
    struct error reason;
};

static enum source_wanted want(struct source *base, const struct shmconf_name *name,
                               struct source_waiter *waiter, struct error *error)
{
    (void)name;
    (void)waiter;
    *error = ((struct unavailable_source *)base)->reason;
    return SOURCE_REFUSED;
}

static void check(struct source *base)
{
    (void)base;
}

static bool settle(struct source *base, struct source_waiter *waiter)
{
    (void)base;
    (void)waiter;
    return false;
}

static void stop(struct source *base, void (*closed)(void *context), void *context)
{
    (void)base;
    closed(context);
}

static void close_source(struct source *base)
{
    free(base);
}

struct source *unavailable_source_open(const struct error *reason)
{
    static const struct source_kind kind = {want, check, settle, stop, close_source};
    struct unavailable_source *source = calloc(1, sizeof *source);
    if (!source)
        return NULL;
    source->base.kind = &kind;
    source->reason = *reason;
    source->reason.code = EIO; /* the daemon's trouble, whatever was wrong with its settings */
    return &source->base;
}
