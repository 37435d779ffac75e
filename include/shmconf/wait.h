/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Waiting for versions, and the health of a configuration's polling. */
#ifndef SHMCONF_WAIT_H
#define SHMCONF_WAIT_H

#include "shmconf/reader.h"
#include "shmconf/request.h"

/* How long a sleeper goes without looking at the path, in case the region was removed. */
#define SHMCONF_SLICE_NS UINT64_C(5000000000)

/*
 * The current generation could not be opened (descriptors ran out, somebody removed it): can it be
 * now? Then the next enter opens it; it is not swapped here.
 */
SHMCONF_API int shmconf_heals(struct shmconf_reader *reader, uint64_t generation)
{
    struct shmconf_version *version = SHMCONF_NULL;
    if (!shmconf_may_look(reader))
        return 0;
    reader->looked_ns = shmconf_ticks_ns();
    int rc = shmconf_version_open(&version, reader->place, reader->directory, reader->instance,
                                  generation, reader->flags);
    reader->error = rc == -ENOENT ? -ESTALE : rc;
    if (rc) {
        /* Removed with its head, which then no daemon marks as moved? Another is at the path. */
        shmconf_look(reader);
        return 0;
    }
    shmconf_version_release(version);
    shmconf_answer_to(reader, 0);
    return 1;
}

/*
 * Looks once: 1 when there is a version that this reader has not tried yet; 0 when not; -errno when
 * there is no head that can be used, or a version that cannot be opened. If not 1, `*seq` is the
 * sequence to sleep on (0: there is none) and, with 0, `*slice` the longest sleep.
 */
SHMCONF_API int shmconf_news(struct shmconf_reader *reader, uint32_t *seq, uint64_t *slice)
{
    struct shmconf_record record;
    memset(&record, 0, sizeof record);
    for (;;) {
        *seq = 0;
        int rc = reader->head ? 0 : shmconf_look(reader);
        if (!reader->head)
            return rc;
        *slice = SHMCONF_SLICE_NS;
        rc = shmconf_head_copy(reader->head, &record, seq);
        if (!rc && !(record.state & SHMCONF_MOVED))
            break;
        *slice = SHMCONF_LOOK_NS;
        if (shmconf_may_look(reader) && shmconf_look(reader) == 1)
            continue; /* another head: a look is not allowed again for 100 ms, so this ends */
        if (rc)
            return rc;
        break;
    }
    if ((record.state & 0xffu) != SHMCONF_LIVE)
        return 0;
    /* It has it, if under another head, as after a boot: there the next enter comes along. */
    if (reader->version && reader->version->instance == reader->instance &&
        reader->version->generation == record.generation)
        return 0;
    if (record.generation != reader->tried_generation ||
        reader->instance != reader->tried_instance) {
        shmconf_answer_to(reader, 0); /* somebody may have written it and left the sequence */
        return 1;
    }
    return shmconf_heals(reader, record.generation) ? 1 : reader->error;
}

/* The next pause of somebody whom nobody wakes. */
SHMCONF_API uint64_t shmconf_longer(uint64_t pause)
{
    return pause * 2 < SHMCONF_LOOK_NS ? pause * 2 : SHMCONF_LOOK_NS;
}

/*
 * Has the daemon fetch what this reader has no version of, without waiting for its answer: whoever
 * hangs up ends no fetch. Again at the next look where none listens, since it may come later, and
 * after a slice where one does.
 */
SHMCONF_API void shmconf_ask(struct shmconf_reader *reader, uint64_t deadline)
{
    if (reader->version || (reader->flags & SHMCONF_SILENT) || shmconf_ticks_ns() < reader->ask_ns)
        return;
    int fd = shmconf_request_begin(&reader->place->name, shmconf_rest(deadline, SHMCONF_LOOK_NS));
    if (fd >= 0)
        close(fd);
    reader->ask_ns = shmconf_ticks_ns() + (fd < 0 ? SHMCONF_LOOK_NS : SHMCONF_SLICE_NS);
}

/*
 * Sleeps until there is a version that this reader's enter has not returned yet: the first one, or
 * a newer one. The next outermost enter returns it. Works before the region exists, and notices
 * within 5 s when it was removed and made anew.
 *
 * As long as the reader has no version the daemon on 127.0.0.1 is asked for it, as by
 * shmconf_request: every 5 s, and every 100 ms where no daemon listens. Never with SHMCONF_SILENT,
 * nor for a newer version.
 *
 * `timeout_ms` < 0: no limit. 0, -ETIMEDOUT, or the reason why what is there cannot be used.
 */
