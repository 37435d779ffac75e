/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The reader: open, enter, leave, hold, drop, close. docs/region-format.md has the protocol and
 * docs/architecture.md the reason why it is safe.
 *
 * A reader belongs to one thread. Any number of readers may have the same configuration open.
 */
#ifndef SHMCONF_READER_H
#define SHMCONF_READER_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shmconf/error.h"
#include "shmconf/head.h"
#include "shmconf/trust.h"
#include "shmconf/types.h"
#include "shmconf/version.h"

/* Looks at the path while nothing is there are at least this far apart. */
#define SHMCONF_LOOK_NS UINT64_C(100000000)

/*
 * The gate between enter and leave: beyond every sequence, so that the compare which finds news
 * finds a nested enter as well, and each of those adds one.
 */
#define SHMCONF_ENTERED (UINT64_C(1) << 32)

SHMCONF_API int shmconf_is_entered(const struct shmconf_reader *reader)
{
    return reader->gate >= SHMCONF_ENTERED;
}

/* From now on `version` answers to this sequence; 0: to none, the next outermost enter looks. */
SHMCONF_API void shmconf_answer_to(struct shmconf_reader *reader, uint32_t seq)
{
    reader->seen = seq;
    if (!shmconf_is_entered(reader))
        reader->gate = seq;
}

SHMCONF_API void shmconf_unmap_head(struct shmconf_reader *reader)
{
    union {
        const void *in;
        void *out;
    } head;
    struct stat status;
    head.in = reader->head;
    if (head.in)
        munmap(head.out, SHMCONF_HEAD_SIZE);
    /* A program may have closed all descriptors it did not know, and got this number again. */
    if (reader->directory >= 0 && fstat(reader->directory, &status) == 0 &&
        status.st_ino == reader->directory_inode && status.st_dev == reader->directory_device)
        close(reader->directory);
    reader->head = SHMCONF_NULL;
    reader->directory = -1;
    reader->seq = shmconf_no_seq();
    shmconf_answer_to(reader, 1);
    reader->generation = 0;
}

/* Maps the open head instead of the one that is mapped: 1, or -errno with nothing changed. */
SHMCONF_API int shmconf_map_head(struct shmconf_reader *reader, int directory, int fd,
                                 const struct stat *status)
{
    struct stat place;
    const void *memory = shmconf_map(fd, SHMCONF_HEAD_SIZE);
    if (!memory)
        return -errno;
    const struct shmconf_head *head = SHMCONF_CAST(const struct shmconf_head *, memory);
    int rc = shmconf_head_check(head, &reader->place->name);
    if (!rc && fstat(directory, &place))
        rc = -errno;
    if (rc) {
        union {
            const void *in;
            void *out;
        } unmap;
        unmap.in = memory;
        munmap(unmap.out, SHMCONF_HEAD_SIZE);
        return rc;
    }
    shmconf_unmap_head(reader);
    reader->head = head;
    reader->seq = &head->seq;
    shmconf_answer_to(reader, 0); /* is no sequence: nothing of another head counts here */
    reader->instance = head->instance;
    reader->device = status->st_dev;
    reader->inode = status->st_ino;
    reader->directory = directory;
    reader->directory_inode = place.st_ino;
    reader->directory_device = place.st_dev;
    reader->flags &= ~SHMCONF_CAST(unsigned, SHMCONF_VERIFY);
    if (!shmconf_is_this_boot(head->boot_id))
        reader->flags |= SHMCONF_VERIFY;
    return 1;
}

/*
 * Looks at the path: 1 when another head is there, which is mapped now; 0 when it is the mapped
 * one; -errno when there is none that can be used, which leaves the mapped one.
 */
SHMCONF_API int shmconf_look(struct shmconf_reader *reader)
{
    struct stat status;
    if (!reader->place)
        return reader->error; /* it is not open */
    reader->looked_ns = shmconf_ticks_ns();
    int directory = shmconf_walk(reader->place);
    if (directory < 0) {
        if (!reader->head)
            reader->error = directory;
        return directory;
    }
    int fd =
        shmconf_open_file(reader->place, directory, SHMCONF_HEAD_FILE, SHMCONF_HEAD_SIZE, &status);
    int rc = fd < 0 ? fd : 0;
    if (fd >= 0) {
        if (!reader->head || status.st_ino != reader->inode || status.st_dev != reader->device)
            rc = shmconf_map_head(reader, directory, fd, &status);
        close(fd);
    }
    if (rc != 1)
        close(directory);
    if (rc < 0 && !reader->head)
        reader->error = rc;
    return rc;
}

/* Whether the last look at the path is long enough ago. */
SHMCONF_API int shmconf_may_look(const struct shmconf_reader *reader)
{
    return reader->looked_ns == 0 || shmconf_ticks_ns() - reader->looked_ns >= SHMCONF_LOOK_NS;
}

