/* SPDX-License-Identifier: Apache-2.0 */
#include "parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "lambda/extension.h"
#include "log/log.h"
#include "source/aws.h"
#include "source/directory.h"
#include "upstream/roots.h"

enum { RECOVER_ATTEMPTS = 3 };

/* Connections idle for longer are not used again: in Lambda a freeze may have come between. */
enum { IDLE_MAX_S = 60, IDLE_MAX_LAMBDA_S = 4 };

/*
 * What begins later than that was held up. In Lambda most checks are due while the sandbox is
 * frozen, and the invocation that finds them so is to have what they bring; elsewhere a busy
 * machine's timers are no reason for anybody to wait.
 */
static const uint64_t late_max_ns = NS_PER_S;
static const uint64_t late_max_lambda_ns = 20 * NS_PER_MS;

enum exit_status parts_open_loop(struct parts *parts, const struct settings *settings,
                                 struct error *error)
{
    static const enum loop_backend backends[] = {[SETTINGS_LOOP_AUTO] = LOOP_AUTO,
                                                 [SETTINGS_LOOP_EPOLL] = LOOP_EPOLL,
                                                 [SETTINGS_LOOP_IO_URING] = LOOP_IO_URING};
    parts->settings = settings;
    int rc = loop_open(&parts->loop, backends[settings->loop], error);
    /* Lambda allows no io_uring, and a function must not fail because somebody wanted it. */
    if (rc && settings->lambda && settings->loop == SETTINGS_LOOP_IO_URING) {
        log_warn("SHMCONF_LOOP: %s%s%s; epoll counts instead", error->subject,
                 error->subject[0] ? ": " : "", error->message);
        rc = loop_open(&parts->loop, LOOP_EPOLL, error);
    }
    if (rc)
        return EXIT_STATUS_SETTINGS;
    log_info("event loop: %s", loop_describe(parts->loop));
    return EXIT_STATUS_OK;
}

/* What else is damaged is told by whoever follows it on, who finds it so. */
static void recover(void *context, const struct shmconf_name *name,
                    const struct shmconf_record *record, enum region_damage damage)
{
    char text[SHMCONF_NAME_TEXT_MAX];
    shmconf_name_print(name, text);
    if (damage == REGION_VERSION_OTHER)
        log_subject(LOG_LEVEL_WARN, text,
                    "not all of it in the region came to the disk before the machine went down: "
                    "its newest version that is whole is served until the next check");
    recovered_add(context, name, record);
}

/* What fails once is there the next time. */
static void recover_region(struct parts *parts)
{
    struct error error = {.code = EAGAIN};
    unsigned found = 0;
    for (int attempt = 0; error.code && attempt < RECOVER_ATTEMPTS; attempt++) {
        recovered_free(&parts->recovered);
        found = region_recover_each(parts->region, recover, &parts->recovered, &error);
    }
    log_info("region %s: %u configurations from before", parts->settings->dir, found);
    if (error.code)
        log_subject(LOG_LEVEL_WARN, error.subject,
                    "%s; what is there is followed on when it is asked for, or after a restart",
                    error.message);
}

enum exit_status parts_open_region(struct parts *parts, struct error *error)
{
    static const enum region_access access[] = {[SETTINGS_ACCESS_OWNER] = REGION_OWNER,
                                                [SETTINGS_ACCESS_GROUP] = REGION_GROUP,
                                                [SETTINGS_ACCESS_ALL] = REGION_ALL};
    const struct settings *settings = parts->settings;
    struct region_options options = {.path = settings->dir,
                                     .path_is_given = settings->dir_given,
                                     .access = access[settings->access],
                                     .has_group = settings->group != SETTINGS_NO_GROUP,
                                     .group = settings->group,
                                     .may_come_later = settings->lambda != NULL &&
                                                       settings->action == SETTINGS_RUN};
    int rc = region_open(&parts->region, &options, error);
    if (rc && !parts->region)
        return EXIT_STATUS_REGION;
    if (!rc)
        recover_region(parts);
    if (configurations_open(&parts->configurations, parts->region, settings->max_configurations,
                            error) != 0)
        return EXIT_STATUS_FAILURE;
    if (rc)
        configurations_check_root(parts->configurations); /* logs why */
    return EXIT_STATUS_OK;
}

