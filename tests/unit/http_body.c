/* SPDX-License-Identifier: Apache-2.0 */
/* Where the body of a request ends, however its bytes arrive. */
#include "http/body.h"

#include "check.h"

static long take_chunked(const char *text, size_t size, size_t step)
{
    struct http_request request = {.chunked = true};
    struct http_body body;
    CHECK_INT(0, http_body_start(&body, &request));
    size_t total = 0;
    while (total < size && !http_body_ended(&body)) {
        size_t given = size - total < step ? size - total : step;
        long taken = http_body_take(&body, text + total, given);
        if (taken < 0)
            return taken;
        total += (size_t)taken;
    }
    return http_body_ended(&body) ? (long)total : 0;
}

static void chunked_bodies_end_where_they_should(void)
{
    static const struct {
        const char *text;
        long result; /* its length, 0: not ended, negative: the status */
    } rows[] = {
        {"0\r\n\r\nGET", 5},
        {"3\r\nabc\r\n0\r\n\r\nX", 13},
        {"a;name=\"v\"\r\n0123456789\r\n000\r\n\r\n", 31},
        {"3\r\nabc\r\n0\r\nA: b\r\nC: d\r\n\r\n", 25},
        {"FFF", 0},
        {"3\r\nab", 0},
        {"0\r\n", 0},
        {"\r\n", -400},
        {";\r\n", -400},
        {"3 \r\nabc\r\n", -400},
        {"3\nabc\r\n", -400},
        {"3\r\nabcd\r\n", -400},
        {"3\r\nabc\n", -400},
        {"-3\r\nabc\r\n", -400},
        {"0x3\r\nabc\r\n", -400},
        {"0\r\n\n", -400},
        {"0\r\nA\x01: b\r\n", -400},
        {"0\r\nA: b\n", -400},
        {"3;\x7f\r\n", -400},
        {"10001\r\n", -413},
        {"000000001\r\n", -413},
        {"ffffffff\r\n", -413},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t step = 1; step <= 64; step++) {
            long result = take_chunked(rows[i].text, strlen(rows[i].text), step);
            if (result != rows[i].result)
                fprintf(stderr, "in steps of %zu: %s\n", step, rows[i].text);
            CHECK_INT(rows[i].result, result);
        }
    }
}

static void framing_of_chunks_is_limited(void)
{
    static char text[2 * HTTP_BODY_MAX];
    memset(text, 'a', sizeof text);
    text[0] = '1';
    text[1] = ';';
    CHECK_INT(-413, take_chunked(text, sizeof text, 4096));
    text[0] = '0';
    text[1] = '\r';
    text[2] = '\n';
    CHECK_INT(-413, take_chunked(text, sizeof text, 4096));
}

static void lengths_are_limited(void)
{
    struct http_body body;
    struct http_request request = {.content_length = HTTP_BODY_MAX};
    static const char text[HTTP_BODY_MAX + 1];
    CHECK_INT(0, http_body_start(&body, &request));
    CHECK_INT(HTTP_BODY_MAX - 1, http_body_take(&body, text, HTTP_BODY_MAX - 1));
    CHECK(!http_body_ended(&body));
    CHECK_INT(1, http_body_take(&body, text, 2));
    CHECK(http_body_ended(&body));
    request.content_length++;
    CHECK_INT(-413, http_body_start(&body, &request));
    request.content_length = 0;
    CHECK_INT(0, http_body_start(&body, &request));
    CHECK(http_body_ended(&body));
}

int main(void)
{
    chunked_bodies_end_where_they_should();
    framing_of_chunks_is_limited();
    lengths_are_limited();
    return 0;
}