/* Takes the generation of `record` for the current version: 0 or -errno. */
SHMCONF_API int shmconf_switch(struct shmconf_reader *reader, const struct shmconf_record *record)
{
    struct shmconf_version *version = SHMCONF_NULL;
    struct stat status;
    if (fstat(reader->directory, &status) || status.st_ino != reader->directory_inode ||
        status.st_dev != reader->directory_device) {
        shmconf_unmap_head(reader); /* the program closed our descriptor: begin anew */
        reader->looked_ns = 0;
        return -EAGAIN;
    }
    reader->tried_instance = reader->instance;
    reader->tried_generation = record->generation;
    int rc = shmconf_version_open(&version, reader->place, reader->directory, reader->instance,
                                  record->generation, reader->flags);
    if (rc)
        return rc;
    shmconf_version_release(reader->version);
    reader->version = version;
    reader->generation = record->generation;
    return 0;
}

/* Whether this very generation could not be opened, so that there is nothing to return yet. */
SHMCONF_API int shmconf_has_failed(const struct shmconf_reader *reader,
                                   const struct shmconf_record *record)
{
    return !reader->version && reader->error && reader->tried_instance == reader->instance &&
           reader->tried_generation == record->generation;
}

/* Follows the mapped head to its current version: 0 or -errno, keeping the last good one. */
SHMCONF_API int shmconf_follow(struct shmconf_reader *reader)
{
    for (int turn = 0; turn < 16 && reader->head; turn++) {
        struct shmconf_record record;
        uint32_t seq = 0;
        memset(&record, 0, sizeof record);
        int rc = shmconf_head_copy(reader->head, &record, &seq);
        uint32_t answers = seq;
        if (rc || (record.state & SHMCONF_MOVED)) {
            if (shmconf_may_look(reader) && shmconf_look(reader) == 1)
                continue;
            if (rc)
                return rc;
            answers = 0; /* the new head is still to come: look again */
        }
        if ((record.state & 0xffu) != SHMCONF_LIVE || record.generation == reader->generation) {
            shmconf_answer_to(reader, answers);
            return reader->version ? 0 : -ENOENT;
        }
        if (shmconf_has_failed(reader, &record)) {
            if (!shmconf_may_look(reader))
                return reader->error;
            if (shmconf_look(reader) == 1)
                continue;
        }
        rc = shmconf_switch(reader, &record);
        if (!reader->head && shmconf_look(reader) == 1)
            continue;
        if (rc == -ENOENT) {
            /* A name is removed only after the second next publication, whose sequence was stored
               before and is visible behind this fence. If none is, it was not the daemon. */
            shmconf_fence_acquire();
            if (shmconf_load_relaxed(&reader->head->seq) != seq)
                continue;
            if (shmconf_may_look(reader) && shmconf_look(reader) == 1)
                continue;
            rc = -ESTALE;
        }
        /* With a version in hand a failure is tried again at the writer's next status update. */
        if (reader->head)
            shmconf_answer_to(reader, !rc || reader->version ? answers : 0);
        return rc;
    }
    return -EAGAIN;
}

/* Looks for something newer: whatever happens, the last good version stays. */
SHMCONF_API_COLD void shmconf_refresh(struct shmconf_reader *reader)
{
    if (shmconf_is_entered(reader))
        return; /* the outermost enter decides */
    int saved = errno;
    if (!reader->head && shmconf_may_look(reader))
        shmconf_look(reader);
    if (reader->head)
        reader->error = shmconf_follow(reader);
    errno = saved;
}

/* A reader that has looked for nothing yet. */
SHMCONF_API void shmconf_clear(struct shmconf_reader *reader, int error)
{
    memset(reader, 0, sizeof *reader);
    reader->directory = -1;
    reader->seq = shmconf_no_seq();
    shmconf_answer_to(reader, 1);
    reader->error = error;
}

/* An enter that finds the gate shut, by news or since it is nested. */
SHMCONF_API_COLD const struct shmconf_version *shmconf_enter_shut(struct shmconf_reader *reader)
{
    shmconf_refresh(reader);
    reader->gate = shmconf_is_entered(reader) ? reader->gate + 1 : SHMCONF_ENTERED;
    return reader->version;
}

SHMCONF_API_COLD void shmconf_leave_nested(struct shmconf_reader *reader)
{
    if (shmconf_is_entered(reader)) /* else there is nothing to leave */
        reader->gate--;
}

/* ---- The public functions ------------------------------------------------------------------- */

/* Like shmconf_open, with the three parts on their own, for names that hold a colon. */
SHMCONF_API int shmconf_open_parts(struct shmconf_reader *reader, const char *application,
                                   const char *environment, const char *profile, unsigned flags)
{
    struct shmconf_name name;
    shmconf_clear(reader, -ENOENT);
    int rc = shmconf_name_set(&name, application, environment, profile);
    if (!rc)
        reader->place = shmconf_place_make(&name);
    if (!rc && !reader->place)
        rc = -ENOMEM;
    if (rc) {
        reader->error = rc;
        return rc;
    }
    reader->flags = flags & (SHMCONF_PRIVATE | SHMCONF_SILENT);
    return 0;
}

