/* SPDX-License-Identifier: Apache-2.0 */
/* What a read costs here and now; tools/bench/read compares more, with the machine's facts. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "shmcat/shmcat.h"

enum { BLOCKS = 41, READS = 200000, REQUESTS = 50 };

struct subject {
    struct shmconf_reader *reader;
    int http; /* a connection to the daemon */
    char request[SHMCONF_NAME_TEXT_MAX + 128];
    size_t request_size;
};

typedef int measured(struct subject *subject, unsigned count);

/* The least that any reader of shared memory does; the barrier keeps it from being done once. */
static int plain_loads(struct subject *subject, unsigned count)
{
    static uint32_t word;
    (void)subject;
    for (unsigned i = 0; i < count; i++) {
        uint32_t value = __atomic_load_n(&word, __ATOMIC_RELAXED);
        __asm__ volatile("" : : "r"(value) : "memory");
    }
    return 0;
}

static int reads(struct subject *subject, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct shmconf_version *version = shmconf_enter(subject->reader);
        __asm__ volatile("" : : "r"(version) : "memory");
        shmconf_leave(subject->reader);
    }
    return 0;
}

/* HEAD, since its answer ends with its head; the daemon does all but send the body. */
static int requests(struct subject *subject, unsigned count)
{
    char answer[4096];
    for (unsigned i = 0; i < count; i++) {
        size_t used = 0;
        if (send(subject->http, subject->request, subject->request_size, MSG_NOSIGNAL) < 0)
            return -errno;
        do {
            ssize_t got = recv(subject->http, answer + used, sizeof answer - used, 0);
            if (got <= 0)
                return got < 0 ? -errno : -EIO;
            used += (size_t)got;
        } while (used < 4 || memcmp(answer + used - 4, "\r\n\r\n", 4) != 0);
        if (memcmp(answer, "HTTP/1.1 200", 12) != 0)
            return -EIO;
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

/* Nanoseconds of one, the median of the blocks; or -errno. */
static int measure(double *ns, measured *run, struct subject *subject, unsigned count)
{
    double blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        uint64_t began = clock_monotonic_ns();
        int rc = run(subject, count);
        if (rc)
            return rc;
        blocks[i] = (double)(clock_monotonic_ns() - began) / count;
    }
    qsort(blocks, BLOCKS, sizeof *blocks, compare);
    *ns = blocks[BLOCKS / 2];
    return 0;
}

/* The daemon's connection, or -errno. */
static int connect_http(struct subject *subject, const struct shmconf_name *name)
{
    static const char end[] = " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)shmconf_request_port()),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {1, 0};
    /* The text asks in HTTP/1.0, which would close the connection after each. */
    shmconf_request_text(name, subject->request);
    char *version = strstr(subject->request, " HTTP/1.0");
    memcpy(version, end, sizeof end);
    subject->request_size = strlen(subject->request);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

/* Of connecting or asking. */
static void say_why_not(int rc)
{
    const char *why = "does not serve it: see shmcat doctor";
    if (rc == -ECONNREFUSED)
        why = "has no daemon that listens";
    else if (rc == -EAGAIN)
        why = "gives no answer: see shmcat doctor";
    printf("HEAD over HTTP               -  port %u %s\n", shmconf_request_port(), why);
}

static int bench_run(const struct common *common, char **arguments)
{
    const char *name = arguments[0];
    struct shmconf_reader reader;
    struct shmconf_name parsed;
    double load;
    double read;
    double request = 0;
    int rc = shmconf_name_parse(&parsed, name);
    if (!rc)
        rc = shmconf_open(&reader, name, 0);
    if (rc)
        return fail(name, rc), EXIT_USAGE;
    struct subject subject = {.reader = &reader};
    bool is_there = shmconf_enter(&reader) != NULL;
    shmconf_leave(&reader);
    rc = shmconf_error(&reader);
    if (!is_there) {
        shmconf_close(&reader);
        return fail(name, rc);
    }
    measure(&load, plain_loads, &subject, READS);
    measure(&read, reads, &subject, READS);
    int http = connect_http(&subject, &parsed);
    cleanup_close int fd = subject.http = http;
    (void)fd;
    rc = http < 0 ? http : measure(&request, requests, &subject, REQUESTS);
    shmconf_close(&reader);
    if (common->json) {
        printf("{\"load_ns\":%.3f,\"read_ns\":%.3f,\"http_ns\":", load, read);
        printf(rc == 0 ? "%.0f}\n" : "null}\n", request);
        return EXIT_FINE;
    }
    printf("plain load          %10.2f ns\n", load);
    printf("enter and leave     %10.2f ns  %8.2f x a plain load\n", read, read / load);
    if (rc == 0)
        printf("HEAD over HTTP      %10.0f ns  %8.0f x a read\n", request, request / read);
    else
        say_why_not(rc);
    return EXIT_FINE;
}

const struct command bench_command = {
    .name = "bench",
    .arguments = "NAME",
    .summary = "What a read costs here, beside a plain load and HTTP.",
    .details =
        "\nMedians of 41 blocks: 200000 loads, 200000 reads, 50 requests on one connection.\n"
        "HTTP is that of the daemon on SHMCONF_HTTP_PORT, else 2772.\n",
    .least = 1,
    .most = 1,
    .run = bench_run,
};
