/* SPDX-License-Identifier: Apache-2.0 */
#include "source/aws.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "log/log.h"
#include "source/aws_internal.h"
#include "source/file.h"
#include "source/name_list.h"

/* What sessions may promise, and the longest name. */
enum { SESSION_INTERVAL_MIN_S = 15, SESSION_INTERVAL_MAX_S = 86400, IDENTIFIER_MAX = 128 };

/* First fetches at a time that requests alone want: more would only wait for each other. */
enum { FIRST_FETCHES_MAX = 256 };

/* Longer than the first call takes where all is well. */
static const uint64_t alone_ns = 500 * NS_PER_MS;

static struct aws_source *aws_of(struct source *source)
{
    return (struct aws_source *)source;
}

struct follow *aws_source_find(struct aws_source *source, const struct shmconf_name *name)
{
    struct follow **found = tfind(name, &source->tree, configuration_compare_names);
    return found ? *found : NULL;
}

static void follow_free(struct follow *follow)
{
    struct aws_source *source = follow->source;
    follow_interrupt(follow);
    loop_timer_stop(source->loop, &follow->timer);
    tdelete(follow, &source->tree, configuration_compare_names);
    free(follow->token);
    free(follow);
}

/*
 * Whose place a new name may take: of those that never had a version and are not being fetched, the
 * one that failed first; else, of those that a predecessor left and nobody asked for, the one that
 * was checked first. The list begins with the newest.
 */
static struct follow **find_victim(struct aws_source *source)
{
    struct follow **failed = NULL;
    struct follow **left = NULL;
    for (struct follow **at = &source->first; *at; at = &(*at)->next) {
        struct follow *follow = *at;
        if (follow->is_kept || follow->call || follow->waiters)
            continue;
        if (!configuration_version(follow->configuration))
            failed = at;
        else if (follow->is_left && !left)
            left = at;
    }
    return failed ? failed : left;
}

static void evict(struct aws_source *source)
{
    struct follow **victim = find_victim(source);
    if (!victim)
        return;
    struct follow *follow = *victim;
    if (follow->is_left)
        log_subject(LOG_LEVEL_WARN, configuration_text(follow->configuration),
                    "is followed no longer: nobody has asked for it since the start, and there are "
                    "SHMCONF_MAX_CONFIGURATIONS others");
    *victim = follow->next;
    configurations_remove(source->configurations, follow->configuration);
    follow_free(follow);
}

/* For how long the check of what a predecessor has left is late already. */
static uint64_t late_by(const struct configuration *configuration)
{
    uint64_t next = configuration_status(configuration)->next_ns;
    uint64_t now = clock_realtime_ns();
    return configuration_version(configuration) && now > next ? now - next : 0;
}

static uint64_t seed_of(const struct shmconf_name *name)
{
    return clock_realtime_ns() ^ shmconf_crc32(0, name->text, name->size) * UINT64_C(0x100000001b3);
}

/* The service takes names of up to 128 characters; whatever else it would refuse costs no call. */
static int check_name(const struct shmconf_name *name, struct error *error)
{
    for (int i = 0; i < SHMCONF_PARTS; i++) {
        const char *part = shmconf_name_part(name, i);
        size_t left = strlen(part);
        unsigned characters = 0;
        while (left > 0) {
            size_t size = json_character(part, left, NULL);
            if (size == 0 || ++characters > IDENTIFIER_MAX)
                return error_set(error, EINVAL, "",
                                 "A name of AppConfig's has at most %d characters, in UTF-8",
                                 IDENTIFIER_MAX);
            part += size;
            left -= size;
        }
    }
    return 0;
}

struct follow *aws_source_add(struct aws_source *source, const struct shmconf_name *name,
                              struct error *error)
{
    uint32_t interval_s = (uint32_t)((source->poll_interval_ns + NS_PER_S - 1) / NS_PER_S);
    struct configuration *configuration;
    if (check_name(name, error) != 0)
        return NULL;
    if (configurations_are_full(source->configurations))
        evict(source);
    if (configurations_add(source->configurations, name, interval_s, &configuration, error) != 0)
        return NULL;
    struct follow *follow = calloc(1, sizeof *follow);
    if (follow)
        follow->name = *name;
    if (!follow || !tsearch(follow, &source->tree, configuration_compare_names)) {
        free(follow);
        configurations_remove(source->configurations, configuration);
        error_system(error, ENOMEM, "", "cannot follow another configuration");
        return NULL;
    }
    follow->source = source;
    follow->configuration = configuration;
    schedule_init(&follow->schedule, clock_monotonic_ns(), late_by(configuration),
                  source->poll_interval_ns, seed_of(name));
    follow->next = source->first;
    source->first = follow;
    return follow;
}

