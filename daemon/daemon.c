/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "agent/routes.h"
#include "base/clock.h"
#include "http/server.h"
#include "lambda/extension.h"
#include "lambda/idle.h"
#include "log/log.h"
#include "parts.h"
#include "source/unavailable.h"

/* How long requests in progress may take after SIGTERM. */
static const uint64_t drain_ns = 2 * NS_PER_S;

/* A predecessor that was just killed: the kernel closes the sockets of its io_uring some time after
   its end, 172 ms at most in 20 tries. */
static const uint64_t port_patience_ns = NS_PER_S;

/* Between two attempts to have what is missing, in Lambda. */
static const uint64_t retry_pause_ns = NS_PER_S;

struct daemon {
    struct parts parts;
    struct routes routes;
    struct http_server *server;  /* NULL: in Lambda, while the port is taken */
    struct loop_timer retry;     /* until what is missing is tried again */
    struct extension *extension; /* NULL: this is not Lambda */
    struct loop_op signals;
    bool is_ending;
    struct error failure;   /* code 0: none; else why the loop was stopped */
    unsigned parts_running; /* that still have operations on the loop, while ending */
};

static void part_ended(void *context)
{
    struct daemon *daemon = context;
    if (--daemon->parts_running == 0)
        loop_stop(daemon->parts.loop);
}

/* Readers keep the region; requests in progress get their answers; then the loop ends. */
static void begin_end(struct daemon *daemon, uint64_t drain_deadline_ns)
{
    daemon->is_ending = true;
    daemon->routes.fetch.is_ending = true;
    daemon->parts_running = 2U + (daemon->server ? 1U : 0U) + (daemon->extension ? 1U : 0U);
    loop_timer_stop(daemon->parts.loop, &daemon->retry);
    /* First, so that the answers which the source wakes say that their connection ends. */
    if (daemon->server)
        http_server_drain(daemon->server, drain_deadline_ns, part_ended, daemon);
    source_stop(daemon->parts.source, part_ended, daemon);
    if (daemon->extension)
        extension_stop(daemon->extension, part_ended, daemon);
    loop_cancel(daemon->parts.loop, &daemon->signals);
}

static void on_shut_down(void *context, uint64_t deadline_ns)
{
    begin_end(context, deadline_ns);
}

/* Lambda itself gives us up. */
static void on_refused(void *context, const struct error *error)
{
    struct daemon *daemon = context;
    daemon->failure = *error;
    begin_end(daemon, loop_now(daemon->parts.loop));
}

static void on_signal(struct loop *loop, struct loop_op *op, int result)
{
    struct daemon *daemon = (struct daemon *)((char *)op - offsetof(struct daemon, signals));
    struct error error;
    if (result < 0 && daemon->is_ending) {
        part_ended(daemon);
        return;
    }
    if (result < 0) {
        /* They are blocked already: nothing but SIGKILL would end us. */
        error_system(&daemon->failure, -result, "signals", "cannot be waited for");
        loop_stop(loop);
        return;
    }
    if (result == SIGHUP) {
        if (log_reopen(&error) != 0)
            log_error_object(LOG_LEVEL_ERROR, &error);
        log_info("SIGHUP: checking every configuration now");
        source_check(daemon->parts.source);
        return;
    }
    if (daemon->is_ending)
        return;
    log_info("%s: ending; the region stays", result == SIGTERM ? "SIGTERM" : "SIGINT");
    begin_end(daemon, loop_now(loop) + drain_ns);
}

static int open_patiently(struct daemon *daemon, const struct http_options *options,
                          struct error *error)
{
    uint64_t end = clock_monotonic_ns() + port_patience_ns;
    int rc = http_server_open(&daemon->server, daemon->parts.loop, options, error);
    while (rc == -EADDRINUSE && clock_monotonic_ns() < end) {
        poll(NULL, 0, 10);
        rc = http_server_open(&daemon->server, daemon->parts.loop, options, error);
    }
    return rc;
}

/* A host that is none of this machine's must not leave the function without HTTP. */
static int open_in_lambda(struct daemon *daemon, struct http_options *options, struct error *error)
{
    int rc = http_server_open(&daemon->server, daemon->parts.loop, options, error);
    if (rc != -EADDRNOTAVAIL && rc != -EAFNOSUPPORT)
        return rc;
    if (error)
        log_error("%s: %s; localhost instead", error->subject, error->message);
    options->host = "localhost";
    return http_server_open(&daemon->server, daemon->parts.loop, options, error);
}

static enum exit_status open_server(struct daemon *daemon, struct error *error)
{
    struct parts *parts = &daemon->parts;
    const struct settings *settings = parts->settings;
    struct http_options options = {.host = settings->http_host,
                                   .may_ask = settings->lambda == NULL,
                                   .port = settings->http_port,
                                   .client_timeout_ns = settings->client_timeout_ns,
                                   .connections_max = settings->max_clients,
                                   .handle = routes_handle,
                                   .context = &daemon->routes};
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max; /* the soft limit is for programs that use select */
        setrlimit(RLIMIT_NOFILE, &files);
    }
    int rc = settings->lambda ? open_in_lambda(daemon, &options, error)
                              : open_patiently(daemon, &options, error);
    /* In Lambda, where 1,024 descriptors are all there are, one function asks. */
    if (rc == 0 && http_server_limit(daemon->server) < settings->max_clients && !settings->lambda)
        log_warn("%zu HTTP clients at a time and not %u: ulimit -n leaves no more",
                 http_server_limit(daemon->server), settings->max_clients);
    if (rc == 0)
        return EXIT_STATUS_OK;
    return rc == -EADDRINUSE || rc == -EACCES ? EXIT_STATUS_PORT : EXIT_STATUS_SETTINGS;
}

