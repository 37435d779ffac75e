/* SPDX-License-Identifier: Apache-2.0 */
/* What of this machine matters to shmconf, probed and not guessed: a line each, with what to do. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/cleanup.h"
#include "loop/uring_setup.h"
#include "shmcat/doctor.h"

void say(struct diagnosis *diagnosis, enum severity severity, const char *subject,
         const char *format, ...)
{
    static const char *const names[] = {[GOOD] = "ok", [NOTE] = "note", [BAD] = "BAD"};
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cleanup_free char *visible = text_visible(text, strlen(text));
    if (diagnosis->json) {
        printf("%s{\"state\":\"%s\",\"subject\":\"%s\"", diagnosis->count ? "," : "",
               severity == BAD ? "bad" : names[severity], subject);
        json_string(stdout, ",\"text\":", visible, strlen(visible));
        putchar('}');
    } else {
        printf("%-5s %-12s %s\n", names[severity], subject, visible);
    }
    diagnosis->count++;
    diagnosis->bad += severity == BAD;
}

const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* ---- The machine ---------------------------------------------------------------------------- */

/* By the daemon's own probe, so that both say the same. */
static void check_uring(struct diagnosis *diagnosis)
{
    struct io_uring ring;
    int code = uring_setup(&ring);
    if (code == 0) {
        io_uring_queue_exit(&ring);
        say(diagnosis, GOOD, "io_uring", "usable here; SHMCONF_LOOP=epoll does without");
        return;
    }
    say(diagnosis, NOTE, "io_uring", "%s; shmconfd uses epoll, which does the same",
        code == -ENOSYS                          ? "not in this kernel"
        : code == -EOPNOTSUPP || code == -EINVAL ? "this kernel's is too old"
        : code == -EPERM || code == -EACCES      ? "not allowed here"
                                                 : strerror(-code));
}

static void check_clocks(struct diagnosis *diagnosis)
{
    enum { RELEASED = 1767225600 }; /* 2026-01-01 */
    struct timespec now = {0};
    struct timespec up = {0};
    char source[64] = "";
    clock_gettime(CLOCK_REALTIME, &now);
    FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
    if (file && fgets(source, sizeof source, file))
        source[strcspn(source, "\n")] = '\0';
    if (file)
        fclose(file);
    if (clock_gettime(CLOCK_BOOTTIME, &up) != 0)
        say(diagnosis, NOTE, "clocks", "no CLOCK_BOOTTIME: a suspended machine is noticed late");
    else if (now.tv_sec < RELEASED)
        say(diagnosis, BAD, "clocks",
            "this machine's date is before 2026: set it, or AWS refuses "
            "what is signed with it");
    else
        say(diagnosis, GOOD, "clocks", "the date is plausible%s%s", *source ? "; source " : "",
            source);
}

static void check_limits(struct diagnosis *diagnosis)
{
    enum { WANTED = 1024 };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_cur < WANTED)
        say(diagnosis, NOTE, "descriptors",
            "ulimit -n is %" PRIu64 ": shmconfd keeps few HTTP connections; raise it to %d",
            (uint64_t)limit.rlim_cur, WANTED);
    else
        say(diagnosis, GOOD, "descriptors", "ulimit -n is %" PRIu64, (uint64_t)limit.rlim_cur);
}

static int doctor_run(const struct common *common, char **arguments)
{
    cleanup_free struct shmconf_place *place = NULL;
    struct settings settings;
    (void)arguments;
    int status = place_make(&place, ANY_NAME);
    if (status)
        return status;
    static void (*const checks[])(struct diagnosis *) = {
        doctor_check_root, doctor_check_daemon, doctor_check_disk, check_uring,
        check_clocks,      check_limits,        doctor_check_port, doctor_check_aws,
    };
    struct diagnosis diagnosis = {.place = place, .json = common->json};
    if (common->json)
        fputs("[", stdout);
    doctor_load_settings(&diagnosis, &settings);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        checks[i](&diagnosis);
    if (common->json)
        puts("]");
    settings_free(&settings);
    return diagnosis.bad ? EXIT_FAILED : EXIT_FINE;
}

const struct command doctor_command = {
    .name = "doctor",
    .arguments = "",
    .summary = "What of this machine matters to shmconf, and what to do.",
    .details =
        "\nA line each: ok; note: it works, but you may want to know; BAD: it does not, and\n"
        "the exit status is 1. Variables are those of this shell, not of a running daemon.\n",
    .least = 0,
    .most = 0,
    .run = doctor_run,
};
