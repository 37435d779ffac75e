/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's sockets and its one timer on the event loop. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "upstream/transfers_internal.h"

static void on_ready(struct loop *loop, struct loop_op *op, int result);

static void watch(struct watched_socket *socket)
{
    if (socket->wanted && !socket->poll.active)
        loop_poll(socket->transfers->loop, &socket->poll, socket->fd, socket->wanted, on_ready);
}

static void socket_free(struct watched_socket *socket)
{
    struct transfers *transfers = socket->transfers;
    struct watched_socket **at = &transfers->sockets;
    while (*at != socket)
        at = &(*at)->next;
    *at = socket->next;
    free(socket);
    if (transfers->closed && !transfers->sockets)
        transfers->closed(transfers->context);
}

static int action_of(int result)
{
    if (result < 0)
        return CURL_CSELECT_ERR;
    unsigned ready = (unsigned)result;
    return (ready & (POLLERR | POLLHUP) ? CURL_CSELECT_ERR : 0) |
           (ready & (POLLIN | POLLHUP) ? CURL_CSELECT_IN : 0) |
           (ready & POLLOUT ? CURL_CSELECT_OUT : 0);
}

static void on_ready(struct loop *loop, struct loop_op *op, int result)
{
    struct watched_socket *socket =
        (struct watched_socket *)((char *)op - offsetof(struct watched_socket, poll));
    struct transfers *transfers = socket->transfers;
    int running;
    (void)loop;
    if (socket->wanted == 0) {
        socket_free(socket);
        return;
    }
    if (result == -ECANCELED) {
        watch(socket); /* for other events than before */
        return;
    }
    /* libcurl may remove the socket inside: it is then freed here, since its poll has ended. */
    curl_multi_socket_action(transfers->multi, socket->fd, action_of(result), &running);
    if (socket->wanted)
        watch(socket);
    else if (!socket->poll.active)
        socket_free(socket);
    transfers_collect(transfers);
}

/* The descriptor may be closed as soon as this returns. */
static void socket_remove(struct watched_socket *socket)
{
    struct loop *loop = socket->transfers->loop;
    socket->wanted = 0;
    if (socket->poll.active)
        loop_cancel(loop, &socket->poll);
    loop_forget(loop, socket->fd);
}

/*
 * io_uring holds the socket as long as a poll on it, which ends with the next turn. The service
 * shall see the end before libcurl's next connection, or it would count one too many.
 */
int transfers_close_socket(void *context, curl_socket_t fd)
{
    (void)context;
    shutdown(fd, SHUT_RDWR);
    return close(fd);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *assigned)
{
    struct transfers *transfers = context;
    struct watched_socket *socket = assigned;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (socket) {
            curl_multi_assign(transfers->multi, fd, NULL);
            socket_remove(socket);
        }
        return 0;
    }
    if (!socket) {
        socket = calloc(1, sizeof *socket);
        if (!socket)
            return -1;
        socket->transfers = transfers;
        socket->fd = fd;
        socket->next = transfers->sockets;
        transfers->sockets = socket;
        curl_multi_assign(transfers->multi, fd, socket);
    }
    unsigned wanted = (what & CURL_POLL_IN ? POLLIN : 0u) | (what & CURL_POLL_OUT ? POLLOUT : 0u);
    if (socket->poll.active && wanted != socket->wanted)
        loop_cancel(transfers->loop, &socket->poll);
    socket->wanted = wanted;
    watch(socket);
    return 0;
}

static void on_timer(struct loop *loop, struct loop_timer *timer)
{
    struct transfers *transfers =
        (struct transfers *)((char *)timer - offsetof(struct transfers, timer));
    int running;
    (void)loop;
    curl_multi_socket_action(transfers->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    transfers_collect(transfers);
}

static int on_timeout(CURLM *multi, long timeout_ms, void *context)
{
    struct transfers *transfers = context;
    (void)multi;
    if (timeout_ms < 0)
        loop_timer_stop(transfers->loop, &transfers->timer);
    else
        loop_timer_start(transfers->loop, &transfers->timer,
                         clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS, on_timer);
    return 0;
}

CURLM *transfers_make_multi(struct transfers *transfers)
{
    CURLM *multi = curl_multi_init();
    if (!multi)
        return NULL;
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, transfers);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, transfers);
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)transfers->options.connections_max);
    return multi;
}

void transfers_end_multi(struct transfers *transfers)
{
    curl_multi_cleanup(transfers->multi);
    transfers->multi = NULL;
    loop_timer_stop(transfers->loop, &transfers->timer);
    loop_timer_stop(transfers->loop, &transfers->alone);
    /* What libcurl did not mention again: the polls end without it. */
    for (struct watched_socket *socket = transfers->sockets; socket; socket = socket->next)
        if (socket->wanted)
            socket_remove(socket);
}
