/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The system calls of the reader. They go through syscall(2), because under strict C99 libc hides
 * openat, clock_gettime and the O_ constants, and a header must not define feature macros for
 * whoever includes it.
 */
#ifndef SHMCONF_SYSTEM_H
#define SHMCONF_SYSTEM_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "shmconf/order.h"

#ifndef __cplusplus
/* C++ compilers always show it; strict C does not, and others shall not warn that they do. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
long syscall(long number, ...);
#pragma GCC diagnostic pop
#endif

#ifdef O_NOFOLLOW
#define SHMCONF_O_NOFOLLOW O_NOFOLLOW
#else
#define SHMCONF_O_NOFOLLOW __O_NOFOLLOW
#endif
#ifdef O_DIRECTORY
#define SHMCONF_O_DIRECTORY O_DIRECTORY
#else
#define SHMCONF_O_DIRECTORY __O_DIRECTORY
#endif
#ifdef O_CLOEXEC
#define SHMCONF_O_CLOEXEC O_CLOEXEC
#else
#define SHMCONF_O_CLOEXEC __O_CLOEXEC
#endif

enum {
    SHMCONF_FUTEX_WAIT = 0,
    SHMCONF_AT_FDCWD = -100,
    SHMCONF_CLOCK_REALTIME = 0,
    SHMCONF_CLOCK_MONOTONIC_COARSE = 6
};

struct shmconf_timespec {
    long seconds;
    long nanoseconds;
};

SHMCONF_API uint64_t shmconf_clock_ns(long clock)
{
    struct shmconf_timespec now = {0, 0};
    syscall(SYS_clock_gettime, clock, &now);
    return SHMCONF_CAST(unsigned long long, now.seconds) * 1000000000u +
           SHMCONF_CAST(unsigned long long, now.nanoseconds);
}

/* Unix time, for ages; it may jump. */
SHMCONF_API uint64_t shmconf_now_ns(void)
{
    return shmconf_clock_ns(SHMCONF_CLOCK_REALTIME);
}

/* For time-outs; a few milliseconds coarse, never 0. */
SHMCONF_API uint64_t shmconf_ticks_ns(void)
{
    return shmconf_clock_ns(SHMCONF_CLOCK_MONOTONIC_COARSE) + 1;
}

#define SHMCONF_NS_PER_MS UINT64_C(1000000)

/* The end of a time-out in shmconf_ticks_ns; a negative time-out never ends. */
SHMCONF_API uint64_t shmconf_deadline(long timeout_ms)
{
    if (timeout_ms < 0)
        return ~UINT64_C(0);
    uint64_t ms = SHMCONF_CAST(unsigned long, timeout_ms);
    if (ms > ~UINT64_C(0) / 2 / SHMCONF_NS_PER_MS)
        return ~UINT64_C(0); /* 292 years */
    return shmconf_ticks_ns() + ms * SHMCONF_NS_PER_MS;
}

/* What is left until `deadline`, but no more than `most`; 0: it is over. */
SHMCONF_API uint64_t shmconf_rest(uint64_t deadline, uint64_t most)
{
    uint64_t now = shmconf_ticks_ns();
    if (now >= deadline)
        return 0;
    return deadline - now < most ? deadline - now : most;
}

/* A descriptor or -errno. */
SHMCONF_API int shmconf_openat(int directory, const char *path, int flags)
{
    long fd = syscall(SYS_openat, directory, path, flags | SHMCONF_O_CLOEXEC, 0);
    return fd < 0 ? -errno : SHMCONF_CAST(int, fd);
}

SHMCONF_API int shmconf_is_link(int directory, const char *path)
{
    char target;
    return syscall(SYS_readlinkat, directory, path, &target, 1) >= 0;
}

/*
 * Sleeps until *word is no longer `expected`, somebody wakes it, or `timeout_ns` is over. Not
 * private: the daemon wakes through its own mapping of the file. A read-only mapping will do.
 */
SHMCONF_API void shmconf_futex_wait(const uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    struct shmconf_timespec timeout;
    timeout.seconds = SHMCONF_CAST(long, timeout_ns / 1000000000u);
    timeout.nanoseconds = SHMCONF_CAST(long, timeout_ns % 1000000000u);
    int saved = errno;
#ifdef SYS_futex
    syscall(SYS_futex, word, SHMCONF_FUTEX_WAIT, expected, &timeout, SHMCONF_NULL, 0);
#else
    long long wide[2] = {timeout.seconds, timeout.nanoseconds}; /* 32-bit, 64-bit time only */
    syscall(SYS_futex_time64, word, SHMCONF_FUTEX_WAIT, expected, wide, SHMCONF_NULL, 0);
#endif
    errno = saved;
}

/* mmap's MAP_FAILED is a cast that C++ warns of; NULL on failure, with errno. */
SHMCONF_API const void *shmconf_map(int fd, size_t size)
{
    void *none = SHMCONF_CAST(char *, SHMCONF_NULL);
    void *memory = mmap(none, size, PROT_READ, MAP_SHARED, fd, 0);
    return memory == MAP_FAILED ? none : memory;
}

#endif
