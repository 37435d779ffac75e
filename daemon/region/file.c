/* SPDX-License-Identifier: Apache-2.0 */
/* Files that nobody meets half written: they get their name when they are complete. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "region/internal.h"

mode_t region_mode(const struct region *region, enum region_kind kind)
{
    static const mode_t modes[][3] = {
        [REGION_OWNER] = {0700, 0600, 0400},
        [REGION_GROUP] = {0750, 0640, 0440},
        [REGION_ALL] = {0755, 0644, 0444},
    };
    return modes[region->options.access][kind];
}

bool region_has_access(const struct region *region, enum region_kind kind,
                       const struct stat *status)
{
    const struct region_options *options = &region->options;
    return status->st_uid == geteuid() &&
           (!options->has_group || status->st_gid == options->group) &&
           (status->st_mode & 07777) == region_mode(region, kind);
}

int region_set_access(const struct region *region, int fd, enum region_kind kind,
                      const struct stat *status)
{
    mode_t mode = region_mode(region, kind);
    if (region->options.has_group && status->st_gid != region->options.group &&
        fchown(fd, (uid_t)-1, region->options.group) != 0)
        return -errno;
    if ((status->st_mode & 07777) == mode)
        return 0;
    return fchmod(fd, mode) == 0 ? 0 : -errno;
}

/* ".t" and 16 hexadecimal digits; removed at the next start if we are killed before it is renamed.
 */
static void temporary_name(char *name, size_t size)
{
    uint64_t random;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
        random = clock_monotonic_ns();
    snprintf(name, size, ".t%016llx", (unsigned long long)random);
}

struct unfinished {
    int fd;
    char temporary[32]; /* "" for an unnamed file */
};

/* Closes, and removes what has no lasting name. */
static void file_close(struct unfinished *file, int directory)
{
    if (file->temporary[0])
        unlinkat(directory, file->temporary, 0);
    if (file->fd >= 0)
        close(file->fd);
}

static int create(struct region *region, int directory, struct unfinished *file)
{
    if (region->has_tmpfile) {
        file->fd = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (file->fd >= 0)
            return 0;
        /* EISDIR: a kernel, EOPNOTSUPP: a file system (overlay, NFS) that does not know the flag.
         */
        if (errno != EISDIR && errno != EOPNOTSUPP && errno != EINVAL)
            return -errno;
        region->has_tmpfile = false;
    }
    temporary_name(file->temporary, sizeof file->temporary);
    file->fd = openat(directory, file->temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (file->fd >= 0)
        return 0;
    file->temporary[0] = '\0';
    return -errno;
}

/* Reserves the space, where the file system can: a full disk then fails before a byte is written.
 */
static int reserve(int fd, size_t size)
{
    if (fallocate(fd, 0, 0, (off_t)size) == 0)
        return 0;
    /* Not available (EPERM is what sandboxes say): writing every byte is enough. */
    return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? -errno : 0;
}

static int write_all(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t written = write(fd, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? -errno : -EIO;
        at += written;
        size -= (size_t)written;
    }
    return 0;
}

int region_file_read(int fd, void *bytes, size_t size)
{
    char *to = bytes;
    for (size_t at = 0; at < size;) {
        ssize_t got = pread(fd, to + at, size - at, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EBADMSG;
        at += (size_t)got;
    }
    return 0;
}

int region_file_remove(int directory, const char *name)
{
    if (unlinkat(directory, name, 0) == 0)
        return 0;
    if (errno != EISDIR)
        return -errno;
    return unlinkat(directory, name, AT_REMOVEDIR) == 0 ? 0 : -errno;
}

/* An unnamed file is linked, one with a temporary name renamed. */
static int try_name(const struct unfinished *file, int directory, const char *name)
{
    char path[64];
    int rc;
    if (file->temporary[0]) {
        rc = renameat(directory, file->temporary, directory, name);
    } else {
        snprintf(path, sizeof path, "/proc/self/fd/%d", file->fd);
        rc = linkat(AT_FDCWD, path, directory, name, AT_SYMLINK_FOLLOW);
    }
    return rc == 0 ? 0 : -errno;
}

/* Over what has that name: an orphan, or what somebody else has put there. */
static int take_name(const struct unfinished *file, int directory, const char *name)
{
    int rc = try_name(file, directory, name);
    if (rc != -EEXIST && rc != -EISDIR)
        return rc;
    rc = region_file_remove(directory, name);
    return rc ? rc : try_name(file, directory, name);
}

static int give_name(struct unfinished *file, int directory, enum region_kind kind,
                     const char *name)
{
    int rc;
    if (!file->temporary[0] && kind == REGION_HEAD) {
        /* A head replaces one that readers may open right now, so it must never be missing: it is
           renamed, for which it needs a name first. */
        char temporary[sizeof file->temporary];
        temporary_name(temporary, sizeof temporary);
        rc = take_name(file, directory, temporary);
        if (rc)
            return rc;
        memcpy(file->temporary, temporary, sizeof temporary);
    }
    rc = take_name(file, directory, name);
    if (rc == 0)
        file->temporary[0] = '\0';
    return rc;
}

static int complete(struct region_file *made, int fd, const struct region *region,
                    enum region_kind kind, const void *bytes, size_t size)
{
    if (fstat(fd, &made->status) != 0)
        return -errno;
    int rc = region_set_access(region, fd, kind, &made->status);
    if (!rc)
        rc = reserve(fd, size);
    if (!rc)
        rc = write_all(fd, bytes, size);
    if (rc)
        return rc;
    if (fstat(fd, &made->status) != 0)
        return -errno;
    if (kind != REGION_HEAD)
        return 0;
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    made->map = map;
    return 0;
}

int region_file_write(struct region_file *made, struct region *region, int directory,
                      enum region_kind kind, const char *name, const void *bytes, size_t size)
{
    for (;;) {
        struct unfinished file = {.fd = -1};
        made->map = NULL;
        int rc = create(region, directory, &file);
        if (!rc)
            rc = complete(made, file.fd, region, kind, bytes, size);
        bool is_complete = !rc;
        bool was_unnamed = !file.temporary[0];
        if (!rc)
            rc = give_name(&file, directory, kind, name);
        file_close(&file, directory);
        if (!rc)
            return 0;
        if (made->map)
            munmap(made->map, size);
        /* Naming an unnamed file needs linkat and /proc, and sandboxes forbid either. */
        if (!is_complete || !was_unnamed || rc == -ENOSPC || rc == -EDQUOT || rc == -ENOTEMPTY)
            return rc;
        region->has_tmpfile = false;
    }
}
