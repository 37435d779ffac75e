/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "agent/routes.h"
#include "base/clock.h"
#include "configuration/configuration.h"
#include "http/server.h"
#include "log/log.h"
#include "loop/loop.h"
#include "region/region.h"
#include "source/directory.h"

/* How long requests in progress may take after SIGTERM. */
static const uint64_t drain_ns = 2 * NS_PER_S;

struct daemon {
    const struct settings *settings;
    struct loop *loop;
    struct region *region;
    struct configurations *configurations;
    struct routes routes;
    struct http_server *server;
    struct directory_source *source;
    struct loop_op signals;
    bool is_ending;
    unsigned parts_running; /* that still have operations on the loop, while ending */
};

static void part_ended(void *context)
{
    struct daemon *daemon = context;
    if (--daemon->parts_running == 0)
        loop_stop(daemon->loop);
}

/* Readers keep the region; requests in progress get their answers; then the loop ends. */
static void begin_end(struct daemon *daemon, const char *signal_name)
{
    log_info("%s: ending; the region stays", signal_name);
    daemon->is_ending = true;
    daemon->parts_running = 3;
    directory_source_stop(daemon->source, part_ended, daemon);
    http_server_drain(daemon->server, loop_now(daemon->loop) + drain_ns, part_ended, daemon);
    loop_cancel(daemon->loop, &daemon->signals);
}

static void on_signal(struct loop *loop, struct loop_op *op, int result)
{
    struct daemon *daemon = (struct daemon *)((char *)op - offsetof(struct daemon, signals));
    struct error error;
    (void)loop;
    if (result < 0) {
        part_ended(daemon);
        return;
    }
    if (result == SIGHUP) {
        if (log_reopen(&error) != 0)
            log_error_object(LOG_LEVEL_ERROR, &error);
        log_info("SIGHUP: checking every configuration now");
        directory_source_check(daemon->source);
        return;
    }
    if (!daemon->is_ending)
        begin_end(daemon, result == SIGTERM ? "SIGTERM" : "SIGINT");
}

static enum exit_status open_region(struct daemon *daemon, struct error *error)
{
    static const enum region_access access[] = {[SETTINGS_ACCESS_OWNER] = REGION_OWNER,
                                                [SETTINGS_ACCESS_GROUP] = REGION_GROUP,
                                                [SETTINGS_ACCESS_ALL] = REGION_ALL};
    const struct settings *settings = daemon->settings;
    struct region_options options = {.path = settings->dir,
                                     .path_is_given = settings->dir_given,
                                     .access = access[settings->access],
                                     .has_group = settings->group != SETTINGS_NO_GROUP,
                                     .group = settings->group};
    if (region_open(&daemon->region, &options, error) != 0)
        return EXIT_STATUS_REGION;
    unsigned found = region_recover(daemon->region);
    log_info("region %s: %u configurations from before", settings->dir, found);
    if (configurations_open(&daemon->configurations, daemon->region, settings->max_configurations,
                            error) != 0)
        return EXIT_STATUS_FAILURE;
    return EXIT_STATUS_OK;
}

static enum exit_status open_server(struct daemon *daemon, struct error *error)
{
    daemon->routes.configurations = daemon->configurations;
    struct http_options options = {.host = daemon->settings->http_host,
                                   .port = daemon->settings->http_port,
                                   .client_timeout_ns = daemon->settings->client_timeout_ns,
                                   .connections_max = daemon->settings->max_clients,
                                   .handle = routes_handle,
                                   .context = &daemon->routes};
    int rc = http_server_open(&daemon->server, daemon->loop, &options, error);
    if (rc == 0)
        return EXIT_STATUS_OK;
    return rc == -EADDRINUSE || rc == -EACCES ? EXIT_STATUS_PORT : EXIT_STATUS_SETTINGS;
}

static enum exit_status start(struct daemon *daemon, struct error *error)
{
    static const enum loop_backend backends[] = {[SETTINGS_LOOP_AUTO] = LOOP_AUTO,
                                                 [SETTINGS_LOOP_EPOLL] = LOOP_EPOLL,
                                                 [SETTINGS_LOOP_IO_URING] = LOOP_IO_URING};
    if (loop_open(&daemon->loop, backends[daemon->settings->loop], error) != 0)
        return EXIT_STATUS_SETTINGS;
    log_info("event loop: %s", loop_describe(daemon->loop));
    enum exit_status status = open_region(daemon, error);
    if (status == EXIT_STATUS_OK)
        status = open_server(daemon, error);
    if (status != EXIT_STATUS_OK)
        return status;
    if (directory_source_open(&daemon->source, daemon->loop, daemon->configurations,
                              daemon->settings->local_development_directory, error) != 0)
        return EXIT_STATUS_SETTINGS;

    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    loop_signal(daemon->loop, &daemon->signals, &signals, on_signal);
    /* Test harnesses of AWS's agent wait for this line. */
    log_info("serving on localhost:%u", http_server_port(daemon->server));
    return EXIT_STATUS_OK;
}

static void stop(struct daemon *daemon)
{
    if (daemon->server)
        http_server_close(daemon->server);
    directory_source_close(daemon->source);
    configurations_close(daemon->configurations);
    region_close(daemon->region);
    if (daemon->loop)
        loop_close(daemon->loop);
}

enum exit_status daemon_run(const struct settings *settings)
{
    struct daemon daemon = {.settings = settings};
    struct error error = {0};
    log_info("shmconfd %s", SHMCONF_VERSION_TEXT);
    enum exit_status status = start(&daemon, &error);
    if (status == EXIT_STATUS_OK && loop_run(daemon.loop, &error) != 0)
        status = EXIT_STATUS_FAILURE;
    if (status != EXIT_STATUS_OK)
        log_error_object(LOG_LEVEL_FATAL, &error);
    stop(&daemon);
    return status;
}
