/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "agent/routes.h"
#include "base/clock.h"
#include "http/server.h"
#include "log/log.h"
#include "parts.h"

/* How long requests in progress may take after SIGTERM. */
static const uint64_t drain_ns = 2 * NS_PER_S;

struct daemon {
    struct parts parts;
    struct routes routes;
    struct http_server *server;
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
static void begin_end(struct daemon *daemon, const char *signal_name)
{
    log_info("%s: ending; the region stays", signal_name);
    daemon->is_ending = true;
    daemon->routes.fetch.is_ending = true;
    daemon->parts_running = 3;
    /* First, so that the answers which the source wakes say that their connection ends. */
    http_server_drain(daemon->server, loop_now(daemon->parts.loop) + drain_ns, part_ended, daemon);
    source_stop(daemon->parts.source, part_ended, daemon);
    loop_cancel(daemon->parts.loop, &daemon->signals);
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
    if (!daemon->is_ending)
        begin_end(daemon, result == SIGTERM ? "SIGTERM" : "SIGINT");
}

static enum exit_status open_server(struct daemon *daemon, struct error *error)
{
    struct parts *parts = &daemon->parts;
    const struct settings *settings = parts->settings;
    struct http_options options = {.host = settings->http_host,
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
    int rc = http_server_open(&daemon->server, parts->loop, &options, error);
    if (rc == 0 && http_server_limit(daemon->server) < settings->max_clients)
        log_warn("%zu HTTP clients at a time and not %u: ulimit -n leaves no more",
                 http_server_limit(daemon->server), settings->max_clients);
    if (rc == 0)
        return EXIT_STATUS_OK;
    return rc == -EADDRINUSE || rc == -EACCES ? EXIT_STATUS_PORT : EXIT_STATUS_SETTINGS;
}

static enum exit_status start(struct daemon *daemon, const struct settings *settings,
                              struct error *error)
{
    struct parts *parts = &daemon->parts;
    enum exit_status status = parts_open(parts, settings, error);
    if (status == EXIT_STATUS_OK)
        status = open_server(daemon, error);
    if (status == EXIT_STATUS_OK)
        status = parts_open_source(parts, settings->prefetch_list, true, error);
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
    /* Test harnesses of AWS's agent wait for this line. */
    log_info("serving on localhost:%u", http_server_port(daemon->server));
    return EXIT_STATUS_OK;
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
    if (daemon.server)
        http_server_close(daemon.server);
    parts_close(&daemon.parts);
    return status;
}
