/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A mapped head: its constant part, and the current cell of its seqlock. */
#ifndef SHMCONF_HEAD_H
#define SHMCONF_HEAD_H

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "shmconf/types.h"
#include "shmconf/version.h"

/* The sequence of a reader without a head; never equal to its `seen`, which is then 1. */
SHMCONF_API const uint32_t *shmconf_no_seq(void)
{
    static const uint32_t none = 0;
    return &none;
}

/*
 * The current cell, copied whole: 0 and its sequence, -EBADMSG if the head was never valid or names
 * no version where there should be one, or -EAGAIN when the writer overtook every attempt.
 */
SHMCONF_API int shmconf_head_copy(const struct shmconf_head *head, struct shmconf_record *record,
                                  uint32_t *sequence)
{
    for (int turn = 0; turn < 64; turn++) {
        /* Acquire: the cell's words, and the file that it names, were stored before this. */
        uint32_t seq = shmconf_load_acquire(&head->seq);
        const struct shmconf_record *cell = &head->cells[seq & 1].record;
        if (seq == 0)
            return -EBADMSG;
        record->generation = shmconf_load_relaxed64(&cell->generation);
        record->state = shmconf_load_relaxed(&cell->state);
        record->failures = shmconf_load_relaxed(&cell->failures);
        record->fetched_ns = shmconf_load_relaxed64(&cell->fetched_ns);
        record->checked_ns = shmconf_load_relaxed64(&cell->checked_ns);
        record->tried_ns = shmconf_load_relaxed64(&cell->tried_ns);
        record->next_ns = shmconf_load_relaxed64(&cell->next_ns);
        record->error = shmconf_load_relaxed(&cell->error);
        record->http_status = shmconf_load_relaxed(&cell->http_status);
        record->interval_s = shmconf_load_relaxed(&cell->interval_s);
        record->payload_size = shmconf_load_relaxed(&cell->payload_size);
        /* A word that a later fill of this cell stored was stored after that writer's fence; having
           read it, we see behind this fence at least the sequence before that fill, and reject. */
        shmconf_fence_acquire();
        if (shmconf_load_relaxed(&head->seq) == seq) {
            *sequence = seq;
            return (record->state & 0xffu) != SHMCONF_LIVE || record->generation ? 0 : -EBADMSG;
        }
    }
    return -EAGAIN;
}

/* The constant part of a head that was just mapped: 0 or -errno. */
SHMCONF_API int shmconf_head_check(const struct shmconf_head *head, const struct shmconf_name *name)
{
    if (memcmp(head->magic, SHMCONF_HEAD_MAGIC, sizeof head->magic) != 0)
        return -EBADMSG;
    if (head->endian != SHMCONF_ENDIAN_TAG)
        return -ENOEXEC;
    if (head->major != SHMCONF_FORMAT_MAJOR)
        return -EPROTONOSUPPORT;
    /* Sequence 0 is never stored; mapped, it would look like a reader's "never read". */
    if (head->size != SHMCONF_HEAD_SIZE || shmconf_load_relaxed(&head->seq) == 0)
        return -EBADMSG;
    if (head->name_size != name->size || memcmp(head->name, name->text, name->size) != 0)
        return -ENOTUNIQ;
    return 0;
}

/*
 * Nothing is ever synced to the disk, so files from before a reboot may be damaged: then bodies are
 * checked. Where the boot's id cannot be read they are checked as well.
 */
SHMCONF_API int shmconf_is_this_boot(const uint8_t boot_id[16])
{
    char text[36];
    int fd = shmconf_openat(SHMCONF_AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY);
    if (fd < 0)
        return 0;
    int whole = shmconf_version_read(fd, text, sizeof text) == 0;
    close(fd);
    unsigned at = 0;
    for (unsigned i = 0; whole && i < sizeof text; i++) {
        int digit = shmconf_hex_digit(text[i]);
        if (digit < 0)
            continue; /* a dash */
        int byte = at / 2 < 16 ? boot_id[at / 2] : -1;
        if (digit != (at % 2 ? byte & 15 : byte >> 4))
            return 0;
        at++;
    }
    return at == 32;
}

#endif
