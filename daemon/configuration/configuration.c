/* SPDX-License-Identifier: Apache-2.0 */
#include "configuration/configuration.h"

#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "log/limit.h"
#include "log/log.h"

/* Between two looks that anybody can provoke. */
static const uint64_t look_pause = NS_PER_S;

struct configuration {
    struct shmconf_name name; /* first: the set's tree compares names */
    struct configurations *set;
    struct configuration *next;
    struct region_entry *entry;
    struct shmconf_record status;
    uint64_t delay_ns;  /* from a check's end to the next one */
    struct error error; /* of the last check */
    struct configuration_answer answer;
    struct error region_error; /* of the last publication, so that it is logged once */
    bool is_kept_back;         /* a version is in memory that the region could not take yet */
};

struct configurations {
    struct region *region;
    size_t limit;
    size_t count;
    void *tree; /* of search.h, by name */
    struct configuration *first;
    struct error root_error;
    int source_error;          /* -errno of the note in the root */
    uint64_t looked_ns;        /* when configurations_look did, monotonic */
    struct log_limit alike;    /* lines about what fails for all of them */
    struct log_limit unlisted; /* lines about failures of names that nobody listed */
};

int configuration_compare_names(const void *a, const void *b)
{
    const struct shmconf_name *x = a;
    const struct shmconf_name *y = b;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return memcmp(x->text, y->text, x->size);
}

int configurations_open(struct configurations **out, struct region *region, size_t limit,
                        struct error *error)
{
    struct configurations *set = calloc(1, sizeof *set);
    if (!set)
        return error_system(error, ENOMEM, "", "cannot keep configurations");
    set->region = region;
    set->limit = limit;
    set->alike.what = "configurations failed";
    set->unlisted.what = "configurations that nobody listed failed";
    *out = set;
    return 0;
}

void configurations_close(struct configurations *set)
{
    if (!set)
        return;
    log_limit_tell(&set->alike, UINT64_MAX);
    log_limit_tell(&set->unlisted, UINT64_MAX);
    while (set->first) {
        struct configuration *configuration = set->first;
        set->first = configuration->next;
        tdelete(configuration, &set->tree, configuration_compare_names);
        region_entry_close(configuration->entry);
        free(configuration);
    }
    free(set);
}

size_t configurations_count(const struct configurations *set)
{
    return set->count;
}

bool configurations_are_full(const struct configurations *set)
{
    return set->count >= set->limit;
}

struct configuration *configurations_find(struct configurations *set,
                                          const struct shmconf_name *name)
{
    struct configuration **found = tfind(name, &set->tree, configuration_compare_names);
    return found ? *found : NULL;
}

static void tell_damage(const struct configuration *configuration)
{
    const struct region_entry *entry = configuration->entry;
    enum region_damage damage = region_entry_damage(entry);
    if (damage == REGION_HEAD_DAMAGED)
        log_warn("%s: its head in the region is damaged and will be made anew: processes that have "
                 "it open and only call shmconf_enter do not notice, restart them",
                 region_entry_text(entry));
    else if (damage == REGION_VERSION_DAMAGED)
        log_warn("%s: its version %" PRIu64 " in the region is damaged or was removed: the next "
                 "one comes as soon as the source has it, see shmcat verify",
                 region_entry_text(entry), region_entry_record(entry)->generation);
}

int configurations_add(struct configurations *set, const struct shmconf_name *name,
                       uint32_t interval_s, struct configuration **out, struct error *error)
{
    char text[SHMCONF_NAME_TEXT_MAX];
    shmconf_name_print(name, text);
    if (set->count >= set->limit)
        return error_set(error, ENOSPC, text,
                         "is one more than SHMCONF_MAX_CONFIGURATIONS=%zu allows", set->limit);
    struct configuration *configuration = calloc(1, sizeof *configuration);
    if (!configuration)
        return error_system(error, ENOMEM, text, "cannot keep it");
    configuration->name = *name;
    configuration->set = set;
    int rc = region_entry_open(&configuration->entry, set->region, name, error);
    if (!rc && !tsearch(configuration, &set->tree, configuration_compare_names)) {
        region_entry_close(configuration->entry);
        rc = error_system(error, ENOMEM, text, "cannot keep it");
    }
    if (rc) {
        free(configuration);
        return rc;
    }
    tell_damage(configuration);
    /* Times and failures go on from what the predecessor wrote. */
    configuration->status = *region_entry_record(configuration->entry);
    configuration->status.interval_s = interval_s;
    configuration->delay_ns = interval_s * NS_PER_S;
    configuration->next = set->first;
    set->first = configuration;
    set->count++;
    *out = configuration;
    return 0;
}

