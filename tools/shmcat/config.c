/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at entries by the reader's own rules of trust. What stands there may be anything, and may
 * change meanwhile: everything is copied before it is checked.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "region/file_names.h"
#include "shmcat/shmcat.h"

enum { FILE_MAX = INT32_MAX }; /* offsets are 32 bits, so a larger file is not the daemon's */

int place_make(struct shmconf_place **place, const char *name)
{
    struct shmconf_name parsed;
    int rc = shmconf_name_parse(&parsed, name);
    if (rc) {
        fail(name, rc);
        return EXIT_USAGE;
    }
    *place = shmconf_place_make(&parsed);
    return *place ? EXIT_FINE : fail(name, -ENOMEM);
}

/* The name that the head gives itself: 0 or -EBADMSG. */
static int name_take(struct shmconf_name *name, const struct shmconf_head *head)
{
    char text[sizeof name->text];
    const char *parts[SHMCONF_PARTS];
    size_t at = 0;
    memcpy(text, head->name, sizeof text);
    for (int i = 0; i < SHMCONF_PARTS; i++) {
        parts[i] = text + at;
        at += strnlen(text + at, sizeof text - at) + 1;
        if (at > sizeof text)
            return -EBADMSG;
    }
    return shmconf_name_set(name, parts[0], parts[1], parts[2]) ? -EBADMSG : 0;
}

/* Whether that name's place is where the head was found. */
static bool is_at(const struct shmconf_name *name, const char *path)
{
    char segment[SHMCONF_SEGMENT_MAX + 1];
    for (int i = 0; i < SHMCONF_PARTS; i++) {
        shmconf_name_segment(name, i, segment);
        size_t size = strlen(segment);
        if (strncmp(path, segment, size) != 0 || path[size] != (i < SHMCONF_PROFILE ? '/' : '\0'))
            return false;
        path += size + 1;
    }
    return true;
}

static int config_load(struct config *config)
{
    struct stat status;
    struct shmconf_name name = {0};
    uint32_t seq;
    if (config->directory < 0)
        return config->directory;
    strcpy(config->file, SHMCONF_HEAD_FILE);
    cleanup_close int fd = shmconf_open_file(config->place, config->directory, config->file,
                                             SHMCONF_HEAD_SIZE, &status);
    if (fd < 0)
        return fd;
    config->head = shmconf_map(fd, SHMCONF_HEAD_SIZE);
    if (!config->head)
        return -errno;
    int taken = name_take(&name, config->head);
    int rc = shmconf_head_check(config->head, &name);
    if (taken && (rc == 0 || rc == -ENOTUNIQ))
        rc = taken;
    if (!rc && !is_at(&name, config->path))
        rc = -ENOTUNIQ;
    if (rc)
        return rc;
    config->name = name;
    config->instance = config->head->instance;
    rc = shmconf_head_copy(config->head, &config->record, &seq);
    /* The daemon takes such a head for damaged, and no file goes by it. */
    return rc == 0 && config->record.generation > REGION_GENERATION_MAX ? -EBADMSG : rc;
}

static void unmap_head(struct config *config)
{
    union {
        const void *in;
        void *out;
    } head = {config->head};
    if (head.in)
        munmap(head.out, SHMCONF_HEAD_SIZE);
    config->head = NULL;
}

bool config_reload(struct config *config)
{
    uint64_t instance = config->instance;
    uint64_t generation = config->record.generation;
    unmap_head(config);
    config->error = config_load(config);
    return config->instance != instance || config->record.generation != generation;
}

int config_open(struct config *config, const struct shmconf_place *place)
{
    *config = (struct config){.place = place};
    int fd = shmconf_descend(place, SHMCONF_AT_FDCWD, place->root, place->root_is_given);
    size_t length = 0;
    for (int level = 0; level < SHMCONF_PARTS && (fd >= 0 || fd == -ENOENT); level++) {
        length += (size_t)snprintf(config->path + length, sizeof config->path - length, "%s%s",
                                   level ? "/" : "", place->segments[level]);
        fd = fd < 0 ? fd : shmconf_descend(place, fd, place->segments[level], 0);
    }
    config->directory = fd;
    return config->error = config_load(config);
}

void config_close(struct config *config)
{
    unmap_head(config);
    cleanup_close_fd(&config->directory);
    config->directory = -1;
}

struct config config_of_root(const struct shmconf_place *place)
{
    return (struct config){.place = place, .directory = -1};
}

char *config_path(const struct config *config, const char *file)
{
    return text_format("%s%s%s", config->path, *config->path && *file ? "/" : "", file);
}

bool config_look(const struct config *config, const char *file, struct stat *status)
{
    if (*file)
        return fstatat(config->directory, file, status, AT_SYMLINK_NOFOLLOW) == 0;
    cleanup_free char *path = text_format("%s/%s", config->place->root, config->path);
    return lstat(path, status) == 0;
}

