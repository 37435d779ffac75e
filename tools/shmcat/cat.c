/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "shmcat/shmcat.h"

static struct {
    uint64_t generation;
    uint64_t wait_ns;
} options = {NOT_GIVEN, NOT_GIVEN};

static const struct option_row rows[] = {
    {0, OPTION_NUMBER, "version", "G", "generation G: the current one or its predecessor",
     &options.generation},
    {0, OPTION_DURATION, "wait", "DURATION", "sleep until it exists, that long at most",
     &options.wait_ns},
    {0},
};

/* -ERANGE: that generation is not kept, or is still to come. */
static int take(struct config *config, const struct shmconf_place *place,
                struct shmconf_version **version)
{
    int rc = config_open(config, place);
    if (rc)
        return rc;
    if (options.generation == NOT_GIVEN)
        return config_current(config, version);
    rc = config_version(config, options.generation, version);
    return rc == -ENOENT ? -ERANGE : rc;
}

/* A generation that is older than what is kept: waiting for it is of no use. */
static bool is_gone(int rc, const struct config *config)
{
    return rc == -ERANGE && options.generation < config->record.generation;
}

/* The reader sleeps; what is there is looked at in the same way as without waiting. */
static int take_later(const char *name, struct config *config, const struct shmconf_place *place,
                      struct shmconf_version **version)
{
    struct shmconf_reader reader;
    uint64_t end = clock_monotonic_ns() + options.wait_ns;
    int rc = shmconf_open(&reader, name, SHMCONF_PRIVATE | SHMCONF_SILENT);
    int taken = rc;
    while (!rc) {
        uint64_t now = clock_monotonic_ns();
        uint64_t ms = now < end ? (end - now) / NS_PER_MS + 1 : 0;
        rc = shmconf_wait(&reader, ms < LONG_MAX ? (long)ms : LONG_MAX);
        shmconf_enter(&reader); /* seen: the next wait is for a newer one */
        shmconf_leave(&reader);
        config_close(config);
        taken = take(config, place, version);
        if (!taken || is_gone(taken, config))
            break;
    }
    shmconf_close(&reader);
    return taken;
}

static int report_in_vain(const char *name, int rc)
{
    char span[AGE_SIZE];
    text_span(span, options.wait_ns);
    complain(name,
             "waited %s in vain: %s: see that shmconfd runs and follows it"
             " (ask it once over HTTP), and its log",
             span, rc == -ERANGE ? "that generation did not come" : shmconf_strerror(rc));
    return EXIT_TIMEOUT;
}

static void print_text(const char *name, const struct shmconf_version *version, bool json)
{
    const struct shmconf_slice *text = &version->text;
    if (json) {
        putchar('{');
        json_version(stdout, name, version);
        json_payload(stdout, text);
        puts("}");
        return;
    }
    fwrite(text->data, 1, text->size, stdout);
    if (text->size && text->data[text->size - 1] != '\n' && isatty(STDOUT_FILENO))
        putchar('\n');
}

/* Takes it, by waiting where that was asked for; reports what is in the way. */
static int fetch(const char *name, struct config *config, const struct shmconf_place *place,
                 struct shmconf_version **version)
{
    int rc = take(config, place, version);
    if (rc && options.wait_ns != NOT_GIVEN && !is_gone(rc, config)) {
        rc = take_later(name, config, place, version);
        if (rc && !is_gone(rc, config))
            return report_in_vain(name, rc);
    }
    if (rc == -ERANGE)
        return fail_generation(name, config, options.generation);
    return rc ? fail_config(name, config, rc) : EXIT_FINE;
}

static int cat_run(const struct common *common, char **arguments)
{
    const char *name = arguments[0];
    cleanup_free struct shmconf_place *place = NULL;
    struct shmconf_version *version = NULL;
    struct config config;
    int status = place_make(&place, name);
    if (status)
        return status;
    status = fetch(name, &config, place, &version);
    if (version)
        print_text(name, version, common->json);
    shmconf_version_release(version);
    config_close(&config);
    return status;
}

const struct command cat_command = {
    .name = "cat",
    .arguments = "NAME",
    .summary = "The exact bytes of a configuration.",
    .details =
        "\nOn a terminal a newline is added where the text has none at its end. With --json: an\n"
        "object with \"text\", or \"base64\" where the bytes are not UTF-8.\n",
    .options = rows,
    .least = 1,
    .most = 1,
    .run = cat_run,
};
