/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A limit for lines that anybody can provoke, whatever often: so many in a minute are written, the
 * others are counted, and one line tells of them. It has no timer: that line comes when the limit
 * is used next after the minute, or is told to.
 */
#ifndef SHMCONFD_LOG_LIMIT_H
#define SHMCONFD_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

enum { LOG_LIMIT_LINES = 20 };

/* Only `what` is to be filled in. */
struct log_limit {
    const char *what; /* of what there were so many more, in the plural; a constant */
    uint64_t began_ns;
    unsigned written;
    unsigned long left_out;
    char last[256]; /* the subject of the last one that was left out */
};

/* May a line with this subject be written at `now_ns` (monotonic)? */
bool log_limit_allows(struct log_limit *limit, const char *subject, uint64_t now_ns);

/* Tells of what was left out if that minute is over at `now_ns`; UINT64_MAX: in any case. */
void log_limit_tell(struct log_limit *limit, uint64_t now_ns);

#endif
