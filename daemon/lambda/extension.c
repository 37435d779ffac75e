/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/extension.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "lambda/extensions_api.h"
#include "log/log.h"

enum { NAME_SIZE = 256 };

/* Between the end of a wait and the invocation's deadline, for the last question. */
static const uint64_t margin_ns = 100 * NS_PER_MS;

/* A SHUTDOWN that does not say how long: Lambda gives 2 s together with the runtime. */
static const uint64_t shutdown_ns = NS_PER_S;

/* Whatever the deadline says, by a clock that need not be ours: then Lambda kills who still runs.
 */
static const uint64_t shutdown_max_ns = 2 * NS_PER_S;

/* Before a question that got no answer is asked again. */
static const uint64_t retry_ns = 200 * NS_PER_MS;

/* A busy machine may start an extension a moment before the API listens. */
static const uint64_t register_patience_ns = 2 * NS_PER_S;
static const uint64_t register_pause_ns = 5 * NS_PER_MS;

/* Questions in a row without an answer: nobody is there any more. Ten seconds and no freeze count.
 */
enum { UNANSWERED_MAX = 50 };

struct extension {
    struct extension_options options;
    struct loop *loop;
    struct extensions_api *api;
    struct source *source;       /* NULL: nothing is polled */
    struct source_waiter waiter; /* for the polls between an event and the next question */
    struct loop_timer limit;     /* of that wait, or of a pause before a call is repeated */
    uint64_t started_ns;
    bool has_asked; /* for the next event */
    bool is_registered;
    bool is_stopping;
    bool is_asking_again; /* and has said so */
    bool has_told_clock;  /* that it does not agree with Lambda's */
    unsigned unanswered;  /* questions in a row */
    char name[NAME_SIZE]; /* under which it registers */
    struct error error;   /* of the registration */
};

static void ask(struct extension *extension);

static bool is_initialized_as(const char *wanted)
{
    const char *type = getenv("AWS_LAMBDA_INITIALIZATION_TYPE");
    return type && strcasecmp(type, wanted) == 0;
}

bool extension_is_managed(void)
{
    return is_initialized_as("lambda-managed-instances");
}

bool extension_is_snapshot(void)
{
    return is_initialized_as("snap-start");
}

/*
 * Lambda knows an external extension by its entry in /opt/extensions, which is what it starts. So a
 * renamed one goes on working, and a link, whose end /proc/self/exe would name.
 */
static void own_name(char name[NAME_SIZE])
{
    const char *path = program_invocation_name;
    const char *slash = strrchr(path, '/');
    snprintf(name, NAME_SIZE, "%s", slash ? slash + 1 : path);
}

static struct extension *of_timer(struct loop_timer *timer)
{
    return (struct extension *)((char *)timer - offsetof(struct extension, limit));
}

static void on_ask_again(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    ask(of_timer(timer));
}

/* The polls have ended, or may not be waited for any longer. */
static void end_wait(struct extension *extension)
{
    source_waiter_cancel(&extension->waiter);
    loop_timer_stop(extension->loop, &extension->limit);
    ask(extension);
}

static void on_settled(struct source_waiter *waiter)
{
    end_wait((struct extension *)((char *)waiter - offsetof(struct extension, waiter)));
}

static void on_limit(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    log_debug("a poll goes on beyond its invocation");
    end_wait(of_timer(timer));
}

/* Begins what is due and waits for it, no longer than `longest_ns`; then asks for the next event.
 */
static void poll_and_ask(struct extension *extension, uint64_t longest_ns)
{
    if (!extension->source || !source_settle(extension->source, &extension->waiter)) {
        ask(extension);
        return;
    }
    if (longest_ns == 0)
        end_wait(extension);
    else
        loop_timer_start(extension->loop, &extension->limit, clock_monotonic_ns() + longest_ns,
                         on_limit);
}

static uint64_t until(uint64_t unix_ns)
{
    uint64_t now = clock_realtime_ns();
    return unix_ns > now ? unix_ns - now : 0;
}

/*
 * Until the deadline, UINT64_MAX where nobody knows: one that is over when the invocation begins is
 * by another clock than ours.
 */
static uint64_t invocation_left(struct extension *extension, const struct extensions_event *event)
{
    uint64_t left_ns = until(event->deadline_ns);
    if (event->deadline_ns && left_ns)
        return left_ns;
    if (event->deadline_ns && !extension->has_told_clock) {
        log_warn("an invocation's deadline was over when it began: this machine's clock is ahead "
                 "of Lambda's; deadlines that are over do not count");
        extension->has_told_clock = true;
    }
    return UINT64_MAX;
}

static void invoke(struct extension *extension, const struct extensions_event *event)
{
    uint64_t longest_ns = extension->options.poll_timeout_ns;
    uint64_t left_ns = invocation_left(extension, event);
    if (left_ns < longest_ns + margin_ns)
        longest_ns = left_ns > margin_ns ? left_ns - margin_ns : 0;
    poll_and_ask(extension, extension->options.waits ? longest_ns : 0);
}

/* Managed instances may have longer than a sandbox. */
static uint64_t shutdown_left(const struct extension *extension,
                              const struct extensions_event *event)
{
    uint64_t left_ns = event->deadline_ns ? until(event->deadline_ns) : shutdown_ns;
    bool is_bounded = extension->options.wants_invoke;
    return is_bounded && left_ns > shutdown_max_ns ? shutdown_max_ns : left_ns;
}

