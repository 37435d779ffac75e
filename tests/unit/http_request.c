/* SPDX-License-Identifier: Apache-2.0 */
/* Request heads, good, bad and recorded from real clients; the place of a cut never matters. */
#include "http/request.h"

#include <dirent.h>

#include "check.h"

#define HOST "Host: localhost:2772\r\n"

struct good_head {
    const char *head;
    const char *summary;
};

/* Summary: method text, path, query, HTTP/1.x; then keep-alive, Chunked, Expect; length, headers.
 */
static const struct good_head good_heads[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "0 GET / - 1 k.. 0 1"},
    {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "0 GET / - 1 k.. 0 1"},
    {"HEAD /a?b=c&d HTTP/1.1\r\nHost: a\r\n\r\n", "1 HEAD /a b=c&d 1 k.. 0 1"},
    {"GET /a? HTTP/1.1\r\nHost: a\r\n\r\n", "0 GET /a  1 k.. 0 1"},
    {"GET /a?b?c HTTP/1.1\r\nHost: a\r\n\r\n", "0 GET /a b?c 1 k.. 0 1"},
    {"GET / HTTP/1.1\r\nHOST:a\r\n\r\n", "0 GET / - 1 k.. 0 1"},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "0 GET / - 1 k.. 0 1"},
    {"GET / HTTP/1.1\r\nHost: [::1]:2772\r\n\r\n", "0 GET / - 1 k.. 0 1"},
    {"GET / HTTP/1.1\r\nhost: \t a \t \r\nA:\r\nB: c\td\r\n\r\n", "0 GET / - 1 k.. 0 3"},
    {"GET /%41/caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\nX: \xff\r\n\r\n",
     "0 GET /%41/caf\xc3\xa9 - 1 k.. 0 2"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n", "2 POST / - 1 k.. 12 2"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n",
     "2 POST / - 1 k.. 5 3"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n",
     "2 POST / - 1 k.. 18446744073709551615 2"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", "2 POST / - 1 kc. 0 2"},
    {"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n",
     "2 PUT / - 1 k.e 1 3"},
    {"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "3 BREW / - 1 k.. 0 1"},
    {"get / HTTP/1.1\r\nHost: a\r\n\r\n", "3 get / - 1 k.. 0 1"},
    {"!#$%&'*+-.^_`|~ / HTTP/1.1\r\nHost: a\r\n\r\n", "3 !#$%&'*+-.^_`|~ / - 1 k.. 0 1"},
    {"GET / HTTP/1.0\r\n\r\n", "0 GET / - 0 ... 0 0"},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "0 GET / - 0 k.. 0 1"},
    {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "0 GET / - 0 ... 0 1"},
    {"GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", "0 GET / - 0 ... 0 1"},
    {"GET / HTTP/1.9\r\nHost: a\r\n\r\n", "0 GET / - 1 k.. 0 1"},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "0 GET / - 1 ... 0 2"},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: TE ,\tCLOSE\r\n\r\n", "0 GET / - 1 ... 0 2"},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: a\r\nConnection: close\r\n\r\n",
     "0 GET / - 1 ... 0 3"},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed, not-close,\r\n\r\n", "0 GET / - 1 k.. 0 2"},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
     "0 GET / - 1 k.. 0 3"},
    {"GET http://h:1/a/b?c HTTP/1.1\r\nHost: a\r\n\r\n", "0 GET /a/b c 1 k.. 0 1"},
    {"GET HTTP://[::1]:2772?c HTTP/1.1\r\nHost: a\r\n\r\n", "0 GET / c 1 k.. 0 1"},
    {"GET https://h HTTP/1.1\r\nHost: a\r\n\r\n", "0 GET / - 1 k.. 0 1"},
    {"GET //a HTTP/1.1\r\nHost: a\r\n\r\n", "0 GET //a - 1 k.. 0 1"},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "2 OPTIONS * - 1 k.. 0 1"},
    {"CONNECT h:80 HTTP/1.1\r\nHost: a\r\n\r\n", "2 CONNECT h:80 - 1 k.. 0 1"},
};

struct bad_head {
    long status;
    const char *head;
    size_t size; /* 0: strlen */
};

