/* SPDX-License-Identifier: Apache-2.0 */
/* What loop/loop.h promises of sockets, on each backend that is to be had here. */
#include "check.h"
#include "loop_probe.h"

#include <poll.h>
#include <sys/resource.h>

/* One end of an echo: what `in` brings goes out again, until the end of stream. */
struct echo {
    struct loop_op in;
    struct loop_op out;
    int fd;
    struct iovec rest;
    char buffer[3000];
};

static void echo_sent(struct loop *l, struct loop_op *op, int result);

static void echo_received(struct loop *l, struct loop_op *op, int result)
{
    struct echo *echo = (struct echo *)op;
    CHECK(result >= 0);
    echo->rest = (struct iovec){echo->buffer, (size_t)result};
    if (result > 0)
        loop_send(l, &echo->out, echo->fd, &echo->rest, 1, echo_sent);
    else
        shutdown(echo->fd, SHUT_WR);
}

static void echo_sent(struct loop *l, struct loop_op *op, int result)
{
    struct echo *echo = (struct echo *)((char *)op - offsetof(struct echo, out));
    CHECK(result > 0);
    echo->rest.iov_base = (char *)echo->rest.iov_base + result;
    echo->rest.iov_len -= (size_t)result;
    if (echo->rest.iov_len > 0)
        loop_send(l, &echo->out, echo->fd, &echo->rest, 1, echo_sent);
    else
        loop_recv(l, &echo->in, echo->fd, echo->buffer, sizeof echo->buffer, echo_received);
}

enum { PAYLOAD = 1 << 20 };
static char payload[PAYLOAD];
static char returned[PAYLOAD + 1];