static void shut_down(struct extension *extension, const struct extensions_event *event)
{
    uint64_t left_ns = shutdown_left(extension, event);
    uint64_t within_ns = left_ns / 2; /* the rest is for the system's own part of our end */
    log_info("SHUTDOWN (%s): %.1f s are left, ending within %.1f s",
             event->reason[0] ? event->reason : "no reason given",
             (double)left_ns / (double)NS_PER_S, (double)within_ns / (double)NS_PER_S);
    extension->options.shut_down(extension->options.context, clock_monotonic_ns() + within_ns);
}

static void ask_later(struct extension *extension)
{
    loop_timer_start(extension->loop, &extension->limit, clock_monotonic_ns() + retry_ns,
                     on_ask_again);
}

/*
 * The connection of a question is lost. Each pause is short, since the event that Lambda sends to
 * the lost one is an invocation that ends only with our next question.
 */
static void ask_again(struct extension *extension, int rc, const struct error *error)
{
    if (!extension->is_asking_again)
        log_error("%s; asking again", error->message);
    extension->is_asking_again = true;
    if (rc != -EBUSY)
        extension->unanswered++;
    ask_later(extension);
}

static void on_event(void *owner, int rc, const struct extensions_event *event,
                     const struct error *error)
{
    struct extension *extension = owner;
    if (rc == -EACCES || (rc && extension->unanswered >= UNANSWERED_MAX)) {
        extension->options.refused(extension->options.context, error);
        return;
    }
    if (rc) {
        ask_again(extension, rc, error);
        return;
    }
    extension->is_asking_again = false;
    extension->unanswered = 0;
    if (event->kind == EXTENSIONS_SHUTDOWN)
        shut_down(extension, event);
    else
        invoke(extension,
               event); /* also of a kind that is not known: the polls are due either way */
}

static void ask(struct extension *extension)
{
    if (extension->is_stopping)
        return;
    if (!extension->has_asked)
        log_info("ready for the first invocation %.1f ms after the start",
                 (double)(clock_monotonic_ns() - extension->started_ns) / (double)NS_PER_MS);
    extension->has_asked = true;
    if (extensions_api_next(extension->api, on_event, extension) != 0)
        ask_later(extension);
}

static const char *events_of(const struct extension *extension)
{
    return extension->options.wants_invoke ? "INVOKE and SHUTDOWN" : "SHUTDOWN";
}

static void register_name(struct extension *extension);

static void on_register_again(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    register_name(of_timer(timer));
}

static void end_registration(struct extension *extension, const struct error *error)
{
    extension->is_registered = error == NULL;
    if (error && error->code == EACCES)
        error_set(&extension->error, EACCES, "",
                  "%s; it was as '%s', which has to be its name in /opt/extensions, for %s",
                  error->message, extension->name, events_of(extension));
    else if (error)
        extension->error = *error;
    loop_stop(extension->loop);
}

static void on_registered(void *owner, int rc, const struct extensions_event *event,
                          const struct error *error)
{
    struct extension *extension = owner;
    uint64_t now = clock_monotonic_ns();
    (void)event;
    if (rc == -ECONNREFUSED && now - extension->started_ns < register_patience_ns)
        loop_timer_start(extension->loop, &extension->limit, now + register_pause_ns,
                         on_register_again);
    else
        end_registration(extension, rc ? error : NULL);
}

static void register_name(struct extension *extension)
{
    struct error error;
    int rc = extensions_api_register(extension->api, extension->name,
                                     extension->options.wants_invoke, on_registered, extension);
    if (rc) {
        error_system(&error, -rc, "", "cannot register with Lambda");
        end_registration(extension, &error);
    }
}

static int make(struct extension **out, struct loop *loop, const struct extension_options *options,
                struct error *error)
{
    struct extension *extension = calloc(1, sizeof *extension);
    if (!extension)
        return error_system(error, ENOMEM, "", "cannot be an extension");
    extension->options = *options;
    extension->loop = loop;
    extension->started_ns = clock_monotonic_ns();
    extension->waiter.done = on_settled;
    int rc = extensions_api_open(&extension->api, loop, options->address, error);
    if (rc) {
        free(extension);
        return rc;
    }
    *out = extension;
    return 0;
}

int extension_open(struct extension **out, struct loop *loop,
                   const struct extension_options *options, struct error *error)
{
    struct extension *extension = NULL;
    int rc = make(&extension, loop, options, error);
    if (rc || !extension)
        return rc;
    own_name(extension->name);
    register_name(extension);
    rc = loop_run(loop, error);
    if (!rc && !extension->is_registered) {
        *error = extension->error;
        rc = -error->code;
    }
    if (rc) {
        extension_close(extension);
        return rc;
    }
    log_info("registered with Lambda as '%s' for %s", extension->name, events_of(extension));
    *out = extension;
    return 0;
}

int extension_resume(struct extension **out, struct loop *loop,
                     const struct extension_options *options, const char *id, struct error *error)
{
    int rc = make(out, loop, options, error);
    if (rc)
        return rc;
    extensions_api_set_id((*out)->api, id);
    (*out)->has_asked = true; /* by who had this identifier */
    return 0;
}

void extension_start(struct extension *extension, struct source *source)
{
    extension->source = source;
    poll_and_ask(extension, EXTENSION_INIT_WAIT_S * NS_PER_S);
}

const char *extension_id(const struct extension *extension)
{
    return extensions_api_id(extension->api);
}

void extension_stop(struct extension *extension, void (*closed)(void *context), void *context)
{
    extension->is_stopping = true;
    source_waiter_cancel(&extension->waiter);
    loop_timer_stop(extension->loop, &extension->limit);
    extensions_api_stop(extension->api, closed, context);
}

void extension_close(struct extension *extension)
{
    if (!extension)
        return;
    loop_timer_stop(extension->loop, &extension->limit);
    extensions_api_close(extension->api);
    free(extension);
}