/*
 * When a Lambda sandbox was reset: a new session would receive once more what its predecessor has
 * left a moment ago. Where checks failed by then nothing is fresh, however long its pause was to
 * be.
 */
static void keep_fresh(struct follow *follow, const struct recovered *recovered)
{
    const struct recovered_one *one = recovered_find(recovered, &follow->name);
    if (one && one->record.failures == 0)
        follow->schedule.due_ns += aws_source_wait_of(follow->source, &one->record);
}

/* Names of the list that are not fetched for one kind of reason: a list may be as long as it likes.
 */
struct left_out {
    size_t count;
    const char *name; /* the first of them */
    struct error why;
};

static void leave_out(struct left_out *left, const char *name, const struct error *why)
{
    if (left->count++ > 0)
        return;
    left->name = name;
    left->why = *why;
}

static void tell_left_out(const struct left_out *left, const char *what_to_do)
{
    char among[64] = "";
    if (left->count == 0)
        return;
    if (left->count > 1)
        snprintf(among, sizeof among, ", the first of %zu such names", left->count);
    log_subject(LOG_LEVEL_ERROR, left->name, "%s; not prefetched%s: %s", left->why.message, among,
                what_to_do);
}

/* 0, or the negative code of the error. */
static int prefetch_one(struct aws_source *source, const char *text, const struct recovered *fresh,
                        struct error *error)
{
    struct shmconf_name name;
    if (shmconf_name_parse(&name, text) != 0)
        return error_set(error, EINVAL, text, "is no name of a configuration");
    struct follow *follow = aws_source_find(source, &name);
    if (!follow)
        follow = aws_source_add(source, &name, error);
    if (!follow)
        return -error->code;
    if (follow->is_kept)
        return 0; /* it is in the list twice */
    follow->is_kept = true;
    if (fresh)
        keep_fresh(follow, fresh);
    follow_go(follow);
    if (!follow->call)
        follow_arm(follow);
    return 0;
}

static int prefetch(struct aws_source *source, const struct aws_source_options *options,
                    struct error *error)
{
    cleanup_free char *text;
    cleanup_free char **names;
    size_t count;
    if (name_list_split(options->prefetch_list, &text, &names, &count) != 0)
        return error_system(error, ENOMEM, "PREFETCH_LIST", "cannot be taken apart");
    struct left_out beyond = {0};
    struct left_out others = {0};
    for (size_t i = 0; i < count; i++) {
        struct error why;
        int rc =
            prefetch_one(source, names[i], options->keeps_fresh ? options->recovered : NULL, &why);
        if (rc)
            leave_out(rc == -ENOSPC ? &beyond : &others, names[i], &why);
    }
    tell_left_out(&beyond, "raise the limit, or shorten the list");
    tell_left_out(&others, "correct the list");
    return 0;
}

/* Whether requests alone may begin another first fetch. */
static bool may_fetch_first(const struct aws_source *source)
{
    unsigned running = 0;
    for (const struct follow *follow = source->first; follow; follow = follow->next)
        running += follow->call && follow_is_first(follow);
    return running < FIRST_FETCHES_MAX;
}

/* Whether a request has to be refused, since it would begin one first fetch too many. */
static bool is_too_many(const struct aws_source *source, const struct follow *follow,
                        struct error *error)
{
    bool begins = !follow || (!follow->call && follow_is_first(follow) &&
                              schedule_is_due(&follow->schedule, clock_monotonic_ns()));
    if (!begins || may_fetch_first(source))
        return false;
    error_set(error, EBUSY, "",
              "%d configurations are being fetched for the first time: ask again in a second, or "
              "list in SHMCONF_PREFETCH_LIST what is needed",
              FIRST_FETCHES_MAX);
    return true;
}

/* How late the timer is: a request may be seen before it, in the turn after a thaw. */
static uint64_t timer_lateness(const struct follow *follow)
{
    uint64_t now = clock_monotonic_ns();
    return follow && follow->timer.position && now > follow->armed_ns ? now - follow->armed_ns : 0;
}

/*
 * By when the check began, if it runs: one that began in time keeps nobody waiting, however slow
 * the service is and however many others have their turn first. A request that runs for longer than
 * its time-out was held up.
 */
static bool is_overdue(const struct follow *follow)
{
    bool is_held_up =
        !follow->call || follow_is_held_up(follow, appconfig_call_began_ns(follow->call));
    return schedule_is_overdue(&follow->schedule,
                               is_held_up ? clock_monotonic_ns() : follow->started_ns,
                               follow->source->late_max_ns);
}

