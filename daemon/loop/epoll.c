/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completions made from readiness.
 *
 * A descriptor is registered once, edge-triggered for both directions, when an operation first has
 * to wait on it. No edge is lost: adding reports what is ready already, and what changes after a
 * wait is reported by the next one.
 */
#include "base/clock.h"
#include "loop/backend.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_MAX = 64, WATCHES_MIN = 64 };

enum { READABLE = POLLIN | POLLRDHUP | POLLHUP | POLLERR, WRITABLE = POLLOUT | POLLHUP | POLLERR };

/* What is known of a descriptor; zeroed means nothing. */
struct watch {
    struct op_list waiting;
    bool registered;
    bool recv_blocked; /* until the next event the system call would say EAGAIN */
    bool send_blocked;
    bool uncertain; /* after a hang-up, an error or urgent data a short read proves nothing */
};

struct epoll {
    int fd;
    struct watch *watches; /* by descriptor */
    size_t size;
};

static int epoll_open(struct loop *loop)
{
    struct epoll *epoll = calloc(1, sizeof *epoll);
    if (!epoll)
        return -ENOMEM;
    epoll->fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll->fd < 0) {
        int code = -errno;
        free(epoll);
        return code;
    }
    loop->context = epoll;
    return 0;
}

static void epoll_close(struct loop *loop)
{
    struct epoll *epoll = loop->context;
    close(epoll->fd);
    free(epoll->watches);
    free(epoll);
}

static struct watch *watch_of(struct epoll *epoll, int fd)
{
    size_t index = (size_t)fd;
    if (index >= epoll->size) {
        size_t size = epoll->size ? epoll->size : WATCHES_MIN;
        while (size <= index)
            size *= 2;
        struct watch *grown = reallocarray(epoll->watches, size, sizeof *grown);
        if (!grown)
            return NULL;
        memset(grown + epoll->size, 0, (size - epoll->size) * sizeof *grown);
        epoll->watches = grown;
        epoll->size = size;
    }
    return epoll->watches + index;
}

