/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the loop: what loop.c, timer.c and the two backends share.
 *
 * Starting and canceling only put an operation into `queue`. The loop takes it from there once per
 * turn and gives it to the backend, which ends it with loop_complete or keeps it in a list of its
 * own; so an active operation is in one list at most, and `done` is never called re-entrantly.
 */
#ifndef SHMCONFD_LOOP_BACKEND_H
#define SHMCONFD_LOOP_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"

enum op_kind { OP_ACCEPT = 1, OP_RECV, OP_SEND, OP_POLL, OP_SIGNAL };

/* Bits of loop_op.state. */
enum op_state {
    STATE_QUEUED = 1, /* in loop.queue */
    STATE_LINKED = 2, /* in a list of the backend */
    STATE_RESULT = 4, /* `result` is the final one and still has to be delivered */
    /* Of io_uring, where an operation may take several requests one after the other: */
    STATE_FLYING = 8,     /* the kernel owes the request's completion */
    STATE_CANCELING = 16, /* the kernel owes the answer to the request's cancellation */
    STATE_POLLING = 32,   /* the request waits for readiness, the operation's own comes after it */
    STATE_MULTISHOT = 64, /* the request is a multishot poll */
    STATE_READY = 128,    /* which is to be ended, because `result` is what it was to wait for */
};

/* An accepting or signal operation lets others go on after so many results in a row. */
enum { REPEAT_MAX = 64 };

#define WAIT_FOREVER UINT64_MAX

struct op_list {
    struct loop_op *first;
    struct loop_op *last;
};

struct backend {
    /* 0 or -errno. */
    int (*open)(struct loop *loop);
    void (*close)(struct loop *loop);
    /* Takes an operation that was in the queue; false: not now, ask again in the next turn. */
    bool (*submit)(struct loop *loop, struct loop_op *op);
    /* Removes an operation from the list that the backend has it in. */
    void (*unlink)(struct loop *loop, struct loop_op *op);
    /* Waits for `timeout` ns at most, without calling `done`; 0 or -errno. */
    int (*wait)(struct loop *loop, uint64_t timeout);
    /* Handles what the wait has brought. */
    void (*dispatch)(struct loop *loop);
    void (*forget)(struct loop *loop, int fd);
};

extern const struct backend backend_epoll;
extern const struct backend backend_uring;

struct timers {
    struct loop_timer **heap;  /* binary, the earliest deadline first */
    struct loop_timer **fired; /* those that expire in this turn, in order; NULL: stopped since */
    size_t count;              /* in the heap */
    size_t capacity;           /* of each array */
};

struct loop {
    const struct backend *backend;
    void *context; /* the backend's own */
    struct op_list queue;
    struct timers timers;
    uint64_t now;
    uint64_t turns;
    bool stopped;
    bool is_abandoned; /* the backend is closed, and the timers' places mean nothing */
    char description[160];
};

void op_list_append(struct op_list *list, struct loop_op *op);
void op_list_remove(struct op_list *list, struct loop_op *op);

/* Puts an active operation that is in no list into the queue. */
void loop_queue(struct loop *loop, struct loop_op *op);

/* Hands the operations in the queue to the backend, but not so many that others starve. */
void loop_drain(struct loop *loop);

/* Ends an operation that is in no list. It may be freed on return. */
void loop_complete(struct loop *loop, struct loop_op *op, int result);

/*
 * Calls `done` with what `once` returns until that is negative: then returns it, -EAGAIN meaning
 * that the descriptor is exhausted. Returns 0 when the operation was canceled or REPEAT_MAX is
 * reached. The operation is in no list.
 */
int loop_repeat(struct loop *loop, struct loop_op *op, int (*once)(const struct loop_op *op));

/* The next signal's number, or -errno. */
int loop_read_signal(const struct loop_op *op);

/* True for what accept reports of a connection that is gone already. */
bool loop_accept_failed_early(int result);

void timers_expire(struct loop *loop);

/* Nanoseconds until the first deadline, or WAIT_FOREVER. */
uint64_t timers_timeout(const struct loop *loop);

void timers_free(struct timers *timers);

#endif
