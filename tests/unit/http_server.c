/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol over real sockets: what a well-behaved client, and a malformed request, gets. */
#include "http_fixture.h"

static struct client client;
static struct answer_seen answer;

static void keep_alive_serves_many_requests(struct fixture *fixture)
{
    client_open(&client, fixture);
    for (int i = 0; i < 200; i++) {
        client_send(&client, GET("/hello"));
        client_read(&client, &answer);
        CHECK_INT(200, answer.status);
        CHECK_STRING("hello", answer.body);
        CHECK(!strstr(answer.head, "Connection:"));
    }
    client_close(&client);
}

static void head_of_the_answer_is_complete(struct fixture *fixture)
{
    client_open(&client, fixture);
    client_send(&client, GET("/hello"));
    client_read(&client, &answer);
    struct tm date = {0};
    const char *rest = strptime(answer.head, "HTTP/1.1 200 OK\r\nDate: %a, %d %b %Y %T GMT", &date);
    CHECK(rest);
    CHECK_STRING("\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nX-Test: 1\r\n\r\n", rest);
    CHECK(difftime(time(NULL), timegm(&date)) < 60.0);
    client_close(&client);
}

static void message_is_json(struct fixture *fixture)
{
    client_open(&client, fixture);
    client_send(&client, GET("/a\"b"));
    client_read(&client, &answer);
    CHECK_INT(404, answer.status);
    CHECK_STRING("{\"Message\":\"no \\\"/a\\\"b\\\"\\n\"}", answer.body);
    CHECK(strstr(answer.head, "X-Test: 2\r\n"));
    CHECK(strstr(answer.head, "Content-Type: application/json\r\n"));
    client_close(&client);
}

