/* SPDX-License-Identifier: Apache-2.0 */
/* The directories below the root: application, environment, profile. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "region/file_names.h"
#include "region/internal.h"
#include "region/others.h"

void region_path(const struct shmconf_name *name, char *path, size_t size)
{
    char segments[SHMCONF_PARTS][SHMCONF_SEGMENT_MAX + 1];
    for (int i = 0; i < SHMCONF_PARTS; i++)
        shmconf_name_segment(name, i, segments[i]);
    snprintf(path, size, "%s/%s/%s", segments[0], segments[1], segments[2]);
}

/* One level, which must be a real directory of ours: a stranger's could be swapped under us. */
static int open_level(struct region *region, int parent, const char *segment, bool make)
{
    struct stat status;
    if (make && mkdirat(parent, segment, 0700) != 0 && errno != EEXIST)
        return -errno;
    int fd = openat(parent, segment, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = 0;
    if (fstat(fd, &status) != 0)
        rc = -errno;
    else if (status.st_uid != geteuid())
        rc = -EPERM;
    else
        rc = region_set_access(region, fd, REGION_DIRECTORY, &status);
    if (rc) {
        close(fd);
        return rc;
    }
    return fd;
}

int region_directory_open(struct region *region, const char *path, bool make)
{
    char copy[REGION_PATH_SIZE];
    char *rest;
    if (region->root < 0)
        return -ENOENT; /* the root cannot be had now; region_check_root says why */
    snprintf(copy, sizeof copy, "%s", path);
    int fd = region->root;
    for (char *segment = strtok_r(copy, "/", &rest); segment;
         segment = strtok_r(NULL, "/", &rest)) {
        int next = open_level(region, fd, segment, make);
        if (fd != region->root)
            close(fd);
        if (next < 0)
            return next;
        fd = next;
    }
    return fd;
}

bool region_directory_is_in_place(const struct region *region, const char *path)
{
    struct stat status;
    char level[REGION_PATH_SIZE];
    size_t size = 0;
    do {
        size += strcspn(path + size, "/");
        snprintf(level, sizeof level, "%.*s", (int)size, path);
        if (fstatat(region->root, level, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISDIR(status.st_mode) || !region_has_access(region, REGION_DIRECTORY, &status))
            return false;
    } while (path[size++] == '/');
    return true;
}

/* Nothing else. Without a head the directory may be anybody's, whatever the file's name is. */
static bool is_orphan(int directory, const char *name, uint64_t generation)
{
    char keep[SHMCONF_VERSION_FILE_SIZE];
    if (region_file_is_temporary(name))
        return true;
    if (!region_file_is_version(name))
        return false;
    if (generation == 0)
        return region_file_begins_with(directory, name, SHMCONF_VERSION_MAGIC) > 0;
    for (uint64_t back = 0; back < 2 && generation > back; back++) {
        shmconf_version_file(keep, generation - back);
        if (strcmp(name, keep) == 0)
            return false;
    }
    return true;
}

void region_directory_sweep(int directory, uint64_t generation)
{
    DIR *stream = list_directory(directory);
    if (!stream)
        return;
    for (struct dirent *entry; (entry = readdir(stream));)
        if (is_orphan(directory, entry->d_name, generation))
            region_file_remove(directory, entry->d_name);
    closedir(stream);
}

/* Others may put files of theirs into a root that is a mount point. */
static bool is_own_file(int directory, const char *name)
{
    struct stat status;
    return fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
           status.st_uid == geteuid();
}

void region_root_sweep(const struct region *region)
{
    DIR *stream = list_directory(region->root);
    if (!stream)
        return;
    for (struct dirent *entry; (entry = readdir(stream));)
        if (region_file_is_temporary(entry->d_name) && is_own_file(region->root, entry->d_name))
            unlinkat(region->root, entry->d_name, 0);
    closedir(stream);
}
