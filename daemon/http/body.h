/* SPDX-License-Identifier: Apache-2.0 */
/* Where the body of a request ends. The bytes themselves are of no interest and are dropped. */
#ifndef SHMCONFD_HTTP_BODY_H
#define SHMCONFD_HTTP_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/request.h"

enum http_body_state {
    HTTP_BODY_END,
    HTTP_BODY_LENGTH, /* `remaining` bytes and no framing */
    HTTP_BODY_CHUNK_SIZE,
    HTTP_BODY_CHUNK_EXTENSION,
    HTTP_BODY_CHUNK_SIZE_LF,
    HTTP_BODY_CHUNK_DATA,
    HTTP_BODY_CHUNK_CR,
    HTTP_BODY_CHUNK_LF,
    HTTP_BODY_TRAILER_START,
    HTTP_BODY_TRAILER,
    HTTP_BODY_TRAILER_LF,
    HTTP_BODY_END_LF,
};

struct http_body {
    enum http_body_state state;
    unsigned digits;    /* of the size of the chunk */
    uint64_t remaining; /* bytes of data up to the end of the body or of the chunk */
    uint64_t data;      /* bytes in all chunks so far */
    uint64_t framing;   /* bytes of chunk sizes, extensions and trailers so far */
};

/* Returns 0, or -413 for a length over HTTP_BODY_MAX. */
int http_body_start(struct http_body *body, const struct http_request *request);

/*
 * Returns how many of the bytes belong to the body: all of them unless it ends among them, which
 * http_body_ended tells. -400 for a malformed chunk; -413 when data or framing exceed
 * HTTP_BODY_MAX.
 */
long http_body_take(struct http_body *body, const char *data, size_t size);

static inline bool http_body_ended(const struct http_body *body)
{
    return body->state == HTTP_BODY_END;
}

#endif
