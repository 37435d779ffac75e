/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "shmcat/shmcat.h"

enum { SCAN_MS = 100, WAIT_MS = 1000 };

static struct {
    uint64_t count;
    const char *command;
} options = {.count = NOT_GIVEN};

static const struct option_row rows[] = {
    {'n', OPTION_NUMBER, "count", "N", "end after N publications", &options.count},
    {0, OPTION_TEXT, "exec", "CMD", "run CMD by /bin/sh for each, with the text on its stdin",
     &options.command},
    {0},
};

/* What was shown last of a configuration. */
struct last {
    char path[SHMCONF_PARTS * 256]; /* the key when all are followed */
    uint64_t instance;
    uint64_t generation; /* 0: nothing yet */
    int error;           /* already reported */
};

struct follow {
    bool json;
    bool more;     /* publications are wanted */
    uint64_t left; /* of them; NOT_GIVEN: no end */
    void *all;     /* a tree of struct last, by path */
};

/* ---- The command of --exec ---- */

/* The text as a file: unlike a pipe it needs nobody who goes on writing while the command runs. */
static int text_file(const struct shmconf_slice *text)
{
    cleanup_close int fd = memfd_create("shmcat", MFD_CLOEXEC);
    for (size_t at = 0; fd >= 0 && at < text->size;) {
        ssize_t put = write(fd, text->data + at, text->size - at);
        if (put < 0)
            return -1;
        at += (size_t)put;
    }
    return fd >= 0 && lseek(fd, 0, SEEK_SET) == 0 ? steal_fd(&fd) : -1;
}

static void child(const char *name, const struct shmconf_version *version, int input)
{
    char generation[24];
    snprintf(generation, sizeof generation, "%" PRIu64, version->generation);
    if (dup2(input, STDIN_FILENO) < 0 || setenv("SHMCONF_NAME", name, 1) != 0 ||
        setenv("SHMCONF_GENERATION", generation, 1) != 0 ||
        setenv("SHMCONF_CONTENT_TYPE", version->content_type.data, 1) != 0 ||
        setenv("SHMCONF_LABEL", version->label.data, 1) != 0)
        _exit(127);
    execl("/bin/sh", "sh", "-c", options.command, (char *)NULL);
    _exit(127);
}

