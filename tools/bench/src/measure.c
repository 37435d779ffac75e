/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of operations, timed. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"

void bench_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("bench_read: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int compare(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

struct figure figure_of(double *numbers, size_t count)
{
    qsort(numbers, count, sizeof *numbers, compare);
    struct figure figure = {numbers[0], numbers[count / 2], true};
    return figure;
}

typedef void loop_function(uint64_t count);

static double time_block(loop_function *loop, uint64_t count)
{
    uint64_t began_ns = bench_now_ns();
    loop(count);
    return (double)(bench_now_ns() - began_ns) / (double)count;
}

/*
 * So many that a block takes about `block_ns`; it warms the caches as well. The best of three,
 * since one that was interrupted would make all blocks too short to be timed.
 */
static uint64_t calibrate(loop_function *loop, uint64_t block_ns)
{
    for (uint64_t count = 1;; count *= 2) {
        double best_ns = time_block(loop, count);
        for (int again = 0; again < 2; again++) {
            double next_ns = time_block(loop, count);
            best_ns = next_ns < best_ns ? next_ns : best_ns;
        }
        if (best_ns * (double)count >= (double)block_ns / 2 || count >= UINT64_C(1) << 30)
            return count;
    }
}

static loop_function *loop_of(const struct row *row, int which)
{
    if (row->missing)
        return NULL;
    return which ? row->latency : row->throughput;
}

static void prepare(struct row *row, unsigned blocks, uint64_t block_ns)
{
    for (int which = 0; which < 2; which++) {
        if (!loop_of(row, which))
            continue;
        row->counts[which] = calibrate(loop_of(row, which), block_ns);
        row->blocks[which] = calloc(blocks, sizeof *row->blocks[which]);
        if (!row->blocks[which])
            bench_fail("out of memory");
    }
}

void measure(struct row *rows, size_t count, unsigned blocks, uint64_t block_ns)
{
    for (size_t i = 0; i < count; i++)
        prepare(&rows[i], blocks, block_ns);
    for (unsigned block = 0; block < blocks; block++)
        for (size_t i = 0; i < count; i++)
            for (int which = 0; which < 2; which++)
                if (rows[i].blocks[which])
                    rows[i].blocks[which][block] =
                        time_block(loop_of(&rows[i], which), rows[i].counts[which]);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].blocks[0])
            rows[i].result = figure_of(rows[i].blocks[0], blocks);
        if (rows[i].blocks[1])
            rows[i].chain = figure_of(rows[i].blocks[1], blocks);
        free(rows[i].blocks[0]);
        free(rows[i].blocks[1]);
    }
}
