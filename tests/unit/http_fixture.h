/* SPDX-License-Identifier: Apache-2.0 */
/* A server with a test handler in a thread of its own. */
#ifndef TESTS_HTTP_FIXTURE_H
#define TESTS_HTTP_FIXTURE_H

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "http/server.h"
#include "http_client.h"

#define GET(target) "GET " target " HTTP/1.1\r\nHost: localhost\r\n\r\n"

enum { BIG_SIZE = 4 << 20, HELD_MAX = 64 };

struct held {
    struct fixture *fixture;
    struct http_exchange *exchange;
};

struct fixture {
    enum loop_backend backend;
    struct http_options options;
    unsigned port;
    pthread_t thread;
    pthread_barrier_t started;

    /* The server's thread only. */
    struct loop *loop;
    struct http_server *server;
    struct held held[HELD_MAX];
    char *big;

    atomic_int requests;
    atomic_int holding;
    atomic_int released;
    atomic_int abandoned;
};

static inline char big_byte(size_t at)
{
    return (char)('a' + (at * 7 + at / 1000) % 26);
}

static inline void fixture_released(void *owner)
{
    struct fixture *fixture = owner;
    atomic_fetch_add(&fixture->released, 1);
}

static inline void fixture_drained(void *context)
{
    struct fixture *fixture = context;
    loop_stop(fixture->loop);
}

static inline void fixture_answer(struct http_exchange *exchange, const char *text)
{
    http_respond(exchange, &(struct http_response){.status = 200,
                                                   .content_type = "text/plain",
                                                   .headers = "X-Test: 1\r\n",
                                                   .body = text,
                                                   .body_size = strlen(text)});
}

static inline void fixture_abandoned(void *owner)
{
    struct held *held = owner;
    held->exchange = NULL;
    atomic_fetch_sub(&held->fixture->holding, 1);
    atomic_fetch_add(&held->fixture->abandoned, 1);
}

/* Answers come later, by fixture_finish. With `told` the handler wants to know of a hang-up. */
static inline void fixture_hold(struct fixture *fixture, struct http_exchange *exchange, bool told)
{
    size_t index = 0;
    while (index < HELD_MAX && fixture->held[index].exchange)
        index++;
    CHECK(index < HELD_MAX);
    fixture->held[index] = (struct held){fixture, exchange};
    if (told)
        http_exchange_on_abandon(exchange, fixture_abandoned, &fixture->held[index]);
    atomic_fetch_add(&fixture->holding, 1);
}

static inline void fixture_finish(struct fixture *fixture)
{
    for (size_t i = 0; i < HELD_MAX; i++) {
        struct http_exchange *exchange = fixture->held[i].exchange;
        if (!exchange)
            continue;
        fixture->held[i].exchange = NULL;
        atomic_fetch_sub(&fixture->holding, 1);
        char text[64];
        const struct http_request *request = http_exchange_request(exchange);
        snprintf(text, sizeof text, "held %.*s", (int)request->query.size,
                 request->query.data ? request->query.data : "");
        fixture_answer(exchange, text);
    }
}

static inline bool path_is(const struct http_request *request, const char *path)
{
    return request->path.size == strlen(path) &&
           memcmp(request->path.data, path, request->path.size) == 0;
}

static inline void fixture_echo(struct http_exchange *exchange)
{
    const struct http_request *request = http_exchange_request(exchange);
    char *text = strndup(request->query.data, request->query.size);
    CHECK(text);
    fixture_answer(exchange, text);
    free(text);
}

static inline void fixture_big(struct fixture *fixture, struct http_exchange *exchange)
{
    http_respond(exchange, &(struct http_response){.status = 200,
                                                   .body = fixture->big,
                                                   .body_size = BIG_SIZE,
                                                   .release = fixture_released,
                                                   .owner = fixture});
}

static inline void fixture_drain(struct fixture *fixture, struct http_exchange *exchange)
{
    const struct http_request *request = http_exchange_request(exchange);
    uint64_t wait = strtoull(request->query.data, NULL, 10) * NS_PER_MS;
    http_server_drain(fixture->server, loop_now(fixture->loop) + wait, fixture_drained, fixture);
    fixture_answer(exchange, "draining");
}

