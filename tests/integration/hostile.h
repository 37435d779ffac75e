/* SPDX-License-Identifier: Apache-2.0 */
/* Spoilt images of head and version files: random ones, and ones aimed at a field. */
#ifndef TESTS_HOSTILE_H
#define TESTS_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shmconf/format.h"

enum { HOSTILE_MAX = 8192 };

struct hostile_image {
    unsigned char bytes[HOSTILE_MAX];
    size_t size;
};

/* splitmix64 */
uint64_t hostile_random(uint64_t *state);

/*
 * Spoils a good image of a head or a version in place. Half of the versions get right checksums
 * afterwards, so that what is checked behind those is reached as well.
 */
void hostile_spoil(struct hostile_image *image, uint64_t *random);

/* Whether the checksum in a version's header is that of what stands behind it. */
bool hostile_is_sealed(const struct hostile_image *image);

/* The bytes of a file. */
void hostile_take(const char *path, struct hostile_image *image);

/* In place, as an attacker with the owner's rights or a bad disk would: the inode stays. */
void hostile_put(int fd, const struct hostile_image *image);

#endif
