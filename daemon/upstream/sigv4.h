/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS Signature Version 4 over headers. libcurl has a signer of its own, but releases 8.14 to 8.18
 * sign a query with an encoded '+' wrongly, which AppConfig's tokens hold.
 */
#ifndef SHMCONFD_SIGV4_H
#define SHMCONFD_SIGV4_H

#include <stddef.h>
#include <time.h>

/* NUL-terminated; `session_token` NULL or "": none. */
struct sigv4_credentials {
    const char *access_key_id;
    const char *secret_access_key;
    const char *session_token;
};

/* What is signed, as it goes over the wire. */
struct sigv4_request {
    const char *method;
    const char *host;         /* with the port if that is not the scheme's own */
    const char *path;         /* percent-encoded, begins with '/' */
    const char *query;        /* percent-encoded, without '?'; "": none */
    const char *content_type; /* NULL: none */
    const void *body;
    size_t body_size;
};

struct sigv4_scope {
    const char *region;
    const char *service;
    time_t now; /* by the service's clock */
};

/* Values of the headers to be added; x-amz-security-token is the caller's to add. */
struct sigv4_headers {
    char date[17];           /* X-Amz-Date */
    char authorization[768]; /* Authorization */
};

/* 0, -ENOMEM, or -EINVAL: a key or region is too long for any real one, or the year too large. */
int sigv4_sign(struct sigv4_headers *headers, const struct sigv4_request *request,
               const struct sigv4_scope *scope, const struct sigv4_credentials *credentials);

/*
 * Percent-encodes everything but unreserved characters, as the service expects it in a query.
 * `out` has room for 3 * strlen(text) + 1 bytes.
 */
void sigv4_escape(char *out, const char *text);

#endif
