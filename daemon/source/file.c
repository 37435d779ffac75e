/* SPDX-License-Identifier: Apache-2.0 */
#include "source/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "log/log.h"

struct file_signature file_signature_of(const struct stat *status)
{
    return (struct file_signature){.device = status->st_dev,
                                   .inode = status->st_ino,
                                   .size = status->st_size,
                                   .modified = status->st_mtim,
                                   .changed = status->st_ctim};
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool file_signature_equal(const struct file_signature *a, const struct file_signature *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           is_same_time(&a->modified, &b->modified) && is_same_time(&a->changed, &b->changed);
}

/* Reads up to `size` bytes; the count, less at an early end of file, or -errno. */
static ssize_t read_up_to(int fd, char *out, size_t size)
{
    size_t have = 0;
    while (have < size) {
        ssize_t got = read(fd, out + have, size - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

/* Why these bytes are not to be published: 0 or an error. */
static int check(const struct source_file *file, const char *text, size_t size, struct error *error)
{
    struct json_position where;
    if (size == 0)
        return error_set(error, EINVAL, file->name, "is empty");
    if (!file->parsed.is_json)
        return 0;
    if (json_check(text, size, &where) == 0)
        return 0;
    return error_set(error, EINVAL, file->name, "is not JSON: line %zu, column %zu: %s", where.line,
                     where.column, where.problem);
}

static void bad(struct source_file *file, const struct error *error)
{
    file->is_bad = true;
    file->error = *error;
    configuration_fail(file->configuration, error, NULL);
}

static void deliver(struct source_file *file, const char *text, size_t size, uint64_t started_ns)
{
    struct error error;
    if (check(file, text, size, &error) != 0) {
        bad(file, &error);
        return;
    }
    struct region_content content = {.payload = text,
                                     .size = size,
                                     .content_type = file->parsed.content_type,
                                     .label = "",
                                     .kind = file->parsed.is_json ? SHMCONF_JSON : SHMCONF_OPAQUE};
    file->is_bad = false;
    if (configuration_deliver(file->configuration, &content, started_ns) < 0)
        file->current.size = -1; /* no file's: the next look takes it for changed */
}

/* Reads `size` bytes of the open file and publishes them, unless it changes meanwhile. */
static bool read_and_deliver(struct source_file *file, int fd, size_t size, uint64_t started_ns)
{
    struct error error;
    struct stat after;
    cleanup_free char *text = malloc(size + 1);
    if (!text) {
        error_system(&error, ENOMEM, file->name, "cannot be read");
        bad(file, &error);
        return true;
    }
    /* One byte more than it should have: a file that grows shows. */
    ssize_t got = read_up_to(fd, text, size + 1);
    if (got < 0) {
        error_system(&error, (int)-got, file->name, "cannot be read");
        bad(file, &error);
        return true;
    }
    if ((size_t)got != size || fstat(fd, &after) != 0)
        return false;
    struct file_signature now = file_signature_of(&after);
    if (!file_signature_equal(&file->pending, &now))
        return false;
    file->current = now;
    deliver(file, text, size, started_ns);
    return true;
}

/* Why it cannot even be opened. False: descriptors ran out, as in a rush of clients, and will be
 * back. */
static bool report_unopened(struct source_file *file, int code)
{
    enum { SHORTAGES_MAX = 20 };
    struct error error;
    if ((code == EMFILE || code == ENFILE) && ++file->shortages < SHORTAGES_MAX)
        return false;
    if (code == ENOENT)
        error_set(&error, code, file->name, "is gone, or a link to nothing");
    else
        error_system(&error, code, file->name, "cannot be read");
    file->current = (struct file_signature){0};
    bad(file, &error);
    return true;
}

bool source_file_read(struct source_file *file, int directory)
{
    uint64_t started_ns = clock_monotonic_ns();
    struct stat status;
    struct error error;
    /* O_NONBLOCK: opening a FIFO would block. */
    cleanup_close int fd =
        directory < 0 ? -1 : openat(directory, file->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    file->is_read = true;
    if (fd < 0 || fstat(fd, &status) != 0)
        return report_unopened(file, directory < 0 ? ENOENT : errno);
    file->shortages = 0;
    struct file_signature signature = file_signature_of(&status);
    if (!file_signature_equal(&signature, &file->pending))
        return false;
    if (!S_ISREG(status.st_mode) || status.st_size > FILE_SIZE_MAX) {
        error_set(&error, EINVAL, file->name,
                  S_ISREG(status.st_mode) ? "is larger than 16 MiB" : "is not a regular file");
        file->current = signature;
        bad(file, &error);
        return true;
    }
    log_subject(LOG_LEVEL_DEBUG, file->name, "reading %lld bytes", (long long)status.st_size);
    return read_and_deliver(file, fd, (size_t)status.st_size, started_ns);
}
