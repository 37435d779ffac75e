/* SPDX-License-Identifier: Apache-2.0 */
#include "http/request.h"

#include <string.h>
#include <strings.h>

/* What a byte may be part of. */
enum {
    BYTE_TOKEN = 1, /* a method or the name of a header */
    BYTE_TEXT = 2,  /* any line: visible, space, tab, or not ASCII */
    BYTE_TARGET =
        4,         /* a target: visible but not '#', or not ASCII as some clients send names raw */
    BYTE_HOST = 8, /* an authority, user information excluded */
};

static const unsigned char byte_classes[256] = {
    0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  0,  0,  0,  0,  0,  0, /* the only control character is
                                                                      the tab */
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  2, 15, 6, 3, 15, 15,
    15, 15, 14, 14, 15, 15, 14, 15, 15, 6,                          /* space to / */
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 14, 14, 6,  14, 6,  6,  /* 0 to ? */
    6,  15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, /* @ to O */
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 14, 6,  14, 7,  15, /* P to _ */
    7,  15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, /* ` to o */
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6,  7,  6,  15, 0,  /* p to DEL */
    6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6, 6,  6, 6, 6,  6,
    6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6, 6,  6, 6, 6,  6,
    6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6, 6,  6, 6, 6,  6,
    6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6, 6,  6, 6, 6,  6,
    6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6, 6,  6, 6, 6,  6,
    6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6,  6, 6,
};

/* What the headers that matter to the framing have said so far. */
struct framing {
    unsigned hosts;
    bool has_length;
    bool close;
    bool keep_alive;
};

static bool is_class(char byte, unsigned class)
{
    return (byte_classes[(unsigned char)byte] & class) != 0;
}

/* The first place in [at, end) that is not of the class. */
static const char *skip_class(const char *at, const char *end, unsigned class)
{
    while (at < end && is_class(*at, class))
        at++;
    return at;
}

static bool text_is(struct http_text text, const char *expected)
{
    return text.size == strlen(expected) && strncasecmp(text.data, expected, text.size) == 0;
}

static struct http_text trim(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return (struct http_text){at, (size_t)(end - at)};
}

/*
 * Walks over complete lines until `limit` bytes, the end of the head (returned as its length), or a
 * byte that may not be there. A CR is left alone until its LF has come.
 */
static long scan_lines(const char *data, size_t limit, size_t *scanned)
{
    size_t at = *scanned;
    long result = 0;
    while (at < limit && result == 0) {
        if (is_class(data[at], BYTE_TEXT)) {
            at++;
            continue;
        }
        if (data[at] == '\r' && at + 1 == limit)
            break;
        if (data[at] != '\r' || data[at + 1] != '\n')
            result = -400;
        else if (at > 0 && data[at - 1] == '\n')
            result = (long)at + 2;
        at += 2;
    }
    *scanned = at;
    return result;
}

/* One empty line before the request is an old client's habit and not part of it. */
static size_t leading_line(const char *data, size_t size)
{
    return size >= 2 && data[0] == '\r' && data[1] == '\n' ? 2 : 0;
}

/* Finds the end of the head; the result is that of http_request_parse. */
static long scan_head(const char *data, size_t size, size_t *scanned)
{
    size_t line = leading_line(data, size);
    size_t line_limit = line + HTTP_LINE_MAX;
    if (*scanned < line_limit) {
        long result = scan_lines(data, size < line_limit ? size : line_limit, scanned);
        if (result != 0 || size < line_limit)
            return result;
        if (!memchr(data + line, '\n', HTTP_LINE_MAX))
            return -414;
    }
    long result = scan_lines(data, size < HTTP_HEAD_MAX ? size : HTTP_HEAD_MAX, scanned);
    return result == 0 && size >= HTTP_HEAD_MAX ? -431 : result;
}

