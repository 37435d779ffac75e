/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a request and its body. The parsers must say the same for bytes that arrive at once,
 * one by one, or in two pieces, and every text that they give out must lie inside the head.
 */
#include "http/body.h"
#include "require.h"

static void check_inside(struct http_text text, const char *head, size_t size)
{
    require(!text.data || (text.size <= size && text.data >= head &&
                           (size_t)(text.data - head) <= size - text.size));
}

static void check_texts(const struct http_request *request, const char *head, size_t size)
{
    check_inside(request->method_text, head, size);
    /* An absolute target without a path has the path "/", which is a constant. */
    if (request->path.size != 1 || request->path.data[0] != '/')
        check_inside(request->path, head, size);
    check_inside(request->query, head, size);
    require(request->header_count <= HTTP_HEADERS_MAX);
    for (size_t i = 0; i < request->header_count; i++) {
        check_inside(request->headers[i].name, head, size);
        check_inside(request->headers[i].value, head, size);
    }
}

static void check_same_text(struct http_text a, struct http_text b)
{
    require(a.data == b.data && a.size == b.size);
}

static void check_same(const struct http_request *a, const struct http_request *b)
{
    check_same_text(a->method_text, b->method_text);
    check_same_text(a->path, b->path);
    check_same_text(a->query, b->query);
    require(a->method == b->method && a->minor == b->minor && a->keep_alive == b->keep_alive &&
            a->chunked == b->chunked && a->expects_continue == b->expects_continue &&
            a->content_length == b->content_length && a->header_count == b->header_count);
    for (size_t i = 0; i < a->header_count; i++) {
        check_same_text(a->headers[i].name, b->headers[i].name);
        check_same_text(a->headers[i].value, b->headers[i].value);
    }
}

/* The first piece ends where nothing decides that yet; a copy of it shows a read behind its end. */
static long parse_cut(const char *head, size_t size, size_t cut, struct http_request *request)
{
    size_t scanned = 0;
    char *first = copy_bytes(head, cut);
    long result = http_request_parse(first, cut, &scanned, request);
    free(first);
    return result ? result : http_request_parse(head, size, &scanned, request);
}

static void check_head(const char *head, size_t size, long whole,
                       const struct http_request *request)
{
    struct http_request other;
    long result = 0;
    size_t scanned = 0;
    for (size_t have = 1; have <= size && result == 0; have++)
        result = http_request_parse(head, have, &scanned, &other);
    require(result == whole);
    if (whole > 0)
        check_same(request, &other);
    for (size_t cut = 0; cut < size; cut += 1 + size / 8) {
        result = parse_cut(head, size, cut, &other);
        require(result == whole);
        if (whole > 0 && cut < (size_t)whole)
            check_same(request, &other);
    }
}

/* What is taken of it, or the status that refuses it, in pieces of up to `piece` bytes. */
static long take_body(const struct http_request *request, const char *data, size_t size,
                      size_t piece)
{
    struct http_body body;
    long taken = 0;
    if (http_body_start(&body, request) != 0)
        return -413;
    while ((size_t)taken < size && !http_body_ended(&body)) {
        size_t left = size - (size_t)taken;
        long more = http_body_take(&body, data + taken, left < piece ? left : piece);
        if (more < 0)
            return more;
        require(more > 0 && (size_t)more <= left);
        taken += more;
    }
    require(http_body_ended(&body) || (size_t)taken == size);
    require(!request->chunked || body.data <= HTTP_BODY_MAX);
    return taken;
}

static void check_body(const struct http_request *request, const char *data, size_t size)
{
    long whole = take_body(request, data, size, size + 1);
    for (size_t piece = 1; piece <= 3; piece++)
        require(take_body(request, data, size, piece) == whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request request;
    char decoded[64];
    char *head = copy_bytes(data, size);
    size_t scanned = 0;
    long whole = http_request_parse(head, size, &scanned, &request);
    require(whole <= (long)size);
    if (whole > 0) {
        check_texts(&request, head, (size_t)whole);
        long length = http_percent_decode(request.path, decoded, sizeof decoded);
        require(length < 0 || strlen(decoded) == (size_t)length);
        check_body(&request, head + whole, size - (size_t)whole);
    }
    check_head(head, size, whole, &request);
    free(head);
    return 0;
}
