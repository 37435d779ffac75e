/* SPDX-License-Identifier: Apache-2.0 */
#include "once.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "parts.h"
#include "source/name_list.h"

struct once {
    struct parts parts;
    struct once_item *items;
    size_t pending;
    bool has_failed;
    bool is_stopped; /* the source: nothing of it is active */
    struct loop_timer end;
};

struct once_item {
    struct source_waiter waiter;
    struct once *once;
    const char *text; /* as the user wrote it */
    struct shmconf_name name;
};

static void on_closed(void *context)
{
    struct once *once = context;
    once->is_stopped = true;
    loop_stop(once->parts.loop);
}

static void on_end(struct loop *loop, struct loop_timer *timer)
{
    struct once *once = (struct once *)((char *)timer - offsetof(struct once, end));
    (void)loop;
    source_stop(once->parts.source, on_closed, once);
}

static void report_failure(struct once_item *item, const char *message)
{
    item->once->has_failed = true;
    fprintf(stderr, "shmconfd: %s: %s\n", item->text, message);
}

static void report(struct once_item *item)
{
    struct configuration *configuration =
        configurations_find(item->once->parts.configurations, &item->name);
    const struct region_version *version =
        configuration ? configuration_version(configuration) : NULL;
    if (!configuration)
        report_failure(item, "there is no such configuration");
    else if (configuration_error(configuration)->code == 0 && version)
        printf("%s generation %" PRIu64 ", %zu bytes, %s\n", item->text, version->generation,
               version->size, version->content_type);
    else
        report_failure(item, configuration_error(configuration)->message);
}

static void on_checked(struct source_waiter *waiter)
{
    struct once_item *item = (struct once_item *)waiter;
    struct once *once = item->once;
    report(item);
    if (--once->pending == 0)
        loop_timer_start(once->parts.loop, &once->end, clock_monotonic_ns(), on_end);
}

static void ask(struct once_item *item)
{
    struct error error = {0};
    switch (source_want(item->once->parts.source, &item->name, &item->waiter, &error)) {
    case SOURCE_FETCHING:
    case SOURCE_OVERDUE:
        item->once->pending++;
        break;
    case SOURCE_REFUSED:
        report_failure(item, error.message);
        break;
    case SOURCE_KNOWN:
    case SOURCE_UNKNOWN:
        report(item);
        break;
    }
}

static void ask_all(struct once *once, char **names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct once_item *item = &once->items[i];
        *item = (struct once_item){
            .waiter = {.done = on_checked, .is_patient = true}, .once = once, .text = names[i]};
        if (shmconf_name_parse(&item->name, item->text) != 0)
            report_failure(item, "is no name of a configuration");
        else
            ask(item);
    }
}

static enum exit_status run(struct once *once, const struct settings *settings, struct error *error)
{
    cleanup_free char *text;
    cleanup_free char **listed;
    size_t count;
    int rc = name_list_split(settings->prefetch_list, &text, &listed, &count);
    bool is_named = settings->name_count > 0;
    count = is_named ? settings->name_count : count;
    once->items = calloc(count + 1, sizeof *once->items);
    if (rc || !once->items) {
        error_system(error, ENOMEM, "", "cannot fetch");
        return EXIT_STATUS_FAILURE;
    }
    ask_all(once, is_named ? settings->names : listed, count);
    if (once->pending == 0)
        source_stop(once->parts.source, on_closed, once);
    if (loop_run(once->parts.loop, error) != 0)
        return EXIT_STATUS_FAILURE;
    return EXIT_STATUS_OK;
}

enum exit_status once_run(const struct settings *settings)
{
    struct once once = {0};
    struct error error = {0};
    enum exit_status status = parts_open_loop(&once.parts, settings, &error);
    if (status == EXIT_STATUS_OK)
        status = parts_open_region(&once.parts, &error);
    if (status == EXIT_STATUS_OK)
        status = parts_open_source(&once.parts, NULL, false, &error);
    if (status == EXIT_STATUS_OK)
        status = run(&once, settings, &error);
    if (status != EXIT_STATUS_OK)
        fprintf(stderr, "shmconfd: %s%s%s\n", error.subject, error.subject[0] ? ": " : "",
                error.message);
    else if (once.has_failed)
        status = EXIT_STATUS_FAILURE;
    if (!once.is_stopped && once.parts.loop)
        loop_abandon(once.parts.loop);
    parts_close(&once.parts);
    free(once.items);
    return status;
}
