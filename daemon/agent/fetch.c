/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/fetch.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/answer.h"
#include "agent/flags.h"
#include "base/clock.h"

/* An exchange whose answer waits for a check. */
struct wait {
    struct source_waiter waiter;
    struct loop_timer timer;
    const struct fetch *fetch;
    struct http_exchange *exchange;
    struct shmconf_name name;
    uint64_t longest_ns;
};

static void answer_good(struct http_exchange *exchange, struct region_version *version)
{
    struct flags flags;
    int rc = flags_parse(&flags, http_exchange_request(exchange)->query);
    if (rc)
        http_respond_message(exchange, 400, NULL,
                             rc == -E2BIG
                                 ? "The parameter flag is there more than %d times"
                                 : "A parameter flag is malformed (at most %d are allowed)",
                             FLAGS_MAX);
    else if (flags.count)
        answer_flags(exchange, version, &flags);
    else
        answer_version(exchange, version);
}

/* With what there is now. */
static void answer(const struct fetch *fetch, struct http_exchange *exchange,
                   const struct shmconf_name *name)
{
    struct configuration *configuration = configurations_find(fetch->configurations, name);
    if (configuration && configuration_version(configuration))
        answer_good(exchange, configuration_version(configuration));
    else if (fetch->is_ending && !(configuration && configuration_error(configuration)->code))
        answer_ending(exchange);
    else if (!configuration)
        answer_not_found(exchange, "No such configuration");
    else
        answer_unavailable(exchange, configuration);
}

static void on_checked(struct source_waiter *waiter)
{
    struct wait *wait = (struct wait *)waiter;
    loop_timer_stop(wait->fetch->loop, &wait->timer);
    answer(wait->fetch, wait->exchange, &wait->name);
    free(wait);
}

static void on_abandoned(void *owner)
{
    struct wait *wait = owner;
    source_waiter_cancel(&wait->waiter);
    loop_timer_stop(wait->fetch->loop, &wait->timer);
    free(wait);
}

static void on_expired(struct loop *loop, struct loop_timer *timer);

static void start_timer(struct wait *wait)
{
    loop_timer_start(wait->fetch->loop, &wait->timer, clock_monotonic_ns() + wait->longest_ns,
                     on_expired);
}

static void on_expired(struct loop *loop, struct loop_timer *timer)
{
    struct wait *wait = (struct wait *)((char *)timer - offsetof(struct wait, timer));
    struct configuration *configuration =
        configurations_find(wait->fetch->configurations, &wait->name);
    /* The check begins anew as well, and ends the wait if it fails then. */
    if (loop_timer_was_held_up(loop, timer)) {
        start_timer(wait);
        return;
    }
    source_waiter_cancel(&wait->waiter);
    if (configuration && configuration_version(configuration))
        answer(wait->fetch, wait->exchange, &wait->name);
    else
        http_respond_message(wait->exchange, 504, NULL,
                             "The configuration was not fetched within %.1f s; the daemon goes on",
                             (double)wait->fetch->first_wait_ns / (double)NS_PER_S);
    free(wait);
}

/* The source has taken the waiter. */
static void begin_wait(const struct fetch *fetch, struct http_exchange *exchange,
                       const struct shmconf_name *name, struct source_waiter *waiter,
                       uint64_t longest_ns)
{
    struct wait *wait = malloc(sizeof *wait);
    if (!wait) {
        source_waiter_cancel(waiter);
        http_respond_message(exchange, 500, NULL, "no memory for the request");
        return;
    }
    *wait = (struct wait){
        .fetch = fetch, .exchange = exchange, .name = *name, .longest_ns = longest_ns};
    source_waiter_move(waiter, &wait->waiter);
    start_timer(wait);
    http_exchange_on_abandon(exchange, on_abandoned, wait);
}

void fetch_configuration(const struct fetch *fetch, struct http_exchange *exchange,
                         const struct shmconf_name *name)
{
    struct error error;
    struct source_waiter waiter = {.done = on_checked};
    switch (source_want(fetch->source, name, &waiter, &error)) {
    case SOURCE_FETCHING:
        begin_wait(fetch, exchange, name, &waiter, fetch->first_wait_ns);
        break;
    case SOURCE_OVERDUE:
        if (fetch->fresh_wait_ns) {
            begin_wait(fetch, exchange, name, &waiter, fetch->fresh_wait_ns);
            break;
        }
        source_waiter_cancel(&waiter);
        answer(fetch, exchange, name);
        break;
    case SOURCE_KNOWN:
        answer(fetch, exchange, name);
        break;
    case SOURCE_UNKNOWN:
        answer_not_found(exchange, "No such configuration: there is no file of that name in the "
                                   "local directory");
        break;
    case SOURCE_REFUSED:
        http_respond_message(exchange,
                             error.code == EINVAL  ? 400
                             : error.code == EBUSY ? 503
                                                   : 500,
                             NULL, "%s%s%s", error.subject, error.subject[0] ? ": " : "",
                             error.message);
        break;
    }
}
