/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A check of one configuration. A token is good for one call; the answer brings the next one. So
 * after a call that the service may or may not have seen, the session is given up: its token is
 * perhaps used, or the answer with the news is lost.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/json.h"
#include "log/log.h"
#include "source/aws_internal.h"

/* The service forgets tokens after 24 hours. */
static const uint64_t token_age_max = UINT64_C(23) * 3600 * NS_PER_S;

/* Answers "too early" in a row before the session is given up. */
enum { TOO_EARLY_MAX = 3, TYPE_MAX = 255, LABEL_MAX = 512 };

/*
 * How often a check may be begun anew: a machine may be so slow that it seems to stand still, and a
 * service that does not answer at all is asked for as long as invocations last. Once only while
 * checks fail and somebody waits for them.
 */
enum { BEGUN_ANEW_MAX = 5, BEGUN_ANEW_IN_TROUBLE_MAX = 1 };

static void step(struct follow *follow);

static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    struct follow *follow = (struct follow *)((char *)timer - offsetof(struct follow, timer));
    uint64_t now = clock_monotonic_ns(); /* a freeze may have come amid this turn */
    (void)loop;
    aws_source_look_for_thaw(follow->source, now > follow->armed_ns ? now - follow->armed_ns : 0);
    if (aws_source_holds_back(follow->source, follow))
        follow->not_before_ns = now + follow->source->poll_interval_ns;
    else
        follow_go(follow);
    if (!follow->call)
        follow_arm(follow);
}

/*
 * A version is checked for ever. Without one, what nobody listed is tried again when somebody asks,
 * unless the reason may pass by itself.
 */
void follow_arm(struct follow *follow)
{
    struct aws_source *source = follow->source;
    bool goes_on = follow->is_kept || follow->is_transient ||
                   configuration_version(follow->configuration) != NULL;
    uint64_t now = clock_monotonic_ns();
    if (!goes_on || follow->call || source->is_stopping) {
        loop_timer_stop(source->loop, &follow->timer);
        return;
    }
    uint64_t soonest = now > follow->not_before_ns ? now : follow->not_before_ns;
    follow->armed_ns = follow->schedule.due_ns > soonest ? follow->schedule.due_ns : soonest;
    loop_timer_start(source->loop, &follow->timer, follow->armed_ns, on_timer);
}

void follow_drop_token(struct follow *follow)
{
    free(follow->token);
    follow->token = NULL;
}

void follow_interrupt(struct follow *follow)
{
    if (!follow->call)
        return;
    appconfig_call_cancel(follow->call);
    follow->call = NULL;
    follow_drop_token(follow);
}

static bool take_token(struct follow *follow, const struct appconfig_result *result)
{
    follow_drop_token(follow);
    follow->token = strdup(result->token);
    follow->token_boot_ns = clock_ns(CLOCK_BOOTTIME);
    return follow->token != NULL;
}

static uint64_t delay_of(const struct follow *follow)
{
    uint64_t now = clock_monotonic_ns();
    return follow->schedule.due_ns > now ? follow->schedule.due_ns - now : 0;
}

/* Tells the configuration when the next check will be, before it gets this one's result. */
static void plan(struct follow *follow)
{
    configuration_plan(follow->configuration,
                       (uint32_t)((follow->schedule.interval_ns + NS_PER_S - 1) / NS_PER_S),
                       delay_of(follow));
}

/* Waiters may do anything: nothing of the follow is touched after them. */
static void end_check(struct follow *follow)
{
    struct aws_source *source = follow->source;
    follow->begun_anew = 0;
    follow_arm(follow);
    source_waiters_wake(&follow->waiters);
    aws_source_end_check(source);
}

/* Names that nobody listed and that perhaps do not exist: they must not hold up the others. */
bool follow_is_first(const struct follow *follow)
{
    return !follow->is_kept && !configuration_version(follow->configuration);
}

/* Without a version the next one is worth the time. */
static void plan_again(struct follow *follow)
{
    uint64_t now = clock_monotonic_ns();
    bool is_costly = follow->source->is_waited_for && configuration_version(follow->configuration);
    schedule_fail(&follow->schedule, now, is_costly ? now - follow->started_ns : 0);
}

