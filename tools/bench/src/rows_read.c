/* SPDX-License-Identifier: Apache-2.0 */
/* Reads of a configuration that does not change meanwhile, and the plain load they are held to. */
#include <shmconf.h>

#include "bench.h"
#include "loop.h"

static struct shmconf_reader reader;
static const struct shmconf_version *held;

BENCH_INLINE struct shmconf_reader *reader_at(const char *at)
{
    union {
        const char *in;
        struct shmconf_reader *out;
    } address = {at};
    return address.out;
}

BENCH_INLINE uintptr_t nothing(const char *at)
{
    return (uintptr_t)at;
}

BENCH_INLINE uintptr_t load(const char *at)
{
    const void *word = at;
    return shmconf_load_relaxed(word);
}

BENCH_INLINE uintptr_t current(const char *at)
{
    return (uintptr_t)shmconf_current(reader_at(at));
}

BENCH_INLINE uintptr_t enter_leave(const char *at)
{
    struct shmconf_reader *from = reader_at(at);
    uintptr_t version = hidden((uintptr_t)shmconf_enter(from));
    shmconf_leave(from);
    return version;
}

/* One invocation of a handler: 8 bytes from all over the text. */
BENCH_INLINE uintptr_t invocation(const char *at)
{
    struct shmconf_reader *from = reader_at(at);
    const struct shmconf_version *version = hidden_address(shmconf_enter(from));
    struct shmconf_slice text = shmconf_text(version);
    const unsigned char *byte = (const unsigned char *)text.data;
    uintptr_t sum = (uintptr_t)byte[0] + byte[800] + byte[1600] + byte[2400];
    sum += (uintptr_t)byte[3200] + byte[4000] + byte[4800] + byte[5600];
    sum = hidden(sum);
    shmconf_leave(from);
    return sum;
}

BENCH_INLINE uintptr_t hold_drop(const char *at)
{
    const void *version = at;
    shmconf_drop(hidden_address(shmconf_hold(version)));
    return (uintptr_t)at;
}

BENCH_INLINE uintptr_t status(const char *at)
{
    struct shmconf_health health;
    int rc = shmconf_status(reader_at(at), &health);
    return (uintptr_t)rc + health.generation;
}

static void nothing_throughput(uint64_t count)
{
    repeat(nothing, &reader, count, false);
}

static void nothing_latency(uint64_t count)
{
    repeat(nothing, &reader, count, true);
}

static void load_throughput(uint64_t count)
{
    repeat(load, reader.seq, count, false);
}

static void load_latency(uint64_t count)
{
    repeat(load, reader.seq, count, true);
}

static void current_throughput(uint64_t count)
{
    repeat(current, &reader, count, false);
}

static void current_latency(uint64_t count)
{
    repeat(current, &reader, count, true);
}

static void enter_leave_throughput(uint64_t count)
{
    repeat(enter_leave, &reader, count, false);
}

static void enter_leave_latency(uint64_t count)
{
    repeat(enter_leave, &reader, count, true);
}

static void invocation_throughput(uint64_t count)
{
    repeat(invocation, &reader, count, false);
}

static void invocation_latency(uint64_t count)
{
    repeat(invocation, &reader, count, true);
}

static void hold_throughput(uint64_t count)
{
    repeat(hold_drop, held, count, false);
}

static void hold_latency(uint64_t count)
{
    repeat(hold_drop, held, count, true);
}

static void status_throughput(uint64_t count)
{
    repeat(status, &reader, count, false);
}

static const struct row rows_of_reads[] = {
    {.key = "loop",
     .title = "empty loop",
     .throughput = nothing_throughput,
     .latency = nothing_latency},
    {.key = "load",
     .title = "plain atomic load (the unit)",
     .throughput = load_throughput,
     .latency = load_latency},
    {.key = "current",
     .title = "current version, unchanged",
     .throughput = current_throughput,
     .latency = current_latency,
     .budget = BUDGET_RATIO,
     .limit = 1.5},
    {.key = "enter_leave",
     .title = "enter + leave",
     .throughput = enter_leave_throughput,
     .latency = enter_leave_latency,
     .budget = BUDGET_RATIO,
     .limit = 3},
    {.key = "invocation",
     .title = "one invocation: enter, 8 reads, leave",
     .throughput = invocation_throughput,
     .latency = invocation_latency},
    {.key = "hold_drop",
     .title = "hold + drop",
     .throughput = hold_throughput,
     .latency = hold_latency},
    {.key = "status", .title = "status", .throughput = status_throughput},
};

size_t rows_read(struct row *rows)
{
    size_t count = sizeof rows_of_reads / sizeof rows_of_reads[0];
    int rc = shmconf_open(&reader, BENCH_NAME, 0);
    if (rc)
        bench_fail("cannot open %s: %s", BENCH_NAME, shmconf_strerror(rc));
    held = shmconf_hold(shmconf_enter(&reader));
    shmconf_leave(&reader);
    if (shmconf_text(held).size != BENCH_TEXT_SIZE)
        bench_fail("cannot read %s: %s", BENCH_NAME, shmconf_strerror(shmconf_error(&reader)));
    for (size_t i = 0; i < count; i++)
        rows[i] = rows_of_reads[i];
    return count;
}
