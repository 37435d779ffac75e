/* SPDX-License-Identifier: Apache-2.0 */
/* The root directory: whose it is, and the lock that makes us the only writer. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "region/internal.h"
#include "region/others.h"

/* How long a predecessor that is just ending may keep the lock. */
enum { LOCK_ATTEMPTS = 20, LOCK_PAUSE_MS = 10 };

/* The root of a mount: a container's shared volume belongs to whoever made the volume. */
static bool is_mount_point(int directory, const struct stat *status)
{
    struct stat parent;
#ifdef STATX_ATTR_MOUNT_ROOT /* musl before 1.2.4 has no statx */
    struct statx extended;
    if (statx(directory, "", AT_EMPTY_PATH, 0, &extended) == 0 &&
        (extended.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT))
        return (extended.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
#endif
    return fstatat(directory, "..", &parent, 0) == 0 && parent.st_dev != status->st_dev;
}

static int not_ours(const struct region *region, const struct stat *status, struct error *error)
{
    return error_set(error, EPERM, region->path,
                     "belongs to uid %u, and this daemon runs as uid %u; remove it, or set "
                     "SHMCONF_DIR to a directory of its own (for example a mounted volume)",
                     (unsigned)status->st_uid, (unsigned)geteuid());
}

/* Opens or makes the root, as ours or as an allowed mount point. Sets root, device, inode. */
static int open_root(struct region *region, struct error *error)
{
    struct stat status;
    if (mkdir(region->path, 0700) != 0 && errno != EEXIST)
        return error_system(error, errno, region->path, "cannot make the region's directory");
    cleanup_close int fd = open(region->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        int code = errno;
        if (lstat(region->path, &status) == 0 && S_ISLNK(status.st_mode))
            return error_set(error, ELOOP, region->path,
                             "is a symbolic link, and could be turned elsewhere; name the real "
                             "directory in SHMCONF_DIR");
        if (code == ENOTDIR)
            return error_set(
                error, code, region->path,
                "is not a directory; name one in SHMCONF_DIR, or remove what is there");
        if (lstat(region->path, &status) == 0 && status.st_uid != geteuid())
            return not_ours(region, &status, error);
        return error_system(error, code, region->path, "cannot open the region's directory");
    }
    if (fstat(fd, &status) != 0)
        return error_system(error, errno, region->path, "cannot look at the region's directory");
    region->is_foreign = status.st_uid != geteuid();
    if (region->is_foreign && !(region->options.path_is_given && is_mount_point(fd, &status)))
        return not_ours(region, &status, error);
    if (!region->is_foreign) {
        int rc = region_is_of_others(fd, region_mode(region, REGION_DIRECTORY));
        if (rc < 0)
            return error_system(error, -rc, region->path, "cannot look at what is there");
        if (rc > 0)
            return error_set(error, EPERM, region->path,
                             "is neither empty nor a region; set SHMCONF_DIR to a directory of its "
                             "own");
        rc = region_set_access(region, fd, REGION_DIRECTORY, &status);
        if (rc)
            return error_system(error, -rc, region->path, "cannot set mode or group");
    }
    region->device = status.st_dev;
    region->inode = status.st_ino;
    region->root = steal_fd(&fd);
    return 0;
}

/*
 * The lock is on the directory itself: a file inside could be removed with the rest, and systemd's
 * ageing of /tmp leaves a directory alone that is locked so.
 */
static int lock_root(struct region *region, int attempts, struct error *error)
{
    for (int attempt = 0; flock(region->root, LOCK_EX | LOCK_NB) != 0; attempt++) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_system(error, errno, region->path, "cannot lock the region");
        if (attempt == attempts)
            return error_set(error, EWOULDBLOCK, region->path,
                             "another shmconfd is running here; %s",
                             region->options.may_come_later
                                 ? "nothing is to be done, it is tried again each second"
                                 : "stop it, or give this one its own SHMCONF_DIR");
        poll(NULL, 0, LOCK_PAUSE_MS);
    }
    return 0;
}

/* Whether the path still names the directory that we opened. */
static bool root_is_named(const struct region *region)
{
    struct stat status;
    return lstat(region->path, &status) == 0 && status.st_dev == region->device &&
           status.st_ino == region->inode;
}

static int open_and_lock(struct region *region, int lock_attempts, struct error *error)
{
    for (int attempt = 0; attempt < 10; attempt++) {
        int rc = open_root(region, error);
        if (rc)
            return rc;
        rc = lock_root(region, lock_attempts, error);
        if (!rc && root_is_named(region)) {
            region_root_sweep(region);
            return 0;
        }
        close(steal_fd(&region->root));
        if (rc)
            return rc;
    }
    return error_set(error, EAGAIN, region->path, "is being replaced again and again");
}

