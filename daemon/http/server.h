/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1.1 server on the event loop: connections, parsing, limits, keep-alive, pipelining.
 * It knows nothing of configurations; every request that is well-formed goes to one handler.
 */
#ifndef SHMCONFD_HTTP_SERVER_H
#define SHMCONFD_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "http/request.h"
#include "loop/loop.h"

struct http_server;
struct http_exchange; /* one request and its answer */

/*
 * Called with each well-formed request. The handler answers with http_respond, now or later. The
 * request's text is valid until it has answered or until `abandoned` was called.
 */
typedef void http_handle(void *context, struct http_exchange *exchange);

struct http_options {
    const char *host;           /* "localhost": 127.0.0.1 and ::1; "all"; an address; a host name */
    bool may_ask;               /* a host name is resolved, which may take long */
    unsigned port;              /* 0: a free one, the same for all addresses */
    uint64_t client_timeout_ns; /* for a request to be complete, for an answer to be read on */
    size_t connections_max;     /* beyond it the connection that was idle longest is closed */
    http_handle *handle;
    void *context;
};

struct http_response {
    int status;
    const char *content_type; /* NUL-terminated */
    const char *headers;      /* further header lines, each ended by CRLF; NULL: none */
    const void *body;
    size_t body_size;
    /* Called once when `body` is no longer needed; NULL: it was copied by http_respond. */
    void (*release)(void *owner);
    void *owner;
};

/* Binds and listens. EADDRINUSE and EACCES come back as such; the message says what to do. */
int http_server_open(struct http_server **server, struct loop *loop,
                     const struct http_options *options, struct error *error);

/* Most connections at a time: what was asked for, or less where descriptors are scarce. */
size_t http_server_limit(const struct http_server *server);

/* The port that it listens on. */
unsigned http_server_port(const struct http_server *server);

/*
 * Stops accepting, closes idle connections and lets requests in progress end, but no longer than
 * `deadline` (monotonic ns); then calls `drained`.
 */
void http_server_drain(struct http_server *server, uint64_t deadline,
                       void (*drained)(void *context), void *context);

/*
 * Frees everything. Only after `drained`, when it was never started on a running loop, or when that
 * loop was abandoned: then clients are cut off, and what is kept of them is lost.
 */
void http_server_close(struct http_server *server);

const struct http_request *http_exchange_request(const struct http_exchange *exchange);

/*
 * Answers. The exchange is no longer valid afterwards. Strings are copied, the body as said above.
 * Without memory the client gets an empty 500.
 */
void http_respond(struct http_exchange *exchange, const struct http_response *response);

/*
 * Has `abandoned` called when the client hangs up before the answer; the exchange is then no longer
 * valid and must not be answered. A client that closes its sending side with no further request on
 * its way counts as gone; without this call it still gets the answer.
 */
void http_exchange_on_abandon(struct http_exchange *exchange, void (*abandoned)(void *owner),
                              void *owner);

/* Answers with a JSON object {"Message": message} and the headers given (or NULL). */
void http_respond_message(struct http_exchange *exchange, int status, const char *headers,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
