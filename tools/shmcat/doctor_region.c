/* SPDX-License-Identifier: Apache-2.0 */
/* Where the region is or will be: who may read it, who holds it, and what fits there. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "region/others.h"
#include "shmcat/doctor.h"

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

/* Whoever owns a root that SHMCONF_DIR names, what lies below must be of somebody trusted. */
static const char *advice_on_owner(const struct shmconf_place *place, unsigned long uid,
                                   enum severity *severity)
{
    *severity = GOOD;
    if (uid == 0 || uid == geteuid() || place->any_owner ||
        (place->has_owner && uid == place->owner))
        return "";
    *severity = NOTE;
    if (place->has_owner)
        return ": SHMCONF_OWNER is another, whom what lies below must belong to";
    if (!variable("SHMCONF_OWNER"))
        return ": readers of other users need SHMCONF_OWNER";
    *severity = BAD;
    return ": SHMCONF_OWNER is neither a user id nor any, so that readers of other users refuse "
           "what lies below";
}

/* As the daemon that owns it would. */
static void check_access(struct diagnosis *diagnosis, int directory, const struct stat *status)
{
    static const mode_t modes[] = {[SETTINGS_ACCESS_OWNER] = 0700,
                                   [SETTINGS_ACCESS_GROUP] = 0750,
                                   [SETTINGS_ACCESS_ALL] = 0755};
    const char *root = diagnosis->place->root;
    unsigned long uid = status->st_uid;
    enum settings_access access =
        diagnosis->settings ? diagnosis->settings->access : SETTINGS_ACCESS_OWNER;
    if (region_is_of_others(directory, modes[access]) > 0)
        say(diagnosis, BAD, "access",
            "%s is neither empty nor a region: shmconfd of uid %lu refuses it; set SHMCONF_DIR to "
            "a "
            "directory of its own",
            root, uid);
    else if (status->st_mode & 022)
        say(diagnosis, NOTE, "access", "others may write in %s: shmconfd of uid %lu closes it",
            root, uid);
}

void doctor_check_root(struct diagnosis *diagnosis)
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
        enum severity severity;
        const char *advice = advice_on_owner(diagnosis->place, status.st_uid, &severity);
        say(diagnosis, severity, "region", "%s, of uid %lu, mode %03o%s", root,
            (unsigned long)status.st_uid, (unsigned)status.st_mode & 0777, advice);
        check_access(diagnosis, fd, &status);
    }
    close(fd);
}

/* As the daemon tells what a kernel or a file system does not know from what fails. */
static void check_files(struct diagnosis *diagnosis, const char *directory)
{
    cleanup_close int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        say(diagnosis, GOOD, "files", "files without a name can be made in %s", directory);
    else if (errno == EISDIR || errno == EOPNOTSUPP || errno == EINVAL)
        say(diagnosis, NOTE, "files",
            "%s cannot have files without a name; shmconfd uses names "
            "that begin with .t instead",
            directory);
    else
        say(diagnosis, NOTE, "files",
            "no file can be made in %s: %s; shmconfd's user must be able to", directory,
            strerror(errno));
}

void doctor_check_disk(struct diagnosis *diagnosis)
{
    struct statvfs disk;
    cleanup_free char *directory = nearest_directory(diagnosis->place->root);
    if (statvfs(directory, &disk) != 0) {
        say(diagnosis, BAD, "disk", "%s: %s", directory, strerror(errno));
        return;
    }
    uint64_t mib = (uint64_t)disk.f_bavail * disk.f_frsize >> 20;
    enum severity space = mib >= 16 ? GOOD : mib >= 1 ? NOTE : BAD;
    if ((disk.f_flag & ST_RDONLY) && region_is_held(diagnosis->place))
        say(diagnosis, NOTE, "disk", "%s is read-only here, which is enough for readers",
            directory);
    else if (disk.f_flag & ST_RDONLY)
        say(diagnosis, BAD, "disk", "%s is read-only: set SHMCONF_DIR to where one may write",
            directory);
    else if (disk.f_files > 0 && disk.f_favail == 0)
        say(diagnosis, BAD, "disk", "no file can be made in %s: it has no inodes left", directory);
    else
        say(diagnosis, space, "disk",
            "%" PRIu64 " MiB are free in %s; a configuration needs twice its size", mib, directory);
    check_files(diagnosis, directory);
}
