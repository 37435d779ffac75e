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

enum { SOURCE_SIZE_MAX = 1024 };

/* Since when it has been `source`; 0: another one, or not known. */
static uint64_t noted_since(const struct region *region, const char *source)
{
    char text[SOURCE_SIZE_MAX + 1] = "";
    struct stat status;
    cleanup_close int fd =
        openat(region->root, file_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_uid != geteuid() || status.st_size > SOURCE_SIZE_MAX ||
        region_file_read(fd, text, (size_t)status.st_size) != 0)
        return 0;
    char *end;
    uint64_t since_ns = strtoull(text, &end, 10);
    size_t size = strlen(source);
    bool is_same =
        *end == ' ' && strncmp(end + 1, source, size) == 0 && strcmp(end + 1 + size, "\n") == 0;
    return is_same ? since_ns : 0;
}

int region_source_write(struct region *region)
{
    char text[SOURCE_SIZE_MAX + 1];
    struct region_file file;
    if (!region->source || region->root < 0)
        return 0; /* region_check_root writes it into a root that comes later */
    int size =
        snprintf(text, sizeof text, "%" PRIu64 " %s\n", region->source_since_ns, region->source);
    if (size > SOURCE_SIZE_MAX)
        return -E2BIG;
    return region_file_write(&file, region, region->root, REGION_VERSION, file_name, text,
                             (size_t)size);
}

int region_set_source(struct region *region, const char *source, uint64_t *since_ns)
{
    char *copy = strdup(source);
    if (!copy)
        return -ENOMEM;
    free(region->source);
    region->source = copy;
    *since_ns = noted_since(region, source);
    region->source_since_ns = *since_ns ? *since_ns : clock_realtime_ns();
    if (*since_ns)
        return 0;
    *since_ns = region->source_since_ns;
    return region_source_write(region);
}
