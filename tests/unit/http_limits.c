/* SPDX-License-Identifier: Apache-2.0 */
/* Slow, vanishing and too many clients; late answers; draining. */
#include "http_fixture.h"

#include <sys/resource.h>

static struct client client;
static struct client other;
static struct answer_seen answer;

static void expect_open(struct client *one)
{
    client_send(one, GET("/hello"));
    client_expect(one, 200, "hello");
}

static void expect_timeout(struct fixture *fixture, const char *request)
{
    client_open(&client, fixture);
    client_send(&client, request);
    client_read(&client, &answer);
    CHECK_INT(408, answer.status);
    CHECK(strstr(answer.head, "Connection: close\r\n"));
    client_expect_end(&client);
}

static void request_that_stays_incomplete_ends_with_408(struct fixture *fixture)
{
    expect_timeout(fixture, "G");
    expect_timeout(fixture, "GET / HTTP/1.1\r\nHost: a\r\n");
    expect_timeout(fixture, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab");
    expect_timeout(fixture, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5");

    client_open(&client, fixture);
    client_send(&client, GET("/hello") "GET /");
    client_expect(&client, 200, "hello");
    client_expect(&client, 408, NULL);
    client_expect_end(&client);
}

static void idle_connection_outlives_the_timeout(struct fixture *fixture)
{
    static struct client fresh;
    client_open(&fresh, fixture);
    client_open(&other, fixture);
    expect_open(&other);
    /* Meanwhile the timeout of another connection passes, twice. */
    expect_timeout(fixture, "GET");
    expect_timeout(fixture, "GET");
    expect_open(&fresh);
    expect_open(&other);
    client_close(&fresh);
    client_close(&other);
}

static void client_that_never_reads_is_cut_off(struct fixture *fixture)
{
    int released = atomic_load(&fixture->released);
    int small = 4096;
    client_open(&client, fixture);
    setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int i = 0; i < 4; i++)
        client_send(&client, GET("/big"));
    wait_until(&fixture->released, released + 1);
    /* The first body may have fit into buffers; then it is the second one that gets stuck. */
    ssize_t got;
    size_t total = 0;
    while ((got = client_recv(&client, client.buffer, sizeof client.buffer)) > 0)
        total += (size_t)got;
    CHECK(total < 4 * (size_t)BIG_SIZE);
    client_close(&client);
}

static void client_that_sends_garbage_for_ever_is_cut_off(struct fixture *fixture)
{
    static const char garbage[4096];
    client_open(&client, fixture);
    ssize_t sent = 0;
    while (sent >= 0)
        sent = client_try_send(&client, garbage, sizeof garbage);
    CHECK(errno == ECONNRESET || errno == EPIPE);
    client_close(&client);
}

static void reset_at_any_byte_does_no_harm(struct fixture *fixture)
{
    static const char request[] = GET("/big") "POST /echo?1 HTTP/1.1\r\nHost: a\r\n"
                                              "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
                                              "\r\n" GET("/hold") GET("/keep") GET("/hello");
    for (size_t cut = 0; cut < sizeof request; cut++) {
        client_open(&client, fixture);
        client_send_bytes(&client, request, cut);
        client_reset(&client);
    }
    client_open(&client, fixture);
    expect_open(&client);
    client_send(&client, GET("/finish"));
    client_expect(&client, 200, "finished");
    client_close(&client);
}

static void late_answer_keeps_the_order(struct fixture *fixture)
{
    client_open(&client, fixture);
    client_send(&client, GET("/hold?1") GET("/hello") GET("/hold?2"));
    wait_until(&fixture->holding, 1);
    fixture_ask(fixture, GET("/finish"), "finished");
    client_expect(&client, 200, "held 1");
    client_expect(&client, 200, "hello");
    wait_until(&fixture->holding, 1);
    fixture_ask(fixture, GET("/finish"), "finished");
    client_expect(&client, 200, "held 2");
    expect_open(&client);
    client_close(&client);
}

static void hang_up_abandons_the_exchange(struct fixture *fixture)
{
    static void (*const ends[])(struct client *) = {client_close, client_reset};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        int abandoned = atomic_load(&fixture->abandoned);
        client_open(&client, fixture);
        client_send(&client, GET("/hello") GET("/hold"));
        client_expect(&client, 200, "hello");
        wait_until(&fixture->holding, 1);
        ends[i](&client);
        wait_until(&fixture->abandoned, abandoned + 1);
        CHECK_INT(0, atomic_load(&fixture->holding));
    }
}