void configurations_remove(struct configurations *set, struct configuration *configuration)
{
    struct configuration **at = &set->first;
    while (*at != configuration)
        at = &(*at)->next;
    *at = configuration->next;
    set->count--;
    tdelete(configuration, &set->tree, configuration_compare_names);
    region_entry_close(configuration->entry);
    free(configuration);
}

/* Whether an error is another one than the last; code 0 is none. */
static bool is_news(const struct error *last, const struct error *error)
{
    return last->code != error->code || strcmp(last->message, error->message) != 0;
}

/* Logs an error the first time that it is said. */
static void log_once(struct error *last, const struct error *error)
{
    if (is_news(last, error))
        log_error_object(LOG_LEVEL_ERROR, error);
    *last = *error;
}

/* The times of a check that ends now. */
static void stamp(struct configuration *configuration, bool is_good)
{
    struct shmconf_record *status = &configuration->status;
    status->tried_ns = clock_realtime_ns();
    status->next_ns = status->tried_ns + configuration->delay_ns;
    if (is_good) {
        status->checked_ns = status->tried_ns;
        status->failures = 0;
        status->error = 0;
        status->http_status = 0;
        configuration->answer = (struct configuration_answer){0};
    }
}

/*
 * Stores the status and publishes what readers do not have: 1 if that was needed. A trouble is
 * logged once while it lasts.
 */
static int bring_to_region(struct configuration *configuration)
{
    struct error error = {0};
    int rc = region_entry_status(configuration->entry, &configuration->status, &error);
    int checked = region_entry_check(configuration->entry, rc < 0 ? NULL : &error);
    if (checked < 0 || (rc < 0 && checked == 0))
        log_once(&configuration->region_error, &error);
    else
        configuration->region_error.code = 0;
    return checked;
}

static void tell_published(struct configuration *configuration)
{
    if (configuration->is_kept_back)
        log_info("'%s' is in the region now", configuration_text(configuration));
    else
        log_subject(LOG_LEVEL_WARN, configuration_text(configuration),
                    "was removed or damaged in the region: published it again");
    configuration->is_kept_back = false;
}

static void store_status(struct configuration *configuration)
{
    if (bring_to_region(configuration) == 1)
        tell_published(configuration);
}

/* As store_status does, with no status to store. */
static void look(struct configuration *configuration)
{
    struct error error = {0};
    if (configuration->region_error.code)
        store_status(configuration);
    else if (region_entry_check(configuration->entry, &error) == 1)
        tell_published(configuration);
}

static void tell_no_root(struct configurations *set, const struct error *error)
{
    if (is_news(&set->root_error, error))
        log_subject(LOG_LEVEL_ERROR, error->subject,
                    "%s; until there is a region, readers in C get nothing new; HTTP does not need "
                    "it",
                    error->message);
    set->root_error = *error;
}

void configurations_tell_source(struct configurations *set, int rc)
{
    if (rc && rc != set->source_error)
        log_warn(
            "region: cannot read or note its source (%s): before a start that can, what nobody "
            "asks for is not followed on",
            strerror(-rc));
    set->source_error = rc;
}

bool configurations_check_root(struct configurations *set)
{
    struct error error = {0};
    log_limit_tell(&set->alike, clock_monotonic_ns());
    log_limit_tell(&set->unlisted, clock_monotonic_ns());
    int rc = region_check_root(set->region, &error);
    if (rc < 0) {
        tell_no_root(set, &error);
        return false;
    }
    configurations_tell_source(set, region_keep_source(set->region));
    bool was_missing = set->root_error.code != 0;
    set->root_error.code = 0;
    /* Readers need not wait for the next checks; and those of the removed heads are told where to
       look, before we may be killed. */
    if (was_missing || rc == 1)
        for (struct configuration *one = set->first; one; one = one->next)
            if (bring_to_region(one) == 1)
                one->is_kept_back = false; /* nothing is told of each */
    if (was_missing)
        log_info("there is a region now");
    else if (rc == 1)
        log_warn("the region's directory was removed or replaced: made it anew");
    return true;
}

