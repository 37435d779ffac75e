/* SPDX-License-Identifier: Apache-2.0 */
/* A blocking HTTP client that checks what it gets. */
#ifndef TESTS_HTTP_CLIENT_H
#define TESTS_HTTP_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

struct client {
    int fd;
    size_t used;
    char buffer[65536];
};

struct answer_seen {
    int status;
    char head[4096];
    size_t body_size; /* by Content-Length */
    char body[8192];
};

static inline void client_make(struct client *client, int family)
{
    struct timeval patience = {.tv_sec = 20};
    int on = 1;
    client->used = 0;
    client->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(client->fd >= 0);
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static inline void client_connect(struct client *client, const char *address, unsigned port)
{
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    bool is_ipv6 = inet_pton(AF_INET6, address, &ipv6.sin6_addr) == 1;
    struct sockaddr *peer = is_ipv6 ? (struct sockaddr *)&ipv6 : (struct sockaddr *)&ipv4;
    CHECK(is_ipv6 || inet_pton(AF_INET, address, &ipv4.sin_addr) == 1);
    int rc;
    do /* completions of an io_uring of this process interrupt it */
        rc = connect(client->fd, peer, is_ipv6 ? sizeof ipv6 : sizeof ipv4);
    while (rc != 0 && (errno == EINTR || errno == EALREADY));
    CHECK(rc == 0 || errno == EISCONN);
}

static inline void client_close(struct client *client)
{
    close(client->fd);
    client->fd = -1;
}

/* Ends the connection so that the server sees ECONNRESET. */
static inline void client_reset(struct client *client)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    client_close(client);
}

/* A call with a time limit is not restarted after a signal, and io_uring's notices count as one. */
static inline ssize_t client_recv(const struct client *client, char *out, size_t size)
{
    ssize_t got;
    do
        got = recv(client->fd, out, size, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

static inline ssize_t client_try_send(const struct client *client, const char *data, size_t size)
{
    ssize_t sent;
    do
        sent = send(client->fd, data, size, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

static inline void client_send_bytes(struct client *client, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = client_try_send(client, data, size);
        CHECK(sent > 0);
        data += sent;
        size -= (size_t)sent;
    }
}

static inline void client_send(struct client *client, const char *text)
{
    client_send_bytes(client, text, strlen(text));
}

static inline void client_fill(struct client *client)
{
    ssize_t got =
        client_recv(client, client->buffer + client->used, sizeof client->buffer - client->used);
    CHECK(got > 0);
    client->used += (size_t)got;
}

static inline void client_skip(struct client *client, size_t size)
{
    client->used -= size;
    memmove(client->buffer, client->buffer + size, client->used);
}

static inline void client_read_head(struct client *client, struct answer_seen *answer)
{
    const char *end = NULL;
    while (!(end = memmem(client->buffer, client->used, "\r\n\r\n", 4)))
        client_fill(client);
    size_t size = (size_t)(end - client->buffer) + 4;
    CHECK(size < sizeof answer->head);
    memcpy(answer->head, client->buffer, size);
    answer->head[size] = '\0';
    client_skip(client, size);
    CHECK(memcmp(answer->head, "HTTP/1.1 ", 9) == 0);
    answer->status = atoi(answer->head + 9); // NOLINT(cert-err34-c)
    const char *length = strstr(answer->head, "Content-Length: ");
    answer->body_size = length ? strtoul(length + 16, NULL, 10) : 0;
    answer->body[0] = '\0';
}

static inline void client_read(struct client *client, struct answer_seen *answer)
{
    client_read_head(client, answer);
    CHECK(answer->body_size < sizeof answer->body);
    while (client->used < answer->body_size)
        client_fill(client);
    memcpy(answer->body, client->buffer, answer->body_size);
    answer->body[answer->body_size] = '\0';
    client_skip(client, answer->body_size);
}

/* The connection ends now, in order and with nothing more to read. */
static inline void client_expect_end(struct client *client)
{
    char byte;
    CHECK_INT(0, client->used);
    CHECK_INT(0, client_recv(client, &byte, 1));
    client_close(client);
}

static inline void client_expect(struct client *client, int status, const char *body)
{
    static _Thread_local struct answer_seen answer;
    client_read(client, &answer);
    CHECK_INT(status, answer.status);
    if (body)
        CHECK_STRING(body, answer.body);
}

#endif
