/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Asking the daemon, over HTTP on this machine, to fetch a configuration. For start-up only. */
#ifndef SHMCONF_REQUEST_H
#define SHMCONF_REQUEST_H

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "shmconf/reader.h"

/* The request's text; `out` has room for SHMCONF_NAME_TEXT_MAX + 128 bytes. Returns its length. */
SHMCONF_API size_t shmconf_request_text(const struct shmconf_name *name, char *out)
{
    static const char *const words[] = {"HEAD /applications/", "/environments/", "/configurations/",
                                        " HTTP/1.0\r\nHost: localhost\r\n\r\n"};
    size_t at = 0;
    for (int i = 0; i <= SHMCONF_PARTS; i++) {
        memcpy(out + at, words[i], strlen(words[i]));
        at += strlen(words[i]);
        if (i == SHMCONF_PARTS)
            break;
        for (const char *c = shmconf_name_part(name, i); *c; c++)
            at = shmconf_name_escape(out, at, *c, !shmconf_name_is_plain(*c));
    }
    return at;
}

/*
 * The port by SHMCONF_HTTP_PORT, or else AWS_APPCONFIG_EXTENSION_HTTP_PORT; 2772 where neither is
 * set or what is set is none, as the daemon has it in Lambda.
 */
SHMCONF_API unsigned shmconf_request_port(void)
{
    static const char *const names[] = {"SHMCONF_HTTP_PORT", "AWS_APPCONFIG_EXTENSION_HTTP_PORT"};
    const unsigned usual = 2772;
    for (unsigned i = 0; i < 2; i++) {
        const char *text = getenv(names[i]);
        unsigned long port = 0;
        if (!text || !*text)
            continue;
        while (*text >= '0' && *text <= '9' && port < 65536)
            port = port * 10 + SHMCONF_CAST(unsigned long, *text++ - '0');
        return *text == '\0' && port > 0 && port < 65536 ? SHMCONF_CAST(unsigned, port) : usual;
    }
    return usual;
}

/* What the status code of an answer means here. */
SHMCONF_API int shmconf_request_result(const char *answer, size_t size)
{
    if (size < 12 || memcmp(answer, "HTTP/1.", 7) != 0)
        return -EIO;
    long status = strtol(answer + 9, SHMCONF_NULL, 10);
    if (status >= 200 && status < 300)
        return 0;
    if (status == 404)
        return -ENOENT;
    if (status == 403 || status == 401)
        return -EACCES;
    return status == 504 ? -ETIMEDOUT : -EIO;
}

/* How long sending (SO_SNDTIMEO; connecting as well) or receiving may take; ~0: any time. */
SHMCONF_API void shmconf_request_limit(int fd, int option, uint64_t limit_ns)
{
    struct timeval limit;
    uint64_t limit_us = limit_ns / 1000u + 1; /* 0 would be no limit */
    limit.tv_sec = SHMCONF_CAST(time_t, limit_us / 1000000u);
    limit.tv_usec = SHMCONF_CAST(suseconds_t, limit_us % 1000000u);
    if (limit_ns != ~UINT64_C(0))
        setsockopt(fd, SOL_SOCKET, option, &limit, sizeof limit);
}

SHMCONF_API int shmconf_request_send(int fd, const struct shmconf_name *name)
{
    struct sockaddr_in address;
    char text[SHMCONF_NAME_TEXT_MAX + 128];
    size_t size = shmconf_request_text(name, text);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(SHMCONF_CAST(uint16_t, shmconf_request_port()));
    address.sin_addr.s_addr = htonl(0x7f000001);
    const void *any = &address;
    if (connect(fd, SHMCONF_CAST(const struct sockaddr *, any), sizeof address) < 0)
        return errno == EINPROGRESS || errno == EAGAIN ? -ETIMEDOUT : -errno;
    return send(fd, text, size, MSG_NOSIGNAL) == SHMCONF_CAST(ssize_t, size) ? 0 : -EIO;
}

/* Sends the request: a descriptor that the answer will come on, or -errno. */
SHMCONF_API int shmconf_request_begin(const struct shmconf_name *name, uint64_t limit_ns)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    shmconf_request_limit(fd, SO_SNDTIMEO, limit_ns);
    int rc = shmconf_request_send(fd, name);
    if (rc) {
        close(fd);
        return rc;
    }
    return fd;
}

SHMCONF_API int shmconf_request_answer(int fd, uint64_t deadline)
{
    char answer[64];
    size_t have = 0;
    while (have < 12) {
        uint64_t rest = shmconf_rest(deadline, ~UINT64_C(0));
        if (!rest)
            return -ETIMEDOUT;
        shmconf_request_limit(fd, SO_RCVTIMEO, deadline == ~UINT64_C(0) ? deadline : rest);
        ssize_t got = recv(fd, answer + have, sizeof answer - 1 - have, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        have += SHMCONF_CAST(size_t, got);
    }
    answer[have] = '\0';
    return shmconf_request_result(answer, have);
}

/*
 * Asks the daemon on 127.0.0.1 for this configuration, so that it fetches it if it has not, and
 * returns when it has answered. One HTTP request, for start-up: shmconf_wait does the same where
 * there is no version; this tells why there is none, and follows on what lies in the region and
 * nobody checks any more.
 *
 * `timeout_ms` < 0: no limit. 0 (the daemon has it, and so has enter unless the region could not
 * take it, of which its log tells, or was removed within the last second), -ENOENT (there is no
 * such configuration), -EACCES, -ECONNREFUSED (no daemon), -ETIMEDOUT, -EIO (the daemon could not
 * get it), or another -errno of socket, connect or recv, such as -EMFILE, -EINTR, -ECONNRESET:
 * nothing is known, and it may be tried again.
 */
SHMCONF_API int shmconf_request(struct shmconf_reader *reader, long timeout_ms)
{
    uint64_t deadline = shmconf_deadline(timeout_ms);
    int saved = errno;
    if (!reader->place)
        return reader->error;
    int fd = shmconf_request_begin(&reader->place->name,
                                   deadline == ~UINT64_C(0) ? deadline
                                                            : shmconf_rest(deadline, ~UINT64_C(0)));
    int rc = fd < 0 ? fd : shmconf_request_answer(fd, deadline);
    if (fd >= 0)
        close(fd);
    if (!rc)
        reader->looked_ns = 0; /* it is there now: the next enter shall look at once */
    errno = saved;
    return rc;
}

#endif
