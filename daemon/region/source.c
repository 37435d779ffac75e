/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file in the root: where the configurations come from, and since when. A successor
 * reads it; readers do not.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "region/file_names.h"
#include "region/internal.h"

static const char file_name[] = REGION_SOURCE_FILE;

/* What fails once costs nothing. */
enum { READ_ATTEMPTS = 3 };

/*
 * Since when it has been the region's source, by what is noted; now, if that is another one or
 * nothing. 0, or -errno: what is noted cannot be read now, and must not be lost.
 */
static int read_note(struct region *region)
{
    char text[REGION_SOURCE_MAX + 1] = "";
    struct stat status;
    uint64_t since_ns;
    region->source_since_ns = clock_realtime_ns();
    memset(&region->source_file, 0, sizeof region->source_file);
    cleanup_close int fd =
        openat(region->root, file_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ELOOP ? 0 : -errno;
    if (fstat(fd, &status) != 0)
        return -errno;
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 022) ||
        status.st_size > REGION_SOURCE_MAX)
        return 0;
    int rc = region_file_read(fd, text, (size_t)status.st_size);
    if (rc)
        return rc == -EBADMSG ? 0 : rc;
    const char *noted = region_source_parse(text, &since_ns);
    size_t size = strlen(region->source);
    if (!noted || strncmp(noted, region->source, size) != 0 || strcmp(noted + size, "\n") != 0)
        return 0;
    if (since_ns > region->source_since_ns)
        return 0; /* by a clock that was wrong: nothing would ever be as young as that */
    region->source_since_ns = since_ns;
    region->source_file = status;
    return 0;
}

static int write_note(struct region *region)
{
    char text[REGION_SOURCE_MAX + 1];
    struct region_file file;
    int size =
        snprintf(text, sizeof text, "%" PRIu64 " %s\n", region->source_since_ns, region->source);
    if (size > REGION_SOURCE_MAX)
        return -E2BIG;
    int rc = region_file_write(&file, region, region->root, REGION_VERSION, file_name, text,
                               (size_t)size);
    if (!rc)
        region->source_file = file.status;
    return rc;
}

static bool is_in_place(const struct region *region)
{
    const struct stat *ours = &region->source_file;
    struct stat status;
    return fstatat(region->root, file_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           status.st_ino == ours->st_ino && status.st_dev == ours->st_dev &&
           status.st_size == ours->st_size && region_has_access(region, REGION_VERSION, &status) &&
           status.st_mtim.tv_sec == ours->st_mtim.tv_sec &&
           status.st_mtim.tv_nsec == ours->st_mtim.tv_nsec;
}

int region_keep_source(struct region *region)
{
    if (!region->source || region->root < 0)
        return 0; /* into a root that comes later it is written then */
    if (region->is_source_unread) {
        int rc = read_note(region);
        region->is_source_unread = rc != 0;
        if (rc)
            return rc;
    }
    return is_in_place(region) ? 0 : write_note(region);
}

int region_set_source(struct region *region, const char *source, uint64_t *since_ns)
{
    char *copy = strdup(source);
    if (!copy)
        return -ENOMEM;
    free(region->source);
    region->source = copy;
    region->source_since_ns = clock_realtime_ns();
    region->is_source_unread = true;
    int rc = -1;
    for (int attempt = 0; rc && attempt < READ_ATTEMPTS; attempt++)
        rc = region_keep_source(region);
    *since_ns = region->source_since_ns;
    return rc;
}