/* Test harnesses of AWS's agent wait for this line. */
static void tell_port(const struct daemon *daemon)
{
    if (daemon->server)
        log_info("serving on localhost:%u", http_server_port(daemon->server));
}

static void on_retry(struct loop *loop, struct loop_timer *timer);

/* The predecessor of a reset may still hold the port or the region, as long as it is dying. */
static void look_for_missing(struct daemon *daemon)
{
    bool has_region = configurations_check_root(daemon->parts.configurations);
    if (!daemon->server || !has_region)
        loop_timer_start(daemon->parts.loop, &daemon->retry, clock_monotonic_ns() + retry_pause_ns,
                         on_retry);
}

static void on_retry(struct loop *loop, struct loop_timer *timer)
{
    struct daemon *daemon = (struct daemon *)((char *)timer - offsetof(struct daemon, retry));
    (void)loop;
    if (!daemon->server) {
        open_server(daemon, NULL);
        tell_port(daemon);
    }
    look_for_missing(daemon);
}

/* First of all: the function's own start waits for it. */
static enum exit_status enter_lambda(struct daemon *daemon, const struct settings *settings,
                                     struct error *error)
{
    struct extension_options options = {.address = settings->lambda,
                                        .wants_invoke = !extension_is_managed(),
                                        .waits = settings->invoke_poll == SETTINGS_INVOKE_WAIT,
                                        .poll_timeout_ns = settings->request_timeout_ns,
                                        .shut_down = on_shut_down,
                                        .refused = on_refused,
                                        .context = daemon};
    return extension_open(&daemon->extension, daemon->parts.loop, &options, error)
               ? EXIT_STATUS_FAILURE
               : EXIT_STATUS_OK;
}

/* Whether to go on although a part is missing: in Lambda a function must not fail because of us. */
static bool goes_on(const struct daemon *daemon, enum exit_status status, const struct error *error,
                    const char *consequence)
{
    if (status != EXIT_STATUS_OK && daemon->extension)
        log_error("%s%s%s; %s", error->subject, error->subject[0] ? ": " : "", error->message,
                  consequence);
    return status == EXIT_STATUS_OK || daemon->extension;
}

static enum exit_status open_source(struct daemon *daemon, struct error *error)
{
    struct parts *parts = &daemon->parts;
    enum exit_status status = parts_open_source(parts, parts->settings->prefetch_list, true, error);
    if (!goes_on(daemon, status, error, "requests are told so until the function is set up anew"))
        return status;
    if (!parts->source)
        parts->source = unavailable_source_open(error, parts->configurations, &parts->recovered);
    if (!parts->source) {
        error_system(error, ENOMEM, "", "cannot start");
        return EXIT_STATUS_FAILURE;
    }
    return EXIT_STATUS_OK;
}

static enum exit_status open_parts(struct daemon *daemon, const struct settings *settings,
                                   struct error *error)
{
    struct parts *parts = &daemon->parts;
    enum exit_status status = parts_open_loop(parts, settings, error);
    if (status == EXIT_STATUS_OK && settings->lambda)
        status = enter_lambda(daemon, settings, error);
    if (status == EXIT_STATUS_OK)
        status = parts_open_region(parts, error);
    if (status != EXIT_STATUS_OK)
        return status;
    status = open_server(daemon, error);
    if (!goes_on(daemon, status, error, "there is no HTTP until it can be had"))
        return status;
    return open_source(daemon, error);
}

static enum exit_status start(struct daemon *daemon, const struct settings *settings,
                              struct error *error)
{
    struct parts *parts = &daemon->parts;
    enum exit_status status = open_parts(daemon, settings, error);
    if (status != EXIT_STATUS_OK)
        return status;
    daemon->routes.fetch = (struct fetch){.loop = parts->loop,
                                          .configurations = parts->configurations,
                                          .source = parts->source,
                                          .first_wait_ns = parts_first_wait_ns(parts),
                                          .fresh_wait_ns = settings->fresh_wait_ns};

    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    loop_signal(parts->loop, &daemon->signals, &signals, on_signal);
    tell_port(daemon);
    if (daemon->extension) {
        look_for_missing(daemon);
        extension_start(daemon->extension, parts->source);
    }
    return EXIT_STATUS_OK;
}

static void close_all(struct daemon *daemon)
{
    extension_close(daemon->extension);
    if (daemon->server)
        http_server_close(daemon->server);
    parts_close(&daemon->parts);
}

enum exit_status daemon_run(const struct settings *settings)
{
    struct daemon daemon = {0};
    struct error error = {0};
    log_info("shmconfd %s", SHMCONF_VERSION_TEXT);
    enum exit_status status = start(&daemon, settings, &error);
    if (status == EXIT_STATUS_OK && loop_run(daemon.parts.loop, &error) != 0)
        status = EXIT_STATUS_FAILURE;
    if (status == EXIT_STATUS_OK && daemon.failure.code) {
        error = daemon.failure;
        status = EXIT_STATUS_FAILURE;
    }
    if (status != EXIT_STATUS_OK)
        log_error_object(LOG_LEVEL_FATAL, &error);
    /* What still runs does not end in order. */
    if (status != EXIT_STATUS_OK && daemon.parts.loop)
        loop_abandon(daemon.parts.loop);
    /* Registered, and not refused by Lambda: it must not see us end. */
    bool is_expected = status != EXIT_STATUS_OK && daemon.extension && !daemon.is_ending;
    char id[EXTENSIONS_ID_SIZE] = "";
    if (is_expected)
        snprintf(id, sizeof id, "%s", extension_id(daemon.extension));
    close_all(&daemon);
    return is_expected ? lambda_idle(settings->lambda, id) : status;
}