static int watch_register(struct epoll *epoll, struct watch *watch, int fd)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.fd = fd,
    };
    if (epoll_ctl(epoll->fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    watch->registered = true;
    return 0;
}

static int accept_once(const struct loop_op *op)
{
    int fd = accept4(op->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int poll_once(const struct loop_op *op)
{
    struct pollfd waited = {.fd = op->fd, .events = (short)op->events};
    int count = poll(&waited, 1, 0);
    if (count < 0)
        return -errno;
    if (count == 0)
        return -EAGAIN;
    return waited.revents & POLLNVAL ? -EBADF : waited.revents;
}

static int recv_once(const struct loop_op *op, struct watch *watch)
{
    ssize_t count = recv(op->fd, op->buffer, op->size, MSG_DONTWAIT);
    if (count < 0)
        return -errno;
    /* A short read has emptied a stream's buffer: what comes later has its own edge. */
    watch->recv_blocked = count > 0 && (size_t)count < op->size && !watch->uncertain;
    return (int)count;
}

static int send_once(const struct loop_op *op)
{
    ssize_t count = sendmsg(op->fd, &op->message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return count < 0 ? -errno : (int)count;
}

/* The result, or -EAGAIN when the operation has to wait for an event. */
static int attempt(struct loop *loop, struct loop_op *op, struct watch *watch)
{
    switch (op->kind) {
    case OP_ACCEPT:
        return loop_repeat(loop, op, accept_once);
    case OP_SIGNAL:
        return loop_repeat(loop, op, loop_read_signal);
    case OP_RECV:
        return watch->recv_blocked ? -EAGAIN : recv_once(op, watch);
    case OP_SEND:
        return watch->send_blocked ? -EAGAIN : send_once(op);
    default:
        return poll_once(op);
    }
}

/* Makes the operation wait for an event; 0 or -errno. */
static int await(struct epoll *epoll, struct watch *watch, struct loop_op *op)
{
    if (op->kind == OP_RECV)
        watch->recv_blocked = true;
    if (op->kind == OP_SEND)
        watch->send_blocked = true;
    int code = watch->registered ? 0 : watch_register(epoll, watch, op->fd);
    if (code == 0) {
        op->state |= STATE_LINKED;
        op_list_append(&watch->waiting, op);
    }
    return code;
}

static bool epoll_submit(struct loop *loop, struct loop_op *op)
{
    struct epoll *epoll = loop->context;
    struct watch *watch = op->fd < 0 ? NULL : watch_of(epoll, op->fd);
    if (!watch) {
        loop_complete(loop, op, op->fd < 0 ? -EBADF : -ENOMEM);
        return true;
    }
    int result = attempt(loop, op, watch);
    if (result == -EAGAIN) {
        result = await(epoll, watch, op);
        if (result == 0)
            return true;
    }
    if (result == -EINTR || (result == 0 && (op->kind == OP_ACCEPT || op->kind == OP_SIGNAL))) {
        if (!(op->state & STATE_QUEUED))
            loop_queue(loop, op);
        return true;
    }
    loop_complete(loop, op, result);
    return true;
}

static void epoll_unlink(struct loop *loop, struct loop_op *op)
{
    struct epoll *epoll = loop->context;
    op_list_remove(&epoll->watches[op->fd].waiting, op);
    op->state &= (unsigned char)~STATE_LINKED;
}

static unsigned interest(const struct loop_op *op)
{
    if (op->kind == OP_POLL)
        return op->events | POLLHUP | POLLERR;
    return op->kind == OP_SEND ? WRITABLE : READABLE;
}

/* Puts what can go on into the queue. Calls nobody, so the descriptors of the events stay theirs.
 */
static void wake(struct loop *loop, int fd, unsigned events)
{
    struct epoll *epoll = loop->context;
    struct watch *watch = &epoll->watches[fd];
    watch->uncertain = (events & (POLLRDHUP | POLLHUP | POLLERR | POLLPRI)) != 0;
    if (events & READABLE)
        watch->recv_blocked = false;
    if (events & WRITABLE)
        watch->send_blocked = false;
    for (struct loop_op *op = watch->waiting.first, *next; op; op = next) {
        next = op->next;
        unsigned ready = events & interest(op);
        if (!ready)
            continue;
        if (op->kind == OP_POLL) {
            op->result = (int)ready;
            op->state |= STATE_RESULT;
        }
        epoll_unlink(loop, op);
        loop_queue(loop, op);
    }
}

/* epoll counts milliseconds; rounded up, so that a timer is due when the wait is over. */
static int milliseconds(uint64_t timeout)
{
    if (timeout == WAIT_FOREVER)
        return -1;
    uint64_t count = timeout / NS_PER_MS + (timeout % NS_PER_MS != 0);
    return count < INT_MAX ? (int)count : INT_MAX;
}

static int epoll_wait_for_events(struct loop *loop, uint64_t timeout)
{
    struct epoll *epoll = loop->context;
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(epoll->fd, events, EVENTS_MAX, milliseconds(timeout));
    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++)
        wake(loop, events[i].data.fd, events[i].events);
    return 0;
}

static void epoll_dispatch(struct loop *loop)
{
    (void)loop; /* the queue has it all */
}

static void epoll_forget(struct loop *loop, int fd)
{
    struct epoll *epoll = loop->context;
    if (fd < 0 || (size_t)fd >= epoll->size)
        return;
    struct watch *watch = &epoll->watches[fd];
    assert(!watch->waiting.first);
    if (watch->registered)
        epoll_ctl(epoll->fd, EPOLL_CTL_DEL, fd, NULL);
    memset(watch, 0, sizeof *watch);
}

const struct backend backend_epoll = {
    .open = epoll_open,
    .close = epoll_close,
    .submit = epoll_submit,
    .unlink = epoll_unlink,
    .wait = epoll_wait_for_events,
    .dispatch = epoll_dispatch,
    .forget = epoll_forget,
};
