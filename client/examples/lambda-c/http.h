/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP/1.1 exchange with a server on this machine, on a connection of its own. */
#ifndef LAMBDA_HTTP_H
#define LAMBDA_HTTP_H

#include <stddef.h>

struct http_answer {
    int status;
    char *head; /* header lines as they came, each ended by \r\n */
    char *body; /* a NUL behind the end */
    size_t size;
};

/*
 * `address` is IP:PORT; `headers` are lines, each ended by \r\n. Waits for the answer without
 * limit. 0, and then http_free is due; or -1 with errno.
 */
int http_call(const char *address, const char *method, const char *path, const char *headers,
              const void *body, size_t size, struct http_answer *answer);
void http_free(struct http_answer *answer);

/* The value of a header, copied into `out` and cut to its size; "" when there is none. */
void http_header(const struct http_answer *answer, const char *name, char *out, size_t size);

#endif
