/* SPDX-License-Identifier: Apache-2.0 */
/* Who answers where HTTP clients of this machine ask, on both loopback addresses. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "shmcat/doctor.h"

/* For everything that one address may take, however slowly it answers. */
static const uint64_t patience = NS_PER_S;

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Waits for these events until `deadline`, monotonic: 0 or -errno. */
static int await(int fd, short events, uint64_t deadline)
{
    struct pollfd wanted = {.fd = fd, .events = events};
    for (;;) {
        uint64_t now = clock_monotonic_ns();
        if (now >= deadline)
            return -ETIMEDOUT;
        int ready = poll(&wanted, 1, (int)((deadline - now) / NS_PER_MS) + 1);
        if (ready > 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return -errno;
    }
}

static int reach(int fd, const union address *address, uint64_t deadline)
{
    socklen_t length = address->any.sa_family == AF_INET ? sizeof address->v4 : sizeof address->v6;
    int error = 0;
    socklen_t size = sizeof error;
    if (connect(fd, &address->any, length) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return -errno;
    int rc = await(fd, POLLOUT, deadline);
    if (!rc && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        rc = -errno;
    return rc ? rc : -error;
}

/* What /ping answers there, as much of it as comes in time, NUL-terminated; its length or -errno.
 */
static long ping(const union address *address, char *out, size_t size)
{
    static const char request[] = "GET /ping HTTP/1.0\r\nHost: localhost\r\n\r\n";
    uint64_t deadline = clock_monotonic_ns() + patience;
    cleanup_close int fd =
        socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int rc = reach(fd, address, deadline);
    if (rc)
        return rc;
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
        return -errno;
    size_t used = 0;
    while (used < size - 1 && await(fd, POLLIN, deadline) == 0) {
        ssize_t got = recv(fd, out + used, size - 1 - used, 0);
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    out[used] = '\0';
    return (long)used;
}

/* A variable whose value readers do not take as it stands. */
static void check_variable(struct diagnosis *diagnosis, const char *name)
{
    const char *text = variable(name);
    char *end;
    if (!text)
        return;
    unsigned long port = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || port == 0 || port > 65535)
        say(diagnosis, BAD, "port", "%s: \"%.64s\" is not allowed; allowed: 1 to 65535", name,
            text);
}

/* Of the daemon's spellings readers know two. */
static void check_spelling(struct diagnosis *diagnosis, unsigned port)
{
    unsigned daemons = diagnosis->settings ? diagnosis->settings->http_port : 0;
    if (daemons != 0 && daemons != port)
        say(diagnosis, NOTE, "port",
            "shmconfd takes %u from HTTP_PORT, which readers do not look at: set SHMCONF_HTTP_PORT "
            "as well, or they ask %u",
            daemons, port);
}

struct answer {
    const char *host;
    char text[1024];
    long size; /* -errno: none */
};

/* Nobody there, or no such address on this machine. */
static bool is_nobody(const struct answer *answer)
{
    return answer->size == -ECONNREFUSED || answer->size == -EAFNOSUPPORT ||
           answer->size == -EADDRNOTAVAIL;
}

static bool is_shmconfd(const struct answer *answer)
{
    return answer->size > 0 && strstr(answer->text, "\"shmconfd\"");
}

static void complain_of(struct diagnosis *diagnosis, const struct answer *answer, unsigned port)
{
    if (is_nobody(answer) || is_shmconfd(answer))
        return;
    if (answer->size == 0)
        say(diagnosis, BAD, "port",
            "%s:%u gives no answer: it is stopped or busy, if it is shmconfd; else end it, or set "
            "SHMCONF_HTTP_PORT",
            answer->host, port);
    else if (answer->size > 0)
        say(diagnosis, BAD, "port",
            "something else answers on %s:%u: end it (AWS's agent?), or set SHMCONF_HTTP_PORT",
            answer->host, port);
    else
        say(diagnosis, BAD, "port", "%s:%u: %s", answer->host, port, strerror((int)-answer->size));
}

void doctor_check_port(struct diagnosis *diagnosis)
{
    unsigned port = shmconf_request_port();
    in_port_t there = htons((uint16_t)port);
    const union address address4 = {.v4 = {.sin_family = AF_INET,
                                           .sin_port = there,
                                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    const union address address6 = {
        .v6 = {.sin6_family = AF_INET6, .sin6_port = there, .sin6_addr = IN6ADDR_LOOPBACK_INIT}};
    struct answer v4 = {.host = "127.0.0.1"};
    struct answer v6 = {.host = "[::1]"};
    check_variable(diagnosis, "SHMCONF_HTTP_PORT");
    check_variable(diagnosis, "AWS_APPCONFIG_EXTENSION_HTTP_PORT");
    check_spelling(diagnosis, port);
    v4.size = ping(&address4, v4.text, sizeof v4.text);
    v6.size = ping(&address6, v6.text, sizeof v6.text);
    complain_of(diagnosis, &v4, port);
    complain_of(diagnosis, &v6, port);
    if (is_shmconfd(&v4))
        say(diagnosis, GOOD, "port", "shmconfd answers on %u", port);
    else if (is_shmconfd(&v6))
        say(diagnosis, NOTE, "port",
            "shmconfd answers on [::1]:%u only: shmconf_request asks 127.0.0.1", port);
    else if (is_nobody(&v4) && is_nobody(&v6))
        say(diagnosis, NOTE, "port", "%u is free: nothing serves HTTP there", port);
}
