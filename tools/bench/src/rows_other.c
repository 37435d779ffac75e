/* SPDX-License-Identifier: Apache-2.0 */
/* What else a program could do to get at 6 KB: for comparison. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "loop.h"

static char file_path[600];

BENCH_INLINE uintptr_t clock_read(const char *at)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uintptr_t)now.tv_nsec + (uintptr_t)at;
}

static void clock_throughput(uint64_t count)
{
    repeat(clock_read, file_path, count, false);
}

static void clock_latency(uint64_t count)
{
    repeat(clock_read, file_path, count, true);
}

BENCH_INLINE uintptr_t file_read(const char *at)
{
    static char text[BENCH_TEXT_SIZE];
    int fd = open(at, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text) != sizeof text)
        bench_fail("cannot read %s", at);
    close(fd);
    return (unsigned char)text[0];
}

static void file_throughput(uint64_t count)
{
    repeat(file_read, file_path, count, false);
}

static void make_file(const struct options *options)
{
    char text[BENCH_TEXT_SIZE];
    bench_text(text, 0);
    snprintf(file_path, sizeof file_path, "%s/file", options->directory);
    int fd = open(file_path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, sizeof text) != sizeof text)
        bench_fail("cannot write %s", file_path);
    close(fd);
}

#ifdef BENCH_HAS_LMDB
#include <lmdb.h>

static MDB_env *environment;
static MDB_txn *transaction;
static MDB_dbi database;
static char lmdb_key[] = "configuration";

static void lmdb_check(int rc, const char *what)
{
    if (rc)
        bench_fail("LMDB: %s: %s", what, mdb_strerror(rc));
}

static void lmdb_start(const struct options *options)
{
    char text[BENCH_TEXT_SIZE], path[600];
    MDB_val key = {sizeof lmdb_key - 1, lmdb_key};
    MDB_val value = {sizeof text, text};
    bench_text(text, 0);
    snprintf(path, sizeof path, "%s/lmdb", options->directory);
    if (mkdir(path, 0700) != 0)
        bench_fail("cannot make %s", path);
    lmdb_check(mdb_env_create(&environment), "create");
    lmdb_check(mdb_env_open(environment, path, 0, 0600), "open");
    lmdb_check(mdb_txn_begin(environment, NULL, 0, &transaction), "begin");
    lmdb_check(mdb_dbi_open(transaction, NULL, 0, &database), "open the database");
    lmdb_check(mdb_put(transaction, database, &key, &value, 0), "put");
    lmdb_check(mdb_txn_commit(transaction), "commit");
    lmdb_check(mdb_txn_begin(environment, NULL, MDB_RDONLY, &transaction), "begin");
}

BENCH_INLINE uintptr_t lmdb_get(const char *at)
{
    union {
        const char *in;
        void *out;
    } text = {at};
    MDB_val key = {sizeof lmdb_key - 1, text.out};
    MDB_val value;
    lmdb_check(mdb_get(transaction, database, &key, &value), "get");
    return *(const unsigned char *)value.mv_data;
}

BENCH_INLINE uintptr_t lmdb_renewed_get(const char *at)
{
    mdb_txn_reset(transaction);
    lmdb_check(mdb_txn_renew(transaction), "renew");
    return lmdb_get(at);
}

static void lmdb_throughput(uint64_t count)
{
    repeat(lmdb_get, lmdb_key, count, false);
}

static void lmdb_latency(uint64_t count)
{
    repeat(lmdb_get, lmdb_key, count, true);
}

static void lmdb_renewed_throughput(uint64_t count)
{
    repeat(lmdb_renewed_get, lmdb_key, count, false);
}

static void lmdb_renewed_latency(uint64_t count)
{
    repeat(lmdb_renewed_get, lmdb_key, count, true);
}

static void lmdb_end(void)
{
    mdb_txn_abort(transaction);
    mdb_env_close(environment);
}

#define LMDB_MISSING NULL
#else
#define LMDB_MISSING            "not installed"
#define lmdb_throughput         NULL
#define lmdb_latency            NULL
#define lmdb_renewed_throughput NULL
#define lmdb_renewed_latency    NULL

static void lmdb_start(const struct options *options)
{
    (void)options;
}

static void lmdb_end(void)
{
}
#endif

size_t rows_other(struct row *rows, const struct options *options)
{
    static const struct row others[] = {
        {.key = "clock",
         .title = "clock_gettime(MONOTONIC)",
         .throughput = clock_throughput,
         .latency = clock_latency},
        {.key = "lmdb_long",
         .title = "LMDB get, long-lived transaction",
         .throughput = lmdb_throughput,
         .latency = lmdb_latency,
         .missing = LMDB_MISSING},
        {.key = "lmdb_renewed",
         .title = "LMDB reset + renew + get",
         .throughput = lmdb_renewed_throughput,
         .latency = lmdb_renewed_latency,
         .missing = LMDB_MISSING},
        {.key = "file", .title = "open + read + close of 6 KB", .throughput = file_throughput},
    };
    make_file(options);
    lmdb_start(options);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        rows[i] = others[i];
    return sizeof others / sizeof others[0];
}

void rows_other_end(void)
{
    lmdb_end();
}
