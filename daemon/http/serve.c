/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of a connection, from one request to the next.
 *
 * A client that closes its sending side still gets the answers to what it has sent, with one
 * exception: while the handler takes its time and asked to hear of hang-ups, the end of the stream
 * with no further request pending counts as one. TCP cannot tell a half-closed client from one that
 * is gone, and no usual client closes one side only before it has the answer.
 */
#include "http/connection.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"

/* How long, and for how many bytes, a client is read on after an answer that it did not expect. */
enum { LINGER_BYTES_MAX = 256 * 1024 };
#define LINGER_NS NS_PER_S

static void input_done(struct loop *loop, struct loop_op *op, int result);
static void output_done(struct loop *loop, struct loop_op *op, int result);
static void watch_done(struct loop *loop, struct loop_op *op, int result);

static void set_client_deadline(struct connection *connection)
{
    connection_set_deadline(connection, connection->server->client_timeout_ns);
}

static void clear_deadline(struct connection *connection)
{
    connection->deadline = 0;
}

static bool is_idle(const struct connection *connection)
{
    return !link_is_alone(&connection->idle);
}

static void become_idle(struct connection *connection)
{
    connection->idle_since = loop_now(connection->server->loop);
    clear_deadline(connection);
    link_append(&connection->server->idle, &connection->idle);
}

/* The operations that end first call this again, so it may come too early. */
static void receive(struct connection *connection)
{
    if (connection->input.active || connection->watch.active)
        return;
    if (!connection_make_room(connection)) {
        connection_close(connection);
        return;
    }
    loop_recv(connection->server->loop, &connection->input, connection->fd,
              connection->buffer + connection->used, connection->capacity - connection->used,
              input_done);
}

static void send_answer(struct connection *connection)
{
    set_client_deadline(connection);
    loop_send(connection->server->loop, &connection->output, connection->fd,
              connection->answer.vector, connection->answer.count, output_done);
}

void connection_answer(struct connection *connection)
{
    connection->state = CONNECTION_ANSWERING;
    connection->unacknowledged = INT_MAX;
    if (connection->watch.active)
        loop_cancel(connection->server->loop, &connection->watch);
    send_answer(connection);
}

void connection_refuse(struct connection *connection, int status)
{
    connection_drop_exchange(connection, false);
    connection->close_after_answer = true;
    connection->linger_after_answer = true;
    answer_compose_refusal(connection, status);
    connection_answer(connection);
}

static void watch(struct connection *connection)
{
    if (!connection->watch.active)
        loop_poll(connection->server->loop, &connection->watch, connection->fd, POLLRDHUP,
                  watch_done);
}

static void handle(struct connection *connection)
{
    struct http_server *server = connection->server;
    connection->state = CONNECTION_HANDLING;
    clear_deadline(connection);
    server->handle(server->context, connection->exchange);
    if (connection->state == CONNECTION_HANDLING)
        watch(connection);
}

static void take_body(struct connection *connection)
{
    size_t at = connection->body_at;
    long taken = http_body_take(&connection->body, connection->buffer + at, connection->used - at);
    if (taken < 0) {
        connection_refuse(connection, (int)-taken);
    } else if (http_body_ended(&connection->body)) {
        connection->next = at + (size_t)taken;
        handle(connection);
    } else {
        connection->used = at;
        connection->state = CONNECTION_BODY;
        if (connection->deadline == 0)
            set_client_deadline(connection);
        receive(connection);
    }
}

static void send_continue(struct connection *connection)
{
    static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct answer *answer = &connection->answer;
    answer->vectors[0] = (struct iovec){text, sizeof text - 1};
    answer->vector = answer->vectors;
    answer->count = 1;
    connection->state = CONNECTION_CONTINUE;
    connection->unacknowledged = INT_MAX;
    send_answer(connection);
}

static void begin_body(struct connection *connection)
{
    const struct http_request *request = &connection->exchange->request;
    int status = http_body_start(&connection->body, request);
    bool ended = http_body_ended(&connection->body);
    if (status < 0)
        connection_refuse(connection, -status);
    else if (!ended && request->expects_continue && connection->used == connection->body_at)
        send_continue(connection);
    else
        take_body(connection);
}

static void await_request(struct connection *connection)
{
    connection->state = CONNECTION_HEAD;
    if (connection->used == connection->start) {
        /* Draining began while the last answer, which did not say so yet, was on its way. */
        if (connection->server->draining) {
            connection_close(connection);
            return;
        }
        connection->used = 0;
        connection->start = 0;
        connection_shrink(connection);
        become_idle(connection);
    } else if (connection->deadline == 0) {
        set_client_deadline(connection);
    }
    receive(connection);
}

