/* SPDX-License-Identifier: Apache-2.0 */
/* Files that nobody meets half written: they get their name when they are complete. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "region/internal.h"

static mode_t region_mode(const struct region *region, enum region_kind kind)
{
    static const mode_t modes[][3] = {
        [REGION_OWNER] = {0700, 0600, 0400},
        [REGION_GROUP] = {0750, 0640, 0440},
        [REGION_ALL] = {0755, 0644, 0444},
    };
    return modes[region->options.access][kind];
}

int region_set_access(const struct region *region, int fd, enum region_kind kind)
{
    struct stat status;
    mode_t mode = region_mode(region, kind);
    if (fstat(fd, &status) != 0)
        return -errno;
    if (region->options.has_group && status.st_gid != region->options.group &&
        fchown(fd, (uid_t)-1, region->options.group) != 0)
        return -errno;
    if ((status.st_mode & 07777) == mode)
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

int region_file_create(struct region *region, int directory, enum region_kind kind,
                       struct region_file *file)
{
    *file = (struct region_file){.fd = -1, .directory = directory};
    if (region->has_tmpfile) {
        file->fd = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        /* EISDIR: a kernel, EOPNOTSUPP: a file system (overlay, NFS) that does not know the flag.
         */
        if (file->fd < 0 && errno != EISDIR && errno != EOPNOTSUPP && errno != EINVAL)
            return -errno;
        region->has_tmpfile = file->fd >= 0;
    }
    if (file->fd < 0) {
        temporary_name(file->temporary, sizeof file->temporary);
        file->fd = openat(directory, file->temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        if (file->fd < 0)
            return -errno;
    }
    int rc = region_set_access(region, file->fd, kind);
    if (rc)
        region_file_close(file);
    return rc;
}

/* Links the unnamed file; a file of that name is an orphan and goes. */
static int link_unnamed(const struct region_file *file, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file->fd);
    for (int turn = 0; turn < 2; turn++) {
        if (linkat(AT_FDCWD, path, file->directory, name, AT_SYMLINK_FOLLOW) == 0)
            return 0;
        if (errno != EEXIST || unlinkat(file->directory, name, 0) != 0)
            break;
    }
    return -errno;
}

int region_file_name(struct region *region, struct region_file *file, const char *name)
{
    if (!file->temporary[0]) {
        /* A head replaces one that readers may open right now: it must never be missing. So it gets
           a temporary name first and is renamed; a version's name is not in use. */
        bool is_head = strcmp(name, SHMCONF_HEAD_FILE) == 0;
        char temporary[sizeof file->temporary];
        temporary_name(temporary, sizeof temporary);
        int rc = link_unnamed(file, is_head ? temporary : name);
        if (rc == 0 && !is_head)
            return 0;
        if (rc == -ENOENT)
            region->has_tmpfile = false; /* /proc is gone: the next attempt does without */
        if (rc != 0)
            return rc;
        memcpy(file->temporary, temporary, sizeof temporary);
    }
    if (renameat(file->directory, file->temporary, file->directory, name) != 0)
        return -errno;
    file->temporary[0] = '\0';
    return 0;
}

void region_file_close(struct region_file *file)
{
    if (file->temporary[0])
        unlinkat(file->directory, file->temporary, 0);
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
    file->temporary[0] = '\0';
}

int region_write_all(int fd, const void *bytes, size_t size)
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
