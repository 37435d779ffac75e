/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop around every measured operation. The barriers are empty asm statements: no instruction,
 * but the compiler must have the value in a register, and must expect all memory to have changed.
 * So it can neither drop the operation nor carry its loads over to the next turn.
 */
#ifndef SHMCONF_BENCH_LOOP_H
#define SHMCONF_BENCH_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_INLINE static inline __attribute__((always_inline))

BENCH_INLINE void use(uintptr_t value)
{
    __asm__ volatile("" : : "r"(value) : "memory");
}

/* The same value, of which the compiler knows nothing. */
BENCH_INLINE uintptr_t hidden(uintptr_t value)
{
    __asm__ volatile("" : "+r"(value) : : "memory");
    return value;
}

BENCH_INLINE const void *hidden_address(const void *address)
{
    __asm__ volatile("" : "+r"(address) : : "memory");
    return address;
}

/*
 * `operation` gets `target` and returns what it found there. When `is_chain`, the address of the
 * next one is computed from that: plus the result and a zero that the compiler does not know.
 */
BENCH_INLINE void repeat(uintptr_t (*operation)(const char *at), const void *target, uint64_t count,
                         bool is_chain)
{
    const char *base = hidden_address(target);
    const char *at = base;
    uintptr_t zero = hidden(0);
    for (; count > 0; count--) {
        uintptr_t result = operation(at);
        if (is_chain)
            at = base + (hidden(result) & zero);
        else
            use(result);
    }
}

#endif
