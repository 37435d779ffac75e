/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "http/connection.h"

/* How often a port that is free on one address may turn out to be taken on another. */
enum { PORT_ATTEMPTS = 16 };

/* How many clients wait in the kernel; it takes no more than net.core.somaxconn. musl's SOMAXCONN
 * is 128, which a burst exceeds. */
enum { LISTEN_BACKLOG = 4096 };

union address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

struct place {
    union address address;
    socklen_t size;
};

struct places {
    struct place list[HTTP_LISTENERS_MAX];
    size_t count;
    bool first_only; /* the others are there in case it is missing */
};

static void set_port(struct place *place, unsigned port)
{
    if (place->address.any.sa_family == AF_INET6)
        place->address.ipv6.sin6_port = htons((uint16_t)port);
    else
        place->address.ipv4.sin_port = htons((uint16_t)port);
}

/* "127.0.0.1:2772" or "[::1]:2772" */
static void describe(const struct place *place, unsigned port, char *text, size_t size)
{
    char host[64] = "?";
    getnameinfo(&place->address.any, place->size, host, sizeof host, NULL, 0, NI_NUMERICHOST);
    bool brackets = place->address.any.sa_family == AF_INET6;
    snprintf(text, size, brackets ? "[%s]:%u" : "%s:%u", host, port);
}

static int fail(const struct place *place, unsigned port, int code, struct error *error)
{
    char subject[96];
    describe(place, port, subject, sizeof subject);
    if (code == EADDRINUSE)
        return error_set(
            error, code, subject,
            "another process listens on this port; stop it or set SHMCONF_HTTP_PORT to a free "
            "one");
    if (code == EACCES)
        return error_set(
            error, code, subject,
            "listening on this port is not permitted; set SHMCONF_HTTP_PORT to one above 1023 "
            "or grant CAP_NET_BIND_SERVICE");
    if (code == EADDRNOTAVAIL || code == EAFNOSUPPORT)
        return error_system(error, code, subject,
                            "this machine has no such address; correct SHMCONF_HTTP_HOST");
    return error_system(error, code, subject, "cannot listen");
}

static void add_place(struct places *places, const struct sockaddr *address, socklen_t size)
{
    struct place *place = &places->list[places->count];
    if (places->count == HTTP_LISTENERS_MAX || size > sizeof place->address)
        return;
    memcpy(&place->address, address, size);
    place->size = size;
    /* A host's name may be listed with the same address twice. */
    for (size_t i = 0; i < places->count; i++) {
        if (places->list[i].size == size && memcmp(&places->list[i].address, address, size) == 0)
            return;
    }
    places->count++;
}

static void add_ipv4(struct places *places, in_addr_t address)
{
    struct sockaddr_in socket_address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(address),
    };
    add_place(places, (struct sockaddr *)&socket_address, sizeof socket_address);
}

static void add_ipv6(struct places *places, const struct in6_addr *address)
{
    struct sockaddr_in6 socket_address = {.sin6_family = AF_INET6, .sin6_addr = *address};
    add_place(places, (struct sockaddr *)&socket_address, sizeof socket_address);
}

static int resolve(const char *host, bool may_ask, struct places *places, struct error *error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | (may_ask ? 0 : AI_NUMERICHOST)};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(host, NULL, &hints, &found);
    if (code != 0)
        return error_set(
            error, EADDRNOTAVAIL, host,
            "cannot be resolved (%s); set SHMCONF_HTTP_HOST to localhost, all or an address",
            gai_strerror(code));
    for (const struct addrinfo *info = found; info; info = info->ai_next)
        add_place(places, info->ai_addr, info->ai_addrlen);
    freeaddrinfo(found);
    return 0;
}

static int find_places(const char *host, bool may_ask, struct places *places, struct error *error)
{
    if (strcmp(host, "localhost") == 0) {
        add_ipv4(places, INADDR_LOOPBACK);
        add_ipv6(places, &in6addr_loopback);
        return 0;
    }
    if (strcmp(host, "all") == 0) {
        add_ipv6(places, &in6addr_any);
        add_ipv4(places, INADDR_ANY);
        places->first_only = true;
        return 0;
    }
    return resolve(host, may_ask, places, error);
}

/* The socket of "::" takes IPv4 as well. */
static int is_ipv6_only(const struct place *place)
{
    return !IN6_IS_ADDR_UNSPECIFIED(&place->address.ipv6.sin6_addr);
}

/* What accepted connections inherit is set here once instead of on each of them. */
static int set_options(int fd, const struct place *place)
{
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return -errno;
    if (place->address.any.sa_family == AF_INET6) {
        int only = is_ipv6_only(place);
        if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) < 0)
            return -errno;
    }
    return 0;
}

/* Returns a descriptor or -errno. */
static int open_socket(struct place *place, unsigned port)
{
    cleanup_close int fd =
        socket(place->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int code = set_options(fd, place);
    if (code < 0)
        return code;
    set_port(place, port);
    if (bind(fd, &place->address.any, place->size) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
        return -errno;
    return steal_fd(&fd);
}

static int port_of(int fd, unsigned *port)
{
    union address address = {0};
    socklen_t size = sizeof address;
    if (getsockname(fd, &address.any, &size) < 0)
        return -errno;
    if (address.any.sa_family == AF_INET6)
        *port = ntohs(address.ipv6.sin6_port);
    else
        *port = ntohs(address.ipv4.sin_port);
    return 0;
}

static bool is_missing(int code)
{
    return code == -EADDRNOTAVAIL || code == -EAFNOSUPPORT;
}

static void close_all(const int *fds, size_t *count)
{
    while (*count > 0)
        close(fds[--*count]);
}

/* Opens the places that this machine has on one port; the first socket decides which when `*port`
 * is 0. */
static int open_places(struct places *places, unsigned *port, int *fds, size_t *count,
                       struct error *error)
{
    for (size_t i = 0; i < places->count; i++) {
        struct place *place = &places->list[i];
        bool last_hope = i + 1 == places->count && *count == 0;
        int fd = open_socket(place, *port);
        if (is_missing(fd) && !last_hope)
            continue;
        int code = fd;
        if (fd >= 0) {
            fds[(*count)++] = fd;
            code = *port == 0 ? port_of(fd, port) : 0;
        }
        if (code < 0) {
            close_all(fds, count);
            return fail(place, *port, -code, error);
        }
        if (places->first_only)
            break;
    }
    return 0;
}

int http_listen(const char *host, bool may_ask, unsigned *port, int *fds, size_t *count,
                struct error *error)
{
    struct places places = {0};
    int code = find_places(host, may_ask, &places, error);
    if (code < 0)
        return code;
    unsigned wanted = *port;
    for (unsigned attempt = 1;; attempt++) {
        *port = wanted;
        *count = 0;
        code = open_places(&places, port, fds, count, error);
        if (code != -EADDRINUSE || wanted != 0 || attempt == PORT_ATTEMPTS)
            return code;
    }
}
