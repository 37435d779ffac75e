/* SPDX-License-Identifier: Apache-2.0 */
#include "source/unavailable.h"

#include <errno.h>
#include <stdlib.h>

#include "log/log.h"

struct unavailable_source {
    struct source base;
    struct configurations *configurations;
    struct error reason;
};

static enum source_wanted want(struct source *base, const struct shmconf_name *name,
                               struct source_waiter *waiter, struct error *error)
{
    struct unavailable_source *source = (struct unavailable_source *)base;
    (void)waiter;
    configurations_look(source->configurations);
    struct configuration *configuration = configurations_find(source->configurations, name);
    if (configuration && configuration_version(configuration))
        return SOURCE_KNOWN;
    *error = source->reason;
    return SOURCE_REFUSED;
}

static void check(struct source *base)
{
    (void)base;
}

static bool settle(struct source *base, struct source_waiter *waiter)
{
    (void)waiter;
    configurations_look(((struct unavailable_source *)base)->configurations);
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

/* What a predecessor left is what readers have: requests get it as well. */
static void add_recovered(struct configurations *configurations, const struct recovered *recovered)
{
    struct error error;
    size_t count = 0;
    for (size_t i = 0; i < recovered->count && !configurations_are_full(configurations); i++) {
        const struct recovered_one *one = recovered->list[i];
        struct configuration *configuration;
        struct shmconf_name name = recovered_name(one);
        if (configurations_find(configurations, &name))
            continue; /* from before the source failed */
        if (configurations_add(configurations, &name, one->record.interval_s, &configuration,
                               &error) != 0)
            log_error_object(LOG_LEVEL_WARN, &error);
        else if (configuration_version(configuration))
            count++;
        else
            configurations_remove(configurations, configuration);
    }
    if (count)
        log_info("%zu configurations of the region are served as they are", count);
}

struct source *unavailable_source_open(const struct error *reason,
                                       struct configurations *configurations,
                                       const struct recovered *recovered)
{
    static const struct source_kind kind = {want, check, settle, stop, close_source};
    struct unavailable_source *source = calloc(1, sizeof *source);
    if (!source)
        return NULL;
    source->base.kind = &kind;
    source->reason = *reason;
    source->configurations = configurations;
    add_recovered(configurations, recovered);
    source->reason.code = EIO; /* the daemon's trouble, whatever was wrong with its settings */
    return &source->base;
}
