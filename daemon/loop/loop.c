/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "loop/backend.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Operations handed to the backend before the loop waits, and thereby looks at all, again. */
enum { DRAIN_MAX = 256 };

/* What the kernel transfers in one call at most. */
enum { TRANSFER_MAX = 0x7ffff000 };

void op_list_append(struct op_list *list, struct loop_op *op)
{
    op->next = NULL;
    op->previous = list->last;
    if (list->last)
        list->last->next = op;
    else
        list->first = op;
    list->last = op;
}

void op_list_remove(struct op_list *list, struct loop_op *op)
{
    if (op->previous)
        op->previous->next = op->next;
    else
        list->first = op->next;
    if (op->next)
        op->next->previous = op->previous;
    else
        list->last = op->previous;
    op->next = NULL;
    op->previous = NULL;
}

void loop_queue(struct loop *loop, struct loop_op *op)
{
    if (loop->is_abandoned)
        return;
    op->state |= STATE_QUEUED;
    op_list_append(&loop->queue, op);
}

void loop_complete(struct loop *loop, struct loop_op *op, int result)
{
    if (op->kind == OP_SIGNAL && op->fd >= 0) {
        loop_forget(loop, op->fd);
        close(op->fd);
    }
    op->active = false;
    op->canceled = false;
    op->state = 0;
    op->done(loop, op, result);
}

int loop_repeat(struct loop *loop, struct loop_op *op, int (*once)(const struct loop_op *op))
{
    for (unsigned i = 0; i < REPEAT_MAX && !op->canceled; i++) {
        int result = once(op);
        if (result == -EINTR || (op->kind == OP_ACCEPT && loop_accept_failed_early(result)))
            continue;
        if (result < 0)
            return result;
        op->done(loop, op, result);
    }
    return 0;
}

bool loop_accept_failed_early(int result)
{
    return result == -ECONNABORTED || result == -EPROTO;
}

int loop_read_signal(const struct loop_op *op)
{
    struct signalfd_siginfo info;
    ssize_t count = read(op->fd, &info, sizeof info);
    if (count < 0)
        return -errno;
    return count == sizeof info ? (int)info.ssi_signo : -EIO;
}

void loop_drain(struct loop *loop)
{
    for (unsigned i = 0; i < DRAIN_MAX && loop->queue.first && !loop->stopped; i++) {
        struct loop_op *op = loop->queue.first;
        op_list_remove(&loop->queue, op);
        op->state &= (unsigned char)~STATE_QUEUED;
        if (op->state & STATE_RESULT) {
            loop_complete(loop, op, op->result);
        } else if (op->canceled && !(op->state & STATE_FLYING)) {
            loop_complete(loop, op, -ECANCELED);
        } else if (!loop->backend->submit(loop, op)) {
            loop_queue(loop, op);
            return;
        }
    }
}

/* Why io_uring cannot be had. */
static void explain(int code, char *text, size_t size)
{
    char disabled[8] = "";
    cleanup_close int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, disabled, sizeof disabled - 1) > 0)
        disabled[strcspn(disabled, "\n")] = '\0';
    snprintf(text, size, "%s%s%s%s", strerror(code),
             code == ENOMEM ? ", RLIMIT_MEMLOCK may be too low" : "",
             disabled[0] ? ", kernel.io_uring_disabled=" : "", disabled);
}

static int open_backend(struct loop *loop, enum loop_backend wanted, struct error *error)
{
    char reason[128] = "";
    if (wanted != LOOP_EPOLL) {
        loop->backend = &backend_uring;
        int code = loop->backend->open(loop);
        if (code == 0) {
            snprintf(loop->description, sizeof loop->description, "io_uring");
            return 0;
        }
        explain(-code, reason, sizeof reason);
        if (wanted == LOOP_IO_URING)
            return error_set(error, -code, "io_uring",
                             "not available here (%s); set SHMCONF_LOOP to auto or epoll", reason);
    }
    loop->backend = &backend_epoll;
    int code = loop->backend->open(loop);
    if (code < 0)
        return error_system(error, -code, "epoll", "the event loop cannot be made");
    snprintf(loop->description, sizeof loop->description, "epoll%s%s%s",
             reason[0] ? " (io_uring: " : "", reason, reason[0] ? ")" : "");
    return 0;
}