static void echo_everything_once(int pair[2])
{
    struct echo echo = {.fd = pair[1]};
    struct probe in = {0};
    struct probe out = {0};
    size_t sent = 0;
    size_t received = 0;
    unsigned sends = 0;
    int small = 2048;
    for (int i = 0; i < 2; i++)
        CHECK_INT(0, setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
    for (size_t i = 0; i < PAYLOAD; i++)
        payload[i] = (char)(i * 31 + (i >> 12));
    struct iovec parts[2];
    loop_recv(loop, &echo.in, echo.fd, echo.buffer, sizeof echo.buffer, echo_received);
    for (in.result = 1; in.op.active || in.result > 0;) {
        if (!out.op.active && sent < PAYLOAD) {
            size_t half = (PAYLOAD - sent) / 2;
            parts[0] = (struct iovec){payload + sent, half};
            parts[1] = (struct iovec){payload + sent + half, PAYLOAD - sent - half};
            loop_send(loop, &out.op, pair[0], parts, 2, note);
        }
        if (!in.op.active)
            loop_recv(loop, &in.op, pair[0], returned + received, sizeof returned - received, note);
        CHECK_INT(0, loop_run(loop, NULL));
        if (!out.op.active && sent < PAYLOAD) {
            CHECK(out.result > 0);
            sends++;
            sent += (size_t)out.result;
            if (sent == PAYLOAD)
                shutdown(pair[0], SHUT_WR);
        }
        if (!in.op.active)
            received += (size_t)in.result;
    }
    CHECK_INT(PAYLOAD, received);
    CHECK(memcmp(payload, returned, PAYLOAD) == 0);
    CHECK(sends > 1);
    close_watched(pair[0]);
    close_watched(pair[1]);
}

static void echoes_over_a_socketpair_with_partial_sends(void)
{
    int pair[2];
    make_pair(pair);
    echo_everything_once(pair);
}

static void echoes_over_tcp_with_partial_sends(void)
{
    int pair[2];
    make_tcp_pair(pair);
    echo_everything_once(pair);
}

static int recv_now(int fd, size_t size)
{
    struct probe in = {0};
    char buffer[64];
    loop_recv(loop, &in.op, fd, buffer, size, note);
    return finish(&in);
}

static void recv_tells_the_end_of_stream(void)
{
    int pair[2];
    make_tcp_pair(pair);
    CHECK_INT(3, write(pair[1], "abc", 3));
    CHECK_INT(3, recv_now(pair[0], 64)); /* short: the next one waits for an edge */
    CHECK_INT(2, write(pair[1], "de", 2));
    CHECK_INT(1, recv_now(pair[0], 1));
    CHECK_INT(1, recv_now(pair[0], 64));
    struct probe in = {0};
    char byte;
    loop_recv(loop, &in.op, pair[0], &byte, 1, note);
    settle();
    CHECK(in.op.active);
    CHECK_INT(1, write(pair[1], "f", 1));
    close(pair[1]);
    CHECK_INT(1, finish(&in));
    CHECK_INT(0, recv_now(pair[0], 64));
    CHECK_INT(0, recv_now(pair[0], 64));
    close_watched(pair[0]);
}

static void data_and_end_in_one_edge_are_both_told(void)
{
    int pair[2];
    make_tcp_pair(pair);
    struct probe in = {0};
    char buffer[64];
    loop_recv(loop, &in.op, pair[0], buffer, sizeof buffer, note);
    settle();
    CHECK_INT(1, write(pair[1], "x", 1));
    close(pair[1]);
    CHECK_INT(1, finish(&in));
    CHECK_INT(0, recv_now(pair[0], 64));
    close_watched(pair[0]);
}

static void send_to_a_closed_peer_fails_without_a_signal(void)
{
    int pair[2];
    struct probe out = {0};
    struct iovec part = {payload, 10};
    make_pair(pair);
    close(pair[1]);
    loop_send(loop, &out.op, pair[0], &part, 1, note);
    CHECK_INT(-EPIPE, finish(&out));
    close_watched(pair[0]);
    loop_recv(loop, &out.op, -1, payload, 1, note);
    CHECK_INT(-EBADF, finish(&out));
}

/* Counts accepted connections and closes them. */
struct acceptor {
    struct probe probe;
    unsigned accepted;
    bool cancel_at_first;
};

static void count_accepted(struct loop *l, struct loop_op *op, int result)
{
    struct acceptor *acceptor = (struct acceptor *)op;
    if (result < 0) {
        note(l, op, result);
        return;
    }
    CHECK_INT(O_NONBLOCK, fcntl(result, F_GETFL) & O_NONBLOCK);
    CHECK_INT(FD_CLOEXEC, fcntl(result, F_GETFD));
    close(result);
    acceptor->accepted++;
    if (acceptor->cancel_at_first)
        loop_cancel(l, op);
    loop_stop(l);
}

static void accept_goes_on_until_it_is_canceled(void)
{
    enum { CLIENTS = 200 };
    struct sockaddr_in address;
    struct acceptor acceptor = {0};
    int clients[CLIENTS];
    int listener = make_listener(&address);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = make_client(&address);
    loop_accept(loop, &acceptor.probe.op, listener, count_accepted);
    while (acceptor.accepted < CLIENTS)
        CHECK_INT(0, loop_run(loop, NULL));
    settle();
    CHECK(acceptor.probe.op.active);
    loop_cancel(loop, &acceptor.probe.op);
    loop_cancel(loop, &acceptor.probe.op);
    CHECK_INT(-ECANCELED, finish(&acceptor.probe));
    CHECK_INT(CLIENTS, acceptor.accepted);
    CHECK_INT(1, acceptor.probe.calls);
    close_watched(listener);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
}

/* Whoever is beyond a server's limit stays in the kernel's queue. */
static void accept_can_be_canceled_in_done(void)
{
    enum { CLIENTS = 200 };
    struct sockaddr_in address;
    struct acceptor acceptor = {.cancel_at_first = true};
    int clients[CLIENTS];
    int listener = make_listener(&address);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = make_client(&address);
    loop_accept(loop, &acceptor.probe.op, listener, count_accepted);
    CHECK_INT(-ECANCELED, finish(&acceptor.probe));
    CHECK_INT(1, acceptor.accepted);
    CHECK_INT(1, acceptor.probe.calls);
    close_watched(listener);
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
}

static void accept_fails_on_what_does_not_listen(void)
{
    struct probe accepted = {0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    loop_accept(loop, &accepted.op, fd, note);
    CHECK_INT(-EINVAL, finish(&accepted));
    CHECK_INT(1, accepted.calls);
    close_watched(fd);
}

static void accept_ends_when_descriptors_run_out_and_can_be_restarted(void)
{
    struct rlimit limit;
    struct sockaddr_in address;
    struct acceptor acceptor = {0};
    int listener = make_listener(&address);
    int client = make_client(&address);
    CHECK_INT(0, getrlimit(RLIMIT_NOFILE, &limit));
    struct rlimit tight = {(rlim_t)client + 1, limit.rlim_max};
    CHECK_INT(0, setrlimit(RLIMIT_NOFILE, &tight));
    loop_accept(loop, &acceptor.probe.op, listener, count_accepted);
    CHECK_INT(-EMFILE, finish(&acceptor.probe));
    CHECK_INT(0, setrlimit(RLIMIT_NOFILE, &limit));
    loop_accept(loop, &acceptor.probe.op, listener, count_accepted);
    CHECK_INT(0, loop_run(loop, NULL));
    CHECK_INT(1, acceptor.accepted);
    loop_cancel(loop, &acceptor.probe.op);
    CHECK_INT(-ECANCELED, finish(&acceptor.probe));
    close_watched(listener);
    close(client);
}

/* A connection that frees itself at the end of stream. */
struct visitor {
    struct loop_op op;
    char byte;
};

static unsigned visitors;

static void visitor_done(struct loop *l, struct loop_op *op, int result)
{
    struct visitor *visitor = (struct visitor *)op;
    if (result > 0) {
        CHECK_INT(1, send(op->fd, &visitor->byte, 1, MSG_NOSIGNAL));
        loop_recv(l, op, op->fd, &visitor->byte, 1, visitor_done);
        return;
    }
    CHECK_INT(0, result);
    loop_forget(l, op->fd);
    close(op->fd);
    free(visitor);
    visitors--;
    loop_stop(l);
}

static void visitor_came(struct loop *l, struct loop_op *op, int result)
{
    if (result < 0) {
        note(l, op, result);
        return;
    }
    struct visitor *visitor = calloc(1, sizeof *visitor);
    CHECK(visitor);
    visitors++;
    loop_recv(l, &visitor->op, result, &visitor->byte, 1, visitor_done);
}

static void a_thousand_connections_leave_nothing_behind(void)
{
    struct sockaddr_in address;
    struct probe accepted = {0};
    int listener = make_listener(&address);
    loop_accept(loop, &accepted.op, listener, visitor_came);
    size_t before = count_descriptors();
    for (int i = 0; i < 1000; i++) {
        int client = make_client(&address);
        CHECK_INT(1, write(client, "x", 1));
        CHECK_INT(0, shutdown(client, SHUT_WR));
        CHECK_INT(0, loop_run(loop, NULL));
        char byte;
        CHECK_INT(1, read(client, &byte, 1));
        CHECK_INT(0, read(client, &byte, 1));
        close(client);
    }
    CHECK_INT(0, visitors);
    CHECK_INT(before, count_descriptors());
    loop_cancel(loop, &accepted.op);
    CHECK_INT(-ECANCELED, finish(&accepted));
    close_watched(listener);
}

int main(void)
{
    static const struct scenario scenarios[] = {
        {"echo over a socketpair", echoes_over_a_socketpair_with_partial_sends},
        {"echo over TCP", echoes_over_tcp_with_partial_sends},
        {"recv and the end of stream", recv_tells_the_end_of_stream},
        {"data and end in one edge", data_and_end_in_one_edge_are_both_told},
        {"send to a closed peer", send_to_a_closed_peer_fails_without_a_signal},
        {"many accepts", accept_goes_on_until_it_is_canceled},
        {"accept canceled in done", accept_can_be_canceled_in_done},
        {"accept on a socket that does not listen", accept_fails_on_what_does_not_listen},
        {"accept without descriptors", accept_ends_when_descriptors_run_out_and_can_be_restarted},
        {"a thousand connections", a_thousand_connections_leave_nothing_behind},
    };
    return run_on_both(scenarios, sizeof scenarios / sizeof scenarios[0]);
}
