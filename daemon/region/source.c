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

/* Since when it has been `source`, by the file that is `found`; 0: another one, or not known. */
static uint64_t noted_since(const struct region *region, const char *source, struct stat *found)
{
    char text[REGION_SOURCE_MAX + 1] = "";
    struct stat status;
    cleanup_close int fd =
        openat(region->root, file_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_uid != geteuid() || (status.st_mode & 022) ||
        status.st_size > REGION_SOURCE_MAX ||
        region_file_read(fd, text, (size_t)status.st_size) != 0)
        return 0;
    uint64_t since_ns;
    const char *noted = region_source_parse(text, &since_ns);
    size_t size = strlen(source);
    if (!noted || strncmp(noted, source, size) != 0 || strcmp(noted + size, "\n") != 0)
        return 0;
    *found = status;
    return since_ns;
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
    return is_in_place(region) ? 0 : write_note(region);
}

int region_set_source(struct region *region, const char *source, uint64_t *since_ns)
{
    char *copy = strdup(source);
    if (!copy)
        return -ENOMEM;
    free(region->source);
    region->source = copy;
    memset(&region->source_file, 0, sizeof region->source_file);
    *since_ns = noted_since(region, source, &region->source_file);
    if (!*since_ns)
        *since_ns = clock_realtime_ns();
    region->source_since_ns = *since_ns;
    return region_keep_source(region);
}