/* 16 bytes of hexadecimal digits and dashes; stays 0 where /proc is missing. */
static void read_boot_id(uint8_t boot_id[16])
{
    char text[37] = "";
    cleanup_close int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) != sizeof text - 1)
        return;
    unsigned at = 0;
    for (const char *c = text; *c && at < 32; c++) {
        int digit = shmconf_hex_digit(*c);
        if (digit < 0)
            continue;
        boot_id[at / 2] = (uint8_t)(boot_id[at / 2] << 4 | digit);
        at++;
    }
}

int region_open(struct region **out, const struct region_options *options, struct error *error)
{
    struct region *region = calloc(1, sizeof *region);
    char *path = strdup(options->path);
    if (!region || !path) {
        free(region);
        free(path);
        return error_system(error, ENOMEM, options->path, "cannot open the region");
    }
    for (size_t size = strlen(path); size > 1 && path[size - 1] == '/'; size--)
        path[size - 1] = '\0'; /* O_NOFOLLOW would follow "link/" */
    region->path = path;
    region->root = -1;
    region->options = *options;
    /* An unnamed file gets its name through /proc. */
    region->has_tmpfile = access("/proc/self/fd", F_OK) == 0;
    read_boot_id(region->boot_id);
    int rc = open_and_lock(region, LOCK_ATTEMPTS, error);
    if (rc && !options->may_come_later) {
        region_close(region);
        return rc;
    }
    *out = region;
    return rc;
}

void region_close(struct region *region)
{
    if (!region)
        return;
    if (region->root >= 0)
        close(region->root);
    free(region->path);
    free(region->source);
    free(region);
}

int region_check_root(struct region *region, struct error *error)
{
    struct stat status;
    if (region->root >= 0 && root_is_named(region)) {
        if (!region->is_foreign && fstat(region->root, &status) == 0)
            region_set_access(region, region->root, REGION_DIRECTORY, &status);
        return 0;
    }
    if (region->root >= 0)
        close(steal_fd(&region->root));
    /* Nobody is kept waiting for a lock: there is another time. */
    int rc = open_and_lock(region, 0, error);
    if (rc)
        return rc;
    return 1;
}

struct recovery {
    struct region *region;
    region_found *found; /* NULL: nobody is to be told */
    void *context;
    struct error *unread; /* the first place that could not be looked at */
};

static void note_unread(const struct recovery *recovery, int code)
{
    if (recovery->unread->code == 0)
        error_system(recovery->unread, code, recovery->region->path, "cannot look at all of it");
}

/* The configuration in one profile's directory. */
static bool recover_entry(const struct recovery *recovery, int directory)
{
    struct region *region = recovery->region;
    struct region_entry *entry;
    struct shmconf_name name;
    struct shmconf_record record;
    struct head head = {0};
    int rc = head_open(&head, region, directory, NULL, &name, &record);
    if (rc == -ENOENT)
        region_directory_sweep(directory, 0); /* a first publication that did not come to its end */
    if (entry_is_open_question(rc))
        note_unread(recovery, -rc);
    if (rc)
        return false;
    head_close(&head);
    if (region_entry_open(&entry, region, &name, NULL) != 0) {
        note_unread(recovery, ENOMEM);
        return false;
    }
    if (entry_is_open_question(entry->untaken))
        note_unread(recovery, -entry->untaken);
    enum region_damage damage = region_entry_damage(entry);
    if (recovery->found && damage != REGION_SOUND) {
        record.next_ns = 0;
        recovery->found(recovery->context, &name, &record, damage);
    } else if (recovery->found && region_entry_version(entry)) {
        recovery->found(recovery->context, &name, region_entry_record(entry), damage);
    }
    region_entry_close(entry);
    return true;
}

static unsigned recover_level(const struct recovery *recovery, int parent, const char *name,
                              int level)
{
    unsigned found = 0;
    struct stat status;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP && errno != EACCES)
            note_unread(recovery, errno);
        return 0;
    }
    int rc = fstat(fd, &status);
    if (rc != 0)
        note_unread(recovery, errno);
    if (rc != 0 || (level > 0 && status.st_uid != geteuid())) {
        close(fd);
        return 0;
    }
    if (level == SHMCONF_PARTS) {
        found = recover_entry(recovery, fd);
        close(fd);
        return found;
    }
    DIR *stream = fdopendir(fd);
    if (!stream) {
        note_unread(recovery, errno);
        close(fd);
        return 0;
    }
    errno = 0;
    for (struct dirent *entry; (entry = readdir(stream)); errno = 0)
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, "lost+found") != 0)
            found += recover_level(recovery, fd, entry->d_name, level + 1);
    if (errno)
        note_unread(recovery, errno);
    closedir(stream);
    return found;
}

unsigned region_recover_each(struct region *region, region_found *found, void *context,
                             struct error *error)
{
    struct recovery recovery = {region, found, context, error};
    error->code = 0;
    return recover_level(&recovery, region->root, ".", 0);
}

unsigned region_recover(struct region *region)
{
    struct error error;
    return region_recover_each(region, NULL, NULL, &error);
}
