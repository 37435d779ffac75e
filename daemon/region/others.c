/* SPDX-License-Identifier: Apache-2.0 */
#include "region/others.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "region/file_names.h"
#include "shmconf/format.h"
#include "shmconf/name.h"

/* Entries that are looked at: who names a whole disk is told so in time. */
enum { LOOKS_MAX = 20000, MAGIC_SIZE = 8 };

struct search {
    mode_t mode;
    unsigned looks;
    bool has_head;
    bool has_others;
};

int region_file_begins_with(int directory, const char *name, const char *magic)
{
    char bytes[MAGIC_SIZE];
    cleanup_close int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t got = read(fd, bytes, sizeof bytes);
    if (got < 0)
        return -errno;
    return got == sizeof bytes && memcmp(bytes, magic, sizeof bytes) == 0;
}

static bool is_of_all_directories(const char *name, int level)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
           (level == 0 && strcmp(name, "lost+found") == 0); /* of a new volume */
}

/* A file in a profile's directory. 0, or -errno. */
static int look_at_file(struct search *search, int directory, const char *name)
{
    int rc = 0;
    if (strcmp(name, SHMCONF_HEAD_FILE) == 0) {
        rc = region_file_begins_with(directory, name, SHMCONF_HEAD_MAGIC);
        search->has_head = rc > 0;
    } else if (region_file_is_version(name)) {
        rc = region_file_begins_with(directory, name, SHMCONF_VERSION_MAGIC);
        search->has_others |= rc == 0;
    } else if (!region_file_is_temporary(name)) {
        search->has_others = true;
    }
    /* A link, or a directory, is not what failed. */
    return rc < 0 && rc != -ELOOP && rc != -EISDIR && rc != -ENOENT ? rc : 0;
}

/* Goes down to the profiles, until a head is found. 0, or -errno. */
static int look(struct search *search, int parent, const char *name, int level)
{
    struct stat status;
    int rc = 0;
    cleanup_close int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ENOTDIR || errno == ELOOP || errno == ENOENT)) {
        search->has_others |= errno != ENOENT;
        return 0;
    }
    DIR *stream = fd < 0 ? NULL : list_directory(fd);
    if (!stream)
        return -errno;
    if (level > 0 && (fstat(fd, &status) != 0 || (status.st_mode & 07777) != search->mode))
        search->has_others = true;
    for (struct dirent *entry; !rc && !search->has_head && (entry = readdir(stream));) {
        if (is_of_all_directories(entry->d_name, level))
            continue;
        if (search->looks++ >= LOOKS_MAX) {
            search->has_others = true;
            break;
        }
        if (level == SHMCONF_PARTS)
            rc = look_at_file(search, fd, entry->d_name);
        else if (level > 0 || !region_file_is_temporary(entry->d_name))
            rc = look(search, fd, entry->d_name, level + 1);
    }
    closedir(stream);
    return rc;
}

int region_is_of_others(int directory, mode_t mode)
{
    struct search search = {.mode = mode};
    struct stat status;
    if (fstatat(directory, REGION_SOURCE_FILE, &status, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    int rc = look(&search, directory, ".", 0);
    return rc ? rc : search.has_others && !search.has_head;
}
