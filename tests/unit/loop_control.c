/* SPDX-License-Identifier: Apache-2.0 */
/* What loop/loop.h promises of cancel, poll, signals and waiting, on each backend. */
#include "base/clock.h"
#include "check.h"
#include "loop/backend.h"
#include "loop_probe.h"

#include <poll.h>
#include <signal.h>
#include <sys/time.h>

/* Sockets on which nothing is ready: a listener, and a pair whose first end is full. */
struct quiet {
    int listener;
    int pair[2];
    struct sockaddr_in address;
    char buffer[16];
    struct iovec part;
    sigset_t signals;
};

static void quiet_open(struct quiet *quiet)
{
    quiet->listener = make_listener(&quiet->address);
    make_pair(quiet->pair);
    while (send(quiet->pair[0], quiet, sizeof *quiet, MSG_DONTWAIT) > 0)
        continue;
    quiet->part = (struct iovec){quiet->buffer, sizeof quiet->buffer};
    sigemptyset(&quiet->signals);
    sigaddset(&quiet->signals, SIGUSR1);
}

static void quiet_close(struct quiet *quiet)
{
    close_watched(quiet->listener);
    close_watched(quiet->pair[0]);
    close_watched(quiet->pair[1]);
    while (sigtimedwait(&quiet->signals, NULL, &(struct timespec){0}) > 0)
        continue;
}

static void start_kind(struct quiet *quiet, struct loop_op *op, enum op_kind kind)
{
    switch (kind) {
    case OP_ACCEPT:
        loop_accept(loop, op, quiet->listener, note);
        break;
    case OP_RECV:
        loop_recv(loop, op, quiet->pair[0], quiet->buffer, sizeof quiet->buffer, note);
        break;
    case OP_SEND:
        loop_send(loop, op, quiet->pair[0], &quiet->part, 1, note);
        break;
    case OP_POLL:
        loop_poll(loop, op, quiet->pair[0], POLLIN, note);
        break;
    case OP_SIGNAL:
        loop_signal(loop, op, &quiet->signals, note);
        break;
    }
}

static void cancel_ends_each_kind_once(void)
{
    struct quiet quiet;
    quiet_open(&quiet);
    for (int kind = OP_ACCEPT; kind <= OP_SIGNAL; kind++) {
        for (int waiting = 0; waiting < 2; waiting++) {
            struct probe probe = {0};
            start_kind(&quiet, &probe.op, (enum op_kind)kind);
            if (waiting)
                settle();
            CHECK_INT(0, probe.calls);
            loop_cancel(loop, &probe.op);
            CHECK_INT(0, probe.calls);
            CHECK_INT(-ECANCELED, finish(&probe));
            settle();
            CHECK_INT(1, probe.calls);
            loop_cancel(loop, &probe.op);
            CHECK(!probe.op.active);
        }
    }
    quiet_close(&quiet);
}

static void empty(int fd)
{
    static char drained[1 << 16];
    while (recv(fd, drained, sizeof drained, MSG_DONTWAIT) > 0)
        continue;
}

/* Makes all kinds ready. */
static int disturb(struct quiet *quiet)
{
    int client = make_client(&quiet->address);
    empty(quiet->pair[1]);
    CHECK_INT(1, write(quiet->pair[1], "x", 1));
    CHECK_INT(0, kill(getpid(), SIGUSR1));
    return client;
}

static void cancel_after_readiness_still_ends_once(void)
{
    for (int kind = OP_ACCEPT; kind <= OP_SIGNAL; kind++) {
        struct quiet quiet;
        struct probe probe = {0};
        struct probe other = {0};
        quiet_open(&quiet);
        start_kind(&quiet, &other.op, OP_SIGNAL); /* keeps SIGUSR1 from killing the test */
        start_kind(&quiet, &probe.op, (enum op_kind)kind);
        settle();
        int client = disturb(&quiet);
        bool repeats = kind == OP_ACCEPT || kind == OP_SIGNAL;
        loop_cancel(loop, &probe.op);
        int result = finish(&probe);
        CHECK(result == -ECANCELED || (result > 0 && !repeats));
        loop_cancel(loop, &other.op);
        CHECK_INT(-ECANCELED, finish(&other));
        settle();
        CHECK_INT(repeats ? probe.calls : 1, probe.calls);
        if (kind == OP_ACCEPT && probe.calls == 2)
            close(client + 1); /* it was accepted before the cancel took effect */
        close(client);
        quiet_close(&quiet);
    }
}

