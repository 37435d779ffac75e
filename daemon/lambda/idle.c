/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/idle.h"

#include <signal.h>

#include "lambda/extension.h"
#include "log/log.h"

struct idle {
    struct loop *loop;
    struct extension *extension;
    enum exit_status status;
};

static void on_closed(void *context)
{
    struct idle *idle = context;
    loop_stop(idle->loop);
}

static void on_shut_down(void *context, uint64_t deadline_ns)
{
    struct idle *idle = context;
    (void)deadline_ns;
    extension_stop(idle->extension, on_closed, idle);
}

static void on_refused(void *context, const struct error *error)
{
    struct idle *idle = context;
    log_error_object(LOG_LEVEL_FATAL, error);
    idle->status = EXIT_STATUS_FAILURE;
    extension_stop(idle->extension, on_closed, idle);
}

static int run(struct idle *idle, const char *address, const char *id, struct error *error)
{
    struct extension_options options = {.address = address,
                                        .wants_invoke = !extension_is_managed(),
                                        .shut_down = on_shut_down,
                                        .refused = on_refused,
                                        .context = idle};
    int rc = loop_open(&idle->loop, LOOP_AUTO, error);
    if (!rc)
        rc = id ? extension_resume(&idle->extension, idle->loop, &options, id, error)
                : extension_open(&idle->extension, idle->loop, &options, error);
    if (rc)
        return rc;
    extension_start(idle->extension, NULL);
    return loop_run(idle->loop, error);
}

/* A daemon that ran before has blocked these for a loop that is no more. */
static void let_signals_end_us(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_UNBLOCK, &signals, NULL);
}

enum exit_status lambda_idle(const char *address, const char *id)
{
    struct idle idle = {.status = EXIT_STATUS_OK};
    struct error error;
    let_signals_end_us();
    if (run(&idle, address, id, &error) != 0) {
        log_error_object(LOG_LEVEL_FATAL, &error);
        idle.status = EXIT_STATUS_FAILURE;
    }
    extension_close(idle.extension);
    if (idle.loop)
        loop_close(idle.loop);
    return idle.status;
}
