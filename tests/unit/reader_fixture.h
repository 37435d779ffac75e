/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region as readers see it, with the means to spoil it. The configuration is always A:B:C; `path`
 * is below the root: "A/B/C/head".
 */
#ifndef TESTS_READER_FIXTURE_H
#define TESTS_READER_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <shmconf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "region_fixture.h"

#define READER_HEAD "A/B/C/head"

enum { READER_PATIENCE_MS = 10000 };

/* Where take_away puts something. */
static inline struct whole_path away_from(const struct fixture *f, const char *path)
{
    struct whole_path whole = in_root(f, path);
    size_t size = strlen(whole.text);
    snprintf(whole.text + size, sizeof whole.text - size, ".away");
    return whole;
}

/* ---- Files ----------------------------------------------------------------------------------- */

/* Moves something out of the way; put_back removes what stands in its place meanwhile. */
static inline void take_away(struct fixture *f, const char *path)
{
    CHECK_INT(0, rename(in_root(f, path).text, away_from(f, path).text));
}

static inline void put_back(struct fixture *f, const char *path)
{
    struct whole_path to = in_root(f, path);
    if (unlink(to.text) != 0 && errno == EISDIR)
        rmdir(to.text);
    CHECK_INT(0, rename(away_from(f, path).text, to.text));
}

/* The bytes of a small file; returns its size. */
static inline size_t file_read(struct fixture *f, const char *path, void *out, size_t room)
{
    int fd = open(in_root(f, path).text, O_RDONLY);
    CHECK(fd >= 0);
    ssize_t got = read(fd, out, room);
    CHECK(got >= 0);
    close(fd);
    return (size_t)got;
}

/* A new file with these bytes; the name must be free. */
static inline void file_write(struct fixture *f, const char *path, const void *bytes, size_t size)
{
    int fd = open(in_root(f, path).text, O_CREAT | O_EXCL | O_WRONLY, 0600);
    CHECK(fd >= 0);
    CHECK_INT(size, write(fd, bytes, size));
    CHECK_INT(0, fchmod(fd, 0600));
    close(fd);
}

static inline void file_truncate(struct fixture *f, const char *path, long size)
{
    struct whole_path whole = in_root(f, path);
    unsigned mode = fixture_mode(f, path);
    CHECK_INT(0, chmod(whole.text, 0600));
    CHECK_INT(0, truncate(whole.text, size));
    CHECK_INT(0, chmod(whole.text, mode));
}

/* The next store of the daemon, made by hand: `f` must have no entry at that time. */
static inline void head_store_by_hand(struct fixture *f, uint32_t seq,
                                      const struct shmconf_record *record)
{
    struct shmconf_cell cell = {.record = *record};
    fixture_overwrite(f, READER_HEAD,
                      (long)(offsetof(struct shmconf_head, cells) + (seq & 1) * sizeof cell), &cell,
                      sizeof cell);
    fixture_overwrite(f, READER_HEAD, offsetof(struct shmconf_head, seq), &seq, sizeof seq);
}

/* ---- Readers --------------------------------------------------------------------------------- */

static inline void reader_open(struct shmconf_reader *reader, unsigned flags)
{
    CHECK_INT(0, shmconf_open(reader, "A:B:C", flags));
}

static inline void reader_close(struct shmconf_reader *reader)
{
    CHECK_INT(0, shmconf_close(reader));
}

/* One enter and leave, and what they gave: the text (NULL: no version) and the error. */
static inline void reader_expect(struct shmconf_reader *reader, const char *text, int error)
{
    const struct shmconf_version *version = shmconf_enter(reader);
    if (text)
        CHECK_STRING(text, version ? shmconf_text(version).data : NULL);
    else
        CHECK(version == NULL);
    shmconf_leave(reader);
    CHECK_INT(error, shmconf_error(reader));
}

/* As if the time between two looks at the path were over. */
static inline void reader_may_look(struct shmconf_reader *reader)
{
    reader->looked_ns = 0;
}

/* Looks until `text` comes, which takes as long as looks at the path are apart. */
static inline void reader_reaches(struct shmconf_reader *reader, const char *text)
{
    uint64_t end = clock_monotonic_ns() + READER_PATIENCE_MS * NS_PER_MS;
    for (;;) {
        const struct shmconf_version *version = shmconf_enter(reader);
        bool is_there = strcmp(shmconf_text(version).data, text) == 0;
        shmconf_leave(reader);
        if (is_there && shmconf_error(reader) == 0)
            return;
        CHECK(clock_monotonic_ns() < end);
        poll(NULL, 0, 2);
    }
}

static inline int reader_status(struct shmconf_reader *reader)
{
    struct shmconf_health health;
    return shmconf_status(reader, &health);
}

/* What a newcomer finds. */
static inline void newcomer_expects(const char *text, int error)
{
    struct shmconf_reader reader;
    reader_open(&reader, 0);
    reader_expect(&reader, text, error);
    reader_close(&reader);
}

/* One case that only root can try; tests/run counts it as a skip. */
static inline bool skipped_unless_root(const char *what)
{
    if (geteuid() == 0)
        return false;
    const char *path = getenv("SHMCONF_SKIP_LOG");
    FILE *log = path ? fopen(path, "a") : NULL;
    fprintf(log ? log : stdout, "%s: %s: only root can\n", program_invocation_short_name, what);
    if (log)
        fclose(log);
    return true;
}

#endif
