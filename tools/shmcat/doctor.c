/* SPDX-License-Identifier: Apache-2.0 */
/* What of this machine matters to shmconf, probed and not guessed: a line each, with what to do. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "loop/uring_setup.h"
#include "shmcat/doctor.h"

void say(struct diagnosis *diagnosis, enum severity severity, const char *subject,
         const char *format, ...)
{
    static const char *const names[] = {[GOOD] = "ok", [NOTE] = "note", [BAD] = "BAD"};
    char text[512];
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

/* ---- The region ----------------------------------------------------------------------------- */

/* The directory that holds it. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return text_format(slash ? "/" : ".");
    return text_format("%.*s", (int)(slash - path), path);
}

/* Where the region is, or will be: the nearest directory that exists. */
static char *nearest_directory(const char *path)
{
    char *at = text_format("%s", path);
    while (access(at, F_OK) != 0 && strcmp(at, ".") != 0) {
        char *parent = parent_of(at);
        free(at);
        at = parent;
    }
    return at;
}

/* The daemon makes the last level only. */
static bool is_parent_there(const char *root)
{
    cleanup_free char *parent = parent_of(root);
    return access(parent, F_OK) == 0;
}

static void check_root(struct diagnosis *diagnosis)
{
    const char *root = diagnosis->place->root;
    struct stat status;
    int fd =
        shmconf_descend(diagnosis->place, SHMCONF_AT_FDCWD, root, diagnosis->place->root_is_given);
    if (fd == -ENOENT && is_parent_there(root)) {
        say(diagnosis, NOTE, "region", "%s is not there: shmconfd makes it when it starts", root);
        return;
    }
    if (fd == -ENOENT) {
        say(diagnosis, BAD, "region", "%s cannot be made: make the directory above it first", root);
        return;
    }
    if (fd < 0) {
        say(diagnosis, BAD, "region", "%s: %s: %s", root, shmconf_strerror(fd),
            fd == -EACCES ? "look as its owner, or set SHMCONF_ACCESS where shmconfd runs"
                          : "remove it, or see SHMCONF_DIR and SHMCONF_OWNER");
        return;
    }
    if (fstat(fd, &status) == 0) {
        bool is_strange = status.st_uid != 0 && status.st_uid != geteuid() &&
                          shmconf_trust(diagnosis->place, &status) != 0;
        say(diagnosis, is_strange ? NOTE : GOOD, "region", "%s, of uid %lu, mode %03o%s", root,
            (unsigned long)status.st_uid, (unsigned)status.st_mode & 0777,
            is_strange ? ": readers of other users need SHMCONF_OWNER" : "");
    }
    close(fd);
}

/*
 * The process in a line of /proc/locks, "1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF" with
 * the device in hexadecimal, if it locks this file; else 0. Those who wait have "->" there.
 */
static long lock_of(char *line, const struct stat *file)
{
    enum { KIND = 1, PID = 4, PLACE = 5, FIELDS };
    char *fields[FIELDS];
    char *rest = line;
    for (int i = 0; i < FIELDS; i++)
        if (!(fields[i] = strtok_r(i ? NULL : line, " ", &rest)))
            return 0;
    char *end = fields[PLACE];
    unsigned long device[2];
    for (int i = 0; i < 2; i++) {
        device[i] = strtoul(end, &end, 16);
        if (*end++ != ':')
            return 0;
    }
    if (strcmp(fields[KIND], "FLOCK") != 0 || strtoul(end, NULL, 10) != file->st_ino ||
        makedev((unsigned)device[0], (unsigned)device[1]) != file->st_dev)
        return 0;
    return strtol(fields[PID], NULL, 10);
}

static long lock_holder(const struct stat *root)
{
    char line[256];
    long holder = 0;
    FILE *file = fopen("/proc/locks", "re");
    while (file && !holder && fgets(line, sizeof line, file))
        holder = lock_of(line, root);
    if (file)
        fclose(file);
    return holder;
}

/* As /proc/PID/stat has it behind the name. */
static bool is_stopped(long pid)
{
    char path[64];
    char line[512] = "";
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    const char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    fclose(file);
    char state = '\0';
    if (end && end[1] == ' ')
        state = end[2];
    return state == 'T' || state == 't'; /* t: by a debugger */
}

