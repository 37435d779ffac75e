/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: completions, not readiness.
 *
 * A caller fills in a `struct loop_op`, starts it, and `done` is called once with the result when
 * the operation has ended: a byte count, a descriptor, a signal number, or -errno. The operation's
 * memory and its buffers belong to the loop from start until that call; in `done` the operation may
 * be started again or freed. `done` is never called from inside a function that starts or cancels.
 *
 * Two backends give the same completions: io_uring, where accept, recv and send are operations of
 * the ring, and epoll, which does the system call when the descriptor is ready.
 */
#ifndef SHMCONFD_LOOP_H
#define SHMCONFD_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/error.h"

struct loop;
struct loop_op;
struct loop_timer;

enum loop_backend { LOOP_AUTO, LOOP_EPOLL, LOOP_IO_URING };

typedef void loop_done(struct loop *loop, struct loop_op *op, int result);
typedef void loop_expired(struct loop *loop, struct loop_timer *timer);

/*
 * LOOP_AUTO takes io_uring where the kernel allows it and epoll otherwise; the other two force a
 * backend and fail with the reason. The loop belongs to the thread that opened it.
 */
int loop_open(struct loop **loop, enum loop_backend wanted, struct error *error);

/* Closes the loop. No operation may be active, unless it was abandoned. */
void loop_close(struct loop *loop);

/*
 * Gives up all that is active, for a process that goes on after a fatal error: nothing of it is
 * called any more, its memory may be freed, and calls on the loop do nothing until it is closed.
 */
void loop_abandon(struct loop *loop);

/* One line for the log: "epoll (io_uring: Operation not permitted, kernel.io_uring_disabled=2)". */
const char *loop_describe(const struct loop *loop);

/* Runs until loop_stop, or until waiting itself fails. */
int loop_run(struct loop *loop, struct error *error);
void loop_stop(struct loop *loop);

/* The monotonic clock in nanoseconds, read once per turn. */
uint64_t loop_now(const struct loop *loop);

/*
 * Accepts connections on a listening socket: `done` is called with each new descriptor
 * (non-blocking and close-on-exec) and the operation stays active; a negative result ends it. After
 * loop_cancel one more connection comes at most, and none if `done` canceled. The listening socket
 * is made non-blocking.
 */
void loop_accept(struct loop *loop, struct loop_op *op, int fd, loop_done *done);

/* Receives at least one byte into `buffer`; 0 means end of stream. */
void loop_recv(struct loop *loop, struct loop_op *op, int fd, void *buffer, size_t size,
               loop_done *done);

/* Sends what the socket takes at once, at least one byte; the result may be short. No SIGPIPE. */
void loop_send(struct loop *loop, struct loop_op *op, int fd, struct iovec *vectors, size_t count,
               loop_done *done);

/* Waits once for POLLIN, POLLOUT ... ; the result is the set that is ready. */
void loop_poll(struct loop *loop, struct loop_op *op, int fd, unsigned events, loop_done *done);

/*
 * Takes the signals out of ordinary delivery and calls `done` with each one's number; stays active.
 */
void loop_signal(struct loop *loop, struct loop_op *op, const sigset_t *signals, loop_done *done);

/* Asks for an early end: `done` is called with -ECANCELED, or with a result that came first. */
void loop_cancel(struct loop *loop, struct loop_op *op);

/*
 * To be called before a descriptor that was used with this loop is closed. Nothing on it is active,
 * or all that is has been canceled: a canceled operation no longer touches its descriptor.
 */
void loop_forget(struct loop *loop, int fd);

/* (Re)starts a timer that calls `expired` once when loop_now reaches `deadline`. */
void loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t deadline,
                      loop_expired *expired);
void loop_timer_stop(struct loop *loop, struct loop_timer *timer);

/*
 * To be called inside `expired`: whether it comes later than scheduling makes it, since the process
 * was stopped, as in a sandbox that is frozen. What was waited for had less time than it seems.
 */
bool loop_timer_was_held_up(const struct loop *loop, const struct loop_timer *timer);

/* The members are the loop's own; `active` may be read. Zeroed memory is a valid idle value. */
struct loop_op {
    bool active;
    bool canceled;
    unsigned char kind;
    unsigned char state;
    int fd;
    unsigned events;
    void *buffer;
    size_t size;
    struct msghdr message;
    loop_done *done;
    struct loop_op *next;
    struct loop_op *previous;
    int result;
};

struct loop_timer {
    uint64_t deadline;
    loop_expired *expired;
    size_t position; /* in the heap, from 1; 0 when stopped */
};

#endif