static inline void fixture_handle(void *context, struct http_exchange *exchange)
{
    struct fixture *fixture = context;
    const struct http_request *request = http_exchange_request(exchange);
    atomic_fetch_add(&fixture->requests, 1);
    if (path_is(request, "/hello")) {
        fixture_answer(exchange, "hello");
    } else if (path_is(request, "/echo")) {
        fixture_echo(exchange);
    } else if (path_is(request, "/big")) {
        fixture_big(fixture, exchange);
    } else if (path_is(request, "/same")) {
        http_respond(exchange, &(struct http_response){.status = 304, .body_size = 5});
    } else if (path_is(request, "/hold")) {
        fixture_hold(fixture, exchange, true);
    } else if (path_is(request, "/keep")) {
        fixture_hold(fixture, exchange, false);
    } else if (path_is(request, "/finish")) {
        fixture_finish(fixture);
        fixture_answer(exchange, "finished");
    } else if (path_is(request, "/drain")) {
        fixture_drain(fixture, exchange);
    } else {
        http_respond_message(exchange, 404, "X-Test: 2\r\n", "no \"%.*s\"\n",
                             (int)request->path.size, request->path.data);
    }
}

static inline void *fixture_thread(void *argument)
{
    struct fixture *fixture = argument;
    struct error error = {0};
    int code = loop_open(&fixture->loop, fixture->backend, &error);
    if (code == 0)
        code = http_server_open(&fixture->server, fixture->loop, &fixture->options, &error);
    if (code < 0)
        fprintf(stderr, "%s: %s\n", error.subject, error.message);
    CHECK_INT(0, code);
    fixture->port = http_server_port(fixture->server);
    pthread_barrier_wait(&fixture->started);
    CHECK_INT(0, loop_run(fixture->loop, &error));
    http_server_close(fixture->server);
    /* A handler may answer later than the server lives. */
    fixture_finish(fixture);
    loop_close(fixture->loop);
    return NULL;
}

static inline void fixture_start(struct fixture *fixture, enum loop_backend backend,
                                 const char *host, uint64_t timeout_ms, size_t connections_max)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->backend = backend;
    fixture->options = (struct http_options){
        .host = host,
        .client_timeout_ns = timeout_ms * NS_PER_MS,
        .connections_max = connections_max,
        .handle = fixture_handle,
        .context = fixture,
    };
    fixture->big = malloc(BIG_SIZE);
    CHECK(fixture->big);
    for (size_t i = 0; i < BIG_SIZE; i++)
        fixture->big[i] = big_byte(i);
    pthread_barrier_init(&fixture->started, NULL, 2);
    CHECK_INT(0, pthread_create(&fixture->thread, NULL, fixture_thread, fixture));
    pthread_barrier_wait(&fixture->started);
}

/* After the server was told to drain. */
static inline void fixture_join(struct fixture *fixture)
{
    CHECK_INT(0, pthread_join(fixture->thread, NULL));
    pthread_barrier_destroy(&fixture->started);
    free(fixture->big);
}

static inline void client_open(struct client *client, const struct fixture *fixture)
{
    client_make(client, AF_INET);
    client_connect(client, "127.0.0.1", fixture->port);
}

/* One request on a connection of its own. */
static inline void fixture_ask(const struct fixture *fixture, const char *request,
                               const char *expected)
{
    static struct client client;
    client_open(&client, fixture);
    client_send(&client, request);
    client_expect(&client, 200, expected);
    client_close(&client);
}

static inline void fixture_stop(struct fixture *fixture)
{
    fixture_ask(fixture, GET("/drain?5000"), "draining");
    fixture_join(fixture);
}

static inline void wait_until(atomic_int *counter, int value)
{
    struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < 20000 && atomic_load(counter) != value; i++)
        nanosleep(&pause, NULL);
    CHECK_INT(value, atomic_load(counter));
}

static inline size_t count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory);
    size_t count = 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

/* Runs the tests on each backend that this machine has. */
static inline void run_on_backends(void (*tests)(enum loop_backend backend))
{
    static const enum loop_backend backends[] = {LOOP_EPOLL, LOOP_IO_URING};
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        struct loop *loop;
        struct error error;
        if (loop_open(&loop, backends[i], &error) < 0) {
            printf("left out: %s: %s\n", error.subject, error.message);
            continue;
        }
        loop_close(loop);
        size_t descriptors = count_descriptors();
        tests(backends[i]);
        CHECK_INT(descriptors, count_descriptors());
    }
}

#endif