static void check_daemon(struct diagnosis *diagnosis)
{
    struct stat status;
    if (stat(diagnosis->place->root, &status) != 0)
        return;
    long pid = lock_holder(&status);
    if (pid && is_stopped(pid))
        say(diagnosis, BAD, "daemon", "process %ld holds the region and is stopped: kill -CONT %ld",
            pid, pid);
    else if (pid)
        say(diagnosis, GOOD, "daemon", "process %ld holds the region", pid);
    else
        say(diagnosis, NOTE, "daemon", "nobody is seen to hold the region: start shmconfd");
}

static void check_disk(struct diagnosis *diagnosis)
{
    struct statvfs disk;
    cleanup_free char *directory = nearest_directory(diagnosis->place->root);
    if (statvfs(directory, &disk) != 0) {
        say(diagnosis, BAD, "disk", "%s: %s", directory, strerror(errno));
        return;
    }
    uint64_t mib = (uint64_t)disk.f_bavail * disk.f_frsize >> 20;
    enum severity space = mib >= 16 ? GOOD : mib >= 1 ? NOTE : BAD;
    if (disk.f_flag & ST_RDONLY)
        say(diagnosis, BAD, "disk", "%s is read-only: set SHMCONF_DIR to where one may write",
            directory);
    else if (disk.f_files > 0 && disk.f_favail == 0)
        say(diagnosis, BAD, "disk", "no file can be made in %s: it has no inodes left", directory);
    else
        say(diagnosis, space, "disk",
            "%" PRIu64 " MiB are free in %s; a configuration needs twice its size", mib, directory);
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) {
        say(diagnosis, GOOD, "files", "files without a name can be made in %s", directory);
        close(fd);
    } else if (errno == EACCES || errno == EROFS || errno == EPERM || errno == ENOSPC) {
        say(diagnosis, NOTE, "files", "%s: %s; shmconfd's user must be able to", directory,
            strerror(errno));
    } else {
        say(diagnosis, NOTE, "files",
            "%s cannot have files without a name; shmconfd uses names "
            "that begin with .t instead",
            directory);
    }
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

/* ---- The other side ------------------------------------------------------------------------- */

/* The first of two variables that is set, or NULL. */
static const char *first_set(const char *one, const char *other)
{
    const char *value = getenv(one);
    if (!value || !*value)
        value = getenv(other);
    return value && *value ? value : NULL;
}

static void check_credentials(struct diagnosis *diagnosis)
{
    bool has_key = first_set("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID") != NULL;
    bool has_secret = first_set("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY") != NULL;
    const char *region = first_set("AWS_REGION", "AWS_DEFAULT_REGION");
    if (has_key && has_secret)
        say(diagnosis, GOOD, "credentials", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are set");
    else if (has_key || has_secret)
        say(diagnosis, BAD, "credentials",
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go "
            "together: set %s as well",
            has_key ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    else if (first_set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                       "AWS_CONTAINER_CREDENTIALS_FULL_URI"))
        say(diagnosis, GOOD, "credentials", "a container's endpoint gives them");
    else
        say(diagnosis, NOTE, "credentials",
            "none in this environment; AppConfig needs them where shmconfd runs");
    if (region)
        say(diagnosis, GOOD, "AWS region", "%.64s", region);
    else
        say(diagnosis, NOTE, "AWS region",
            "AWS_REGION is not set in this environment; AppConfig needs it where shmconfd runs");
}

static int doctor_run(const struct common *common, char **arguments)
{
    cleanup_free struct shmconf_place *place = NULL;
    (void)arguments;
    int status = place_make(&place, ANY_NAME);
    if (status)
        return status;
    static void (*const checks[])(struct diagnosis *) = {
        check_root,   check_daemon, check_disk,        check_uring,
        check_clocks, check_limits, doctor_check_port, check_credentials,
    };
    struct diagnosis diagnosis = {.place = place, .json = common->json};
    if (common->json)
        fputs("[", stdout);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        checks[i](&diagnosis);
    if (common->json)
        puts("]");
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
