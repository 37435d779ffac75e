/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Finding a configuration's directory without trusting the place: every level is opened on its own
 * without following links, must belong to a user who is trusted, and must not be writable by
 * others.
 *
 * Trusted are this process's effective user, root, and SHMCONF_OWNER (a uid, or "any"). The root
 * directory itself is exempt when SHMCONF_DIR names it: whoever may rename things in it can hide
 * the region, but cannot forge what lies below.
 */
#ifndef SHMCONF_TRUST_H
#define SHMCONF_TRUST_H

#include <stdlib.h>
#include <string.h>

#include "shmconf/format.h"
#include "shmconf/name.h"
#include "shmconf/system.h"

/* Where a reader looks; made once by shmconf_open. */
struct shmconf_place {
    struct shmconf_name name;
    char segments[SHMCONF_PARTS][SHMCONF_SEGMENT_MAX + 1];
    int root_is_given; /* by SHMCONF_DIR */
    int any_owner;
    int has_owner;
    unsigned long owner;
    char *root; /* without trailing slashes; stands behind this structure */
};

/* NULL when out of memory; freed with free. */
SHMCONF_API struct shmconf_place *shmconf_place_make(const struct shmconf_name *name)
{
    const char *given = getenv("SHMCONF_DIR");
    const char *owner = getenv("SHMCONF_OWNER");
    int root_is_given = given && *given;
    const char *root = root_is_given ? given : SHMCONF_DEFAULT_DIR;
    size_t size = strlen(root);
    while (size > 1 && root[size - 1] == '/')
        size--; /* O_NOFOLLOW would follow "link/" */

    void *memory = calloc(1, sizeof(struct shmconf_place) + size + 1);
    struct shmconf_place *place = SHMCONF_CAST(struct shmconf_place *, memory);
    if (!place)
        return place;
    place->name = *name;
    for (int i = 0; i < SHMCONF_PARTS; i++)
        shmconf_name_segment(name, i, place->segments[i]);
    place->root_is_given = root_is_given;
    void *behind = place + 1;
    place->root = SHMCONF_CAST(char *, behind);
    memcpy(place->root, root, size);
    if (owner && *owner) {
        char *end;
        place->any_owner = strcmp(owner, "any") == 0;
        place->owner = strtoul(owner, &end, 10);
        place->has_owner = *end == '\0';
    }
    return place;
}

/* 0, or -EPERM when a stranger owns it or may write it. */
SHMCONF_API int shmconf_trust(const struct shmconf_place *place, const struct stat *status)
{
    unsigned long owner = status->st_uid;
    if (status->st_mode & 022)
        return -EPERM;
    if (owner == 0 || owner == geteuid() || place->any_owner)
        return 0;
    return place->has_owner && owner == place->owner ? 0 : -EPERM;
}

/* Opens a level below `directory`, closes that one, and returns the new descriptor or -errno. */
SHMCONF_API int shmconf_descend(const struct shmconf_place *place, int directory,
                                const char *segment, int trusted)
{
    struct stat status;
    int fd =
        shmconf_openat(directory, segment, O_RDONLY | SHMCONF_O_DIRECTORY | SHMCONF_O_NOFOLLOW);
    if (fd == -ENOTDIR && shmconf_is_link(directory, segment))
        fd = -ELOOP;
    if (directory >= 0)
        close(directory);
    if (fd < 0)
        return fd;
    int rc = fstat(fd, &status) ? -errno : trusted ? 0 : shmconf_trust(place, &status);
    if (rc) {
        close(fd);
        return rc;
    }
    return fd;
}

/* The configuration's directory: a descriptor or -errno. */
SHMCONF_API int shmconf_walk(const struct shmconf_place *place)
{
    int fd = shmconf_descend(place, SHMCONF_AT_FDCWD, place->root, place->root_is_given);
    for (int i = 0; i < SHMCONF_PARTS && fd >= 0; i++)
        fd = shmconf_descend(place, fd, place->segments[i], 0);
    return fd;
}

/*
 * Opens a regular file of the region and checks its owner, mode and least size: a descriptor or
 * -errno. O_NONBLOCK, since opening a FIFO that was put there would block.
 */
SHMCONF_API int shmconf_open_file(const struct shmconf_place *place, int directory,
                                  const char *file, long least, struct stat *status)
{
    int fd = shmconf_openat(directory, file, O_RDONLY | O_NONBLOCK | SHMCONF_O_NOFOLLOW);
    if (fd < 0)
        return fd;
    int rc = 0;
    if (fstat(fd, status))
        rc = -errno;
    else if ((status->st_mode & 0170000) != 0100000) /* not a regular file */
        rc = -EBADMSG;
    else
        rc = shmconf_trust(place, status);
    if (!rc && status->st_size < least)
        rc = -ENODATA;
    if (rc) {
        close(fd);
        return rc;
    }
    return fd;
}

#endif