SHMCONF_API int shmconf_wait(struct shmconf_reader *reader, long timeout_ms)
{
    uint64_t deadline = shmconf_deadline(timeout_ms);
    uint64_t pause = SHMCONF_NS_PER_MS;
    int saved = errno;
    int rc = 0;
    if (!reader->place)
        return reader->error;
    for (;;) {
        uint32_t seq = 0;
        uint64_t slice = 0;
        int news = shmconf_news(reader, &seq, &slice);
        if (news == 1) {
            rc = 0;
            break;
        }
        if (news == 0 || news == -ENOENT)
            shmconf_ask(reader, deadline);
        if (news < 0) {
            /* Nobody wakes us when that is over: look more and more seldom, up to every 100 ms. */
            rc = news;
            slice = pause = shmconf_longer(pause);
        }
        uint64_t rest = shmconf_rest(deadline, slice);
        if (!rest) {
            rc = rc == 0 || rc == -ENOENT ? -ETIMEDOUT : rc;
            break;
        }
        shmconf_futex_wait(seq ? reader->seq : shmconf_no_seq(), seq, rest);
        if (news == 0) {
            rc = 0; /* whatever stands at the path now: the mapped head is the best there is */
            if (shmconf_ticks_ns() - reader->looked_ns >= SHMCONF_SLICE_NS)
                shmconf_look(reader);
        }
    }
    errno = saved;
    return rc;
}

/*
 * How fresh the configuration is. Looks at the path, so it costs some ten microseconds. 0; -ENOENT
 * (nothing published); -ESTALE (the region was removed: what is told is the last that was known);
 * or another -errno when there is no head that can be used.
 */
SHMCONF_API int shmconf_status(struct shmconf_reader *reader, struct shmconf_health *health)
{
    struct shmconf_record record;
    uint32_t seq;
    int saved = errno;
    memset(health, 0, sizeof *health);
    memset(&record, 0, sizeof record);
    int looked = shmconf_look(reader);
    int rc = reader->head ? shmconf_head_copy(reader->head, &record, &seq) : looked;
    errno = saved;
    if (rc)
        return rc;
    uint64_t now = shmconf_now_ns();
    health->instance = reader->instance;
    health->generation = record.generation;
    health->fetched_ns = record.fetched_ns;
    health->checked_ns = record.checked_ns;
    health->tried_ns = record.tried_ns;
    health->next_ns = record.next_ns;
    /* A check in the future is one before the clock was set back: as far away, and as little known.
     */
    health->age_ns = now > record.checked_ns ? now - record.checked_ns : record.checked_ns - now;
    if (!record.checked_ns)
        health->age_ns = 0;
    health->failures = record.failures;
    health->error = record.error;
    health->http_status = record.http_status;
    health->interval_s = record.interval_s;
    health->size = record.payload_size;
    if (looked < 0)
        return looked == -ENOENT ? -ESTALE : looked;
    return (record.state & 0xffu) == SHMCONF_LIVE ? 0 : -ENOENT;
}

/*
 * Sleeps until the last good check is at most `max_age_ms` old, so that what enter returns was
 * right that short a time ago. 0, -ETIMEDOUT, or what shmconf_status says at the end of the time.
 */
SHMCONF_API int shmconf_fresh(struct shmconf_reader *reader, unsigned long max_age_ms,
                              long timeout_ms)
{
    uint64_t deadline = shmconf_deadline(timeout_ms);
    uint64_t pause = SHMCONF_NS_PER_MS;
    for (;;) {
        struct shmconf_health health;
        int rc = shmconf_status(reader, &health);
        if (!reader->place ||
            (!rc && health.checked_ns && health.age_ns / SHMCONF_NS_PER_MS <= max_age_ms))
            return rc;
        /* A check that finds nothing new wakes nobody, so this one looks by itself. */
        uint64_t rest = shmconf_rest(deadline, pause);
        if (!rest)
            return rc ? rc : -ETIMEDOUT;
        shmconf_futex_wait(shmconf_no_seq(), 0, rest);
        pause = shmconf_longer(pause);
    }
}

#endif
