/* SPDX-License-Identifier: Apache-2.0 */
/* Accepting connections, no more than the limit, and draining. */
#include "http/server.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/connection.h"

enum { DESCRIPTOR_RESERVE = 192 }; /* for everything but connections */

#define ACCEPT_PAUSE_NS (100 * NS_PER_MS)

/* A client that has connected and not yet said anything is likely to be about to. */
#define FIRST_REQUEST_NS (100 * NS_PER_MS)

static void accept_done(struct loop *loop, struct loop_op *op, int result);
static void retry_accepting(struct loop *loop, struct loop_timer *timer);
static void drain_expired(struct loop *loop, struct loop_timer *timer);

static size_t limit_connections(size_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return wanted;
    size_t possible =
        limit.rlim_cur > DESCRIPTOR_RESERVE ? (size_t)limit.rlim_cur - DESCRIPTOR_RESERVE : 1;
    size_t chosen = wanted < possible ? wanted : possible;
    return chosen > 0 ? chosen : 1;
}

int http_server_open(struct http_server **server, struct loop *loop,
                     const struct http_options *options, struct error *error)
{
    int fds[HTTP_LISTENERS_MAX];
    size_t count = 0;
    unsigned port = options->port;
    int code = http_listen(options->host, options->may_ask, &port, fds, &count, error);
    if (code < 0)
        return code;
    struct http_server *made = calloc(1, sizeof *made);
    if (!made) {
        while (count > 0)
            close(fds[--count]);
        return error_system(error, ENOMEM, "", "the HTTP server cannot be made");
    }
    made->loop = loop;
    made->handle = options->handle;
    made->context = options->context;
    made->client_timeout_ns = options->client_timeout_ns;
    made->connections_max = limit_connections(options->connections_max);
    made->port = port;
    made->date_second = -1;
    link_init(&made->connections);
    link_init(&made->idle);
    made->listener_count = count;
    for (size_t i = 0; i < count; i++)
        made->listeners[i] = (struct listener){.server = made, .fd = fds[i]};
    /* Accepting begins with the loop's first turn, so that nothing is active before it runs. */
    loop_timer_start(loop, &made->accept_timer, 0, retry_accepting);
    *server = made;
    return 0;
}

size_t http_server_limit(const struct http_server *server)
{
    return server->connections_max;
}

unsigned http_server_port(const struct http_server *server)
{
    return server->port;
}

static void close_listener(struct listener *listener)
{
    if (listener->fd < 0)
        return;
    loop_forget(listener->server->loop, listener->fd);
    close(listener->fd);
    listener->fd = -1;
}

static void resume_accepting(struct http_server *server)
{
    server->accepting = true;
    loop_timer_stop(server->loop, &server->accept_timer);
    for (size_t i = 0; i < server->listener_count; i++) {
        struct listener *listener = &server->listeners[i];
        if (!listener->accept.active)
            loop_accept(server->loop, &listener->accept, listener->fd, accept_done);
    }
}

static void pause_accepting(struct http_server *server)
{
    server->accepting = false;
    for (size_t i = 0; i < server->listener_count; i++)
        loop_cancel(server->loop, &server->listeners[i].accept);
    loop_timer_start(server->loop, &server->accept_timer, loop_now(server->loop) + ACCEPT_PAUSE_NS,
                     retry_accepting);
}

/* Closes the connection that was idle longest and has no request on its way; false: there is none.
 */
static bool evict(struct http_server *server)
{
    uint64_t now = loop_now(server->loop);
    struct connection *candidate = connection_next_idle(server, &server->idle);
    for (; candidate; candidate = connection_next_idle(server, &candidate->idle)) {
        bool ready = candidate->served || now - candidate->idle_since >= FIRST_REQUEST_NS;
        if (!ready || connection_has_pending(candidate))
            continue;
        connection_close(candidate);
        return true;
    }
    return false;
}

static void retry_accepting(struct loop *loop, struct loop_timer *timer)
{
    struct http_server *server =
        (struct http_server *)(void *)((char *)timer - offsetof(struct http_server, accept_timer));
    if (server->count < server->connections_max || evict(server))
        resume_accepting(server);
    else
        loop_timer_start(loop, timer, loop_now(loop) + ACCEPT_PAUSE_NS, retry_accepting);
}

static void admit(struct http_server *server, int fd)
{
    if (server->draining) {
        close(fd);
        return;
    }
    /* This one is let in all the same: it has been accepted, and while there are too many each
       answer ends its connection. */
    if (server->count >= server->connections_max && !evict(server))
        pause_accepting(server);
    if (connection_open(server, fd) < 0)
        close(fd);
}

static void accept_done(struct loop *loop, struct loop_op *op, int result)
{
    struct listener *listener = (struct listener *)(void *)op;
    struct http_server *server = listener->server;
    if (result >= 0) {
        admit(server, result);
    } else if (server->draining) {
        close_listener(listener);
        server_connection_gone(server);
    } else if (result != -ECANCELED) {
        pause_accepting(server);
    } else if (server->accepting) {
        loop_accept(loop, op, listener->fd, accept_done);
    }
}

void server_connection_closing(struct http_server *server)
{
    if (!server->accepting && !server->draining && server->count < server->connections_max)
        resume_accepting(server);
}

static bool is_drained(const struct http_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        if (server->listeners[i].fd >= 0)
            return false;
    }
    return link_is_alone(&server->connections);
}

void server_connection_gone(struct http_server *server)
{
    /* By way of the timer, so that `drained` may close the server. */
    if (server->draining && is_drained(server))
        loop_timer_start(server->loop, &server->drain_timer, 0, drain_expired);
}

static void drain_expired(struct loop *loop, struct loop_timer *timer)
{
    struct http_server *server =
        (struct http_server *)(void *)((char *)timer - offsetof(struct http_server, drain_timer));
    (void)loop;
    if (is_drained(server)) {
        server->drained(server->drained_context);
        return;
    }
    struct link *link = server->connections.next;
    while (link != &server->connections) {
        struct connection *connection = connection_of(link, offsetof(struct connection, link));
        link = link->next;
        connection_close(connection);
    }
}

void http_server_drain(struct http_server *server, uint64_t deadline,
                       void (*drained)(void *context), void *context)
{
    server->draining = true;
    server->accepting = false;
    server->drained = drained;
    server->drained_context = context;
    loop_timer_stop(server->loop, &server->accept_timer);
    loop_timer_start(server->loop, &server->drain_timer, deadline, drain_expired);
    for (size_t i = 0; i < server->listener_count; i++) {
        struct listener *listener = &server->listeners[i];
        if (listener->accept.active)
            loop_cancel(server->loop, &listener->accept);
        else
            close_listener(listener);
    }
    struct connection *next = connection_next_idle(server, &server->idle);
    while (next) {
        struct connection *connection = next;
        next = connection_next_idle(server, &connection->idle);
        if (!connection_has_pending(connection))
            connection_close(connection);
    }
    server_connection_gone(server);
}

void http_server_close(struct http_server *server)
{
    if (!server)
        return;
    loop_timer_stop(server->loop, &server->accept_timer);
    loop_timer_stop(server->loop, &server->drain_timer);
    for (size_t i = 0; i < server->listener_count; i++)
        close_listener(&server->listeners[i]);
    /* Only where the loop has failed. Their memory is lost, but nobody shall wait for an answer. */
    for (struct link *link = server->connections.next; link != &server->connections;
         link = link->next)
        close(connection_of(link, offsetof(struct connection, link))->fd);
    exchange_free_spares(server);
    free(server);
}