static void pipelined_requests_are_answered_in_order(struct fixture *fixture)
{
    char requests[50 * 64] = "";
    char expected[16];
    size_t size = 0;
    for (int i = 0; i < 50; i++)
        size += (size_t)snprintf(requests + size, sizeof requests - size,
                                 "GET /echo?%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
    client_open(&client, fixture);
    client_send_bytes(&client, requests, size);
    for (int i = 0; i < 50; i++) {
        snprintf(expected, sizeof expected, "%d", i);
        client_expect(&client, 200, expected);
    }
    client_close(&client);
}

static void place_of_a_cut_does_not_matter(struct fixture *fixture)
{
    static const char request[] =
        "POST /echo?cut HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n" GET("/hello");
    client_open(&client, fixture);
    for (size_t cut = 1; cut < sizeof request - 1; cut++) {
        client_send_bytes(&client, request, cut);
        client_send_bytes(&client, request + cut, sizeof request - 1 - cut);
        client_expect(&client, 200, "cut");
        client_expect(&client, 200, "hello");
    }
    for (size_t i = 0; i < sizeof request - 1; i++)
        client_send_bytes(&client, request + i, 1);
    client_expect(&client, 200, "cut");
    client_expect(&client, 200, "hello");
    client_close(&client);
}

static void head_has_no_body_but_its_length(struct fixture *fixture)
{
    client_open(&client, fixture);
    client_send(&client, "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\nHEAD /big HTTP/1.1\r\n"
                         "Host: a\r\n\r\n" GET("/same") GET("/hello"));
    client_read_head(&client, &answer);
    CHECK_INT(200, answer.status);
    CHECK_INT(5, answer.body_size);
    client_read_head(&client, &answer);
    CHECK_INT(BIG_SIZE, answer.body_size);
    client_read_head(&client, &answer);
    CHECK_INT(304, answer.status);
    CHECK_INT(0, answer.body_size);
    client_expect(&client, 200, "hello");
    client_close(&client);
    wait_until(&fixture->released, 1);
}

static void connection_ends_when_the_client_wants_it(struct fixture *fixture)
{
    static const struct {
        const char *request;
        const char *header; /* of the answer; NULL: no Connection */
        bool ends;
    } rows[] = {
        {"GET /hello HTTP/1.0\r\n\r\n", "Connection: close\r\n", true},
        {"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "Connection: keep-alive\r\n",
         false},
        {"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "Connection: close\r\n",
         true},
        {"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET("/hello"),
         "Connection: close\r\n", true},
        {"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
         "Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\nContent-Length: 0\r\n\r\n",
         NULL, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client_open(&client, fixture);
        client_send(&client, rows[i].request);
        client_read(&client, &answer);
        CHECK_STRING("hello", answer.body);
        CHECK(rows[i].header ? strstr(answer.head, rows[i].header) != NULL
                             : strstr(answer.head, "Connection:") == NULL);
        if (rows[i].ends) {
            client_expect_end(&client);
            continue;
        }
        client_send(&client, GET("/hello"));
        client_expect(&client, 200, "hello");
        client_close(&client);
    }
}

static void continue_is_sent_when_a_body_is_to_come(struct fixture *fixture)
{
    client_open(&client, fixture);
    client_send(&client, "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                         "Expect: 100-continue\r\n\r\n");
    client_read_head(&client, &answer);
    CHECK_STRING("HTTP/1.1 100 Continue\r\n\r\n", answer.head);
    client_send(&client, "abc");
    client_expect(&client, 200, "hello");

    /* Not when it has come already, and not when there is none. */
    client_send(&client, "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                         "Expect: 100-continue\r\n\r\nabc");
    client_expect(&client, 200, "hello");
    client_send(&client, "GET /hello HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
    client_expect(&client, 200, "hello");

    client_send(&client, "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n"
                         "Expect: 100-continue\r\n\r\n");
    client_expect(&client, 413, NULL);
    client_expect_end(&client);
}

/* Heads that end near the end of the buffer, so that it grows or moves while the body comes. */
static void request_survives_a_moving_buffer(struct fixture *fixture)
{
    static char request[24 * 1024];
    static char query[16 * 1024];
    client_open(&client, fixture);
    for (size_t size = 1400; size < 8000; size += size < 2100 ? 1 : 997) {
        memset(query, 'q', size);
        query[size] = '\0';
        int length = snprintf(request, sizeof request,
                              "%sPOST /echo?%s HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n",
                              GET("/hello"), query);
        client_send_bytes(&client, request, (size_t)length);
        memset(request, 'b', 5000);
        client_send_bytes(&client, request, 5000);
        client_expect(&client, 200, "hello");
        client_expect(&client, 200, query);
    }
    client_close(&client);
}

static void largest_body_is_dropped(struct fixture *fixture)
{
    static char body[HTTP_BODY_MAX];
    client_open(&client, fixture);
    for (int i = 0; i < 3; i++) {
        client_send(&client, "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n");
        client_send_bytes(&client, body, sizeof body);
        client_expect(&client, 200, "hello");
        client_send(&client, "PUT /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                             "\r\n10000\r\n");
        client_send_bytes(&client, body, sizeof body);
        client_send(&client, "\r\n0\r\n\r\n");
        client_expect(&client, 200, "hello");
    }
    client_close(&client);
}

static void refusal_can_be_read_although_more_was_sent(struct fixture *fixture)
{
    static char garbage[100 * 1024];
    static const struct {
        int status;
        const char *request;
    } rows[] = {
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {400, "\x16\x03\x01"},
        {400, "POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"},
        {413, "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n"},
        {413, "POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n"},
        {417, "POST /hello HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n"},
        {501, "POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"},
        {505, "GET / HTTP/3.0\r\nHost: a\r\n\r\n"},
        {414, "GET /"},
        {431, "GET / HTTP/1.1\r\nHost: a\r\nX: "},
    };
    memset(garbage, 'x', sizeof garbage);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client_open(&client, fixture);
        client_send(&client, GET("/hello"));
        client_send(&client, rows[i].request);
        client_send_bytes(&client, garbage, sizeof garbage);
        client_expect(&client, 200, "hello");
        client_read(&client, &answer);
        CHECK_INT(rows[i].status, answer.status);
        CHECK(strstr(answer.head, "Connection: close\r\n"));
        CHECK(strncmp(answer.body, "{\"Message\":\"", 12) == 0);
        shutdown(client.fd, SHUT_WR);
        client_expect_end(&client);
    }
}

static void half_closed_client_gets_its_answers(struct fixture *fixture)
{
    client_open(&client, fixture);
    client_send(&client, GET("/hello") GET("/big") GET("/echo?last"));
    shutdown(client.fd, SHUT_WR);
    client_expect(&client, 200, "hello");
    client_read_head(&client, &answer);
    for (size_t left = answer.body_size; left > 0;) {
        if (client.used == 0)
            client_fill(&client);
        size_t skipped = client.used < left ? client.used : left;
        client_skip(&client, skipped);
        left -= skipped;
    }
    client_expect(&client, 200, "last");
    client_expect_end(&client);
}

static void big_body_reaches_a_slow_reader_unchanged(struct fixture *fixture)
{
    int small = 32768;
    int before = atomic_load(&fixture->released);
    client_open(&client, fixture);
    setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    client_send(&client, GET("/big"));
    client_read_head(&client, &answer);
    CHECK_INT(BIG_SIZE, answer.body_size);
    for (size_t at = 0; at < BIG_SIZE; at += client.used, client.used = 0) {
        if (client.used == 0)
            client_fill(&client);
        for (size_t i = 0; i < client.used; i++)
            CHECK_INT(big_byte(at + i), client.buffer[i]);
    }
    wait_until(&fixture->released, before + 1);
    client_send(&client, GET("/hello"));
    client_expect(&client, 200, "hello");
    client_close(&client);
}

static void protocol_tests(enum loop_backend backend)
{
    struct fixture fixture;
    fixture_start(&fixture, backend, "localhost", 10000, 100);
    keep_alive_serves_many_requests(&fixture);
    head_of_the_answer_is_complete(&fixture);
    message_is_json(&fixture);
    pipelined_requests_are_answered_in_order(&fixture);
    place_of_a_cut_does_not_matter(&fixture);
    head_has_no_body_but_its_length(&fixture);
    connection_ends_when_the_client_wants_it(&fixture);
    continue_is_sent_when_a_body_is_to_come(&fixture);
    request_survives_a_moving_buffer(&fixture);
    largest_body_is_dropped(&fixture);
    refusal_can_be_read_although_more_was_sent(&fixture);
    half_closed_client_gets_its_answers(&fixture);
    big_body_reaches_a_slow_reader_unchanged(&fixture);
    fixture_stop(&fixture);
}

int main(void)
{
    run_on_backends(protocol_tests);
    return 0;
}
