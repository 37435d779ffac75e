/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error type of the daemon.
 *
 * A function that can fail takes a `struct error *` last, returns 0 on success and the negative
 * code on failure. On success it leaves the error untouched. The error is logged or reported once,
 * by whoever handles it.
 */
#ifndef SHMCONFD_ERROR_H
#define SHMCONFD_ERROR_H

struct error {
    int code;          /* an errno value */
    char subject[256]; /* the name or path that it is about; may be empty */
    char message[512]; /* what went wrong and what to do, one line, without the subject */
};

/* Fills `error` (NULL is allowed) and returns -code, so that callers can `return error_set(...)`.
 */
int error_set(struct error *error, int code, const char *subject, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Like error_set; appends ": " and the text of `code` to the message. */
int error_system(struct error *error, int code, const char *subject, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
