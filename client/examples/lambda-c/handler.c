/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A function for provided.al2023: answers with its configuration, which the extension of shmconf's
 * layer keeps in shared memory, and with the event. Without the layer, or before there is a first
 * version, it answers with the configuration that is built in.
 */
#include <shmconf.h>

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime.h"

static const char built_in[] = "[]";

struct function {
    struct shmconf_reader config;
    unsigned long invocations;
};

/*
 * The current version; NULL with the reason in the log. What the prefetch list names is there
 * before the first invocation, other names are asked for. The extension remembers failures for a
 * while, so that asking again costs little.
 */
static const struct shmconf_version *enter(struct function *function)
{
    const struct shmconf_version *version = shmconf_enter(&function->config);
    if (version)
        return version;
    shmconf_leave(&function->config);
    int rc = shmconf_request(&function->config, 1000);
    version = shmconf_enter(&function->config);
    if (!version)
        fprintf(stderr, "no configuration, the built-in one is used: %s\n",
                shmconf_strerror(rc ? rc : shmconf_error(&function->config)));
    return version;
}

/* Puts the configuration as it is into the answer: the daemon has seen whether it is JSON. */
static int write_configuration(const struct shmconf_version *version, FILE *answer)
{
    struct shmconf_slice text = {.data = built_in, .size = sizeof built_in - 1};
    if (version && version->kind != SHMCONF_JSON) {
        fprintf(answer, "the configuration is no JSON, its type is %.*s: deploy a JSON document",
                (int)version->content_type.size, version->content_type.data);
        return -1;
    }
    if (version)
        text = shmconf_text(version);
    fputs("{\"configuration\": ", answer);
    fwrite(text.data, 1, text.size, answer);
    fprintf(answer, ", \"generation\": %" PRIu64, version ? version->generation : 0);
    return 0;
}

static int handle(void *context, const struct runtime_event *event, FILE *answer)
{
    struct function *function = context;
    function->invocations++;
    int rc = write_configuration(enter(function), answer);
    shmconf_leave(&function->config); /* from here on the version may not be used */
    if (rc != 0)
        return rc;
    fprintf(answer, ", \"process\": %ld, \"invocation\": %lu, \"event\": ", (long)getpid(),
            function->invocations);
    if (event->size)
        fwrite(event->json, 1, event->size, answer);
    else
        fputs("null", answer);
    fputc('}', answer);
    return 0;
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

int main(void)
{
    struct function function = {.invocations = 0};
    int rc = shmconf_open_parts(&function.config, variable("APP_NAME"), variable("ENV_NAME"),
                                variable("PROFILE_NAME"), 0);
    if (rc)
        return runtime_init_failed("APP_NAME, ENV_NAME or PROFILE_NAME is missing or malformed");
    runtime_run(handle, &function);
    return EXIT_FAILURE; /* Lambda starts it again */
}
