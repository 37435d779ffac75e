/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configurations: what is known of each, between the source that checks it and the two ways out,
 * shared memory and HTTP. A source reports every check with one of three calls; the configuration
 * publishes, keeps the status and logs what changed.
 */
#ifndef SHMCONFD_CONFIGURATION_H
#define SHMCONFD_CONFIGURATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "region/region.h"

struct configuration;
struct configurations;

/* How a server refused. */
struct configuration_answer {
    uint32_t status;   /* of HTTP; 0: there was no answer */
    char resource[32]; /* the ResourceType of a 404, or "" */
};

/* Orders names, for the trees of search.h whose items begin with a struct shmconf_name. */
int configuration_compare_names(const void *a, const void *b);

/* At most `limit` configurations; both stay the caller's. */
int configurations_open(struct configurations **set, struct region *region, size_t limit,
                        struct error *error);
void configurations_close(struct configurations *set);

size_t configurations_count(const struct configurations *set);
bool configurations_are_full(const struct configurations *set);

/* NULL if there is none of that name. */
struct configuration *configurations_find(struct configurations *set,
                                          const struct shmconf_name *name);

/*
 * Adds one, with the version that a predecessor left in the region, to be checked every
 * `interval_s` seconds. -ENOSPC beyond the limit. It lives as long as the set, or until it is
 * removed.
 */
int configurations_add(struct configurations *set, const struct shmconf_name *name,
                       uint32_t interval_s, struct configuration **configuration,
                       struct error *error);

/* Forgets one; what was published of it stays in the region. */
void configurations_remove(struct configurations *set, struct configuration *configuration);

/* `rc`: of noting in the root where the configurations come from; logged when it is news. */
void configurations_tell_source(struct configurations *set, int rc);

/*
 * Makes the region's root anew if somebody removed it. To be called before a round of checks.
 * Whether there is one; into a root that comes late goes what there is already.
 */
bool configurations_check_root(struct configurations *set);

/*
 * The same, and publishes what could not be or was removed: for those who wait for no check, as in
 * Lambda. Not more than once a second.
 */
void configurations_look(struct configurations *set);

/*
 * A good check that brought content, and began at `started_ns` of the monotonic clock. 0 or more as
 * region_entry_publish; -errno when it cannot be published, which counts as a failed check.
 */
int configuration_deliver(struct configuration *configuration, const struct region_content *content,
                          uint64_t started_ns);

/* A good check without news. */
void configuration_unchanged(struct configuration *configuration);

/*
 * To be called before a check is reported when the next one comes otherwise than after the interval
 * given so far: `delay_ns` from that report on, and then every `interval_s` seconds.
 */
void configuration_plan(struct configuration *configuration, uint32_t interval_s,
                        uint64_t delay_ns);

/* A check that was put off: neither good nor bad, only the times of it and of the next are new. */
void configuration_postpone(struct configuration *configuration);

/* A check that failed; `answer` NULL when no server answered. What there is stays. */
void configuration_fail(struct configuration *configuration, const struct error *reason,
                        const struct configuration_answer *answer);

/* The same for what fails for all in the same way, as in an outage: the log tells of a few and
 * counts the others. */
void configuration_fail_like_others(struct configuration *configuration, const struct error *reason,
                                    const struct configuration_answer *answer);

/*
 * The same for a name that has no version and that nobody listed. Anybody can make up any number of
 * them, so the log tells of a few and counts the others.
 */
void configuration_fail_unlisted(struct configuration *configuration, const struct error *reason,
                                 const struct configuration_answer *answer);

/* The last good version, or NULL; borrowed until the next call for this configuration. */
struct region_version *configuration_version(const struct configuration *configuration);

/* Why the last check failed; the code is 0 if it did not. */
const struct error *configuration_error(const struct configuration *configuration);

/* What the server answered to the last check if that failed; status 0: nothing, or it was good. */
const struct configuration_answer *configuration_answer(const struct configuration *configuration);

/* Times and failures, as readers of the region see them. */
const struct shmconf_record *configuration_status(const struct configuration *configuration);

/* The name as users write it. */
const char *configuration_text(const struct configuration *configuration);

#endif
