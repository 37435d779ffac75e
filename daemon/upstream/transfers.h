/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests to a service: libcurl's multi interface on the event loop. At most so many run at a
 * time. The others wait in two queues, the urgent ones and the rest, each in the order in which
 * they were started; while something is in both, three of four that begin are urgent ones.
 */
#ifndef SHMCONFD_TRANSFERS_H
#define SHMCONFD_TRANSFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "loop/loop.h"
#include "upstream/roots.h"

struct transfers;
struct transfer;

struct transfers_options {
    unsigned connections_max;
    uint64_t timeout_ns; /* for one request, from its start on the wire to the whole answer */
    uint64_t alone_ns;   /* the first request runs alone, for so long at most, so that connections
                            for the others go on with its TLS session; 0: it does not */
    unsigned idle_max_s; /* a connection that was idle longer is not used again */
    struct roots roots;  /* the texts are borrowed */
    size_t body_max;     /* a longer answer is an error */
};

/* Texts are copied by transfer_start. */
struct transfer_request {
    const char *method; /* "GET" or "POST" */
    const char *url;
    const char *const *headers; /* "Name: value", ended by NULL */
    const void *body;           /* for POST */
    size_t body_size;
    bool is_urgent;
    bool is_once; /* is sent once at most: it means something else the second time */
};

enum transfer_result {
    TRANSFER_ANSWERED,    /* there is a whole answer, of whatever status */
    TRANSFER_REFUSED,     /* the request surely did not reach the service */
    TRANSFER_UNTRUSTED,   /* nor did this one: its server's certificate is from nobody trusted */
    TRANSFER_UNCONNECTED, /* nor did this one: there was no connection in time */
    TRANSFER_BROKEN,      /* it may have: no answer, or a cut one */
    TRANSFER_TIMED_OUT,   /* likewise */
    TRANSFER_LOST         /* likewise: one that is sent once, on a kept connection which then ended.
                             Perhaps its peer closed it as idle just then */
};

/* Valid during the call of `done` only. */
struct transfer_answer {
    enum transfer_result result;
    const char *problem; /* unless answered: what libcurl says */
    int status;
    const char *body; /* a NUL behind its end */
    size_t body_size;
    struct transfer *transfer;
};

/* Called once, never from inside transfer_start; not at all after transfer_cancel. */
typedef void transfer_done(void *owner, const struct transfer_answer *answer);

int transfers_open(struct transfers **transfers, struct loop *loop,
                   const struct transfers_options *options, struct error *error);

/* NULL when out of memory. */
struct transfer *transfer_start(struct transfers *transfers, const struct transfer_request *request,
                                transfer_done *done, void *owner);
void transfer_cancel(struct transfer *transfer);

/* When its turn came, monotonic; 0: it waits. */
uint64_t transfer_began_ns(const struct transfer *transfer);

/* The value of a header of the answer, compared without case, or NULL. Only inside `done`. */
const char *transfer_header(const struct transfer *transfer, const char *name);

/*
 * Closes the connections that are idle: after a thaw their peers are gone without a word. While
 * transfers run, those that wait are held back until that could be done. `forgets_sessions`: new
 * ones have nothing in common with them, in copies of a snapshot.
 */
void transfers_drop_idle(struct transfers *transfers, bool forgets_sessions);

/* Cancels all; `closed` is called when nothing is active on the loop: at once, or in a later turn.
 */
void transfers_stop(struct transfers *transfers, void (*closed)(void *context), void *context);
void transfers_close(struct transfers *transfers);

#endif
