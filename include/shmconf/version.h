/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One version of a configuration: an immutable file, mapped or copied, and checked once. Whoever
 * follows its offsets compares them with a private copy of the lengths, so that a damaged or
 * hostile file gives an error and never a wild read.
 */
#ifndef SHMCONF_VERSION_H
#define SHMCONF_VERSION_H

#include <stdlib.h>
#include <string.h>

#include "shmconf/hash.h"
#include "shmconf/trust.h"
#include "shmconf/types.h"

/* Gives up one reference; the last one unmaps or frees. */
SHMCONF_API void shmconf_version_release(struct shmconf_version *version)
{
    if (!version || !shmconf_count_down(&version->private_.references))
        return;
    if (version->private_.mapping) {
        union {
            const void *in;
            void *out;
        } mapping;
        mapping.in = version->private_.mapping;
        munmap(mapping.out, version->private_.size);
    }
    free(version);
}

/* A slice of the file, if it lies behind the header and has its NUL: 0 or -EBADMSG. */
SHMCONF_API int shmconf_version_slice(struct shmconf_slice *slice, const char *file, uint64_t total,
                                      uint32_t offset, uint32_t size)
{
    uint64_t end = SHMCONF_CAST(uint64_t, offset) + size;
    if (offset < SHMCONF_VERSION_HEADER_SIZE || end >= total || file[end] != '\0')
        return -EBADMSG;
    slice->data = file + offset;
    slice->size = size;
    return 0;
}

/* Checks a private copy of the header against the file's size and the head that named it. */
SHMCONF_API int shmconf_version_header_check(const struct shmconf_version_header *header,
                                             uint64_t size, uint64_t instance, uint64_t generation)
{
    if (memcmp(header->magic, SHMCONF_VERSION_MAGIC, sizeof header->magic) != 0)
        return -EBADMSG;
    if (header->endian != SHMCONF_ENDIAN_TAG)
        return -ENOEXEC;
    if (header->major != SHMCONF_FORMAT_MAJOR)
        return -EPROTONOSUPPORT;
    if (header->header_crc !=
        shmconf_crc32(0, header, offsetof(struct shmconf_version_header, header_crc)))
        return -EBADMSG;
    if (header->total > size)
        return -ENODATA;
    if (header->total != size || header->instance != instance || header->generation != generation)
        return -EBADMSG;
    return 0;
}

/* Fills `version` from the file's bytes: 0 or -errno. */
SHMCONF_API int shmconf_version_parse(struct shmconf_version *version, const char *file,
                                      uint64_t size, uint64_t instance, uint64_t generation,
                                      unsigned flags)
{
    struct shmconf_version_header header;
    memcpy(&header, file, sizeof header);
    int rc = shmconf_version_header_check(&header, size, instance, generation);
    if (rc)
        return rc;
    rc = shmconf_version_slice(&version->text, file, size, header.payload_offset,
                               header.payload_size);
    if (!rc)
        rc = shmconf_version_slice(&version->content_type, file, size, header.type_offset,
                                   header.type_size);
    if (!rc)
        rc = shmconf_version_slice(&version->label, file, size, header.label_offset,
                                   header.label_size);
    if (rc)
        return rc;
    if ((flags & SHMCONF_VERIFY) &&
        header.body_crc != shmconf_crc32(0, file + sizeof header, size - sizeof header))
        return -EBADMSG;
    version->generation = header.generation;
    version->instance = header.instance;
    version->fetched_ns = header.fetched_ns;
    version->kind = header.kind;
    return 0;
}

SHMCONF_API int shmconf_version_read(int fd, char *out, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t got = read(fd, out + at, size - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -ENODATA;
        at += SHMCONF_CAST(size_t, got);
    }
    return 0;
}

/* Reads the whole file behind `version`, and not before its header has vouched for the size. */
SHMCONF_API int shmconf_version_copy(struct shmconf_version **version, int fd, size_t size,
                                     uint64_t instance, uint64_t generation)
{
    struct shmconf_version_header header;
    void *bytes = &header;
    int rc = shmconf_version_read(fd, SHMCONF_CAST(char *, bytes), sizeof header);
    if (!rc)
        rc = shmconf_version_header_check(&header, size, instance, generation);
    if (rc)
        return rc;
    void *memory = realloc(*version, sizeof **version + size);
    if (!memory)
        return -ENOMEM;
    *version = SHMCONF_CAST(struct shmconf_version *, memory);
    bytes = *version + 1;
    char *copy = SHMCONF_CAST(char *, bytes);
    memcpy(copy, &header, sizeof header);
    return shmconf_version_read(fd, copy + sizeof header, size - sizeof header);
}

/*
 * Maps or, with SHMCONF_PRIVATE, reads the open file: 0 and a version with one reference, or
 * -errno.
 */
SHMCONF_API int shmconf_version_load(struct shmconf_version **out, int fd, size_t size,
                                     uint64_t instance, uint64_t generation, unsigned flags)
{
    void *memory = calloc(1, sizeof(struct shmconf_version));
    struct shmconf_version *version = SHMCONF_CAST(struct shmconf_version *, memory);
    if (!version)
        return -ENOMEM;
    int rc = 0;
    const void *mapping = SHMCONF_NULL;
    if (flags & SHMCONF_PRIVATE)
        rc = shmconf_version_copy(&version, fd, size, instance, generation);
    else if (!(mapping = shmconf_map(fd, size)))
        rc = errno ? -errno : -EIO;
    version->private_.references = 1;
    version->private_.self = version;
    version->private_.size = size;
    version->private_.mapping = mapping;
    if (!rc) {
        const void *bytes = mapping ? mapping : version + 1;
        rc = shmconf_version_parse(version, SHMCONF_CAST(const char *, bytes), size, instance,
                                   generation, flags);
    }
    if (rc) {
        shmconf_version_release(version);
        return rc;
    }
    *out = version;
    return 0;
}

/* Opens generation `generation` in the configuration's directory. */
SHMCONF_API int shmconf_version_open(struct shmconf_version **out,
                                     const struct shmconf_place *place, int directory,
                                     uint64_t instance, uint64_t generation, unsigned flags)
{
    char file[SHMCONF_VERSION_FILE_SIZE];
    struct stat status;
    shmconf_version_file(file, generation);
    int fd = shmconf_open_file(place, directory, file, SHMCONF_VERSION_HEADER_SIZE, &status);
    if (fd < 0)
        return fd;
    /* Offsets are 32 bits, so a larger file is not ours; and it must fit the address space. */
    int rc = -EBADMSG;
    if (status.st_size <= 0x7fffffff)
        rc = shmconf_version_load(out, fd, SHMCONF_CAST(size_t, status.st_size), instance,
                                  generation, flags);
    close(fd);
    return rc;
}

#endif