void configurations_look(struct configurations *set)
{
    uint64_t now = clock_monotonic_ns();
    if (set->looked_ns && now - set->looked_ns < look_pause)
        return;
    set->looked_ns = now;
    if (!configurations_check_root(set))
        return;
    for (struct configuration *one = set->first; one; one = one->next)
        look(one);
}

/* Once more where the root was removed since it was looked at last. */
static int publish(struct configuration *configuration, const struct region_content *content,
                   struct error *error)
{
    int rc = region_entry_publish(configuration->entry, content, &configuration->status, error);
    bool is_without = (rc == -ENOENT || rc == REGION_KEPT) && error->code == ENOENT;
    if (!is_without || !configurations_check_root(configuration->set))
        return rc;
    error->code = 0;
    return region_entry_publish(configuration->entry, content, &configuration->status, error);
}

int configuration_deliver(struct configuration *configuration, const struct region_content *content,
                          uint64_t started_ns)
{
    struct error error = {0};
    bool is_first = !region_entry_version(configuration->entry);
    bool was_bad = configuration->error.code != 0;
    struct shmconf_record previous = configuration->status;
    stamp(configuration, true);
    configuration->status.fetched_ns = configuration->status.tried_ns;
    int rc = publish(configuration, content, &error);
    if (rc < 0) {
        configuration->status = previous;
        configuration_fail(configuration, &error, NULL);
        return rc;
    }
    configuration->is_kept_back = rc == REGION_KEPT;
    if (rc == REGION_KEPT && error.code)
        log_once(&configuration->region_error, &error);
    configuration->status = *region_entry_record(configuration->entry);
    configuration->error.code = 0;
    if (rc > 0)
        log_info("%s data for '%s' in %.3fms", is_first ? "retrieved initial" : "updated cache",
                 configuration_text(configuration),
                 (double)(clock_monotonic_ns() - started_ns) / (double)NS_PER_MS);
    else if (was_bad)
        log_info("'%s' is good again", configuration_text(configuration));
    return rc;
}

void configuration_unchanged(struct configuration *configuration)
{
    if (configuration->error.code)
        log_info("'%s' is good again", configuration_text(configuration));
    configuration->error.code = 0;
    stamp(configuration, true);
    store_status(configuration);
}

void configuration_plan(struct configuration *configuration, uint32_t interval_s, uint64_t delay_ns)
{
    configuration->status.interval_s = interval_s;
    configuration->delay_ns = delay_ns;
}

void configuration_postpone(struct configuration *configuration)
{
    stamp(configuration, false);
    store_status(configuration);
}

/* `limit` NULL: whatever is news is logged. */
static void fail(struct configuration *configuration, const struct error *reason,
                 const struct configuration_answer *answer, struct log_limit *limit)
{
    stamp(configuration, false);
    configuration->status.failures++;
    configuration->status.error = (uint32_t)reason->code;
    configuration->answer = answer ? *answer : (struct configuration_answer){0};
    configuration->status.http_status = configuration->answer.status;
    if (is_news(&configuration->error, reason) &&
        (!limit || log_limit_allows(limit, reason->subject, clock_monotonic_ns())))
        log_subject(LOG_LEVEL_ERROR, reason->subject, "%s%s", reason->message,
                    configuration_version(configuration) ? "; the last version stays" : "");
    configuration->error = *reason;
    store_status(configuration);
}

void configuration_fail(struct configuration *configuration, const struct error *reason,
                        const struct configuration_answer *answer)
{
    fail(configuration, reason, answer, NULL);
}

void configuration_fail_like_others(struct configuration *configuration, const struct error *reason,
                                    const struct configuration_answer *answer)
{
    fail(configuration, reason, answer, &configuration->set->alike);
}

void configuration_fail_unlisted(struct configuration *configuration, const struct error *reason,
                                 const struct configuration_answer *answer)
{
    fail(configuration, reason, answer, &configuration->set->unlisted);
}

struct region_version *configuration_version(const struct configuration *configuration)
{
    return region_entry_version(configuration->entry);
}

const struct error *configuration_error(const struct configuration *configuration)
{
    return &configuration->error;
}

const struct configuration_answer *configuration_answer(const struct configuration *configuration)
{
    return &configuration->answer;
}

const struct shmconf_record *configuration_status(const struct configuration *configuration)
{
    return &configuration->status;
}

const char *configuration_text(const struct configuration *configuration)
{
    return region_entry_text(configuration->entry);
}