static void a_canceled_descriptor_can_be_replaced_at_once(void)
{
    int old[2];
    int fresh[2];
    char byte = 0;
    struct probe watched = {0};
    struct probe in = {0};
    make_pair(old);
    loop_poll(loop, &watched.op, old[0], POLLIN, note);
    settle();
    loop_cancel(loop, &watched.op);
    close_watched(old[0]);
    close(old[1]);
    make_pair(fresh);
    CHECK_INT(old[0], fresh[0]);
    loop_recv(loop, &in.op, fresh[0], &byte, 1, note);
    settle();
    CHECK_INT(1, write(fresh[1], "n", 1));
    CHECK_INT(1, finish(&in));
    CHECK_INT('n', byte);
    CHECK(finish(&watched) == -ECANCELED || watched.result == (POLLIN | POLLHUP));
    CHECK_INT(1, watched.calls);
    close_watched(fresh[0]);
    close_watched(fresh[1]);
}

static int poll_now(int fd, unsigned events)
{
    struct probe probe = {0};
    loop_poll(loop, &probe.op, fd, events, note);
    return finish(&probe);
}

static void poll_tells_levels(void)
{
    int pair[2];
    char bytes[8];
    struct probe probe = {0};
    make_pair(pair);
    CHECK_INT(POLLOUT, poll_now(pair[0], POLLIN | POLLOUT));
    CHECK_INT(2, write(pair[1], "ab", 2));
    loop_recv(loop, &probe.op, pair[0], bytes, 1, note);
    CHECK_INT(1, finish(&probe));
    for (int i = 0; i < 3; i++)
        CHECK_INT(POLLIN, poll_now(pair[0], POLLIN));
    CHECK_INT(1, read(pair[0], bytes, sizeof bytes));
    loop_poll(loop, &probe.op, pair[0], POLLIN, note);
    settle();
    CHECK(probe.op.active);
    CHECK_INT(1, write(pair[1], "c", 1));
    CHECK_INT(POLLIN, finish(&probe));
    CHECK_INT(POLLIN, poll_now(pair[0], POLLIN));
    CHECK_INT(1, read(pair[0], bytes, sizeof bytes));
    loop_poll(loop, &probe.op, pair[0], POLLIN | POLLRDHUP, note);
    settle();
    CHECK(probe.op.active);
    close(pair[1]);
    CHECK_INT(POLLIN | POLLHUP | POLLRDHUP, finish(&probe));
    CHECK_INT(POLLHUP, poll_now(pair[0], 0));
    close_watched(pair[0]);
}

/* The peer has shut down its side, so POLLRDHUP stands; that must not look like POLLOUT. */
static void a_full_socket_is_waited_on_although_the_peer_has_ended(void)
{
    struct quiet quiet;
    struct probe poll = {0};
    struct probe out = {0};
    quiet_open(&quiet);
    CHECK_INT(0, shutdown(quiet.pair[1], SHUT_WR));
    for (int canceled = 1; canceled >= 0; canceled--) {
        loop_poll(loop, &poll.op, quiet.pair[0], POLLOUT, note);
        start_kind(&quiet, &out.op, OP_SEND);
        settle();
        CHECK(poll.op.active && out.op.active);
        if (canceled) {
            loop_cancel(loop, &poll.op);
            loop_cancel(loop, &out.op);
        } else {
            empty(quiet.pair[1]);
        }
        CHECK_INT(canceled ? -ECANCELED : POLLOUT, finish(&poll));
        CHECK_INT(canceled ? -ECANCELED : (int)quiet.part.iov_len, finish(&out));
    }
    CHECK_INT(2, poll.calls);
    CHECK_INT(2, out.calls);
    quiet_close(&quiet);
}

static void stop_expired(struct loop *l, struct loop_timer *timer)
{
    (void)timer;
    loop_stop(l);
}

static struct loop_op busy[2];
static int busy_pair[2];
static char busy_bytes[2];
static bool busy_enough;

/* Two ends that always have something to do. */
static void keep_busy(struct loop *l, struct loop_op *op, int result)
{
    if (result < 0 || busy_enough)
        return;
    int end = (int)(op - busy);
    CHECK_INT(1, send(busy_pair[end], "x", 1, MSG_DONTWAIT));
    loop_recv(l, op, busy_pair[end], &busy_bytes[end], 1, keep_busy);
}

