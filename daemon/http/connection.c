/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one connection: its opening and end, its buffer, its deadline. */
#include "http/connection.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { ROOM_MIN = 512 }; /* what a receive shall have room for */

bool connection_has_pending(const struct connection *connection)
{
    int pending = 0;
    return ioctl(connection->fd, FIONREAD, &pending) == 0 && pending > 0;
}

int connection_unacknowledged(const struct connection *connection)
{
    int bytes = 0;
    return ioctl(connection->fd, SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

int connection_open(struct http_server *server, int fd)
{
    struct connection *connection = malloc(sizeof *connection);
    if (!connection)
        return -ENOMEM;
    /* The buffers need no clearing. */
    memset(connection, 0, offsetof(struct connection, initial));
    connection->server = server;
    connection->fd = fd;
    connection->buffer = connection->initial;
    connection->capacity = sizeof connection->initial;
    link_init(&connection->idle);
    link_append(&server->connections, &connection->link);
    server->count++;
    connection_begin(connection);
    return 0;
}

void connection_free(struct connection *connection)
{
    if (connection->buffer != connection->initial)
        free(connection->buffer);
    free(connection);
}

void connection_finish(struct connection *connection)
{
    if (connection->input.active || connection->output.active || connection->watch.active)
        return;
    struct http_server *server = connection->server;
    loop_forget(server->loop, connection->fd);
    close(connection->fd);
    connection->fd = -1;
    answer_release(&connection->answer);
    link_remove(&connection->link);
    /* A handler that cannot be told will answer some day; until then it may read the request. */
    if (!connection->exchange)
        connection_free(connection);
    server_connection_gone(server);
}

void connection_drop_exchange(struct connection *connection, bool handling)
{
    struct http_exchange *exchange = connection->exchange;
    if (!exchange || (handling && !exchange->abandoned))
        return;
    if (handling)
        exchange->abandoned(exchange->owner);
    connection->exchange = NULL;
    exchange_release(connection->server, exchange);
}

void connection_close(struct connection *connection)
{
    if (connection->state == CONNECTION_CLOSING)
        return;
    struct http_server *server = connection->server;
    bool handling = connection->state == CONNECTION_HANDLING;
    connection->state = CONNECTION_CLOSING;
    server->count--;
    link_remove(&connection->idle);
    loop_timer_stop(server->loop, &connection->timer);
    connection_drop_exchange(connection, handling);
    loop_cancel(server->loop, &connection->input);
    loop_cancel(server->loop, &connection->output);
    loop_cancel(server->loop, &connection->watch);
    server_connection_closing(server);
    connection_finish(connection);
}

/* Throws away what the kernel still has to send, as nobody reads it. */
static void reset(struct connection *connection)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    connection_close(connection);
}

static bool resize(struct connection *connection, size_t capacity)
{
    size_t kept = connection->used - connection->start;
    char *buffer = capacity > sizeof connection->initial ? malloc(capacity) : connection->initial;
    if (!buffer)
        return false;
    memmove(buffer, connection->buffer + connection->start, kept);
    if (connection->buffer != connection->initial)
        free(connection->buffer);
    connection->buffer = buffer;
    connection->capacity = capacity;
    return true;
}

bool connection_make_room(struct connection *connection)
{
    size_t kept = connection->used - connection->start;
    if (connection->capacity - connection->used >= ROOM_MIN)
        return true;
    if (connection->capacity - kept >= ROOM_MIN)
        memmove(connection->buffer, connection->buffer + connection->start, kept);
    else if (!resize(connection, connection->capacity * 2))
        return false;
    connection->body_at -= connection->start;
    connection->used = kept;
    connection->start = 0;
    if (connection->exchange) {
        size_t scanned = 0;
        http_request_parse(connection->buffer, kept, &scanned, &connection->exchange->request);
    }
    return true;
}

void connection_shrink(struct connection *connection)
{
    if (connection->buffer != connection->initial)
        resize(connection, sizeof connection->initial);
}

struct connection *connection_next_idle(const struct http_server *server, const struct link *link)
{
    struct link *next = link->next;
    return next == &server->idle ? NULL : connection_of(next, offsetof(struct connection, idle));
}

static void expired(struct loop *loop, struct loop_timer *timer);

void connection_set_deadline(struct connection *connection, uint64_t timeout)
{
    struct loop *loop = connection->server->loop;
    connection->deadline = loop_now(loop) + timeout;
    if (connection->armed != 0 && connection->armed <= connection->deadline)
        return;
    connection->armed = connection->deadline;
    loop_timer_start(loop, &connection->timer, connection->deadline, expired);
}

/* A full socket takes more only when much of it has been read: progress is what was read of it. */
static bool goes_on(struct connection *connection)
{
    int before = connection->unacknowledged;
    connection->unacknowledged = connection_unacknowledged(connection);
    if (connection->unacknowledged >= before)
        return false;
    connection_set_deadline(connection, connection->server->client_timeout_ns);
    return true;
}

static void expired(struct loop *loop, struct loop_timer *timer)
{
    struct connection *connection = connection_of(timer, offsetof(struct connection, timer));
    connection->armed = 0;
    if (connection->deadline == 0)
        return;
    if (connection->deadline > loop_now(loop)) {
        connection->armed = connection->deadline;
        loop_timer_start(loop, timer, connection->deadline, expired);
        return;
    }
    if (connection->state == CONNECTION_LINGERING)
        connection_close(connection);
    else if (loop_timer_was_held_up(loop, timer)) /* who is frozen together with us is not slow */
        connection_set_deadline(connection, connection->server->client_timeout_ns);
    else if (connection->state == CONNECTION_HEAD || connection->state == CONNECTION_BODY)
        connection_refuse(connection, 408);
    else if (!goes_on(connection))
        reset(connection);
}
