/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the system calls of another process and makes one of them fail. By ptrace: that reaches
 * every call, whoever makes it and however.
 */
#ifndef TESTS_FAULTS_TRACE_H
#define TESTS_FAULTS_TRACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "calls.h"

enum { TRACE_MAX = 4096 };

struct trace {
    /* Set by the caller. */
    unsigned fail;       /* which of the counted calls, from 1; 0: none */
    unsigned choice;     /* which of its ways, counted round and round */
    const char *only;    /* calls of this name alone are counted; NULL: all */
    bool has_no_tmpfile; /* every O_TMPFILE is refused, as on overlayfs */

    bool is_counting;
    unsigned count; /* of the calls that can fail */
    struct call calls[TRACE_MAX];
    bool has_unknown;
    struct call unknown; /* one that calls.c does not know */
    bool has_failed;
    struct call failed;
    int way; /* in which it failed */

    int pending; /* the way of the call that is under way; 0: it is left alone */
};

/* Whether this machine lets one trace another; why not, where `reason` is not NULL. */
bool trace_is_allowed(const char **reason);

/* One stop of a traced process for a system call: looks, changes, and does not let it go on. */
void trace_stop(struct trace *trace, pid_t process);

#endif