static const struct bad_head bad_heads[] = {
    {-400, "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 0},
    {-400, "\nGET / HTTP/1.1\r\n" HOST "\r\n", 0},
    {-400, " GET / HTTP/1.1\r\n" HOST "\r\n", 0},
    {-400, "GET / HTTP/1.1\n" HOST "\r\n", 0},
    {-400, "GET / HTTP/1.1\r\nHost: a\n\r\n", 0},
    {-400, "GET / HTTP/1.1\r\nHost: a\r\n\n", 0},
    {-400, "GET / HTTP/1.1\rHost: a\r\n\r\n", 0},
    {-400, "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 0},
    {-400, "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 0},
    {-400, "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 32},
    {-400, "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 29},
    {-400, "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", 0},
    {-400, "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", 0},
    {-400, "\x16\x03\x01\x02", 0},
    {-400, "GET\r\n\r\n", 0},
    {-400, "GET /\r\n\r\n", 0},
    {-400, "GET / \r\n\r\n", 0},
    {-400, "GET  / HTTP/1.1\r\n" HOST "\r\n", 0},
    {-400, "GET /  HTTP/1.1\r\n" HOST "\r\n", 0},
    {-400, "GET / HTTP/1.1 \r\n" HOST "\r\n", 0},
    {-400, "GET\t/ HTTP/1.1\r\n" HOST "\r\n", 0},
    {-400, "GET /a b HTTP/1.1\r\n" HOST "\r\n", 0},
    {-400, "GET /#a HTTP/1.1\r\n" HOST "\r\n", 0},
    {-400, "G(T / HTTP/1.1\r\n" HOST "\r\n", 0},
    {-400, "G\xc3\xa9T / HTTP/1.1\r\n" HOST "\r\n", 0},
    {-400, "GET / http/1.1\r\n" HOST "\r\n", 0},
    {-400, "GET / HTTP/1\r\n" HOST "\r\n", 0},
    {-400, "GET / HTTP/1.10\r\n" HOST "\r\n", 0},
    {-400, "GET / HTTP/x.1\r\n" HOST "\r\n", 0},
    {-400, "GET / HTTP/1.x\r\n" HOST "\r\n", 0},
    {-400, "GET * HTTP/1.1\r\n" HOST "\r\n", 0},
    {-400, "GET h:80 HTTP/1.1\r\n" HOST "\r\n", 0},
    {-400, "GET a HTTP/1.1\r\n" HOST "\r\n", 0},
    {-400, "GET ftp://h/ HTTP/1.1\r\n" HOST "\r\n", 0},
    {-400, "GET http:// HTTP/1.1\r\n" HOST "\r\n", 0},
    {-400, "GET http:///a HTTP/1.1\r\n" HOST "\r\n", 0},
    {-400, "GET http://u@h/ HTTP/1.1\r\n" HOST "\r\n", 0},
    {-400, "GET / HTTP/1.1\r\n\r\n", 0},
    {-400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 0},
    {-400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 0},
    {-400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 0},
    {-400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 0},
    {-400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 0},
    {-400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 0},
    {-400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 0},
    {-400, "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 0},
    {-400, "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 0},
    {-400, "GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n", 0},
    {-400, "GET / HTTP/1.1\r\nHost: a\r\nX\xc3\xa9: b\r\n\r\n", 0},
    {-400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 0},
    {-400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 0},
    {-400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 0},
    {-400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", 0},
    {-400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\n", 0},
    {-400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", 0},
    {-400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 0},
    {-400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
     0},
    {-400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
     0},
    {-400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
    {-400,
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
     "Transfer-Encoding: chunked\r\n\r\n",
     0},
    {-417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", 0},
    {-501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 0},
    {-501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 0},
    {-501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 0},
    {-505, "GET / HTTP/2.0\r\n" HOST "\r\n", 0},
    {-505, "GET / HTTP/0.9\r\n\r\n", 0},
    {-505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0},
};

static void summarize(const struct http_request *request, char *out, size_t size)
{
    const char *query = request->query.data ? request->query.data : "-";
    size_t query_size = request->query.data ? request->query.size : 1;
    snprintf(out, size, "%d %.*s %.*s %.*s %u %c%c%c %llu %zu", (int)request->method,
             (int)request->method_text.size, request->method_text.data, (int)request->path.size,
             request->path.data, (int)query_size, query, request->minor,
             request->keep_alive ? 'k' : '.', request->chunked ? 'c' : '.',
             request->expects_continue ? 'e' : '.', (unsigned long long)request->content_length,
             request->header_count);
}

/* Parses from memory of exactly that size, so that a sanitizer sees a read beyond it. */
static long parse_exactly(const char *head, size_t size, size_t *scanned, char *summary,
                          size_t summary_size)
{
    char *copy = malloc(size > 0 ? size : 1);
    static struct http_request request;
    CHECK(copy);
    memcpy(copy, head, size);
    long result = http_request_parse(copy, size, scanned, &request);
    if (result > 0)
        summarize(&request, summary, summary_size);
    free(copy);
    return result;
}

static long parse_bytewise(const char *head, size_t size, char *summary, size_t summary_size)
{
    size_t scanned = 0;
    long result = 0;
    for (size_t i = 0; i <= size && result == 0; i++)
        result = parse_exactly(head, i, &scanned, summary, summary_size);
    return result;
}

/* What comes after the head must not matter either. */
static void check_every_cut(const char *head, size_t size, long expected, const char *summary)
{
    char seen[HTTP_HEAD_MAX] = "";
    for (size_t cut = 0; cut <= size; cut++) {
        size_t scanned = 0;
        long result = parse_exactly(head, cut, &scanned, seen, sizeof seen);
        if (result == 0)
            result = parse_exactly(head, size, &scanned, seen, sizeof seen);
        if (result != expected)
            fprintf(stderr, "cut at %zu of: %s\n", cut, head);
        CHECK_INT(expected, result);
        if (expected > 0)
            CHECK_STRING(summary, seen);
    }
    CHECK_INT(expected, parse_bytewise(head, size, seen, sizeof seen));
}

static void good_heads_are_understood(void)
{
    for (size_t i = 0; i < sizeof good_heads / sizeof *good_heads; i++) {
        const struct good_head *row = &good_heads[i];
        size_t size = strlen(row->head);
        check_every_cut(row->head, size, (long)size, row->summary);

        char followed[512];
        snprintf(followed, sizeof followed, "%s%s", row->head, "\n\r garbage \x01");
        check_every_cut(followed, strlen(followed), (long)size, row->summary);
    }
}

static void bad_heads_are_refused(void)
{
    for (size_t i = 0; i < sizeof bad_heads / sizeof *bad_heads; i++) {
        const struct bad_head *row = &bad_heads[i];
        size_t size = row->size > 0 ? row->size : strlen(row->head);
        check_every_cut(row->head, size, row->status, "");
    }
}

static void overwrite(char *at, const char *text)
{
    while (*text)
        *at++ = *text++;
}

/* A head whose request line has `line` bytes without its end, and with `total` bytes in all. */
static size_t sized_head(char *out, size_t line, size_t total)
{
    static const char version[] = " HTTP/1.1\r\nHost: a\r\nX: ";
    memset(out, 'x', total);
    overwrite(out, "GET /");
    overwrite(out + line - strlen(" HTTP/1.1"), version);
    overwrite(out + total - 4, "\r\n\r\n");
    return total;
}

static void limits_of_line_and_head_are_exact(void)
{
    static char head[HTTP_HEAD_MAX + 64];
    static char summary[2 * HTTP_HEAD_MAX];
    static const struct {
        size_t line;
        size_t total;
        long result;
    } rows[] = {
        {HTTP_LINE_MAX - 2, HTTP_LINE_MAX + 100, HTTP_LINE_MAX + 100},
        {HTTP_LINE_MAX - 1, HTTP_LINE_MAX + 100, -414},
        {HTTP_LINE_MAX + 50, HTTP_LINE_MAX + 100, -414},
        {100, HTTP_HEAD_MAX, HTTP_HEAD_MAX},
        {100, HTTP_HEAD_MAX + 1, -431},
        {100, HTTP_HEAD_MAX + 2, -431},
        {HTTP_LINE_MAX - 2, HTTP_HEAD_MAX, HTTP_HEAD_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size = sized_head(head, rows[i].line, rows[i].total);
        size_t scanned = 0;
        CHECK_INT(rows[i].result, parse_exactly(head, size, &scanned, summary, sizeof summary));
        CHECK_INT(rows[i].result, parse_bytewise(head, size, summary, sizeof summary));
    }
    /* The refusal does not wait for the end of the line. */
    size_t scanned = 0;
    memset(head, 'A', sizeof head);
    CHECK_INT(0, parse_exactly(head, HTTP_LINE_MAX - 1, &scanned, summary, sizeof summary));
    CHECK_INT(-414, parse_exactly(head, HTTP_LINE_MAX, &scanned, summary, sizeof summary));
}

static void number_of_headers_is_limited(void)
{
    static char head[HTTP_HEAD_MAX];
    static struct http_request request;
    for (size_t count = HTTP_HEADERS_MAX; count <= HTTP_HEADERS_MAX + 1; count++) {
        size_t size = (size_t)snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (size_t i = 1; i < count; i++)
            size += (size_t)snprintf(head + size, sizeof head - size, "X%zu: y\r\n", i);
        size += (size_t)snprintf(head + size, sizeof head - size, "\r\n");
        size_t scanned = 0;
        long expected = count > HTTP_HEADERS_MAX ? -431 : (long)size;
        CHECK_INT(expected, http_request_parse(head, size, &scanned, &request));
    }
}

static void headers_are_found_without_case(void)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: a\r\ncontext: b=1\r\nContext: c=2 \r\n\r\n";
    static struct http_request request;
    size_t scanned = 0;
    CHECK(http_request_parse(head, sizeof head - 1, &scanned, &request) > 0);
    const struct http_header *header = http_request_header(&request, "CONTEXT");
    CHECK(header == &request.headers[1]);
    CHECK_INT(3, header->value.size);
    CHECK_INT(3, request.headers[2].value.size);
    CHECK(memcmp(request.headers[2].value.data, "c=2", 3) == 0);
    CHECK(!http_request_header(&request, "Contex"));
    CHECK(!http_request_header(&request, "Contexts"));
}

static const struct {
    const char *name;
    bool keep_alive;
    size_t contexts;
} clients[] = {
    {"curl-context.http", true, 3},     {"go-net-http.http", true, 2},
    {"jdk17-httpclient.http", true, 0}, {"node-fetch2.http", true, 0},
    {"node20-fetch.http", true, 0},     {"php-file-get-contents.http", false, 0},
    {"python-urllib.http", false, 0},   {"ruby-net-http.http", true, 0},
};

static size_t read_recorded(const char *name, char *out, size_t size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", REQUESTS_DIR, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        fprintf(stderr, "cannot open %s\n", path);
    CHECK(file);
    size_t length = fread(out, 1, size, file);
    fclose(file);
    CHECK(length > 0 && length < size);
    return length;
}

static void heads_of_real_clients_are_understood(void)
{
    static const char target[] = "/applications/Shop/environments/Prod/configurations/Checkout";
    static struct http_request request;
    for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
        char head[4096];
        char summary[4096];
        size_t size = read_recorded(clients[i].name, head, sizeof head - 1);
        head[size] = '\0';
        size_t scanned = 0;
        CHECK_INT(size, http_request_parse(head, size, &scanned, &request));
        CHECK_INT(HTTP_GET, request.method);
        CHECK_INT(sizeof target - 1, request.path.size);
        CHECK(memcmp(request.path.data, target, request.path.size) == 0);
        CHECK_INT(clients[i].keep_alive, request.keep_alive);
        CHECK_INT(0, request.content_length);
        size_t contexts = 0;
        for (size_t j = 0; j < request.header_count; j++)
            contexts += request.headers[j].name.size == 7 &&
                        memcmp(request.headers[j].name.data, "Context", 7) == 0;
        CHECK_INT(clients[i].contexts, contexts);
        summarize(&request, summary, sizeof summary);
        check_every_cut(head, size, (long)size, summary);
    }
}

static void every_recorded_client_is_tested(void)
{
    DIR *directory = opendir(REQUESTS_DIR);
    CHECK(directory);
    size_t count = 0;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory))
        count += strstr(entry->d_name, ".http") != NULL;
    closedir(directory);
    CHECK_INT(sizeof clients / sizeof *clients, count);
}

int main(void)
{
    good_heads_are_understood();
    bad_heads_are_refused();
    limits_of_line_and_head_are_exact();
    number_of_headers_is_limited();
    headers_are_found_without_case();
    heads_of_real_clients_are_understood();
    every_recorded_client_is_tested();
    return 0;
}
