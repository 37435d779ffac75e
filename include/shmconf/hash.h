/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The two checksums of the region: CRC-32 (IEEE 802.3) and SHA-256 (FIPS 180-4). libc has neither,
 * and the header shall need no other library; neither is on the path of a read.
 */
#ifndef SHMCONF_HASH_H
#define SHMCONF_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shmconf/order.h"

/* Continues `crc` (0 to begin with) over `size` bytes. */
SHMCONF_API uint32_t shmconf_crc32(uint32_t crc, const void *bytes, size_t size)
{
    /* A table of 16 words: a quarter of the cache that the usual 256 would push out of a handler.
     */
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    const unsigned char *at = SHMCONF_CAST(const unsigned char *, bytes);
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= at[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return ~crc;
}

SHMCONF_API uint32_t shmconf_rotate_right(uint32_t word, unsigned by)
{
    return (word >> by) | (word << (32 - by));
}

SHMCONF_API void shmconf_sha256_block(uint32_t state[8], const unsigned char *block)
{
    static const uint32_t constants[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2,
    };
    uint32_t w[64];
    for (size_t i = 0; i < 16; i++) {
        const unsigned char *p = block + 4 * i;
        w[i] = SHMCONF_CAST(uint32_t, p[0]) << 24 | SHMCONF_CAST(uint32_t, p[1]) << 16 |
               SHMCONF_CAST(uint32_t, p[2]) << 8 | SHMCONF_CAST(uint32_t, p[3]);
    }
    for (unsigned i = 16; i < 64; i++) {
        uint32_t s0 = shmconf_rotate_right(w[i - 15], 7) ^ shmconf_rotate_right(w[i - 15], 18) ^
                      (w[i - 15] >> 3);
        uint32_t s1 = shmconf_rotate_right(w[i - 2], 17) ^ shmconf_rotate_right(w[i - 2], 19) ^
                      (w[i - 2] >> 10);
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t v[8]; /* a to h of the standard */
    memcpy(v, state, sizeof v);
    for (unsigned i = 0; i < 64; i++) {
        uint32_t s1 = shmconf_rotate_right(v[4], 6) ^ shmconf_rotate_right(v[4], 11) ^
                      shmconf_rotate_right(v[4], 25);
        uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + constants[i] + w[i];
        uint32_t s0 = shmconf_rotate_right(v[0], 2) ^ shmconf_rotate_right(v[0], 13) ^
                      shmconf_rotate_right(v[0], 22);
        uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        /* Not memmove: some C libraries make it a call, which costs more than the round. */
        v[7] = v[6];
        v[6] = v[5];
        v[5] = v[4];
        v[4] = v[3] + t1;
        v[3] = v[2];
        v[2] = v[1];
        v[1] = v[0];
        v[0] = t1 + t2;
    }
    for (unsigned i = 0; i < 8; i++)
        state[i] += v[i];
}

SHMCONF_API void shmconf_sha256(const void *bytes, size_t size, uint8_t digest[32])
{
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    const unsigned char *at = SHMCONF_CAST(const unsigned char *, bytes);
    size_t rest = size;
    for (; rest >= 64; at += 64, rest -= 64)
        shmconf_sha256_block(state, at);

    unsigned char tail[128];
    memset(tail, 0, sizeof tail);
    if (rest)
        memcpy(tail, at, rest);
    tail[rest] = 0x80;
    size_t blocks = rest < 56 ? 1 : 2;
    uint64_t bits = SHMCONF_CAST(unsigned long long, size) * 8;
    for (unsigned i = 0; i < 8; i++)
        tail[64 * blocks - 1 - i] = SHMCONF_CAST(unsigned char, (bits >> (8 * i)) & 0xff);
    for (size_t i = 0; i < blocks; i++)
        shmconf_sha256_block(state, tail + 64 * i);
    for (unsigned i = 0; i < 32; i++)
        digest[i] = SHMCONF_CAST(uint8_t, (state[i / 4] >> (24 - 8 * (i % 4))) & 0xff);
}

#endif