static void half_closed_client_waits_for_late_answers(struct fixture *fixture)
{
    /* Nobody asked to be told, or more requests wait: then it is no hang-up. */
    static const char *const requests[] = {GET("/keep?1"), GET("/hold?1") GET("/hello")};
    int abandoned = atomic_load(&fixture->abandoned);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        client_open(&client, fixture);
        client_send(&client, requests[i]);
        shutdown(client.fd, SHUT_WR);
        wait_until(&fixture->holding, 1);
        fixture_ask(fixture, GET("/hello"), "hello");
        fixture_ask(fixture, GET("/finish"), "finished");
        client_expect(&client, 200, "held 1");
        if (i == 1)
            client_expect(&client, 200, "hello");
        client_expect_end(&client);
    }
    CHECK_INT(abandoned, atomic_load(&fixture->abandoned));
}

static void answer_to_a_client_that_is_gone_is_dropped(struct fixture *fixture)
{
    client_open(&client, fixture);
    client_send(&client, GET("/keep"));
    wait_until(&fixture->holding, 1);
    client_reset(&client);
    fixture_ask(fixture, GET("/hello"), "hello");
    fixture_ask(fixture, GET("/finish"), "finished");
    wait_until(&fixture->holding, 0);
}

static void timing_tests(enum loop_backend backend)
{
    struct fixture fixture;
    fixture_start(&fixture, backend, "127.0.0.1", 150, 1000);
    request_that_stays_incomplete_ends_with_408(&fixture);
    idle_connection_outlives_the_timeout(&fixture);
    client_that_never_reads_is_cut_off(&fixture);
    client_that_sends_garbage_for_ever_is_cut_off(&fixture);
    fixture_stop(&fixture);
    int requests = atomic_load(&fixture.requests);
    CHECK(requests > 0);
}

static void lateness_tests(enum loop_backend backend)
{
    struct fixture fixture;
    fixture_start(&fixture, backend, "127.0.0.1", 10000, 1000);
    reset_at_any_byte_does_no_harm(&fixture);
    fixture_stop(&fixture);

    fixture_start(&fixture, backend, "127.0.0.1", 10000, 1000);
    late_answer_keeps_the_order(&fixture);
    hang_up_abandons_the_exchange(&fixture);
    half_closed_client_waits_for_late_answers(&fixture);
    answer_to_a_client_that_is_gone_is_dropped(&fixture);
    fixture_stop(&fixture);
}

enum { LIMIT = 4 };

static void longest_idle_connection_makes_room(enum loop_backend backend)
{
    static struct client clients[LIMIT + 2];
    struct fixture fixture;
    fixture_start(&fixture, backend, "127.0.0.1", 10000, LIMIT);
    for (size_t i = 0; i < LIMIT; i++) {
        client_open(&clients[i], &fixture);
        expect_open(&clients[i]);
    }
    expect_open(&clients[0]);
    for (size_t i = LIMIT; i < LIMIT + 2; i++) {
        client_open(&clients[i], &fixture);
        expect_open(&clients[i]);
        client_expect_end(&clients[i - LIMIT + 1]);
    }
    expect_open(&clients[0]);
    expect_open(&clients[3]);
    for (size_t i = 0; i < LIMIT + 2; i++) {
        if (clients[i].fd >= 0)
            client_close(&clients[i]);
    }
    fixture_stop(&fixture);
}

/*
 * One is accepted before the server sees that it is too many. The kernel may have accepted the next
 * by then where it accepts by itself, so that only epoll's number is certain.
 */
static void busy_connections_keep_others_waiting(enum loop_backend backend)
{
    static struct client busy[LIMIT];
    static struct client waiting[2];
    struct fixture fixture;
    fixture_start(&fixture, backend, "127.0.0.1", 10000, LIMIT);
    for (size_t i = 0; i < LIMIT; i++) {
        client_open(&busy[i], &fixture);
        client_send(&busy[i], GET("/hold"));
        wait_until(&fixture.holding, (int)i + 1);
    }
    for (size_t i = 0; i < 2; i++) {
        client_open(&waiting[i], &fixture);
        client_send(&waiting[i], GET("/hold"));
    }
    if (backend == LOOP_EPOLL) {
        wait_until(&fixture.holding, LIMIT + 1);
        CHECK_INT(LIMIT + 1, atomic_load(&fixture.requests));
    }
    for (size_t i = 0; i < LIMIT; i++)
        client_close(&busy[i]);
    wait_until(&fixture.abandoned, LIMIT);
    wait_until(&fixture.holding, 2);
    fixture_ask(&fixture, GET("/finish"), "finished");
    for (size_t i = 0; i < 2; i++) {
        client_expect(&waiting[i], 200, "held ");
        client_close(&waiting[i]);
    }
    fixture_stop(&fixture);
}