/* `result` NULL: no call could be made. */
static void fail(struct follow *follow, const struct error *reason,
                 const struct appconfig_result *result)
{
    struct error error = *reason;
    struct configuration_answer answer = {.status = result ? (uint32_t)result->status : 0};
    if (result)
        memcpy(answer.resource, result->resource, sizeof answer.resource);
    snprintf(error.subject, sizeof error.subject, "%s", configuration_text(follow->configuration));
    follow->is_transient = !result || (result->outcome != APPCONFIG_NOT_FOUND &&
                                       result->outcome != APPCONFIG_BAD_REQUEST &&
                                       result->outcome != APPCONFIG_DENIED);
    plan_again(follow);
    plan(follow);
    if (follow_is_first(follow))
        configuration_fail_unlisted(follow->configuration, &error, &answer);
    else if (!result || result->status == 0)
        configuration_fail_like_others(follow->configuration, &error, &answer);
    else
        configuration_fail(follow->configuration, &error, &answer);
    end_check(follow);
}

static enum shmconf_kind kind_of(const struct appconfig_result *result)
{
    static const char json[] = "application/json";
    size_t length = strcspn(result->content_type, "; \t");
    bool is_json = length == sizeof json - 1 &&
                   strncasecmp(result->content_type, json, length) == 0 &&
                   json_check(result->body, result->body_size, NULL) == 0;
    return is_json ? SHMCONF_JSON : SHMCONF_OPAQUE;
}

/* 0 or more, or -errno, and the configuration knows of it. */
static int publish(struct follow *follow, const struct appconfig_result *result)
{
    struct region_content content = {
        .payload = result->body,
        .size = result->body_size,
        .content_type =
            strlen(result->content_type) <= TYPE_MAX ? result->content_type : "text/plain",
        .label = strlen(result->label) <= LABEL_MAX ? result->label : "",
        .kind = kind_of(result)};
    return configuration_deliver(follow->configuration, &content, follow->started_ns);
}

static void deliver(struct follow *follow, const struct appconfig_result *result)
{
    if (publish(follow, result) >= 0)
        return;
    /* The service will not send it again in this session. */
    follow_drop_token(follow);
    follow->is_transient = true;
    plan_again(follow);
}

static void answered(struct follow *follow, const struct appconfig_result *result)
{
    struct error empty;
    bool is_kept = take_token(follow, result);
    follow->too_early = 0;
    if (result->body_size == 0 && !configuration_version(follow->configuration)) {
        follow_drop_token(follow);
        error_set(&empty, ENODATA, "", "the service has an empty configuration");
        fail(follow, &empty, result);
        return;
    }
    schedule_succeed(&follow->schedule, clock_monotonic_ns(),
                     result->interval_s ? result->interval_s : follow->source->session_interval_s);
    plan(follow);
    if (result->body_size == 0)
        configuration_unchanged(follow->configuration);
    else
        deliver(follow, result);
    if (!is_kept)
        log_subject(LOG_LEVEL_WARN, configuration_text(follow->configuration),
                    "no memory for its session: the next check starts another");
    end_check(follow);
}

static void too_early(struct follow *follow, const struct appconfig_result *result)
{
    if (++follow->too_early >= TOO_EARLY_MAX || !configuration_version(follow->configuration)) {
        if (follow->too_early >= TOO_EARLY_MAX) {
            follow_drop_token(follow);
            follow->too_early = 0;
        }
        fail(follow, &result->error, result);
        return;
    }
    log_subject(LOG_LEVEL_DEBUG, configuration_text(follow->configuration),
                "the service says that it is too early to ask again");
    schedule_postpone(&follow->schedule, clock_monotonic_ns());
    plan(follow);
    configuration_postpone(follow->configuration);
    end_check(follow);
}

bool follow_is_held_up(const struct follow *follow, uint64_t began_ns)
{
    uint64_t taken = began_ns ? clock_monotonic_ns() - began_ns : 0;
    return taken > follow->source->request_timeout_ns + HELD_UP_MIN_NS;
}

static bool may_begin_anew(const struct follow *follow)
{
    bool is_in_trouble = follow->source->is_waited_for && follow->schedule.failures;
    return follow->begun_anew < (is_in_trouble ? BEGUN_ANEW_IN_TROUBLE_MAX : BEGUN_ANEW_MAX);
}

/*
 * A call that failed because the process was stopped, as in a sandbox that is frozen, says nothing
 * about the service. Whoever woke it may ask at once, so the check begins anew.
 */
