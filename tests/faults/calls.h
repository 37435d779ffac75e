/* SPDX-License-Identifier: Apache-2.0 */
/* System calls, and the ways in which each of them can fail. */
#ifndef TESTS_FAULTS_CALLS_H
#define TESTS_FAULTS_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No system calls: the kernel says ENOSYS, the tracer more. */
enum {
    CALL_END = 9990,      /* the end of what is to be counted */
    CALL_ALLOCATE = 9991, /* memory is asked for; -1 with ENOMEM: there is none */
};

/* In place of an errno value: the call does half of what it was asked for. */
#define WAY_SHORT (-1)
/* Added to one: the call is done and says all the same that it failed. */
#define WAY_AFTER 0x1000

enum { CALL_ARGUMENTS = 6, CALL_WAYS = 16 };

struct call {
    uint64_t number;
    uint64_t arguments[CALL_ARGUMENTS];
};

/* What `ways` gets; 0: this call does not fail, or not in a way that anybody could do something
 * about. */
size_t call_ways(const struct call *call, int ways[CALL_WAYS]);

/* Whether it is one of those that are known not to fail: any other without ways is new here. */
bool call_is_exempt(const struct call *call);

bool call_opens_unnamed(const struct call *call);

/* Its name, or its number where the table does not have it. */
const char *call_name(uint64_t number);

/* "ENOSPC", "short", "EINTR, but done" */
const char *way_name(int way);

#endif
