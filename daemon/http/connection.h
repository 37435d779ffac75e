/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server's own files share: the server, one connection, one exchange.
 *
 * A connection is freed only when it is CLOSING and none of its operations is active, so it never
 * disappears inside http_respond; but after connection_close it must not be touched any more.
 */
#ifndef SHMCONFD_HTTP_CONNECTION_H
#define SHMCONFD_HTTP_CONNECTION_H

#include <sys/uio.h>
#include <time.h>

#include "http/body.h"
#include "http/server.h"

/* A member of a circular list; alone it points at itself. */
struct link {
    struct link *next;
    struct link *previous;
};

static inline void link_init(struct link *link)
{
    link->next = link;
    link->previous = link;
}

static inline void link_remove(struct link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link_init(link);
}

static inline void link_append(struct link *list, struct link *link)
{
    link->previous = list->previous;
    link->next = list;
    list->previous->next = link;
    list->previous = link;
}

static inline bool link_is_alone(const struct link *link)
{
    return link->next == link;
}

enum connection_state {
    CONNECTION_HEAD,     /* receives a request; in the idle list while none has begun */
    CONNECTION_CONTINUE, /* sends 100 Continue */
    CONNECTION_BODY,     /* receives and drops the request's body */
    CONNECTION_HANDLING, /* the handler owes the answer */
    CONNECTION_ANSWERING,
    CONNECTION_LINGERING, /* has closed its side and reads on, so that the answer is not reset */
    CONNECTION_CLOSING,   /* waits for its operations to end */
};

struct http_exchange {
    struct connection *connection;
    struct http_exchange *next; /* in the list of spare ones */
    void (*abandoned)(void *owner);
    void *owner;
    struct http_request request;
};

/* What is being sent, with room for the head and small bodies of usual answers. */
struct answer {
    struct iovec vectors[2];
    struct iovec *vector; /* the first that is not sent completely */
    size_t count;
    void (*release)(void *owner);
    void *owner;
    char *allocated; /* instead of `composed` when that is too small; or NULL */
    char composed[640];
};

struct connection {
    struct http_server *server;
    int fd; /* -1: gone, but the handler still owes an answer that nobody will get */
    enum connection_state state;
    bool served; /* has had a request */
    bool close_after_answer;
    bool linger_after_answer;

    struct loop_op input;
    struct loop_op output;
    struct loop_op watch; /* for a hang-up while HANDLING */
    struct loop_timer timer;
    uint64_t deadline; /* 0: none */
    uint64_t armed;    /* when the timer will fire, which may be too early; 0: it is stopped */
    uint64_t idle_since;
    int unacknowledged; /* bytes in the socket when the deadline was set; INT_MAX: not asked */
    struct link link;   /* of all connections */
    struct link idle;

    char *buffer;
    size_t capacity;
    size_t start;   /* of the current request */
    size_t scanned; /* bytes of it that http_request_parse has seen */
    size_t body_at; /* where its body begins */
    size_t next;    /* where it ends */
    size_t used;
    struct http_body body;
    size_t lingered; /* bytes read and dropped */

    struct http_exchange *exchange; /* from a complete head to the answer */
    struct answer answer;
    char initial[2048]; /* the buffer of a connection that is idle */
};

enum { HTTP_LISTENERS_MAX = 8 };

struct listener {
    struct loop_op accept;
    struct http_server *server;
    int fd; /* -1: closed */
};

struct http_server {
    struct loop *loop;
    http_handle *handle;
    void *context;
    uint64_t client_timeout_ns;
    unsigned port;

    struct listener listeners[HTTP_LISTENERS_MAX];
    size_t listener_count;
    bool accepting;
    struct loop_timer accept_timer; /* runs while not accepting */

    bool draining;
    struct loop_timer drain_timer;
    void (*drained)(void *context);
    void *drained_context;

    size_t connections_max;
    size_t count; /* connections that are not CLOSING */
    struct link connections;
    struct link idle; /* the longest idle first */

    struct http_exchange *spare;
    size_t spare_count;
    time_t date_second;
    char date[40]; /* the complete header line */
    size_t date_size;
};

/* connection.c */

static inline struct connection *connection_of(void *member, size_t offset)
{
    return (struct connection *)(void *)((char *)member - offset);
}

/* Takes the descriptor over. Returns 0 or -ENOMEM. */
int connection_open(struct http_server *server, int fd);

/* Ends a connection whatever its state, now or as soon as its operations have ended. */
void connection_close(struct connection *connection);

/* The last step of closing, to be tried again whenever one of its operations has ended. */
void connection_finish(struct connection *connection);

/* Frees what is left of a connection without a descriptor. */
void connection_free(struct connection *connection);

/* Gives the exchange back, unless the handler has it and cannot be told. */
void connection_drop_exchange(struct connection *connection, bool handling);

/* Is there something to read that has not been received yet? */
bool connection_has_pending(const struct connection *connection);

/* Bytes that were sent and that the client's side has not acknowledged yet. */
int connection_unacknowledged(const struct connection *connection);

/* The next connection in the idle list after `link`, or NULL. */
struct connection *connection_next_idle(const struct http_server *server, const struct link *link);

/*
 * Sets the deadline to `timeout` ns from now. The timer is left running when the deadline moves
 * away and set again only when it has fired too early, so that a request costs no operation on the
 * heap.
 */
void connection_set_deadline(struct connection *connection, uint64_t timeout);

/*
 * Makes room for a receive behind what is still needed: the request that has begun, whose texts
 * move along. That is HTTP_HEAD_MAX at most, so the buffer grows to twice as much. False: no
 * memory.
 */
bool connection_make_room(struct connection *connection);

/* Back to the buffer of an idle connection; there is nothing in it. */
void connection_shrink(struct connection *connection);

/* serve.c */

/* Goes on with what has been received, from the beginning of a request. */
void connection_begin(struct connection *connection);

/* Sends what answer_compose has prepared. */
void connection_answer(struct connection *connection);

/* Answers what is no request and closes: where the next one would begin is unknown. */
void connection_refuse(struct connection *connection, int status);

/* exchange.c */

/* NULL when there is no memory. */
struct http_exchange *exchange_acquire(struct connection *connection);
void exchange_release(struct http_server *server, struct http_exchange *exchange);
void exchange_free_spares(struct http_server *server);

/* response.c */

struct answer_kind {
    bool head_only;
    bool keep_alive;
    unsigned minor;
};

/* Puts head and body into connection->answer. Without memory the answer becomes an empty 500. */
void answer_compose(struct connection *connection, const struct http_response *response,
                    struct answer_kind kind);

/* Gives the body back; may be called more than once. */
void answer_release(struct answer *answer);

/* Writes {"Message": message} for a status that the server itself answers with. */
void answer_compose_refusal(struct connection *connection, int status);

/* listen.c */

/*
 * Opens the sockets that `host` stands for, at most HTTP_LISTENERS_MAX, and sets `*port` when it is
 * 0. On failure none is left open: -EADDRNOTAVAIL for a name that nobody knows; unless `may_ask`,
 * no name server is asked, which takes seconds when it is silent.
 */
int http_listen(const char *host, bool may_ask, unsigned *port, int *fds, size_t *count,
                struct error *error);

/* server.c */

/* To be called when a connection becomes CLOSING, and when it has been taken out of the list. */
void server_connection_closing(struct http_server *server);
void server_connection_gone(struct http_server *server);

/* May a connection be used again after its answer? */
static inline bool server_keeps_connections(const struct http_server *server)
{
    return !server->draining && server->count <= server->connections_max;
}

#endif
