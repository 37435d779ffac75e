/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a request head. The parser must say the same for a head that arrives at once and for
 * one that arrives byte by byte, and every text that it gives out must lie inside the head.
 */
#include <stdlib.h>
#include <string.h>

#include "http/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct http_text text, const char *head, size_t size)
{
    if (text.data && (text.data < head || text.data + text.size > head + size))
        abort();
}

static void check_texts(const struct http_request *request, const char *head, size_t size)
{
    check_inside(request->method_text, head, size);
    /* An absolute target without a path has the path "/", which is a constant. */
    if (request->path.size != 1 || request->path.data[0] != '/')
        check_inside(request->path, head, size);
    check_inside(request->query, head, size);
    for (size_t i = 0; i < request->header_count; i++) {
        check_inside(request->headers[i].name, head, size);
        check_inside(request->headers[i].value, head, size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request request;
    char decoded[64];
    /* A copy of exactly this size, so that AddressSanitizer sees a read behind the end. */
    char *head = malloc(size ? size : 1);
    if (!head)
        return 0;
    memcpy(head, data, size);
    size_t scanned = 0;
    long whole = http_request_parse(head, size, &scanned, &request);
    if (whole > (long)size)
        abort();
    if (whole > 0) {
        check_texts(&request, head, (size_t)whole);
        http_percent_decode(request.path, decoded, sizeof decoded);
    }
    long piecewise = 0;
    scanned = 0;
    for (size_t have = 1; have <= size && piecewise == 0; have++)
        piecewise = http_request_parse(head, have, &scanned, &request);
    if (piecewise != whole)
        abort();
    free(head);
    return 0;
}