static enum http_method method_of(struct http_text text)
{
    static const char *const others[] = {"POST",    "PUT",     "DELETE", "PATCH",
                                         "OPTIONS", "CONNECT", "TRACE"};
    if (text.size == 3 && memcmp(text.data, "GET", 3) == 0)
        return HTTP_GET;
    if (text.size == 4 && memcmp(text.data, "HEAD", 4) == 0)
        return HTTP_HEAD;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (text.size == strlen(others[i]) && memcmp(text.data, others[i], text.size) == 0)
            return HTTP_OTHER;
    }
    return HTTP_UNKNOWN;
}

static bool method_is(const struct http_request *request, const char *name)
{
    return request->method_text.size == strlen(name) &&
           memcmp(request->method_text.data, name, request->method_text.size) == 0;
}

/* Finds path and query of an absolute target, whose authority must be host and port only. */
static int parse_absolute(struct http_text target, const char **path)
{
    static const char *const schemes[] = {"http://", "https://"};
    const char *end = target.data + target.size;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t size = strlen(schemes[i]);
        if (target.size <= size || strncasecmp(target.data, schemes[i], size) != 0)
            continue;
        const char *authority = target.data + size;
        *path = skip_class(authority, end, BYTE_HOST);
        bool ended = *path == end || **path == '/' || **path == '?';
        return *path > authority && ended ? 0 : -400;
    }
    return -400;
}

static int parse_target(struct http_request *request, struct http_text target)
{
    const char *path = target.data;
    const char *end = path + target.size;
    /* Only these two methods have targets of their own; their handler refuses them by method. */
    bool special =
        (method_is(request, "OPTIONS") && text_is(target, "*")) || method_is(request, "CONNECT");
    if (!special && *path != '/' && parse_absolute(target, &path) != 0)
        return -400;
    const char *question = memchr(path, '?', (size_t)(end - path));
    const char *path_end = question ? question : end;
    request->path = (struct http_text){path, (size_t)(path_end - path)};
    if (request->path.size == 0)
        request->path = (struct http_text){"/", 1};
    request->query = (struct http_text){NULL, 0};
    if (question)
        request->query = (struct http_text){question + 1, (size_t)(end - question - 1)};
    return 0;
}

static int parse_version(struct http_request *request, const char *at, const char *end)
{
    if (end - at != 8 || memcmp(at, "HTTP/", 5) != 0 || at[6] != '.')
        return -400;
    if (at[5] < '0' || at[5] > '9' || at[7] < '0' || at[7] > '9')
        return -400;
    if (at[5] != '1')
        return -505;
    request->minor = at[7] == '0' ? 0 : 1;
    return 0;
}

static int parse_request_line(struct http_request *request, const char *at, const char *end)
{
    const char *method_end = skip_class(at, end, BYTE_TOKEN);
    if (method_end == at || method_end == end || *method_end != ' ')
        return -400;
    const char *target = method_end + 1;
    const char *target_end = skip_class(target, end, BYTE_TARGET);
    if (target_end == target || target_end == end || *target_end != ' ')
        return -400;
    request->method_text = (struct http_text){at, (size_t)(method_end - at)};
    request->method = method_of(request->method_text);
    int status = parse_version(request, target_end + 1, end);
    if (status != 0)
        return status;
    return parse_target(request, (struct http_text){target, (size_t)(target_end - target)});
}

static int take_host(struct http_request *request, struct framing *framing, struct http_text value)
{
    (void)request;
    const char *end = value.data + value.size;
    bool valid = skip_class(value.data, end, BYTE_HOST) == end;
    return valid && ++framing->hosts == 1 ? 0 : -400;
}

static int take_connection(struct http_request *request, struct framing *framing,
                           struct http_text value)
{
    (void)request;
    const char *at = value.data;
    const char *end = at + value.size;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        struct http_text token = trim(at, comma ? comma : end);
        if (text_is(token, "close"))
            framing->close = true;
        else if (text_is(token, "keep-alive"))
            framing->keep_alive = true;
        at = comma ? comma + 1 : end;
    }
    return 0;
}

