/* SPDX-License-Identifier: Apache-2.0 */
/* Version files: written completely, then named, never changed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "region/internal.h"
#include "shmconf/hash.h"

struct region_version *region_version_hold(struct region_version *version)
{
    version->references++;
    return version;
}

void region_version_drop(struct region_version *version)
{
    if (!version || --version->references > 0)
        return;
    free(version->file);
    free(version);
}

/* Makes a version of a file image whose header is right; takes `file` over, also on failure. */
static int version_make(struct region_version **out, char *file)
{
    struct region_version *version = calloc(1, sizeof *version);
    if (!version) {
        free(file);
        return -ENOMEM;
    }
    struct shmconf_version_header header;
    memcpy(&header, file, sizeof header);
    version->references = 1;
    version->file = file;
    version->file_size = (size_t)header.total;
    version->payload = file + header.payload_offset;
    version->size = header.payload_size;
    version->content_type = file + header.type_offset;
    version->label = file + header.label_offset;
    version->kind = header.kind == SHMCONF_JSON ? SHMCONF_JSON : SHMCONF_OPAQUE;
    version->generation = header.generation;
    version->instance = header.instance;
    version->fetched_ns = header.fetched_ns;
    memcpy(version->sha256, header.sha256, sizeof version->sha256);
    *out = version;
    return 0;
}

static uint32_t header_crc(const struct shmconf_version_header *header)
{
    return shmconf_crc32(0, header, offsetof(struct shmconf_version_header, header_crc));
}

/* The file as it will stand on the disk: header, payload, NUL, padding, content type, label. */
static char *image_make(uint64_t instance, uint64_t generation, uint64_t fetched_ns,
                        const struct region_content *content)
{
    size_t type_size = strlen(content->content_type);
    size_t label_size = strlen(content->label);
    /* The compiled index, when there is one, begins on a multiple of 8. */
    size_t type_offset = (SHMCONF_VERSION_HEADER_SIZE + content->size + 1 + 7) & ~(size_t)7;
    size_t label_offset = type_offset + type_size + 1;
    size_t total = label_offset + label_size + 1;
    char *file = calloc(1, total);
    if (!file)
        return NULL;
    struct shmconf_version_header header = {
        .endian = SHMCONF_ENDIAN_TAG,
        .major = SHMCONF_FORMAT_MAJOR,
        .minor = SHMCONF_FORMAT_MINOR,
        .total = total,
        .generation = generation,
        .instance = instance,
        .fetched_ns = fetched_ns,
        .payload_offset = SHMCONF_VERSION_HEADER_SIZE,
        .payload_size = (uint32_t)content->size,
        .type_offset = (uint32_t)type_offset,
        .type_size = (uint32_t)type_size,
        .label_offset = (uint32_t)label_offset,
        .label_size = (uint32_t)label_size,
        .kind = content->kind,
    };
    memcpy(header.magic, SHMCONF_VERSION_MAGIC, sizeof header.magic);
    if (content->size)
        memcpy(file + header.payload_offset, content->payload, content->size);
    memcpy(file + type_offset, content->content_type, type_size);
    memcpy(file + label_offset, content->label, label_size);
    shmconf_sha256(file + header.payload_offset, content->size, header.sha256);
    header.body_crc = shmconf_crc32(0, file + sizeof header, total - sizeof header);
    header.header_crc = header_crc(&header);
    memcpy(file, &header, sizeof header);
    return file;
}

int version_keep(struct region_version **version, uint64_t instance, uint64_t generation,
                 uint64_t fetched_ns, const struct region_content *content)
{
    if (content->size > INT32_MAX / 2)
        return -EFBIG; /* offsets are 32 bits */
    char *image = image_make(instance, generation, fetched_ns, content);
    return image ? version_make(version, image) : -ENOMEM;
}

int version_write(struct region_version **version, struct region *region, int directory,
                  uint64_t instance, uint64_t generation, uint64_t fetched_ns,
                  const struct region_content *content)
{
    char name[SHMCONF_VERSION_FILE_SIZE];
    int rc = version_keep(version, instance, generation, fetched_ns, content);
    if (rc)
        return rc;
    shmconf_version_file(name, generation);
    struct region_file file;
    rc = region_file_write(&file, region, directory, REGION_VERSION, name, (*version)->file,
                           (*version)->file_size);
    if (rc) {
        region_version_drop(*version);
        return rc;
    }
    (*version)->modified = file.status.st_mtim;
    return 0;
}

static bool slice_fits(const char *file, uint64_t total, uint32_t offset, uint32_t size)
{
    uint64_t end = (uint64_t)offset + size;
    return offset >= SHMCONF_VERSION_HEADER_SIZE && end < total && file[end] == '\0';
}

/* Everything that can be checked, in a copy that nobody else can change. */
static int image_check(const char *file, size_t size, uint64_t instance, uint64_t generation)
{
    struct shmconf_version_header header;
    uint8_t digest[32];
    memcpy(&header, file, sizeof header);
    if (memcmp(header.magic, SHMCONF_VERSION_MAGIC, sizeof header.magic) != 0 ||
        header.endian != SHMCONF_ENDIAN_TAG || header.major != SHMCONF_FORMAT_MAJOR ||
        header.header_crc != header_crc(&header) || header.total != size ||
        header.instance != instance || header.generation != generation)
        return -EBADMSG;
    if (header.body_crc != shmconf_crc32(0, file + sizeof header, size - sizeof header))
        return -EBADMSG;
    if (!slice_fits(file, size, header.payload_offset, header.payload_size) ||
        !slice_fits(file, size, header.type_offset, header.type_size) ||
        !slice_fits(file, size, header.label_offset, header.label_size))
        return -EBADMSG;
    shmconf_sha256(file + header.payload_offset, header.payload_size, digest);
    return memcmp(digest, header.sha256, sizeof digest) == 0 ? 0 : -EBADMSG;
}

int version_open(struct region_version **version, const struct region *region, int directory,
                 uint64_t instance, uint64_t generation)
{
    char name[SHMCONF_VERSION_FILE_SIZE];
    struct stat status;
    shmconf_version_file(name, generation);
    cleanup_close int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ELOOP ? -EBADMSG : -errno;
    if (fstat(fd, &status) != 0)
        return -errno;
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() ||
        status.st_size < SHMCONF_VERSION_HEADER_SIZE || status.st_size > INT32_MAX)
        return -EBADMSG;
    size_t size = (size_t)status.st_size;
    char *file = malloc(size);
    if (!file)
        return -ENOMEM;
    int rc = region_file_read(fd, file, size);
    if (!rc)
        rc = region_set_access(region, fd, REGION_VERSION, &status);
    if (!rc)
        rc = image_check(file, size, instance, generation);
    if (rc) {
        free(file);
        return rc;
    }
    rc = version_make(version, file);
    if (!rc)
        (*version)->modified = status.st_mtim;
    return rc;
}
