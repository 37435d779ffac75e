/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's log: lines to stderr or to a file.
 *
 * A line is one write(2) of at most LOG_LINE_MAX bytes, so lines of several writers do not mix.
 * Newlines, control characters and malformed UTF-8 are escaped: no name can forge a line. A line
 * that cannot be written is dropped and counted, and the count is logged when writing works again;
 * logging neither fails nor waits noticeably, whatever happens to the reader or the disk.
 *
 *   text:  [shmconfd] 2026/11/22 10:00:00 INFO message        (local time)
 *   JSON:  {"time":"2026-11-22T09:00:00.123Z","level":"INFO","message":"..."}
 *
 * One log per process, for one thread. Before log_open it is text on stderr at level info.
 */
#ifndef SHMCONFD_LOG_H
#define SHMCONFD_LOG_H

#include <stdbool.h>

#include "base/error.h"

/* What a pipe takes in one piece: PIPE_BUF on Linux. */
enum { LOG_LINE_MAX = 4096 };

enum log_level {
    LOG_LEVEL_TRACE,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_FATAL,
    LOG_LEVEL_NONE, /* as threshold: nothing at all; no message has it */
};

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/*
 * Messages of `level` and above go to `path`, which is copied, appended to, and created with mode
 * 0640; NULL is stderr. On failure the log stays as it was. Ignores SIGPIPE and SIGXFSZ for the
 * process, so that neither a reader that went away nor a full file ends the daemon.
 */
int log_open(enum log_level level, enum log_format format, const char *path, struct error *error);

/* Whether log_open could open `path`, which is not created for that. */
int log_check(const char *path, struct error *error);

/* Opens the path again, after a rotation. On failure the log goes on with the file that it has. */
int log_reopen(struct error *error);

/* Back to the state before log_open. */
void log_close(void);

/* Would a message of this level be written? For work that is only done to be logged. */
bool log_enabled(enum log_level level);

void log_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "subject: message" in text, a member of its own in JSON. NULL or "" is no subject. */
void log_subject(enum log_level level, const char *subject, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* An error object, with its subject. */
void log_error_object(enum log_level level, const struct error *error);

#endif