/* A length too large for 64 bits stays at the largest one, which is over every limit. */
static int take_content_length(struct http_request *request, struct framing *framing,
                               struct http_text value)
{
    uint64_t length = 0;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return -400;
        uint64_t digit = (uint64_t)(value.data[i] - '0');
        length = length > (UINT64_MAX - digit) / 10 ? UINT64_MAX : length * 10 + digit;
    }
    if (value.size == 0 || (framing->has_length && length != request->content_length))
        return -400;
    framing->has_length = true;
    request->content_length = length;
    return 0;
}

static int take_transfer_encoding(struct http_request *request, struct framing *framing,
                                  struct http_text value)
{
    (void)framing;
    if (request->minor == 0 || request->chunked)
        return -400;
    request->chunked = text_is(value, "chunked");
    return request->chunked ? 0 : -501;
}

static int take_expect(struct http_request *request, struct framing *framing,
                       struct http_text value)
{
    (void)framing;
    if (request->minor == 0)
        return 0;
    request->expects_continue = text_is(value, "100-continue");
    return request->expects_continue ? 0 : -417;
}

static int take_header(struct http_request *request, struct framing *framing,
                       const struct http_header *header)
{
    static const struct {
        const char *name;
        size_t size;
        int (*take)(struct http_request *request, struct framing *framing, struct http_text value);
    } rows[] = {
        {"Host", 4, take_host},
        {"Expect", 6, take_expect},
        {"Connection", 10, take_connection},
        {"Content-Length", 14, take_content_length},
        {"Transfer-Encoding", 17, take_transfer_encoding},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (header->name.size == rows[i].size &&
            strncasecmp(header->name.data, rows[i].name, rows[i].size) == 0)
            return rows[i].take(request, framing, header->value);
    }
    return 0;
}

static int parse_header(struct http_request *request, struct framing *framing, const char *at,
                        const char *end)
{
    /* A continued line begins with a space and so has no name. */
    const char *name_end = skip_class(at, end, BYTE_TOKEN);
    if (name_end == at || name_end == end || *name_end != ':')
        return -400;
    if (request->header_count == HTTP_HEADERS_MAX)
        return -431;
    struct http_header *header = &request->headers[request->header_count++];
    header->name = (struct http_text){at, (size_t)(name_end - at)};
    header->value = trim(name_end + 1, end);
    return take_header(request, framing, header);
}

/* What only all headers together can tell. */
static int finish(struct http_request *request, const struct framing *framing)
{
    if (request->minor > 0 && framing->hosts != 1)
        return -400;
    /* Two lengths are how one server is made to see another request than the next one does. */
    if (request->chunked && framing->has_length)
        return -400;
    request->keep_alive = !framing->close && (request->minor > 0 || framing->keep_alive);
    return 0;
}

long http_request_parse(const char *data, size_t size, size_t *scanned,
                        struct http_request *request)
{
    long length = scan_head(data, size, scanned);
    if (length <= 0)
        return length;

    /* Members are set one by one: clearing the room for the headers would cost more than parsing.
     */
    request->chunked = false;
    request->expects_continue = false;
    request->content_length = 0;
    request->header_count = 0;
    struct framing framing = {0};
    const char *at = data + leading_line(data, size);
    const char *end = data + length - 2;
    const char *line_end = memchr(at, '\r', (size_t)(end - at) + 1);
    int status = parse_request_line(request, at, line_end);
    for (at = line_end + 2; status == 0 && at < end; at = line_end + 2) {
        line_end = memchr(at, '\r', (size_t)(end - at));
        status = parse_header(request, &framing, at, line_end);
    }
    if (status == 0)
        status = finish(request, &framing);
    return status == 0 ? length : status;
}

const struct http_header *http_request_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (text_is(request->headers[i].name, name))
            return &request->headers[i];
    }
    return NULL;
}
