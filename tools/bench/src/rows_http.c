/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's HTTP interface, over one connection that is kept. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "loop.h"

static int connection = -1;
static char request[512];

static void connect_to(unsigned port)
{
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const void *any = &address;
    connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0 || connect(connection, any, sizeof address) != 0)
        bench_fail("cannot connect to port %u", port);
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* Reads one answer; it must be 200 and say its length. */
static size_t read_answer(void)
{
    static char answer[64 * 1024];
    size_t have = 0, total = 0;
    while (total == 0 || have < total) {
        ssize_t got = recv(connection, answer + have, sizeof answer - 1 - have, 0);
        if (got <= 0)
            bench_fail("the daemon closed the connection after %zu bytes", have);
        have += (size_t)got;
        answer[have] = '\0';
        const char *end = total ? NULL : strstr(answer, "\r\n\r\n");
        const char *length = end ? strcasestr(answer, "\r\nContent-Length:") : NULL;
        if (end && (strncmp(answer, "HTTP/1.1 200", 12) != 0 || !length))
            bench_fail("unexpected answer: %.*s", (int)strcspn(answer, "\r\n"), answer);
        if (end)
            total = (size_t)(end - answer) + 4 + strtoul(length + 17, NULL, 10);
        if (total > sizeof answer - 1)
            bench_fail("the answer is too long");
    }
    return total;
}

BENCH_INLINE uintptr_t get(const char *at)
{
    size_t size = strlen(at);
    if (send(connection, at, size, MSG_NOSIGNAL) != (ssize_t)size)
        bench_fail("cannot send a request");
    return read_answer();
}

static void get_throughput(uint64_t count)
{
    repeat(get, request, count, false);
}

size_t rows_http(struct row *rows, const struct options *options)
{
    *rows = (struct row){.key = "http",
                         .title = "HTTP GET to the daemon, keep-alive",
                         .throughput = get_throughput,
                         .missing = options->http_path ? NULL : "no daemon"};
    if (options->http_path) {
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 options->http_path);
        connect_to(options->http_port);
    }
    return 1;
}
