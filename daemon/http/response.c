/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "http/connection.h"

static const char *const status_lines[] = {
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 204 No Content\r\n",
    "HTTP/1.1 304 Not Modified\r\n",
    "HTTP/1.1 400 Bad Request\r\n",
    "HTTP/1.1 401 Unauthorized\r\n",
    "HTTP/1.1 403 Forbidden\r\n",
    "HTTP/1.1 404 Not Found\r\n",
    "HTTP/1.1 405 Method Not Allowed\r\n",
    "HTTP/1.1 408 Request Timeout\r\n",
    "HTTP/1.1 413 Content Too Large\r\n",
    "HTTP/1.1 414 URI Too Long\r\n",
    "HTTP/1.1 417 Expectation Failed\r\n",
    "HTTP/1.1 421 Misdirected Request\r\n",
    "HTTP/1.1 429 Too Many Requests\r\n",
    "HTTP/1.1 431 Request Header Fields Too Large\r\n",
    "HTTP/1.1 500 Internal Server Error\r\n",
    "HTTP/1.1 501 Not Implemented\r\n",
    "HTTP/1.1 502 Bad Gateway\r\n",
    "HTTP/1.1 503 Service Unavailable\r\n",
    "HTTP/1.1 504 Gateway Timeout\r\n",
    "HTTP/1.1 505 HTTP Version Not Supported\r\n",
};

enum {
    STATUS_LINE_MAX = 64,
    /* Everything of a head whose size does not depend on the handler. */
    HEAD_FIXED_MAX = STATUS_LINE_MAX + 40 + sizeof "Content-Type: \r\n" +
                     sizeof "Content-Length: \r\n" + TEXT_NUMBER_MAX +
                     sizeof "Connection: keep-alive\r\n" + sizeof "\r\n",
};

static char *put_status(char *out, int status)
{
    for (size_t i = 0; i < sizeof status_lines / sizeof *status_lines; i++) {
        const char *code = status_lines[i] + sizeof "HTTP/1.1 " - 1;
        if ((code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0') == status)
            return text_put_string(out, status_lines[i]);
    }
    return out + snprintf(out, STATUS_LINE_MAX, "HTTP/1.1 %d Status\r\n", status);
}

/* The names are the protocol's: strftime would take those of the locale. */
static void format_date(struct http_server *server, time_t now)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm utc;
    gmtime_r(&now, &utc);
    int size =
        snprintf(server->date, sizeof server->date, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
                 days[utc.tm_wday], utc.tm_mday, months[utc.tm_mon], utc.tm_year + 1900,
                 utc.tm_hour, utc.tm_min, utc.tm_sec);
    server->date_size = (size_t)size < sizeof server->date ? (size_t)size : 0;
    server->date_second = now;
}

static char *put_date(char *out, struct http_server *server)
{
    time_t now = time(NULL);
    if (now != server->date_second)
        format_date(server, now);
    return text_put(out, server->date, server->date_size);
}

static char *put_head(char *out, struct http_server *server, const struct http_response *response,
                      struct answer_kind kind)
{
    out = put_status(out, response->status);
    out = put_date(out, server);
    if (response->content_type) {
        out = text_put_string(out, "Content-Type: ");
        out = text_put_string(out, response->content_type);
        out = text_put_string(out, "\r\n");
    }
    /* RFC 9110 forbids it with 204 and allows it with 304, where Node's fetch takes it for a body
       that is to come and never uses the connection again. */
    if (response->status != 204 && response->status != 304) {
        out = text_put_string(out, "Content-Length: ");
        out = text_put_number(out, response->body_size);
        out = text_put_string(out, "\r\n");
    }
    if (!kind.keep_alive)
        out = text_put_string(out, "Connection: close\r\n");
    else if (kind.minor == 0)
        out = text_put_string(out, "Connection: keep-alive\r\n");
    if (response->headers)
        out = text_put_string(out, response->headers);
    return text_put_string(out, "\r\n");
}

/* Room for `size` bytes; NULL without memory. */
static char *reserve(struct answer *answer, size_t size)
{
    if (size <= sizeof answer->composed)
        return answer->composed;
    answer->allocated = malloc(size);
    return answer->allocated;
}

static void give_back(const struct http_response *response)
{
    if (response->release)
        response->release(response->owner);
}

static void compose_failure(struct connection *connection)
{
    static const struct http_response failure = {.status = 500};
    struct answer *answer = &connection->answer;
    char *end = put_head(answer->composed, connection->server, &failure,
                         (struct answer_kind){.keep_alive = false});
    answer->vectors[0] = (struct iovec){answer->composed, (size_t)(end - answer->composed)};
    connection->close_after_answer = true;
}

void answer_compose(struct connection *connection, const struct http_response *response,
                    struct answer_kind kind)
{
    struct answer *answer = &connection->answer;
    bool has_body = response->body_size > 0 && !kind.head_only && response->status != 304 &&
                    response->status != 204;
    bool copied = has_body && !response->release;
    size_t size = HEAD_FIXED_MAX + (response->content_type ? strlen(response->content_type) : 0) +
                  (response->headers ? strlen(response->headers) : 0) +
                  (copied ? response->body_size : 0);
    answer->vector = answer->vectors;
    answer->count = 1;
    char *out = reserve(answer, size);
    if (!out) {
        compose_failure(connection);
        give_back(response);
        return;
    }
    char *end = put_head(out, connection->server, response, kind);
    if (copied)
        end = text_put(end, response->body, response->body_size);
    answer->vectors[0] = (struct iovec){out, (size_t)(end - out)};
    if (has_body && !copied) {
        answer->vectors[1] = (struct iovec){(void *)response->body, response->body_size};
        answer->count = 2;
        answer->release = response->release;
        answer->owner = response->owner;
    } else {
        give_back(response);
    }
}

void answer_release(struct answer *answer)
{
    void (*release)(void *owner) = answer->release;
    answer->release = NULL;
    free(answer->allocated);
    answer->allocated = NULL;
    if (release)
        release(answer->owner);
}

void answer_compose_refusal(struct connection *connection, int status)
{
    static const struct {
        int status;
        const char *body;
    } rows[] = {
        {408, "{\"Message\":\"The request did not arrive completely in time\"}"},
        {413, "{\"Message\":\"The body of the request is too large\"}"},
        {414, "{\"Message\":\"The request line is too long\"}"},
        {417, "{\"Message\":\"The only expectation supported is 100-continue\"}"},
        {431, "{\"Message\":\"The headers of the request are too large\"}"},
        {501, "{\"Message\":\"The only transfer encoding supported is chunked\"}"},
        {505, "{\"Message\":\"The only HTTP versions supported are 1.0 and 1.1\"}"},
    };
    const char *body = "{\"Message\":\"Malformed HTTP request\"}";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].status == status)
            body = rows[i].body;
    }
    struct http_response response = {
        .status = status,
        .content_type = "application/json",
        .body = body,
        .body_size = strlen(body),
    };
    answer_compose(connection, &response, (struct answer_kind){.minor = 1});
}
