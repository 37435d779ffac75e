/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the event loop share: one loop, operations that remember, sockets. */
#ifndef TESTS_LOOP_PROBE_H
#define TESTS_LOOP_PROBE_H

#include "check.h"
#include "loop/loop.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

static struct loop *loop;

/* An operation that remembers what it was told and stops the loop. */
struct probe {
    struct loop_op op;
    int result;
    unsigned calls;
};

static inline void note(struct loop *ended, struct loop_op *op, int result)
{
    struct probe *probe = (struct probe *)op;
    probe->result = result;
    probe->calls++;
    loop_stop(ended);
}

static inline int finish(struct probe *probe)
{
    while (probe->op.active)
        CHECK_INT(0, loop_run(loop, NULL));
    return probe->result;
}

static unsigned turns_left;

static inline void turn_over(struct loop *turned, struct loop_timer *timer)
{
    if (--turns_left)
        loop_timer_start(turned, timer, 0, turn_over);
    else
        loop_stop(turned);
}

/* Lets everything happen that can happen without waiting. */
static inline void settle(void)
{
    struct loop_timer timer = {0};
    turns_left = 6;
    loop_timer_start(loop, &timer, 0, turn_over);
    while (turns_left)
        CHECK_INT(0, loop_run(loop, NULL));
}

static inline void make_pair(int pair[2])
{
    CHECK_INT(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair));
}

static inline void close_watched(int fd)
{
    loop_forget(loop, fd);
    close(fd);
}

static inline int make_listener(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)address, length) == 0 && listen(fd, 512) == 0);
    CHECK_INT(0, getsockname(fd, (struct sockaddr *)address, &length));
    return fd;
}

static inline int make_client(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) == 0);
    return fd;
}

static inline void make_tcp_pair(int pair[2])
{
    struct sockaddr_in address;
    int listener = make_listener(&address);
    pair[0] = make_client(&address);
    pair[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK(pair[1] >= 0 && fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0);
    close(listener);
}

static inline size_t count_descriptors(void)
{
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    CHECK(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

struct scenario {
    const char *name;
    void (*run)(void);
};

/* Runs all scenarios on a new loop each; false when the backend is not to be had. */
static inline bool run_on(enum loop_backend backend, const struct scenario *scenarios, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct error error = {0};
        if (loop_open(&loop, backend, &error) < 0) {
            printf("not available: %s: %s\n", error.subject, error.message);
            return false;
        }
        printf("%s: %s\n", loop_describe(loop), scenarios[i].name);
        fflush(stdout);
        size_t before = count_descriptors();
        scenarios[i].run();
        CHECK_INT(before, count_descriptors());
        loop_close(loop);
    }
    return true;
}

static inline int run_on_both(const struct scenario *scenarios, size_t count)
{
    CHECK(run_on(LOOP_EPOLL, scenarios, count));
    run_on(LOOP_IO_URING, scenarios, count);
    return 0;
}

#endif
