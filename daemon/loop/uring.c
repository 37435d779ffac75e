/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completions from io_uring.
 *
 * An operation whose request was canceled goes on only when both the request's last completion and
 * the answer to the cancellation have arrived. So a cancellation never meets a new operation at the
 * same address, and one that came at a bad moment is repeated.
 */
#include "base/clock.h"
#include "loop/backend.h"
#include "loop/uring_setup.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* The lowest bit of user_data tells the answer to a cancellation from the request's own. */
enum { CANCEL_TAG = 1 };

struct uring {
    struct io_uring ring;
    struct op_list linked; /* flying or canceling */
};

static int uring_open(struct loop *loop)
{
    struct uring *uring = calloc(1, sizeof *uring);
    if (!uring)
        return -ENOMEM;
    int code = uring_setup(&uring->ring);
    if (code < 0) {
        free(uring);
        return code;
    }
    loop->context = uring;
    return 0;
}

static void uring_unlink(struct loop *loop, struct loop_op *op)
{
    struct uring *uring = loop->context;
    op_list_remove(&uring->linked, op);
    op->state &= (unsigned char)~STATE_LINKED;
}

static void link_op(struct uring *uring, struct loop_op *op)
{
    op->state |= STATE_LINKED;
    op_list_append(&uring->linked, op);
}

/* NULL while the kernel takes no more before completions are fetched. */
static struct io_uring_sqe *get_sqe(struct uring *uring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    if (!sqe) {
        io_uring_submit(&uring->ring);
        sqe = io_uring_get_sqe(&uring->ring);
    }
    return sqe;
}

static bool is_polling(const struct loop_op *op)
{
    return op->kind == OP_POLL || op->kind == OP_SIGNAL || op->state & STATE_POLLING;
}

static unsigned readiness(const struct loop_op *op)
{
    if (op->kind == OP_POLL)
        return op->events;
    return op->kind == OP_SEND ? POLLOUT : POLLIN;
}

/*
 * Accept is not a multishot one: that goes on until its cancellation arrives, so a burst would
 * bring in more connections than a server with a limit can keep. The others wait in the kernel.
 */