static enum source_wanted want(struct source *base, const struct shmconf_name *name,
                               struct source_waiter *waiter, struct error *error)
{
    struct aws_source *source = aws_of(base);
    struct follow *follow = aws_source_find(source, name);
    aws_source_look_for_thaw(source, timer_lateness(follow));
    if (!follow && source->is_stopping)
        return SOURCE_KNOWN;
    configurations_look(source->configurations);
    if (!waiter->is_patient && is_too_many(source, follow, error))
        return SOURCE_REFUSED;
    if (!follow)
        follow = aws_source_add(source, name, error);
    if (!follow)
        return SOURCE_REFUSED;
    follow->is_left = false;
    bool has_version = configuration_version(follow->configuration) != NULL;
    bool was_overdue = is_overdue(follow);
    follow_go(follow);
    if (!follow->call || (has_version && !was_overdue && !waiter->is_patient))
        return SOURCE_KNOWN;
    source_waiter_add(&follow->waiters, waiter);
    return has_version ? SOURCE_OVERDUE : SOURCE_FETCHING;
}

static void check(struct source *base)
{
    struct aws_source *source = aws_of(base);
    aws_source_look_for_thaw(source, 0);
    for (struct follow *follow = source->first; follow; follow = follow->next) {
        schedule_hurry(&follow->schedule, clock_monotonic_ns());
        follow_go(follow);
        if (!follow->call)
            follow_arm(follow);
    }
}

static void on_transfers_stopped(void *context)
{
    struct aws_source *source = context;
    credentials_stop(source->credentials, source->closed, source->context);
}

static void stop(struct source *base, void (*closed)(void *context), void *context)
{
    struct aws_source *source = aws_of(base);
    source->is_stopping = true;
    for (struct follow *follow = source->first; follow; follow = follow->next) {
        follow_interrupt(follow);
        follow_arm(follow);
        source_waiters_wake(&follow->waiters);
    }
    source_waiters_wake(&source->settled);
    source->closed = closed;
    source->context = context;
    transfers_stop(source->transfers, on_transfers_stopped, source);
}

static void close_source(struct source *base)
{
    struct aws_source *source = aws_of(base);
    while (source->first) {
        struct follow *follow = source->first;
        source->first = follow->next;
        follow_free(follow);
    }
    loop_timer_stop(source->loop, &source->beat);
    appconfig_data_close(source->data);
    transfers_close(source->transfers);
    free(source);
}

static unsigned session_interval(uint64_t poll_interval_ns)
{
    uint64_t seconds = (poll_interval_ns + NS_PER_S - 1) / NS_PER_S;
    if (seconds < SESSION_INTERVAL_MIN_S)
        return SESSION_INTERVAL_MIN_S;
    return seconds > SESSION_INTERVAL_MAX_S ? SESSION_INTERVAL_MAX_S : (unsigned)seconds;
}

static bool is_tls(const struct endpoint *endpoint)
{
    return strncmp(endpoint->base, "https:", 6) == 0;
}

int aws_source_open(struct source **out, struct loop *loop, struct configurations *configurations,
                    const struct aws_source_options *options, struct error *error)
{
    static const struct source_kind kind = {want, check, aws_source_settle, stop, close_source};
    struct transfers_options transfers = {.connections_max = options->connections_max,
                                          .timeout_ns = options->request_timeout_ns,
                                          .alone_ns = is_tls(options->endpoint) ? alone_ns : 0,
                                          .idle_max_s = options->idle_max_s,
                                          .roots = *options->roots,
                                          .body_max = FILE_SIZE_MAX};
    struct aws_source *source = calloc(1, sizeof *source);
    if (!source)
        return error_system(error, ENOMEM, "", "cannot follow AppConfig");
    source->base.kind = &kind;
    source->loop = loop;
    source->credentials = options->credentials;
    source->configurations = configurations;
    source->has_no_copies = options->has_no_copies;
    source->poll_interval_ns = options->poll_interval_ns;
    source->snapshot = options->is_snapshot ? SNAPSHOT_STARTING : SNAPSHOT_NONE;
    source->is_waited_for = options->is_waited_for;
    source->request_timeout_ns = options->request_timeout_ns;
    source->late_max_ns = options->late_max_ns;
    source->session_interval_s = session_interval(options->poll_interval_ns);
    int rc = transfers_open(&source->transfers, loop, &transfers, error);
    if (!rc)
        rc = appconfig_data_open(&source->data, source->transfers, options->endpoint,
                                 options->credentials, error);
    if (!rc) {
        log_info("AppConfig in %s at %s, trusting %s", options->endpoint->region,
                 options->endpoint->base, roots_describe(options->roots));
        aws_source_look_for_thaw(source, 0);
        rc = prefetch(source, options, error);
    }
    if (!rc && options->recovered)
        aws_source_resume(source, options->recovered);
    if (rc) {
        close_source(&source->base);
        return rc;
    }
    *out = &source->base;
    return 0;
}
