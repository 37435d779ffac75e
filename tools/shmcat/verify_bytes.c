/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong inside of a version or a head. */
#include <string.h>
#include <sys/stat.h>

#include "shmcat/verify.h"

/* ---- A version ------------------------------------------------------------------------------ */

static const char *sha256_problem(const struct shmconf_version_header *header,
                                  const struct shmconf_slice *text)
{
    uint8_t digest[32];
    shmconf_sha256(text->data, text->size, digest);
    return memcmp(digest, header->sha256, sizeof digest) == 0
               ? NULL
               : "the text's SHA-256 is not the one in the header";
}

const char *verify_version_bytes(const char *bytes, size_t size, const struct config *config,
                                 uint64_t generation)
{
    struct shmconf_version version = {0};
    struct shmconf_version_header header;
    memcpy(&header, bytes, sizeof header);
    if (header.index_offset > size || header.index_size > size - header.index_offset)
        return "the index lies outside of the file";
    if (shmconf_version_parse(&version, bytes, size, config->instance, generation, 0))
        return "a text lies outside of the file or has no NUL behind it";
    if (shmconf_version_parse(&version, bytes, size, config->instance, generation, SHMCONF_VERIFY))
        return "the CRC of the body is wrong";
    if (generation == config->record.generation &&
        header.payload_size != config->record.payload_size)
        return "its size is not the one in the head";
    return sha256_problem(&header, &version.text);
}

/* ---- The head ------------------------------------------------------------------------------- */

static bool is_zero(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++)
        if (at[i])
            return false;
    return true;
}

/* No writer ever stores there, not even into the cell that it fills. */
static bool are_reserves_zero(const struct shmconf_head *head)
{
    return is_zero(head->reserved0, sizeof head->reserved0) &&
           is_zero(head->reserved1, sizeof head->reserved1) && head->reserved2 == 0 &&
           is_zero(head->cells[0].reserved, sizeof head->cells[0].reserved) &&
           is_zero(head->cells[1].reserved, sizeof head->cells[1].reserved) &&
           head->name_size <= sizeof head->name &&
           is_zero(head->name + head->name_size, sizeof head->name - head->name_size);
}

/* The cell that is not current may be half filled: only the current one is looked at. */
const char *verify_head(const struct config *config)
{
    struct shmconf_head head;
    struct stat status;
    memcpy(&head, config->head, sizeof head);
    if (config_look(config, SHMCONF_HEAD_FILE, &status) && status.st_size != SHMCONF_HEAD_SIZE)
        return "it is longer than a head";
    uint32_t state = config->record.state & ~(uint32_t)SHMCONF_MOVED;
    if (state > SHMCONF_DELETED)
        return "its state is none that there is";
    if (head.minor == SHMCONF_FORMAT_MINOR && !are_reserves_zero(&head))
        return "bytes that this version of the format reserves are not 0";
    return NULL;
}