static void prepare(struct io_uring_sqe *sqe, struct loop_op *op)
{
    if (is_polling(op) && op->state & STATE_MULTISHOT)
        io_uring_prep_poll_multishot(sqe, op->fd, readiness(op));
    else if (is_polling(op))
        io_uring_prep_poll_add(sqe, op->fd, readiness(op));
    else if (op->kind == OP_ACCEPT)
        io_uring_prep_accept(sqe, op->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    else if (op->kind == OP_RECV)
        io_uring_prep_recv(sqe, op->fd, op->buffer, op->size, 0);
    else
        io_uring_prep_sendmsg(sqe, op->fd, &op->message, MSG_NOSIGNAL);
}

/* An operation that flies comes here to have its request canceled. */
static bool uring_submit(struct loop *loop, struct loop_op *op)
{
    struct uring *uring = loop->context;
    struct io_uring_sqe *sqe = get_sqe(uring);
    if (!sqe)
        return false;
    if (op->state & STATE_FLYING) {
        io_uring_prep_cancel(sqe, op, 0);
        io_uring_sqe_set_data(sqe, (char *)op + CANCEL_TAG);
        op->state |= STATE_CANCELING;
    } else {
        prepare(sqe, op);
        io_uring_sqe_set_data(sqe, op);
        op->state |= STATE_FLYING;
    }
    link_op(uring, op);
    return true;
}

/* True when the completion only says that the operation has to be submitted again. */
static bool goes_on(struct loop_op *op, int result)
{
    switch (result) {
    case -EAGAIN: /* the kernel does not always wait on a non-blocking socket */
        op->state |= STATE_POLLING;
        return true;
    case -EINTR:
        return true;
    default:
        return op->kind == OP_ACCEPT && loop_accept_failed_early(result);
    }
}

static int wanted_events(const struct loop_op *op, int result)
{
    return result & (int)(readiness(op) | POLLHUP | POLLERR);
}

/*
 * The same for a poll. Kernels end one for POLLRDHUP even if nobody asked; when that alone is the
 * case, the next poll is a multishot one, which tells changes and not the same again.
 */
static bool poll_goes_on(struct loop_op *op, int *result)
{
    if (op->state & STATE_READY)
        *result = op->result;
    else if (*result < 0)
        return *result == -EINTR;
    else
        *result = wanted_events(op, *result);
    if (*result == 0) {
        op->state |= STATE_MULTISHOT;
        return true;
    }
    op->state &= (unsigned char)~(STATE_POLLING | STATE_MULTISHOT | STATE_READY);
    return op->kind != OP_POLL && op->kind != OP_SIGNAL;
}

/* Takes the operation from whichever list it is in. */
static void detach(struct loop *loop, struct loop_op *op)
{
    if (op->state & STATE_LINKED) {
        uring_unlink(loop, op);
    } else {
        op_list_remove(&loop->queue, op);
        op->state &= (unsigned char)~STATE_QUEUED;
    }
}

static void deliver_signals(struct loop *loop, struct loop_op *op)
{
    int result = loop_repeat(loop, op, loop_read_signal);
    if (result < 0 && result != -EAGAIN)
        loop_complete(loop, op, result);
    else if (!(op->state & STATE_QUEUED))
        loop_queue(loop, op);
}

/* A result of a multishot poll, which has to be ended when it has told what matters. */
static void deliver_more(struct loop *loop, struct loop_op *op, int result)
{
    if (op->state & STATE_READY || wanted_events(op, result) == 0)
        return;
    op->state |= STATE_READY;
    op->result = wanted_events(op, result);
    if (!(op->state & (STATE_QUEUED | STATE_CANCELING))) {
        uring_unlink(loop, op);
        loop_queue(loop, op);
    }
}

/* The request's last completion, while its cancellation is not yet answered. */
static void hold(struct loop *loop, struct loop_op *op, bool again, int result)
{
    if (again || (op->kind == OP_SIGNAL && result >= 0))
        return;
    if (op->kind == OP_ACCEPT && result >= 0) {
        op->done(loop, op, result);
        return;
    }
    op->result = result;
    op->state |= STATE_RESULT;
}

static void land(struct loop *loop, struct loop_op *op, int result)
{
    op->state &= (unsigned char)~STATE_FLYING;
    bool again = is_polling(op) ? poll_goes_on(op, &result) : goes_on(op, result);
    if (op->state & STATE_CANCELING) {
        hold(loop, op, again, result);
        return;
    }
    detach(loop, op);
    if (again) {
        loop_queue(loop, op);
    } else if (op->kind == OP_ACCEPT && result >= 0) {
        loop_queue(loop, op);
        op->done(loop, op, result);
    } else if (op->kind == OP_SIGNAL && result >= 0) {
        deliver_signals(loop, op);
    } else {
        loop_complete(loop, op, result);
    }
}

/* A cancellation that found nothing while the request still flies is made again. */
static void cancel_answered(struct loop *loop, struct loop_op *op, int result)
{
    op->state &= (unsigned char)~STATE_CANCELING;
    if (!(op->state & STATE_FLYING) || result < 0) {
        uring_unlink(loop, op);
        loop_queue(loop, op);
    }
}

static void handle(struct loop *loop, const struct io_uring_cqe *cqe)
{
    if (cqe->user_data == LIBURING_UDATA_TIMEOUT)
        return;
    size_t tag = cqe->user_data & CANCEL_TAG;
    void *data = (char *)io_uring_cqe_get_data(cqe) - tag;
    struct loop_op *op = data;
    if (tag)
        cancel_answered(loop, op, cqe->res);
    else if (cqe->flags & IORING_CQE_F_MORE)
        deliver_more(loop, op, cqe->res);
    else
        land(loop, op, cqe->res);
}

static void uring_dispatch(struct loop *loop)
{
    struct uring *uring = loop->context;
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned count = 0;
    io_uring_for_each_cqe(&uring->ring, head, cqe)
    {
        handle(loop, cqe);
        count++;
    }
    io_uring_cq_advance(&uring->ring, count);
}

static int enter(struct io_uring *ring, uint64_t timeout)
{
    if (timeout == 0)
        return io_uring_submit_and_get_events(ring);
    if (timeout == WAIT_FOREVER)
        return io_uring_submit_and_wait(ring, 1);
    struct __kernel_timespec limit = {
        .tv_sec = (long long)(timeout / NS_PER_S),
        .tv_nsec = (long long)(timeout % NS_PER_S),
    };
    struct io_uring_cqe *cqe;
    return io_uring_submit_and_wait_timeout(ring, &cqe, 1, &limit, NULL);
}

static int uring_wait(struct loop *loop, uint64_t timeout)
{
    struct uring *uring = loop->context;
    int code = enter(&uring->ring, timeout);
    /* After these the completions are fetched and the rest is submitted in the next turn. */
    if (code >= 0 || code == -ETIME || code == -EINTR || code == -EBUSY || code == -EAGAIN)
        return 0;
    return code;
}

/* What is prepared would otherwise meet the next owner of the descriptor's number. */
static void uring_forget(struct loop *loop, int fd)
{
    struct uring *uring = loop->context;
    (void)fd;
    if (io_uring_sq_ready(&uring->ring))
        io_uring_submit(&uring->ring);
}

static void discard(struct loop *loop, struct loop_op *op, int result)
{
    (void)loop;
    if (op->kind == OP_ACCEPT && result >= 0)
        close(result);
}

/* The kernel writes into the buffers of what is active even after the ring was closed: wait. */
static void uring_close(struct loop *loop)
{
    struct uring *uring = loop->context;
    for (struct loop_op *op = uring->linked.first, *next; op; op = next) {
        next = op->next;
        op->done = discard;
        loop_cancel(loop, op);
    }
    for (struct loop_op *op = loop->queue.first; op; op = op->next) {
        op->done = discard;
        op->canceled = true;
    }
    int code = 0;
    while (code == 0 && (loop->queue.first || uring->linked.first)) {
        loop_drain(loop);
        if (uring->linked.first)
            code = uring_wait(loop, loop->queue.first ? 0 : WAIT_FOREVER);
        uring_dispatch(loop);
    }
    io_uring_queue_exit(&uring->ring);
    free(uring);
}

const struct backend backend_uring = {
    .open = uring_open,
    .close = uring_close,
    .submit = uring_submit,
    .unlink = uring_unlink,
    .wait = uring_wait,
    .dispatch = uring_dispatch,
    .forget = uring_forget,
};