void connection_begin(struct connection *connection)
{
    size_t size = connection->used - connection->start;
    struct http_exchange *exchange = size > 0 ? exchange_acquire(connection) : NULL;
    if (!exchange) {
        if (size > 0)
            connection_close(connection);
        else
            await_request(connection);
        return;
    }
    long length = http_request_parse(connection->buffer + connection->start, size,
                                     &connection->scanned, &exchange->request);
    if (length > 0) {
        connection->served = true;
        connection->exchange = exchange;
        connection->body_at = connection->start + (size_t)length;
        begin_body(connection);
        return;
    }
    exchange_release(connection->server, exchange);
    if (length == 0)
        await_request(connection);
    else
        connection_refuse(connection, (int)-length);
}

static void linger(struct connection *connection)
{
    connection->state = CONNECTION_LINGERING;
    connection->used = 0;
    connection->start = 0;
    connection_set_deadline(connection, LINGER_NS);
    shutdown(connection->fd, SHUT_WR);
    receive(connection);
}

static void answered(struct connection *connection)
{
    answer_release(&connection->answer);
    clear_deadline(connection);
    bool unread = connection->used > connection->next;
    if (connection->close_after_answer && (connection->linger_after_answer || unread)) {
        linger(connection);
    } else if (connection->close_after_answer) {
        connection_close(connection);
    } else {
        connection->start = connection->next;
        connection->scanned = 0;
        connection_begin(connection);
    }
}

static void drop_input(struct connection *connection, int count)
{
    connection->lingered += (size_t)count;
    if (connection->state != CONNECTION_LINGERING)
        return;
    if (count == 0 || connection->lingered > LINGER_BYTES_MAX)
        connection_close(connection);
    else
        receive(connection);
}

static void input_done(struct loop *loop, struct loop_op *op, int result)
{
    (void)loop;
    struct connection *connection = connection_of(op, offsetof(struct connection, input));
    bool receiving = connection->state == CONNECTION_HEAD || connection->state == CONNECTION_BODY;
    if (connection->state == CONNECTION_CLOSING) {
        connection_finish(connection);
    } else if (result < 0 || (result == 0 && receiving)) {
        connection_close(connection);
    } else if (!receiving) {
        drop_input(connection, result);
    } else {
        if (is_idle(connection))
            link_remove(&connection->idle);
        connection->used += (size_t)result;
        if (connection->state == CONNECTION_HEAD)
            connection_begin(connection);
        else
            take_body(connection);
    }
}

/* Steps over what has been sent. */
static void skip_sent(struct answer *answer, size_t sent)
{
    while (answer->count > 0 && sent >= answer->vector->iov_len) {
        sent -= answer->vector->iov_len;
        answer->vector++;
        answer->count--;
    }
    if (answer->count > 0) {
        answer->vector->iov_base = (char *)answer->vector->iov_base + sent;
        answer->vector->iov_len -= sent;
    }
}

static void output_done(struct loop *loop, struct loop_op *op, int result)
{
    (void)loop;
    struct connection *connection = connection_of(op, offsetof(struct connection, output));
    if (connection->state == CONNECTION_CLOSING) {
        connection_finish(connection);
        return;
    }
    if (result <= 0) {
        connection_close(connection);
        return;
    }
    skip_sent(&connection->answer, (size_t)result);
    if (connection->answer.count > 0) {
        connection->unacknowledged = connection_unacknowledged(connection);
        send_answer(connection);
    } else if (connection->state == CONNECTION_CONTINUE) {
        take_body(connection);
    } else {
        answered(connection);
    }
}

/* The client has closed its side, or the connection is broken. */
static void hung_up(struct connection *connection, int events)
{
    bool broken = events < 0 || ((unsigned)events & (POLLERR | POLLHUP)) != 0;
    bool pending = connection->used > connection->next || connection_has_pending(connection);
    /* Without `abandoned` the exchange lives on, and sending its answer will tell. */
    if (connection->exchange->abandoned && (broken || !pending))
        connection_close(connection);
}

static void watch_done(struct loop *loop, struct loop_op *op, int result)
{
    (void)loop;
    struct connection *connection = connection_of(op, offsetof(struct connection, watch));
    switch (connection->state) {
    case CONNECTION_CLOSING:
        connection_finish(connection);
        break;
    case CONNECTION_HANDLING:
        /* Canceled for the answer to the request before this one. */
        if (result == -ECANCELED)
            watch(connection);
        else
            hung_up(connection, result);
        break;
    case CONNECTION_HEAD:
    case CONNECTION_BODY:
    case CONNECTION_LINGERING:
        receive(connection);
        break;
    case CONNECTION_CONTINUE:
    case CONNECTION_ANSWERING:
        break;
    }
}
