/* SPDX-License-Identifier: Apache-2.0 */
/* The benchmark of reads: what its files share. */
#ifndef SHMCONF_BENCH_H
#define SHMCONF_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_NAME "Bench:Region:Config"

enum { BENCH_TEXT_SIZE = 6150, BENCH_MAX_BLOCKS = 1001 };

/* Nanoseconds for one operation. */
struct figure {
    double min;
    double median;
    bool is_there;
};

enum budget { BUDGET_NONE, BUDGET_RATIO, BUDGET_NS };

struct row {
    const char *key;   /* for --json */
    const char *title; /* for people */
    /*
     * Does it `count` times. Throughput: one after the other, independent. Latency: each address
     * depends on the last result. NULL: not measured.
     */
    void (*throughput)(uint64_t count);
    void (*latency)(uint64_t count);
    const char *missing; /* why the row has no figures; NULL: it has */
    enum budget budget;
    double limit;         /* times the plain load, or nanoseconds */
    uint64_t counts[2];   /* of operations in a block */
    double *blocks[2];    /* nanoseconds for one operation, a number for each block */
    struct figure result; /* throughput */
    struct figure chain;  /* latency */
};

struct options {
    bool is_json;
    bool is_quick;
    const char *directory; /* where region, file and database are made */
    const char *http_path; /* NULL: no daemon */
    unsigned http_port;
};

/* ---- measure.c ------------------------------------------------------------------------------- */

uint64_t bench_now_ns(void);
/* The figure of `count` numbers, which it sorts. */
struct figure figure_of(double *numbers, size_t count);
/*
 * Measures all rows block by block in turn, so that a disturbance meets every row. `blocks` of
 * `block_ns` each, for throughput and for latency.
 */
void measure(struct row *rows, size_t count, unsigned blocks, uint64_t block_ns);
void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* ---- writer.c: another process, with the daemon's own code ----------------------------------- */

struct writer {
    pid_t process;
    int socket;
};

void writer_start(struct writer *writer, const char *root, int cpu);
/* Publishes the next version and comes back when that is done. */
void writer_publish(const struct writer *writer);
void writer_end(const struct writer *writer);
/* 6 KB that look like a configuration; `number` makes each one another. */
void bench_text(char text[BENCH_TEXT_SIZE], uint64_t number);

/* ---- rows_*.c -------------------------------------------------------------------------------- */

/* Each adds its rows at `rows` and returns how many. */
size_t rows_read(struct row *rows);
size_t rows_other(struct row *rows, const struct options *options);
size_t rows_http(struct row *rows, const struct options *options);
void rows_other_end(void);
/* These measure at once: a switch cannot be repeated without a publication. */
size_t rows_switch(struct row *rows, const struct writer *writer, unsigned count);

/* ---- report.c -------------------------------------------------------------------------------- */

struct machine {
    char cpu[128], kernel[128], file_system[32];
    const char *compiler;
    int reader_cpu; /* -1: not pinned */
};

void machine_look(struct machine *machine, const char *directory);
void report_text(const struct machine *machine, const struct row *rows, size_t count);
void report_json(const struct machine *machine, const struct row *rows, size_t count);

#endif
