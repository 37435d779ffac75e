/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes of the crash test share: a page of counters and the content of versions. */
#ifndef TESTS_CRASH_H
#define TESTS_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRASH_NAME "Crash:Test:Profile"
#define CRASH_PATH "Crash/Test/Profile"

enum { CRASH_MAX_SIZE = 64 * 1024, CRASH_READERS = 3 };

struct crash_reader {
    uint64_t reads;      /* versions verified byte by byte */
    uint64_t switches;   /* of them, others than the one before */
    uint64_t overtaken;  /* the writer was faster than all attempts of one enter */
    uint64_t generation; /* the last one that was seen */
};

/* Every word is stored by one process and loaded by the others. */
struct crash_shared {
    char root[256];
    uint64_t seed;
    uint64_t published;    /* the generation of the last publication that returned */
    uint64_t publications; /* that returned */
    uint64_t statuses;
    uint32_t is_over;
    struct crash_reader readers[CRASH_READERS];
};

static inline uint64_t crash_load(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void crash_store(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* splitmix64 */
static inline uint64_t crash_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Ends the process as failed, with a line. */
void crash_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/*
 * The content of a version follows from who wrote it and its generation; `incarnation` is the
 * writer's number. Returns the size, 1 byte to 64 KB.
 */
size_t crash_content(uint64_t incarnation, uint64_t generation, char out[CRASH_MAX_SIZE]);
void crash_label(uint64_t incarnation, uint64_t generation, char label[64]);

/* The files in the configuration's directory. */
struct crash_files {
    unsigned heads, versions, temporary, others;
    unsigned orphans; /* of the versions: neither `generation` nor its predecessor */
    uint64_t newest;  /* of the versions; 0: there is none */
};
struct crash_files crash_count(const char *root, uint64_t generation);

/* Takes the region over and publishes until it is killed. */
void crash_write(struct crash_shared *shared, uint64_t incarnation) __attribute__((noreturn));

/* Reads and verifies until the test is over: `role` 0 long-lived, 1 attaching anew, 2 private. */
void crash_read(struct crash_shared *shared, int role) __attribute__((noreturn));

#endif