/* Runs the command and waits for it; that it fails is told and is no reason to end. */
static void execute(const char *name, const struct shmconf_version *version)
{
    int status = 0;
    cleanup_close int input = text_file(&version->text);
    pid_t pid = input < 0 ? -1 : fork();
    if (pid == 0)
        child(name, version, input);
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            pid = -1;
    if (pid < 0)
        complain(name, "the command could not be run: %s", strerror(errno));
    else if (WIFSIGNALED(status))
        complain(name, "the command was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status))
        complain(name, "the command failed with status %d", WEXITSTATUS(status));
}

/* ---- One line for each publication ---- */

static void print_line(bool json, const char *name, const struct shmconf_version *version,
                       uint64_t skipped)
{
    uint64_t now = clock_realtime_ns();
    uint64_t latency = now > version->fetched_ns ? now - version->fetched_ns : 0;
    if (json) {
        json_time(stdout, "{\"time\":", now);
        putchar(',');
        json_version(stdout, name, version);
        printf(",\"latency_ms\":%" PRIu64 ".%03" PRIu64 ",\"skipped\":%" PRIu64 "}\n",
               latency / NS_PER_MS, latency % NS_PER_MS / 1000, skipped);
        return;
    }
    char time[TIME_SIZE];
    char span[AGE_SIZE];
    cleanup_free char *visible = text_visible(name, strlen(name));
    text_time(time, now);
    text_span(span, latency);
    if (latency < 10 * NS_PER_MS)
        snprintf(span, sizeof span, "%" PRIu64 ".%" PRIu64 "ms", latency / NS_PER_MS,
                 latency % NS_PER_MS / 100000);
    printf("%s  %s  generation %" PRIu64 "  %zu bytes  fetched %s ago", time, visible,
           version->generation, version->text.size, span);
    if (skipped)
        printf("  skipped %" PRIu64, skipped);
    putchar('\n');
}

/* Shows the version unless it was shown before. */
static void show(struct follow *follow, struct last *last, const char *name,
                 const struct shmconf_version *version)
{
    if (last->instance == version->instance && last->generation == version->generation)
        return;
    uint64_t skipped = 0;
    if (last->generation && last->instance == version->instance &&
        version->generation > last->generation)
        skipped = version->generation - last->generation - 1;
    last->instance = version->instance;
    last->generation = version->generation;
    last->error = 0;
    print_line(follow->json, name, version, skipped);
    if (fflush(stdout) != 0 || ferror(stdout))
        follow->more = false;
    else if (options.command)
        execute(name, version);
    if (follow->left != NOT_GIVEN && --follow->left == 0)
        follow->more = false;
}

/* A trouble is told when it begins; `config` is what has it, NULL where only the reader knows. */
static void report(struct last *last, const char *subject, const struct config *config, int rc)
{
    if (last->error == rc)
        return;
    last->error = rc;
    if (rc == -ENOENT)
        complain(subject, "nothing is published yet: waiting");
    else if (rc && config)
        fail_config(subject, config, rc);
    else if (rc)
        fail(subject, rc);
}

/* ---- One configuration: the reader sleeps until there is news ---- */

static int follow_one(struct follow *follow, const char *name)
{
    struct shmconf_reader reader;
    struct last last = {0};
    int rc = shmconf_open(&reader, name, SHMCONF_PRIVATE | SHMCONF_SILENT);
    while (rc == 0 && follow->more) {
        int told = shmconf_wait(&reader, WAIT_MS);
        const struct shmconf_version *version = shmconf_enter(&reader);
        if (version)
            show(follow, &last, name, version);
        if (!told || (told == -ETIMEDOUT && !last.generation))
            told = shmconf_error(&reader);
        if (told != -ETIMEDOUT)
            report(&last, name, NULL, told);
        shmconf_leave(&reader);
        guard_output();
    }
    shmconf_close(&reader);
    return rc ? fail(name, rc) : EXIT_FINE;
}

/* ---- All of them: a look at every head, ten times a second ---- */

static int last_order(const void *a, const void *b)
{
    return strcmp(((const struct last *)a)->path, ((const struct last *)b)->path);
}

static struct last *last_of(struct follow *follow, const char *path)
{
    struct last key = {0};
    snprintf(key.path, sizeof key.path, "%s", path);
    struct last **found = tfind(&key, &follow->all, last_order);
    if (found)
        return *found;
    struct last *last = malloc(sizeof *last);
    if (last)
        *last = key;
    if (last && tsearch(last, &follow->all, last_order))
        return last;
    free(last);
    return NULL;
}

static bool follow_visit(struct config *config, void *context)
{
    struct follow *follow = context;
    struct shmconf_version *version = NULL;
    char name[SHMCONF_NAME_TEXT_MAX];
    struct last *last = last_of(follow, config->path);
    if (!last)
        return true;
    int rc = config->error;
    bool is_shown =
        last->instance == config->instance && last->generation == config->record.generation;
    if (!rc && !is_shown)
        rc = config_current(config, &version);
    /* Also that all is well, so that the same trouble is told again when it comes back. */
    report(last, config->path, config,
           rc == -ENOENT || (config->record.state & SHMCONF_MOVED) ? 0 : rc);
    if (version) {
        shmconf_name_print(&config->name, name);
        show(follow, last, name, version);
        shmconf_version_release(version);
    }
    return follow->more;
}

static void follow_all(struct follow *follow, const struct shmconf_place *place)
{
    struct last root = {0};
    struct config config = config_of_root(place);
    while (follow->more) {
        report(&root, place->root, &config, region_scan(place, follow_visit, follow));
        guard_output();
        if (follow->more)
            guard_sleep(SCAN_MS * NS_PER_MS);
    }
    tdestroy(follow->all, free);
}

static int follow_run(const struct common *common, char **arguments)
{
    struct follow follow = {.json = common->json, .more = true, .left = options.count};
    cleanup_free struct shmconf_place *place = NULL;
    int status = place_make(&place, arguments[0] ? arguments[0] : ANY_NAME);
    if (status == EXIT_FINE && arguments[0])
        return follow_one(&follow, arguments[0]);
    if (status == EXIT_FINE)
        follow_all(&follow, place);
    return status;
}

const struct command follow_command = {
    .name = "follow",
    .arguments = "[NAME]",
    .summary = "A line for every publication.",
    .details =
        "\nStarts with the current version; without NAME it follows all configurations, also new\n"
        "ones. \"skipped 3\": so many versions came and went unseen. The command of --exec finds\n"
        "SHMCONF_NAME, SHMCONF_GENERATION, SHMCONF_CONTENT_TYPE and SHMCONF_LABEL in its\n"
        "environment.\n",
    .options = rows,
    .most = 1,
    .run = follow_run,
};
