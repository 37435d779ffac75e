/* SPDX-License-Identifier: Apache-2.0 */
/* The two checksums against published vectors, and against Python's hashlib and zlib. */
#include <shmconf/hash.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

enum { LONGEST = 200 };

/* A message of `size` bytes: byte i is i * 7 + size. */
static void message_fill(unsigned char *message, size_t size)
{
    for (size_t i = 0; i < size; i++)
        message[i] = (unsigned char)(i * 7 + size);
}

static const char *sha256_text(const void *bytes, size_t size)
{
    static char text[65];
    uint8_t digest[32];
    shmconf_sha256(bytes, size, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(text + 2 * i, 3, "%02x", (unsigned)digest[i]);
    return text;
}

static void sha256_gives_the_vectors_of_the_standard(void)
{
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    CHECK_STRING("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                 sha256_text(NULL, 0));
    CHECK_STRING("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                 sha256_text("abc", 3));
    CHECK_STRING("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
                 sha256_text(two_blocks, strlen(two_blocks)));
    char *million = malloc(1000000);
    CHECK(million != NULL);
    memset(million, 'a', 1000000);
    CHECK_STRING("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
                 sha256_text(million, 1000000));
    free(million);
}

static void sha256_is_right_around_every_block_boundary(void)
{
    static const struct {
        size_t size;
        const char *digest;
    } known[] = {
        {1, "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"},
        {55, "81afe5b788dc2ce138ff83d9b20164db75a94d75d2b2432eea4a0ef605088c72"},
        {56, "2aba54f0ac632420a2b502431408866e40e1d5e430df4cd822642c78ab2eb9c1"},
        {63, "733d3d4ee79ee67145bf73da13588f6f235d37414fc64b14a2f00f1762792f5e"},
        {64, "79322907b3e9d013d7dc2c2f256674dbf733045cde01df3539271c6f5605feb8"},
        {65, "d85c007c6eb440f085afa2b84f6f2bce4658b240e9f62cb1364bf0485a57e720"},
        {119, "6c87eedf096b345de205b702e5223b73b447a3207791ded3ea007ba15ed6736e"},
        {120, "42500cf6a1e3936d6b9e0bcfe296d654b63255e525487d3634d0b15fde591c4d"},
        {128, "489d55fea9a73af36b6dd0be7b4117d8e5683386d39544e8a44c99a87f368707"},
        {200, "8e3f3819b4f1b1f71c011c6b854c43601f132c3c88b8982b20733d2b1695c593"},
    };
    unsigned char message[LONGEST];
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        message_fill(message, known[i].size);
        CHECK_STRING(known[i].digest, sha256_text(message, known[i].size));
    }
}

/* One value for all of them: the digest of the digests. */
static void sha256_is_right_for_every_length_up_to_200(void)
{
    unsigned char message[LONGEST];
    static uint8_t digests[(LONGEST + 1) * 32];
    for (size_t size = 0; size <= LONGEST; size++) {
        message_fill(message, size);
        shmconf_sha256(message, size, digests + 32 * size);
    }
    CHECK_STRING("e673d33f6940a6d3856d0d305fd88363ae0ba3b96e2411d8ddd5e0dd443f4525",
                 sha256_text(digests, sizeof digests));
}

static void sha256_does_not_care_about_alignment(void)
{
    unsigned char room[LONGEST + 8];
    for (size_t shift = 0; shift < 8; shift++) {
        message_fill(room + shift, LONGEST);
        CHECK_STRING("8e3f3819b4f1b1f71c011c6b854c43601f132c3c88b8982b20733d2b1695c593",
                     sha256_text(room + shift, LONGEST));
    }
}

static void crc32_gives_the_check_value(void)
{
    unsigned char zeros[32] = {0};
    unsigned char ones[32];
    memset(ones, 0xff, sizeof ones);
    CHECK(shmconf_crc32(0, "123456789", 9) == 0xcbf43926);
    CHECK(shmconf_crc32(0, "", 0) == 0);
    CHECK(shmconf_crc32(0, "a", 1) == 0xe8b7be43);
    CHECK(shmconf_crc32(0, zeros, sizeof zeros) == 0x190a55ad);
    CHECK(shmconf_crc32(0, ones, sizeof ones) == 0xff6cab0b);
}

static void crc32_is_right_for_every_length_up_to_200(void)
{
    unsigned char message[LONGEST];
    unsigned char sums[(LONGEST + 1) * 4];
    for (size_t size = 0; size <= LONGEST; size++) {
        message_fill(message, size);
        uint32_t sum = shmconf_crc32(0, message, size);
        for (size_t i = 0; i < 4; i++)
            sums[4 * size + i] = (unsigned char)(sum >> (24 - 8 * i));
    }
    CHECK(shmconf_crc32(0, sums, sizeof sums) == 0xd487068e);
}

static void crc32_can_be_continued_at_any_place(void)
{
    unsigned char message[LONGEST];
    message_fill(message, sizeof message);
    uint32_t whole = shmconf_crc32(0, message, sizeof message);
    for (size_t cut = 0; cut <= sizeof message; cut++) {
        uint32_t first = shmconf_crc32(0, message, cut);
        CHECK(shmconf_crc32(first, message + cut, sizeof message - cut) == whole);
    }
}

int main(void)
{
    sha256_gives_the_vectors_of_the_standard();
    sha256_is_right_around_every_block_boundary();
    sha256_is_right_for_every_length_up_to_200();
    sha256_does_not_care_about_alignment();
    crc32_gives_the_check_value();
    crc32_is_right_for_every_length_up_to_200();
    crc32_can_be_continued_at_any_place();
    return 0;
}