/* What AWS as the source needs: an endpoint, keys, and the authorities that it names. */
static int prepare_aws(const struct settings *settings, struct loop *loop,
                       struct endpoint *endpoint, struct credentials_provider **credentials,
                       struct roots *roots, struct error *error)
{
    struct endpoint_inputs inputs = endpoint_inputs_read(settings->service_region);
    int rc = endpoint_resolve(endpoint, &inputs, error);
    if (!rc)
        rc = credentials_open(credentials, loop, error);
    if (!rc)
        rc = roots_choose(roots, endpoint->base, error);
    return rc;
}

/*
 * What a local directory or another service left is not followed as this source's: the names need
 * not mean the same there.
 */
static void set_source(struct parts *parts, const char *source)
{
    uint64_t since_ns = UINT64_MAX;
    configurations_tell_source(parts->configurations,
                               region_set_source(parts->region, source, &since_ns));
    recovered_select(&parts->recovered, since_ns, clock_realtime_ns());
}

static enum exit_status open_aws(struct parts *parts, const char *prefetch_list, bool goes_on,
                                 struct error *error)
{
    const struct settings *settings = parts->settings;
    struct endpoint endpoint;
    struct roots roots;
    if (prepare_aws(settings, parts->loop, &endpoint, &parts->credentials, &roots, error) != 0)
        return EXIT_STATUS_SETTINGS;
    set_source(parts, endpoint.base);
    struct aws_source_options options = {
        .endpoint = &endpoint,
        .credentials = parts->credentials,
        .poll_interval_ns = settings->poll_interval_ns,
        .request_timeout_ns = settings->request_timeout_ns,
        .late_max_ns =
            settings->lambda && !extension_is_managed() ? late_max_lambda_ns : late_max_ns,
        .connections_max = settings->max_connections,
        .idle_max_s = settings->lambda ? IDLE_MAX_LAMBDA_S : IDLE_MAX_S,
        .roots = &roots,
        .has_no_copies = settings->lambda && !extension_is_snapshot(),
        .keeps_fresh = settings->lambda != NULL,
        .is_snapshot = settings->lambda && extension_is_snapshot(),
        .is_waited_for = settings->lambda && !extension_is_managed() &&
                         settings->invoke_poll == SETTINGS_INVOKE_WAIT,
        .prefetch_list = prefetch_list,
        .recovered = goes_on ? &parts->recovered : NULL};
    int rc = aws_source_open(&parts->source, parts->loop, parts->configurations, &options, error);
    if (!rc)
        recovered_free(&parts->recovered);
    return rc ? EXIT_STATUS_FAILURE : EXIT_STATUS_OK;
}

static enum exit_status open_directory(struct parts *parts, const char *path, struct error *error)
{
    set_source(parts, "directory");
    int rc = directory_source_open(&parts->source, parts->loop, parts->configurations, path, error);
    if (rc)
        return EXIT_STATUS_SETTINGS;
    recovered_free(&parts->recovered);
    return EXIT_STATUS_OK;
}

enum exit_status parts_open_source(struct parts *parts, const char *prefetch_list, bool goes_on,
                                   struct error *error)
{
    const char *directory = parts->settings->local_development_directory;
    return directory ? open_directory(parts, directory, error)
                     : open_aws(parts, prefetch_list, goes_on, error);
}

enum exit_status parts_check_source(const struct settings *settings, struct error *error)
{
    const char *directory = settings->local_development_directory;
    struct endpoint endpoint;
    struct credentials_provider *credentials = NULL;
    struct roots roots;
    int rc = 0;
    if (!directory) {
        rc = prepare_aws(settings, NULL, &endpoint, &credentials, &roots, error);
        if (credentials)
            credentials->close(credentials);
    } else {
        cleanup_close int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            rc = error_system(error, errno, directory, "cannot open the local directory");
    }
    return rc ? EXIT_STATUS_SETTINGS : EXIT_STATUS_OK;
}

void parts_close(struct parts *parts)
{
    source_close(parts->source);
    recovered_free(&parts->recovered);
    if (parts->credentials)
        parts->credentials->close(parts->credentials);
    configurations_close(parts->configurations);
    region_close(parts->region);
    if (parts->loop)
        loop_close(parts->loop);
}

uint64_t parts_first_wait_ns(const struct parts *parts)
{
    return 2 * parts->settings->request_timeout_ns + NS_PER_S;
}