static bool is_begun_anew(struct follow *follow, const struct appconfig_result *result)
{
    bool is_failure =
        result->outcome == APPCONFIG_AMBIGUOUS || result->outcome == APPCONFIG_NOT_SENT;
    if (!is_failure || !may_begin_anew(follow) ||
        !aws_source_has_stopped(follow->source, result->began_ns))
        return false;
    follow->begun_anew++;
    if (result->outcome == APPCONFIG_AMBIGUOUS)
        follow_drop_token(follow);
    aws_source_look_at_beat(follow->source);
    follow_go(follow);
    return true;
}

bool follow_begin_anew(struct follow *follow)
{
    /* Where nobody waits for it, it costs nobody time. */
    if (follow->source->is_waited_for) {
        if (!may_begin_anew(follow))
            return false;
        follow->begun_anew++;
    }
    follow_go(follow);
    return true;
}

void follow_give_up(struct follow *follow)
{
    struct error error;
    uint64_t now = clock_monotonic_ns();
    uint64_t longest = follow->source->request_timeout_ns;
    /* Most of what has passed since then was the freeze. */
    if (now - follow->started_ns > longest)
        follow->started_ns = now - longest;
    error_set(&error, ETIMEDOUT, "",
              "AppConfig cannot be reached: no answer before the process was stopped, again and "
              "again");
    fail(follow, &error, NULL);
}

static void on_latest(void *owner, const struct appconfig_result *result)
{
    struct follow *follow = owner;
    follow->call = NULL;
    if (is_begun_anew(follow, result))
        return;
    switch (result->outcome) {
    case APPCONFIG_ANSWERED:
        answered(follow, result);
        return;
    case APPCONFIG_TOO_EARLY:
        too_early(follow, result);
        return;
    case APPCONFIG_TOKEN_BAD:
        follow_drop_token(follow);
        if (follow->has_new_session)
            break;
        step(follow);
        return;
    case APPCONFIG_LOST: /* no failure: the service may close what is idle, just then as well */
        follow_drop_token(follow);
        if (follow->was_lost)
            break;
        follow->was_lost = true;
        step(follow);
        return;
    case APPCONFIG_AMBIGUOUS:
    case APPCONFIG_BAD_REQUEST:
        follow_drop_token(follow);
        break;
    case APPCONFIG_NOT_FOUND:
    case APPCONFIG_DENIED:
    case APPCONFIG_THROTTLED:
    case APPCONFIG_SERVER_ERROR:
    case APPCONFIG_NOT_SENT:
        break; /* the token was not used */
    }
    fail(follow, &result->error, result);
}

static void on_session(void *owner, const struct appconfig_result *result)
{
    static const struct error no_memory = {.code = ENOMEM, .message = "no memory for its session"};
    struct follow *follow = owner;
    follow->call = NULL;
    if (is_begun_anew(follow, result))
        return;
    follow->has_new_session = true;
    if (result->outcome != APPCONFIG_ANSWERED)
        fail(follow, &result->error, result);
    else if (take_token(follow, result))
        step(follow);
    else
        fail(follow, &no_memory, NULL);
}

/* The next call: the one for the configuration, or that for the session which it needs. */
static void step(struct follow *follow)
{
    struct aws_source *source = follow->source;
    struct error error;
    if (follow->token)
        follow->call = appconfig_get_latest(source->data, follow->token, on_latest, follow, &error);
    else
        follow->call =
            appconfig_start_session(source->data, &follow->name, source->session_interval_s,
                                    !follow_is_first(follow), on_session, follow, &error);
    if (follow->call)
        aws_source_beat(source);
    else
        fail(follow, &error, NULL);
}

void follow_go(struct follow *follow)
{
    struct aws_source *source = follow->source;
    if (follow->call || source->is_stopping ||
        !schedule_is_due(&follow->schedule, clock_monotonic_ns()))
        return;
    loop_timer_stop(source->loop, &follow->timer);
    configurations_check_root(source->configurations);
    follow->started_ns = clock_monotonic_ns();
    follow->missed_ns = 0;
    follow->has_new_session = false;
    follow->was_lost = false;
    if (follow->token && clock_ns(CLOCK_BOOTTIME) - follow->token_boot_ns > token_age_max)
        follow_drop_token(follow);
    aws_source_share_nothing(follow);
    step(follow);
}