static void accepting_goes_on_when_descriptors_are_back(enum loop_backend backend)
{
    int taken[128];
    size_t count = 0;
    struct rlimit before;
    struct fixture fixture;
    CHECK_INT(0, getrlimit(RLIMIT_NOFILE, &before));
    /* Before the start, as io_uring takes the limit when accepting begins. */
    struct rlimit tight = {.rlim_cur = 128, .rlim_max = before.rlim_max};
    CHECK_INT(0, setrlimit(RLIMIT_NOFILE, &tight));
    fixture_start(&fixture, backend, "127.0.0.1", 10000, 1000);
    client_open(&other, &fixture);
    expect_open(&other);
    client_make(&client, AF_INET);
    while ((taken[count] = dup(0)) >= 0)
        count++;
    client_connect(&client, "127.0.0.1", fixture.port);
    client_send(&client, GET("/hello"));
    for (int i = 0; i < 10; i++)
        expect_open(&other);
    CHECK(recv(client.fd, client.buffer, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
    while (count > 0)
        close(taken[--count]);
    client_expect(&client, 200, "hello");
    CHECK_INT(0, setrlimit(RLIMIT_NOFILE, &before));
    client_close(&client);
    client_close(&other);
    fixture_stop(&fixture);
}

static void drain_lets_requests_end(enum loop_backend backend)
{
    static struct client idle;
    static struct client held;
    static struct client partial;
    struct fixture fixture;
    fixture_start(&fixture, backend, "localhost", 10000, 100);
    client_open(&idle, &fixture);
    expect_open(&idle);
    client_open(&held, &fixture);
    client_send(&held, GET("/hold?x"));
    wait_until(&fixture.holding, 1);
    client_open(&partial, &fixture);
    client_send(&partial, GET("/hello") "GET /fin");
    client_expect(&partial, 200, "hello");

    client_open(&client, &fixture);
    client_send(&client, GET("/drain?20000"));
    client_read(&client, &answer);
    CHECK(strstr(answer.head, "Connection: close\r\n"));
    client_expect_end(&client);
    client_expect_end(&idle);

    client_send(&partial, "ish HTTP/1.1\r\nHost: a\r\n\r\n");
    client_read(&partial, &answer);
    CHECK_STRING("finished", answer.body);
    CHECK(strstr(answer.head, "Connection: close\r\n"));
    client_close(&partial);
    client_read(&held, &answer);
    CHECK_STRING("held x", answer.body);
    CHECK(strstr(answer.head, "Connection: close\r\n"));
    client_close(&held);
    fixture_join(&fixture);
}

static void drain_ends_at_its_deadline(enum loop_backend backend)
{
    static struct client clients[3];
    static const char *const requests[] = {GET("/hold"), GET("/keep"), "GET /"};
    struct fixture fixture;
    fixture_start(&fixture, backend, "localhost", 10000, 100);
    for (size_t i = 0; i < 3; i++) {
        client_open(&clients[i], &fixture);
        expect_open(&clients[i]);
        client_send(&clients[i], requests[i]);
    }
    wait_until(&fixture.holding, 2);
    fixture_ask(&fixture, GET("/drain?50"), "draining");
    fixture_join(&fixture);
    CHECK_INT(1, atomic_load(&fixture.abandoned));
    CHECK_INT(0, atomic_load(&fixture.holding));
    for (size_t i = 0; i < 3; i++) {
        char byte;
        CHECK(client_recv(&clients[i], &byte, 1) <= 0);
        client_close(&clients[i]);
    }
}

static void limit_tests(enum loop_backend backend)
{
    timing_tests(backend);
    lateness_tests(backend);
    longest_idle_connection_makes_room(backend);
    busy_connections_keep_others_waiting(backend);
    accepting_goes_on_when_descriptors_are_back(backend);
    drain_lets_requests_end(backend);
    drain_ends_at_its_deadline(backend);
}

int main(void)
{
    run_on_backends(limit_tests);
    return 0;
}
