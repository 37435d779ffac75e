/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the transfers share. */
#ifndef SHMCONFD_TRANSFERS_INTERNAL_H
#define SHMCONFD_TRANSFERS_INTERNAL_H

#include <curl/curl.h>

#include "upstream/transfers.h"

/* A socket of libcurl's. It ends when libcurl is done with it and its poll has ended. */
struct watched_socket {
    struct loop_op poll;
    struct transfers *transfers;
    struct watched_socket *next;
    curl_socket_t fd;
    unsigned wanted; /* POLLIN, POLLOUT; 0: libcurl has removed it */
};

struct bytes {
    char *data;
    size_t size;
    size_t room;
};

struct transfer {
    struct transfers *transfers;
    struct transfer *next;
    CURL *easy;
    struct curl_slist *header_list;
    struct bytes headers; /* lines, each ended by a NUL */
    struct bytes body;
    int error; /* -errno of keeping the answer: -EFBIG, -ENOMEM */
    bool is_running;
    bool is_urgent;
    bool is_lost;         /* may not be sent again */
    uint64_t began_ns;    /* monotonic; 0: it waits for a connection */
    bool has_other_roots; /* was tried with the built-in ones before */
    char problem[CURL_ERROR_SIZE];
    transfer_done *done;
    void *owner;
};

/* What waits for a connection; the first one goes first. Zeroed memory is an empty one. */
struct transfer_queue {
    struct transfer *first;
    struct transfer *last;
};

struct transfers {
    struct loop *loop;
    struct transfers_options options;
    CURLM *multi;
    CURLSH *sessions; /* of TLS: they outlive connections, and the multi handle */
    struct loop_timer timer;
    struct watched_socket *sockets;
    struct transfer_queue urgent;
    struct transfer_queue usual;
    unsigned urgent_in_row; /* that began while something waited in the other queue */
    struct transfer *running;
    unsigned running_count;
    struct loop_timer alone; /* runs while the first request is alone */
    bool has_begun;
    bool
        is_renewing; /* nothing starts until the running ones have ended and `multi` is a new one */
    bool forgets_sessions;   /* at that time */
    bool distrusts_built_in; /* the built-in roots did not do, perhaps the file does */
    void (*closed)(void *context);
    void *context;
};

/* transfers_sockets.c: a multi handle whose sockets and timer are on the loop; NULL: no memory. */
CURLM *transfers_make_multi(struct transfers *transfers);

/* Ends the multi handle; its sockets end in later turns. */
void transfers_end_multi(struct transfers *transfers);

/* How libcurl closes a socket. */
int transfers_close_socket(void *context, curl_socket_t fd);

/* transfers_answer.c: how libcurl hands over what it receives; `context` is the transfer. */
size_t transfer_on_body(char *data, size_t one, size_t size, void *context);
size_t transfer_on_header(char *data, size_t one, size_t size, void *context);

/* transfers_roots.c: the authorities that count at present. */
void transfers_set_roots(const struct transfers *transfers, CURL *easy);

/* A server's certificate is from none of them: from now on the bundle counts. False: it does so
 * already, or there is none. */
bool transfers_distrust_built_in(struct transfers *transfers);

/* transfers_queue.c: for one that waits for a connection. The one that begins next, or NULL. */
void transfers_enqueue(struct transfers *transfers, struct transfer *transfer);
struct transfer *transfers_dequeue(struct transfers *transfers);
void transfers_leave_queue(struct transfers *transfers, const struct transfer *transfer);

/* transfers.c: ends what libcurl has ended, and starts what waited for that. */
void transfers_collect(struct transfers *transfers);

#endif