/*
 * Opens a reader of the configuration "Application:Environment:Profile" (or in the path spelling,
 * see name.h). `flags`: 0, or SHMCONF_PRIVATE and SHMCONF_SILENT. Any well-formed name can be
 * opened, at any time: the region is looked for when the reader is used. SHMCONF_DIR and
 * SHMCONF_OWNER are read here.
 *
 * 0, -EINVAL (malformed name), -ENAMETOOLONG, -ENOMEM. On failure there is nothing to close, enter
 * returns NULL, and every other call that can fail returns the same error.
 */
SHMCONF_API int shmconf_open(struct shmconf_reader *reader, const char *name, unsigned flags)
{
    struct shmconf_name parsed;
    int rc = shmconf_name_parse(&parsed, name);
    if (rc) {
        shmconf_clear(reader, rc);
        return rc;
    }
    return shmconf_open_parts(reader, shmconf_name_part(&parsed, SHMCONF_APPLICATION),
                              shmconf_name_part(&parsed, SHMCONF_ENVIRONMENT),
                              shmconf_name_part(&parsed, SHMCONF_PROFILE), flags);
}

/*
 * The current version, valid and unchanged until the matching leave; calls nest, and the outermost
 * one decides. NULL only as long as nothing was ever published: after a version it returns versions
 * for ever. What returned NULL is to be left as well. Unchanged, it costs one load and a compare; a
 * new version, some microseconds.
 */
SHMCONF_API const struct shmconf_version *shmconf_enter(struct shmconf_reader *reader)
{
    /* Relaxed: when it is equal nothing new is read, and `version` was made by this thread behind
       an acquire of the same sequence. */
    if (SHMCONF_RARE(shmconf_load_relaxed(reader->seq) != reader->gate))
        return shmconf_enter_shut(reader);
    /* What is stored does not depend on what is loaded from the same place, here and in leave: a
       counter would have each read wait for the last one's stores (docs/architecture.md). */
    reader->gate = SHMCONF_ENTERED;
    return reader->version;
}

/* Ends what enter began. The outermost leave ends the lifetime of the version. */
SHMCONF_API void shmconf_leave(struct shmconf_reader *reader)
{
    if (SHMCONF_RARE(reader->gate != SHMCONF_ENTERED))
        shmconf_leave_nested(reader);
    else
        reader->gate = reader->seen;
}

/*
 * The current version without a pair around it, for a thread that reads here and there and calls
 * nobody in between who may use the same reader: it is valid until this reader's next enter,
 * current or close. Between enter and leave it is the version of the outermost enter, and as valid.
 */
SHMCONF_API const struct shmconf_version *shmconf_current(struct shmconf_reader *reader)
{
    if (SHMCONF_RARE(shmconf_load_relaxed(reader->seq) != reader->gate))
        shmconf_refresh(reader);
    return reader->version;
}

/* The configuration's bytes: not copied, a NUL behind the end. {"", 0} for NULL. */
SHMCONF_API struct shmconf_slice shmconf_text(const struct shmconf_version *version)
{
    struct shmconf_slice nothing;
    nothing.data = "";
    nothing.size = 0;
    return version ? version->text : nothing;
}

/*
 * Keeps a version beyond leave, for hours if need be, or to hand it to another thread; to be called
 * while it is valid. Costs its space on disk or in memory until the matching drop. NULL is ignored.
 */
SHMCONF_API const struct shmconf_version *shmconf_hold(const struct shmconf_version *version)
{
    if (version)
        shmconf_count_up(&version->private_.self->private_.references);
    return version;
}

/* Gives a held version back, from any thread, also after the reader was closed. */
SHMCONF_API void shmconf_drop(const struct shmconf_version *version)
{
    if (version)
        shmconf_version_release(version->private_.self);
}

/*
 * Why the last look brought nothing newer: 0 or -errno, see error.h. The version that enter returns
 * stays good all the same.
 */
SHMCONF_API int shmconf_error(const struct shmconf_reader *reader)
{
    return reader->error;
}

/* 0, or -EBUSY between enter and leave, which changes nothing. Held versions stay valid. What is
   called afterwards has -EBADF. */
SHMCONF_API int shmconf_close(struct shmconf_reader *reader)
{
    if (shmconf_is_entered(reader))
        return -EBUSY;
    shmconf_unmap_head(reader);
    shmconf_version_release(reader->version);
    reader->version = SHMCONF_NULL;
    free(reader->place);
    reader->place = SHMCONF_NULL;
    reader->error = -EBADF;
    return 0;
}

#endif
