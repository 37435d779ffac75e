/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "http/connection.h"

enum { SPARES_MAX = 64 };

/* A request's room is large and an idle connection does without, so they are handed around. */
struct http_exchange *exchange_acquire(struct connection *connection)
{
    struct http_server *server = connection->server;
    struct http_exchange *exchange = server->spare;
    if (exchange) {
        server->spare = exchange->next;
        server->spare_count--;
    } else {
        exchange = malloc(sizeof *exchange);
        if (!exchange)
            return NULL;
    }
    exchange->connection = connection;
    exchange->next = NULL;
    exchange->abandoned = NULL;
    exchange->owner = NULL;
    return exchange;
}

void exchange_release(struct http_server *server, struct http_exchange *exchange)
{
    exchange->connection = NULL;
    if (server->spare_count >= SPARES_MAX) {
        free(exchange);
        return;
    }
    exchange->next = server->spare;
    server->spare = exchange;
    server->spare_count++;
}

void exchange_free_spares(struct http_server *server)
{
    while (server->spare) {
        struct http_exchange *exchange = server->spare;
        server->spare = exchange->next;
        free(exchange);
    }
    server->spare_count = 0;
}

/* Of a connection that has been closed. Without a descriptor the server may be gone as well. */
static void free_orphan(struct http_exchange *exchange)
{
    struct connection *connection = exchange->connection;
    if (connection->fd < 0)
        connection_free(connection);
    else
        connection->exchange = NULL;
    free(exchange);
}

const struct http_request *http_exchange_request(const struct http_exchange *exchange)
{
    return &exchange->request;
}

void http_respond(struct http_exchange *exchange, const struct http_response *response)
{
    struct connection *connection = exchange->connection;
    if (connection->state == CONNECTION_CLOSING) {
        if (response->release)
            response->release(response->owner);
        free_orphan(exchange);
        return;
    }
    struct http_server *server = connection->server;
    const struct http_request *request = &exchange->request;
    struct answer_kind kind = {
        .head_only = request->method == HTTP_HEAD,
        .keep_alive = request->keep_alive && server_keeps_connections(server),
        .minor = request->minor,
    };
    connection->close_after_answer = !kind.keep_alive;
    /* A client that did not ask for the end may have sent its next request already. */
    connection->linger_after_answer = request->keep_alive;
    answer_compose(connection, response, kind);
    connection->exchange = NULL;
    exchange_release(server, exchange);
    connection_answer(connection);
}

void http_exchange_on_abandon(struct http_exchange *exchange, void (*abandoned)(void *owner),
                              void *owner)
{
    if (exchange->connection->state != CONNECTION_CLOSING) {
        exchange->abandoned = abandoned;
        exchange->owner = owner;
        return;
    }
    abandoned(owner);
    free_orphan(exchange);
}

void http_respond_message(struct http_exchange *exchange, int status, const char *headers,
                          const char *format, ...)
{
    enum { MESSAGE_MAX = 1024, ESCAPE_MAX = 6 };
    static const char prefix[] = "{\"Message\":\"";
    char message[MESSAGE_MAX];
    char body[sizeof prefix + (size_t)ESCAPE_MAX * MESSAGE_MAX + 3];

    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);

    size_t size = sizeof prefix - 1;
    memcpy(body, prefix, size);
    size += json_escape(body + size, sizeof body - size, message, strlen(message));
    body[size++] = '"';
    body[size++] = '}';
    http_respond(exchange, &(struct http_response){
                               .status = status,
                               .content_type = "application/json",
                               .headers = headers,
                               .body = body,
                               .body_size = size,
                           });
}
