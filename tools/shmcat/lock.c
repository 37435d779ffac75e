/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds the region's lock, and whether that process runs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "shmcat/shmcat.h"

int root_is_held(int root)
{
    if (flock(root, LOCK_SH | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? 1 : -errno;
    flock(root, LOCK_UN);
    return 0;
}

bool region_is_held(const struct shmconf_place *place)
{
    cleanup_close int root =
        shmconf_descend(place, SHMCONF_AT_FDCWD, place->root, place->root_is_given);
    return root >= 0 && root_is_held(root) == 1;
}

/* The file whose lock is looked for, with the device as the kernel's tables have it. */
struct lock {
    long mount;
    dev_t device;
    ino_t inode;
    long pid; /* of who holds it; 0: not seen */
};

/* Calls `take` for each line of a file of /proc until it returns true; false: it never did. */
static bool find_line(const char *path, bool (*take)(char *line, struct lock *lock),
                      struct lock *lock)
{
    cleanup_free char *line = NULL;
    size_t room = 0;
    bool is_found = false;
    FILE *file = fopen(path, "re");
    while (file && !is_found && getline(&line, &room, file) > 0)
        is_found = take(line, lock);
    if (file)
        fclose(file);
    return is_found;
}

/* "MAJOR:MINOR" and one character more; NULL: something else. */
static char *take_device(char *text, int base, dev_t *device)
{
    unsigned long major = strtoul(text, &text, base);
    if (*text++ != ':')
        return NULL;
    unsigned long minor = strtoul(text, &text, base);
    *device = makedev((unsigned)major, (unsigned)minor);
    return *text ? text + 1 : NULL;
}

/* Of /proc/self/fdinfo/FD. */
static bool take_mount(char *line, struct lock *lock)
{
    static const char key[] = "mnt_id:";
    if (strncmp(line, key, sizeof key - 1) != 0)
        return false;
    lock->mount = strtol(line + sizeof key - 1, NULL, 10);
    return true;
}

/* Of /proc/self/mountinfo, "MOUNT PARENT MAJOR:MINOR ...". */
static bool take_mount_device(char *line, struct lock *lock)
{
    dev_t device;
    if (strtol(line, &line, 10) != lock->mount)
        return false;
    strtol(line, &line, 10);
    if (!take_device(line, 10, &device))
        return false;
    lock->device = device;
    return true;
}

/*
 * Of /proc/locks, "1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF" with the device in
 * hexadecimal. Those who wait have "->" there.
 */
static bool take_holder(char *line, struct lock *lock)
{
    enum { KIND = 1, PID = 4, PLACE = 5, FIELDS };
    char *fields[FIELDS];
    char *rest = line;
    dev_t device;
    for (int i = 0; i < FIELDS; i++)
        if (!(fields[i] = strtok_r(i ? NULL : line, " ", &rest)))
            return false;
    const char *inode = take_device(fields[PLACE], 16, &device);
    if (!inode || strcmp(fields[KIND], "FLOCK") != 0 || device != lock->device ||
        strtoul(inode, NULL, 10) != lock->inode)
        return false;
    lock->pid = strtol(fields[PID], NULL, 10);
    return true;
}

/* What stat() says is not what /proc/locks does where a file system gives each of its parts a
 * device of its own, as btrfs does. */
static void find_holder(struct lock *lock, int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    if (find_line(path, take_mount, lock))
        find_line("/proc/self/mountinfo", take_mount_device, lock);
    find_line("/proc/locks", take_holder, lock);
}

long root_holder(int root)
{
    struct stat status;
    if (fstat(root, &status) != 0)
        return 0;
    struct lock lock = {.device = status.st_dev, .inode = status.st_ino};
    find_holder(&lock, root);
    /* /proc/locks has also the processes that /proc hides. */
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld", lock.pid);
    return access(path, F_OK) == 0 ? lock.pid : 0;
}

/* Of /proc/PID/status; t: by a debugger. */
static bool take_stopped(char *line, struct lock *lock)
{
    (void)lock;
    return strncmp(line, "State:\tT", 8) == 0 || strncmp(line, "State:\tt", 8) == 0;
}

bool process_is_stopped(long pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/status", pid);
    return find_line(path, take_stopped, NULL);
}
