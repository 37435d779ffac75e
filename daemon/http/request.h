/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing of one HTTP/1.x request head: pure functions over bytes, nothing is allocated. */
#ifndef SHMCONFD_HTTP_REQUEST_H
#define SHMCONFD_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_text {
    const char *data;
    size_t size;
};

struct http_header {
    struct http_text name;
    struct http_text value; /* without surrounding white space */
};

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_OTHER, HTTP_UNKNOWN }; /* OTHER: a standard method */

enum { HTTP_HEADERS_MAX = 100, HTTP_LINE_MAX = 8192, HTTP_HEAD_MAX = 16384, HTTP_BODY_MAX = 65536 };

struct http_request {
    enum http_method method;
    struct http_text method_text;
    struct http_text path; /* raw: not split, not decoded, without an absolute target's authority */
    struct http_text query; /* raw, without '?'; data is NULL when there is no '?' */
    unsigned minor;         /* HTTP/1.minor */
    bool keep_alive;
    bool chunked;
    bool expects_continue;
    uint64_t content_length; /* 0 when none was given */
    size_t header_count;
    struct http_header headers[HTTP_HEADERS_MAX];
};

/*
 * Parses a head of `size` bytes at `data`. Returns the length of the head when it is complete, 0
 * when more bytes are needed, and the negative HTTP status (-400, -414, -431, -505 ...) when it can
 * never become a request. `*scanned` remembers how far the search for the end has come, so that a
 * head that arrives byte by byte costs linear time; it starts as 0.
 */
long http_request_parse(const char *data, size_t size, size_t *scanned,
                        struct http_request *request);

/* The first header of that name (compared without case), or NULL. */
const struct http_header *http_request_header(const struct http_request *request, const char *name);

/*
 * Percent-decodes `text` into `out` (NUL-terminated). Returns the length, -EILSEQ for a bad escape
 * or an encoded NUL, -ENAMETOOLONG when it does not fit.
 */
long http_percent_decode(struct http_text text, char *out, size_t out_size);

#endif