int config_version(struct config *config, uint64_t generation, struct shmconf_version **version)
{
    shmconf_version_file(config->file, generation);
    /* Always with the CRC: whoever looks here wants to know. */
    return shmconf_version_open(version, config->place, config->directory, config->instance,
                                generation, SHMCONF_PRIVATE | SHMCONF_VERIFY);
}

/* A descriptor, or -errno. */
static int open_file(struct config *config, const char *file, long least, size_t *size)
{
    struct stat status;
    snprintf(config->file, sizeof config->file, "%s", file);
    cleanup_close int fd =
        shmconf_open_file(config->place, config->directory, file, least, &status);
    if (fd < 0)
        return fd;
    if (status.st_size > FILE_MAX)
        return -EBADMSG;
    *size = (size_t)status.st_size;
    return steal_fd(&fd);
}

int config_file_begin(struct config *config, const char *file, void *bytes, size_t count,
                      size_t *size)
{
    cleanup_close int fd = open_file(config, file, (long)count, size);
    return fd < 0 ? fd : shmconf_version_read(fd, bytes, count);
}

int config_file(struct config *config, const char *file, long least, char **bytes, size_t *size)
{
    cleanup_close int fd = open_file(config, file, least, size);
    if (fd < 0)
        return fd;
    *bytes = malloc(*size + 1); /* NULL is for what fails */
    if (!*bytes)
        return -ENOMEM;
    int rc = shmconf_version_read(fd, *bytes, *size);
    if (rc) {
        free(*bytes);
        *bytes = NULL;
    }
    return rc;
}

int config_current(struct config *config, struct shmconf_version **version)
{
    for (int turn = 0; turn < 16; turn++) {
        uint64_t generation = config->record.generation;
        uint32_t seq;
        if ((config->record.state & 0xffu) != SHMCONF_LIVE)
            return -ENOENT;
        int rc = config_version(config, generation, version);
        if (rc != -ENOENT)
            return rc;
        rc = shmconf_head_copy(config->head, &config->record, &seq);
        if (rc || config->record.generation == generation)
            return rc ? rc : -ESTALE; /* it was not the daemon who removed the file */
    }
    return -EAGAIN;
}

struct scan {
    const struct shmconf_place *place;
    bool (*visit)(struct config *, void *);
    void *context;
    bool is_all;
    char path[SHMCONF_PARTS * 256];
};

static bool scan_level(struct scan *scan, int directory, size_t length, int level);

/* Hidden names that belong where they are. */
static bool is_expected(const char *name, int level)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
           (level == 0 && strcmp(name, REGION_SOURCE_FILE) == 0);
}

static int descend(const struct shmconf_place *place, int parent, const char *name)
{
    int own = fcntl(parent, F_DUPFD_CLOEXEC, 0);
    return own < 0 ? -errno : shmconf_descend(place, own, name, 0);
}

/* One directory's children; it is closed. */
static bool scan_children(struct scan *scan, DIR *stream, size_t length, int level)
{
    bool more = true;
    for (struct dirent *child; more && (child = readdir(stream));) {
        size_t size = strlen(child->d_name);
        bool is_hidden = child->d_name[0] == '.'; /* no encoded name begins so */
        if (is_hidden && (!scan->is_all || is_expected(child->d_name, level)))
            continue;
        if (level == 0 && strcmp(child->d_name, "lost+found") == 0)
            continue; /* a volume's own; no encoded name has a '+' */
        memcpy(scan->path + length, child->d_name, size + 1);
        int fd = is_hidden ? -ENOTDIR : descend(scan->place, dirfd(stream), child->d_name);
        more = scan_level(scan, fd, length + size, level + 1);
    }
    closedir(stream);
    return more;
}

/* `directory` is a descriptor, which is closed, or -errno. */
static bool scan_level(struct scan *scan, int directory, size_t length, int level)
{
    if (directory >= 0 && level < SHMCONF_PARTS) {
        DIR *stream = fdopendir(directory);
        if (stream) {
            if (level > 0)
                scan->path[length++] = '/';
            return scan_children(scan, stream, length, level);
        }
        int rc = -errno;
        close(directory);
        directory = rc;
    }
    struct config config = {.place = scan->place, .directory = directory};
    memcpy(config.path, scan->path, length);
    config.error = config_load(&config);
    bool more = scan->visit(&config, scan->context);
    config_close(&config);
    return more;
}

static int scan_root(struct scan *scan)
{
    const struct shmconf_place *place = scan->place;
    int root = shmconf_descend(place, SHMCONF_AT_FDCWD, place->root, place->root_is_given);
    if (root < 0)
        return root;
    scan_level(scan, root, 0, 0);
    return 0;
}

int region_scan(const struct shmconf_place *place, bool (*visit)(struct config *, void *),
                void *context)
{
    struct scan scan = {.place = place, .visit = visit, .context = context};
    return scan_root(&scan);
}

int region_scan_all(const struct shmconf_place *place, bool (*visit)(struct config *, void *),
                    void *context)
{
    struct scan scan = {.place = place, .visit = visit, .context = context, .is_all = true};
    return scan_root(&scan);
}