static void rearm_for_ever(struct loop *l, struct loop_timer *timer)
{
    loop_timer_start(l, timer, 0, rearm_for_ever);
}

static void nobody_starves_the_others(void)
{
    int pair[2];
    struct probe poll = {0};
    struct loop_timer greedy = {0};
    struct loop_timer late = {0};
    make_pair(pair);
    make_pair(busy_pair);
    busy_enough = false;
    for (int end = 0; end < 2; end++) {
        CHECK_INT(1, write(busy_pair[end], "x", 1));
        loop_recv(loop, &busy[end], busy_pair[end], &busy_bytes[end], 1, keep_busy);
    }
    loop_timer_start(loop, &greedy, 0, rearm_for_ever);
    loop_timer_start(loop, &late, clock_monotonic_ns() + NS_PER_MS, stop_expired);
    CHECK_INT(0, loop_run(loop, NULL));
    loop_poll(loop, &poll.op, pair[0], POLLIN, note);
    settle();
    CHECK_INT(1, write(pair[1], "x", 1));
    CHECK_INT(POLLIN, finish(&poll));
    loop_timer_stop(loop, &greedy);
    busy_enough = true;
    for (int end = 0; end < 2; end++)
        loop_cancel(loop, &busy[end]);
    while (busy[0].active || busy[1].active)
        settle();
    for (int end = 0; end < 2; end++) {
        close_watched(busy_pair[end]);
        close_watched(pair[end]);
    }
}

static void signals_are_told_until_canceled(void)
{
    struct probe probe = {0};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGUSR2);
    loop_signal(loop, &probe.op, &signals, note);
    for (unsigned i = 1; i <= 3; i++) {
        CHECK_INT(0, kill(getpid(), i % 2 ? SIGUSR1 : SIGUSR2));
        CHECK_INT(0, loop_run(loop, NULL));
        CHECK_INT(i % 2 ? SIGUSR1 : SIGUSR2, probe.result);
        CHECK_INT(i, probe.calls);
        CHECK(probe.op.active);
    }
    loop_cancel(loop, &probe.op);
    CHECK_INT(-ECANCELED, finish(&probe));
    CHECK_INT(4, probe.calls);
}

/* The alarm is the kernel's, so that the loop itself has no deadline. */
static void an_idle_loop_does_not_wake(void)
{
    struct quiet quiet;
    struct quiet ended;
    struct probe alarmed = {0};
    struct probe idle[4] = {0};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGALRM);
    quiet_open(&quiet);
    quiet_open(&ended);
    CHECK_INT(0, shutdown(ended.pair[1], SHUT_WR));
    loop_signal(loop, &alarmed.op, &signals, note);
    start_kind(&quiet, &idle[0].op, OP_ACCEPT);
    start_kind(&quiet, &idle[1].op, OP_RECV);
    start_kind(&ended, &idle[2].op, OP_SEND);
    loop_poll(loop, &idle[3].op, ended.pair[0], POLLOUT, note);
    settle();
    uint64_t before = loop->turns;
    struct itimerval soon = {.it_value.tv_usec = 30000};
    CHECK_INT(0, setitimer(ITIMER_REAL, &soon, NULL));
    CHECK_INT(0, loop_run(loop, NULL));
    CHECK_INT(SIGALRM, alarmed.result);
    CHECK(loop->turns - before <= 10); /* io_uring takes some to find out what it waits for */
    loop_cancel(loop, &alarmed.op);
    CHECK_INT(-ECANCELED, finish(&alarmed));
    for (int i = 0; i < 4; i++) {
        loop_cancel(loop, &idle[i].op);
        CHECK_INT(-ECANCELED, finish(&idle[i]));
    }
    quiet_close(&quiet);
    quiet_close(&ended);
}

int main(void)
{
    static const struct scenario scenarios[] = {
        {"cancel", cancel_ends_each_kind_once},
        {"cancel after readiness", cancel_after_readiness_still_ends_once},
        {"replaced descriptor", a_canceled_descriptor_can_be_replaced_at_once},
        {"poll levels", poll_tells_levels},
        {"full socket, ended peer", a_full_socket_is_waited_on_although_the_peer_has_ended},
        {"fairness", nobody_starves_the_others},
        {"signals", signals_are_told_until_canceled},
        {"idle", an_idle_loop_does_not_wake},
    };
    return run_on_both(scenarios, sizeof scenarios / sizeof scenarios[0]);
}
