/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Access to memory that another process writes, and the few compiler differences that the other
 * headers need. This is the only place with memory orderings.
 *
 * Everything is built on the GNU __atomic functions: they take const pointers, which C11 _Atomic
 * does not, and they are the same in C and C++.
 */
#ifndef SHMCONF_ORDER_H
#define SHMCONF_ORDER_H

#include <stddef.h>
#include <stdint.h>

#define SHMCONF_API static inline

/* Slow paths stay out of their callers. (gcc objects to "inline" beside "noinline".) */
#define SHMCONF_API_COLD static __attribute__((cold, noinline, unused))

#define SHMCONF_RARE(condition) __builtin_expect(!!(condition), 0)

/* A conversion between types that differ, spelt so that neither language's warnings object. */
#ifdef __cplusplus
#define SHMCONF_CAST(type, value) static_cast<type>(value)
#define SHMCONF_NULL              nullptr
#else
#define SHMCONF_NULL              NULL
#define SHMCONF_CAST(type, value) ((type)(value))
#endif

/* C99 has no static assertion; an array of negative size serves all languages. */
#define SHMCONF_ASSERT(name, condition) extern char shmconf_assert_##name[(condition) ? 1 : -1]

SHMCONF_API uint32_t shmconf_load_relaxed(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

SHMCONF_API uint32_t shmconf_load_acquire(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/*
 * A 64-bit word of a seqlock cell. Where there is no plain 64-bit load (i386, ARMv7) an atomic one
 * may be a compare-and-swap, which faults on a read-only mapping: two 32-bit loads do there, since
 * the sequence check covers words that tear.
 */
SHMCONF_API uint64_t shmconf_load_relaxed64(const uint64_t *word)
{
#if __SIZEOF_POINTER__ >= 8
    return __atomic_load_n(word, __ATOMIC_RELAXED);
#else
    union {
        uint64_t whole;
        uint32_t half[2];
    } value;
    const void *bytes = word;
    const uint32_t *half = SHMCONF_CAST(const uint32_t *, bytes);
    value.half[0] = shmconf_load_relaxed(half);
    value.half[1] = shmconf_load_relaxed(half + 1);
    return value.whole;
#endif
}

/* Orders the loads before it before the loads after it: the second half of a seqlock's read. */
SHMCONF_API void shmconf_fence_acquire(void)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
}

/* References to a version are counted in private memory, by threads of one process. */
SHMCONF_API void shmconf_count_up(uint32_t *count)
{
    /* Relaxed: whoever counts up holds a reference already. */
    __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

SHMCONF_API int shmconf_count_down(uint32_t *count)
{
    /* Release: our use of the version comes before the count. Acquire: the last one, who frees it,
       comes after every other's use. */
    return __atomic_fetch_sub(count, 1, __ATOMIC_ACQ_REL) == 1;
}

#endif
