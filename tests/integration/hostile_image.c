/* SPDX-License-Identifier: Apache-2.0 */
#include "hostile.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "shmconf/hash.h"

void hostile_take(const char *path, struct hostile_image *image)
{
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    image->size = fread(image->bytes, 1, sizeof image->bytes, file);
    fclose(file);
}

void hostile_put(int fd, const struct hostile_image *image)
{
    CHECK(pwrite(fd, image->bytes, image->size, 0) == (ssize_t)image->size);
    CHECK_INT(0, ftruncate(fd, (off_t)image->size));
}

uint64_t hostile_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t below(uint64_t *random, uint64_t limit)
{
    return hostile_random(random) % limit;
}

static bool is_head(const struct hostile_image *image)
{
    return memcmp(image->bytes, SHMCONF_HEAD_MAGIC, 8) == 0;
}

/* Where the fields are: a head's are spread over 0x208 bytes and its name, a version's in front. */
static size_t place(const struct hostile_image *image, uint64_t *random, bool head)
{
    size_t most = head ? 0x240 : SHMCONF_VERSION_HEADER_SIZE;
    return (size_t)below(random, most < image->size ? most : image->size);
}

static void spoil_bytes(struct hostile_image *image, uint64_t *random, bool head)
{
    bool anywhere = !head && below(random, 2);
    for (uint64_t left = 1 + below(random, 8); left > 0 && image->size; left--) {
        size_t at = anywhere ? (size_t)below(random, image->size) : place(image, random, head);
        image->bytes[at] = (unsigned char)hostile_random(random);
    }
}

/* A word at its place gets a value at which arithmetic likes to go wrong. */
static void spoil_field(struct hostile_image *image, uint64_t *random, bool head)
{
    static const uint64_t edges[] = {0,          1,          0x7f,         0x80,
                                     0x7fffffff, 0x80000000, 0xffffff80,   0xfffffffe,
                                     0xffffffff, INT64_MAX,  (uint64_t)-2, UINT64_MAX};
    size_t width = below(random, 3) ? 4 : 8;
    size_t at = place(image, random, head) & ~(width - 1);
    uint64_t value = edges[below(random, sizeof edges / sizeof *edges)];
    if (below(random, 3) == 0) /* or one near to the file's size or to what was there */
        value = image->size + below(random, 5) - 2;
    if (at + width > image->size)
        return;
    if (below(random, 4) == 0) {
        uint64_t old = 0;
        memcpy(&old, image->bytes + at, width);
        value = old + below(random, 5) - 2;
    }
    memcpy(image->bytes + at, &value, width);
}

static void spoil_size(struct hostile_image *image, uint64_t *random)
{
    const size_t edges[] = {0, 1, SHMCONF_VERSION_HEADER_SIZE - 1, image->size - 1, 4095, 4096};
    size_t size = below(random, 2) ? (size_t)below(random, HOSTILE_MAX)
                                   : edges[below(random, sizeof edges / sizeof *edges)];
    if (size > image->size)
        memset(image->bytes + image->size, (int)below(random, 256), size - image->size);
    image->size = size;
}

bool hostile_is_sealed(const struct hostile_image *image)
{
    struct shmconf_version_header header;
    if (image->size < sizeof header)
        return false;
    memcpy(&header, image->bytes, sizeof header);
    return header.body_crc ==
           shmconf_crc32(0, image->bytes + sizeof header, image->size - sizeof header);
}

static void seal(struct hostile_image *image)
{
    struct shmconf_version_header header;
    if (image->size < sizeof header)
        return;
    memcpy(&header, image->bytes, sizeof header);
    header.body_crc = shmconf_crc32(0, image->bytes + sizeof header, image->size - sizeof header);
    header.header_crc =
        shmconf_crc32(0, &header, offsetof(struct shmconf_version_header, header_crc));
    memcpy(image->bytes, &header, sizeof header);
}

void hostile_spoil(struct hostile_image *image, uint64_t *random)
{
    bool head = is_head(image);
    bool is_sealed = !head && below(random, 2);
    switch (below(random, 16)) {
    case 0:
        spoil_size(image, random);
        break;
    case 1:
        for (size_t i = 0; i < image->size; i++)
            image->bytes[i] = (unsigned char)hostile_random(random);
        break;
    case 2:
    case 3:
    case 4:
        spoil_bytes(image, random, head);
        break;
    default:
        for (uint64_t left = 1 + below(random, 3); left > 0; left--)
            spoil_field(image, random, head);
    }
    if (is_sealed)
        seal(image);
}