int loop_open(struct loop **loop, enum loop_backend wanted, struct error *error)
{
    struct loop *made = calloc(1, sizeof *made);
    if (!made)
        return error_system(error, ENOMEM, "", "the event loop cannot be made");
    made->now = clock_monotonic_ns();
    int code = open_backend(made, wanted, error);
    if (code < 0)
        free(made);
    else
        *loop = made;
    return code;
}

void loop_abandon(struct loop *loop)
{
    loop->stopped = false;
    loop->backend->close(loop);
    loop->is_abandoned = true;
}

void loop_close(struct loop *loop)
{
    if (!loop->is_abandoned)
        loop_abandon(loop);
    timers_free(&loop->timers);
    free(loop);
}

const char *loop_describe(const struct loop *loop)
{
    return loop->description;
}

int loop_run(struct loop *loop, struct error *error)
{
    int code = 0;
    while (!loop->stopped && code == 0) {
        loop->turns++;
        loop->now = clock_monotonic_ns();
        loop->backend->dispatch(loop);
        loop_drain(loop);
        timers_expire(loop);
        if (!loop->stopped)
            code = loop->backend->wait(loop, loop->queue.first ? 0 : timers_timeout(loop));
    }
    loop->stopped = false;
    return code == 0 ? 0 : error_system(error, -code, "", "the event loop cannot wait");
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

uint64_t loop_now(const struct loop *loop)
{
    return loop->now;
}

static void start(struct loop *loop, struct loop_op *op, enum op_kind kind, int fd, loop_done *done)
{
    assert(!op->active);
    op->active = true;
    op->canceled = false;
    op->kind = (unsigned char)kind;
    op->state = 0;
    op->fd = fd;
    op->done = done;
    loop_queue(loop, op);
}

void loop_accept(struct loop *loop, struct loop_op *op, int fd, loop_done *done)
{
    /* A connection that is reset between readiness and accept would block the loop. */
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && !(flags & O_NONBLOCK))
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    start(loop, op, OP_ACCEPT, fd, done);
}

void loop_recv(struct loop *loop, struct loop_op *op, int fd, void *buffer, size_t size,
               loop_done *done)
{
    op->buffer = buffer;
    op->size = size < TRANSFER_MAX ? size : TRANSFER_MAX;
    start(loop, op, OP_RECV, fd, done);
}

void loop_send(struct loop *loop, struct loop_op *op, int fd, struct iovec *vectors, size_t count,
               loop_done *done)
{
    op->message = (struct msghdr){
        .msg_iov = vectors,
        .msg_iovlen = count < IOV_MAX ? count : IOV_MAX,
    };
    start(loop, op, OP_SEND, fd, done);
}

void loop_poll(struct loop *loop, struct loop_op *op, int fd, unsigned events, loop_done *done)
{
    op->events = events;
    start(loop, op, OP_POLL, fd, done);
}

void loop_signal(struct loop *loop, struct loop_op *op, const sigset_t *signals, loop_done *done)
{
    int fd = -1;
    if (sigprocmask(SIG_BLOCK, signals, NULL) == 0)
        fd = signalfd(-1, signals, SFD_NONBLOCK | SFD_CLOEXEC);
    int result = fd < 0 ? -errno : 0;
    start(loop, op, OP_SIGNAL, fd, done);
    if (result < 0) {
        op->result = result;
        op->state |= STATE_RESULT;
    }
}

void loop_cancel(struct loop *loop, struct loop_op *op)
{
    if (!op->active || op->canceled)
        return;
    op->canceled = true;
    if (loop->is_abandoned)
        return;
    if (op->state & (STATE_QUEUED | STATE_CANCELING))
        return;
    if (op->state & STATE_LINKED)
        loop->backend->unlink(loop, op);
    loop_queue(loop, op);
}

void loop_forget(struct loop *loop, int fd)
{
    if (!loop->is_abandoned)
        loop->backend->forget(loop, fd);
}
