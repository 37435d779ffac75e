/* SPDX-License-Identifier: Apache-2.0 */
#include "http/body.h"

int http_body_start(struct http_body *body, const struct http_request *request)
{
    *body = (struct http_body){.remaining = request->content_length};
    if (request->content_length > HTTP_BODY_MAX)
        return -413;
    if (request->chunked)
        body->state = HTTP_BODY_CHUNK_SIZE;
    else if (request->content_length > 0)
        body->state = HTTP_BODY_LENGTH;
    return 0;
}

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte = (char)(byte | 0x20);
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static bool is_text(char byte)
{
    unsigned char code = (unsigned char)byte;
    return code == '\t' || (code >= 0x20 && code != 0x7f);
}

static int take_size(struct http_body *body, char byte)
{
    enum { DIGITS_MAX = 8 };
    int digit = hex_digit(byte);
    if (digit >= 0) {
        if (++body->digits > DIGITS_MAX)
            return -413;
        body->remaining = body->remaining * 16 + (uint64_t)digit;
        return 0;
    }
    if (body->digits == 0 || (byte != '\r' && byte != ';'))
        return -400;
    if (body->remaining > HTTP_BODY_MAX - body->data)
        return -413;
    body->data += body->remaining;
    body->state = byte == '\r' ? HTTP_BODY_CHUNK_SIZE_LF : HTTP_BODY_CHUNK_EXTENSION;
    return 0;
}

/* Text up to a CR, which leads to `next`. */
static int take_text(struct http_body *body, char byte, enum http_body_state next)
{
    if (byte == '\r')
        body->state = next;
    else if (!is_text(byte))
        return -400;
    return 0;
}

static int expect(struct http_body *body, char byte, char expected, enum http_body_state next)
{
    body->state = next;
    return byte == expected ? 0 : -400;
}

/* A size follows, for which the count begins anew. */
static int end_chunk(struct http_body *body, char byte)
{
    body->digits = 0;
    body->remaining = 0;
    return expect(body, byte, '\n', HTTP_BODY_CHUNK_SIZE);
}

static int end_size(struct http_body *body, char byte)
{
    enum http_body_state next =
        body->remaining > 0 ? HTTP_BODY_CHUNK_DATA : HTTP_BODY_TRAILER_START;
    return expect(body, byte, '\n', next);
}

static int take_framing(struct http_body *body, char byte)
{
    if (++body->framing > HTTP_BODY_MAX)
        return -413;
    switch (body->state) {
    case HTTP_BODY_CHUNK_SIZE:
        return take_size(body, byte);
    case HTTP_BODY_CHUNK_EXTENSION:
        return take_text(body, byte, HTTP_BODY_CHUNK_SIZE_LF);
    case HTTP_BODY_CHUNK_SIZE_LF:
        return end_size(body, byte);
    case HTTP_BODY_CHUNK_CR:
        return expect(body, byte, '\r', HTTP_BODY_CHUNK_LF);
    case HTTP_BODY_CHUNK_LF:
        return end_chunk(body, byte);
    case HTTP_BODY_TRAILER_START:
        body->state = HTTP_BODY_TRAILER;
        return take_text(body, byte, HTTP_BODY_END_LF);
    case HTTP_BODY_TRAILER:
        return take_text(body, byte, HTTP_BODY_TRAILER_LF);
    case HTTP_BODY_TRAILER_LF:
        return expect(body, byte, '\n', HTTP_BODY_TRAILER_START);
    case HTTP_BODY_END_LF:
        return expect(body, byte, '\n', HTTP_BODY_END);
    case HTTP_BODY_END:
    case HTTP_BODY_LENGTH:
    case HTTP_BODY_CHUNK_DATA:
        break;
    }
    return 0;
}

static bool is_data(const struct http_body *body)
{
    return body->state == HTTP_BODY_LENGTH || body->state == HTTP_BODY_CHUNK_DATA;
}

long http_body_take(struct http_body *body, const char *data, size_t size)
{
    size_t at = 0;
    while (at < size && body->state != HTTP_BODY_END) {
        if (!is_data(body)) {
            int status = take_framing(body, data[at++]);
            if (status != 0)
                return status;
            continue;
        }
        size_t skipped = size - at < body->remaining ? size - at : (size_t)body->remaining;
        at += skipped;
        body->remaining -= skipped;
        if (body->remaining == 0)
            body->state = body->state == HTTP_BODY_LENGTH ? HTTP_BODY_END : HTTP_BODY_CHUNK_CR;
    }
    return (long)at;
}
