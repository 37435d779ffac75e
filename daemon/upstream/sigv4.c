/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/sigv4.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shmconf/hash.h"

enum { DIGEST = 32, BLOCK = 64, HEX = 2 * DIGEST + 1, KEY_MAX = 256 };

static void to_hex(char out[HEX], const uint8_t digest[DIGEST])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < DIGEST; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[HEX - 1] = '\0';
}

/* HMAC-SHA-256 (RFC 2104) of a short text. */
static void hmac(uint8_t out[DIGEST], const void *key, size_t key_size, const char *text)
{
    enum { TEXT_MAX = 1024 };
    uint8_t inner[BLOCK + TEXT_MAX] = {0};
    uint8_t outer[BLOCK + DIGEST] = {0};
    size_t size = strnlen(text, TEXT_MAX);
    if (key_size > BLOCK)
        shmconf_sha256(key, key_size, inner);
    else
        memcpy(inner, key, key_size);
    memcpy(outer, inner, BLOCK);
    for (size_t i = 0; i < BLOCK; i++) {
        inner[i] ^= 0x36;
        outer[i] ^= 0x5c;
    }
    memcpy(inner + BLOCK, text, size);
    shmconf_sha256(inner, BLOCK + size, outer + BLOCK);
    shmconf_sha256(outer, sizeof outer, out);
}

static int is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

static char *escape(char *at, char c)
{
    static const char digits[] = "0123456789ABCDEF";
    unsigned byte = (unsigned char)c;
    *at++ = '%';
    *at++ = digits[byte >> 4];
    *at++ = digits[byte & 15];
    return at;
}

void sigv4_escape(char *out, const char *text)
{
    for (; *text; text++) {
        if (is_unreserved(*text))
            *out++ = *text;
        else
            out = escape(out, *text);
    }
    *out = '\0';
}

/*
 * The path without "." and ".." and empty segments, encoded once more: so for all services but S3.
 * It ends with '/' only where the path itself does, as AWS's own signers have it.
 */
static char *canonical_path(char *at, const char *path)
{
    const char *start = at;
    const char *end = path + strlen(path);
    for (const char *segment = path; segment < end;) {
        size_t size = strcspn(segment, "/");
        const char *stop = segment + size;
        if (size == 2 && memcmp(segment, "..", 2) == 0) {
            while (at > start && *--at != '/')
                ;
        } else if (size > 0 && !(size == 1 && *segment == '.')) {
            *at++ = '/';
            for (; segment < stop; segment++) {
                if (is_unreserved(*segment))
                    *at++ = *segment;
                else
                    at = escape(at, *segment);
            }
        }
        segment = stop < end ? stop + 1 : end;
    }
    if (at == start || end[-1] == '/')
        *at++ = '/';
    return at;
}

/* Byte order of name, then value: '=' must not take part, or "a" and "a-" would change places. */
static int compare_parameters(const void *a, const void *b)
{
    const char *x = *(const char *const *)a;
    const char *y = *(const char *const *)b;
    size_t x_size = strcspn(x, "=");
    size_t y_size = strcspn(y, "=");
    int order = memcmp(x, y, x_size < y_size ? x_size : y_size);
    if (order == 0 && x_size != y_size)
        return x_size < y_size ? -1 : 1;
    return order ? order : strcmp(x + x_size, y + y_size);
}

/* Puts the parameters in order; one without a value gets an '='. */
static char *join_parameters(char *at, const char **parameters, size_t count)
{
    if (count)
        qsort(parameters, count, sizeof *parameters, compare_parameters);
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(parameters[i]);
        if (i > 0)
            *at++ = '&';
        memcpy(at, parameters[i], size);
        at += size;
        if (!strchr(parameters[i], '='))
            *at++ = '=';
    }
    return at;
}

/* NULL: no memory. */
static char *canonical_query(char *at, const char *query)
{
    char *copy = strdup(query);
    const char **parameters = malloc((strlen(query) + 1) * sizeof *parameters);
    size_t count = 0;
    char *rest;
    char *end = NULL;
    if (copy && parameters) {
        for (char *one = strtok_r(copy, "&", &rest); one; one = strtok_r(NULL, "&", &rest))
            parameters[count++] = one;
        end = join_parameters(at, parameters, count);
    }
    free(parameters);
    free(copy);
    return end;
}

static char *header(char *at, const char *name, const char *value)
{
    return value && *value ? at + sprintf(at, "%s:%s\n", name, value) : at;
}

/* SHA-256 of the canonical request, in hexadecimal. */
static int digest_request(char out[HEX], const struct sigv4_request *request, const char *date,
                          const char *session_token, const char *signed_headers)
{
    uint8_t digest[DIGEST];
    char body[HEX];
    size_t room = 512 + 3 * strlen(request->path) + 2 * strlen(request->query) +
                  strlen(request->host) + strlen(request->method) +
                  (request->content_type ? strlen(request->content_type) : 0) +
                  (session_token ? strlen(session_token) : 0);
    char *text = malloc(room);
    if (!text)
        return -ENOMEM;
    shmconf_sha256(request->body, request->body_size, digest);
    to_hex(body, digest);
    char *at = text + sprintf(text, "%s\n", request->method);
    at = canonical_path(at, request->path);
    *at++ = '\n';
    at = canonical_query(at, request->query);
    if (!at) {
        free(text);
        return -ENOMEM;
    }
    *at++ = '\n';
    at = header(at, "content-type", request->content_type);
    at = header(at, "host", request->host);
    at = header(at, "x-amz-date", date);
    at = header(at, "x-amz-security-token", session_token);
    at += sprintf(at, "\n%s\n%s", signed_headers, body);
    shmconf_sha256(text, (size_t)(at - text), digest);
    to_hex(out, digest);
    free(text);
    return 0;
}

static void signing_key(uint8_t key[DIGEST], const char *secret, const char *day,
                        const struct sigv4_scope *scope)
{
    char seed[4 + KEY_MAX];
    int size = snprintf(seed, sizeof seed, "AWS4%s", secret);
    hmac(key, seed, (size_t)size, day);
    hmac(key, key, DIGEST, scope->region);
    hmac(key, key, DIGEST, scope->service);
    hmac(key, key, DIGEST, "aws4_request");
}

int sigv4_sign(struct sigv4_headers *headers, const struct sigv4_request *request,
               const struct sigv4_scope *scope, const struct sigv4_credentials *credentials)
{
    char day[9];
    char request_digest[HEX];
    char signature[HEX];
    char scope_text[256];
    char signed_headers[96];
    char to_sign[512];
    uint8_t key[DIGEST];
    struct tm utc;
    const char *token = credentials->session_token;
    if (strlen(credentials->secret_access_key) >= KEY_MAX ||
        strlen(credentials->access_key_id) >= KEY_MAX ||
        strlen(scope->region) + strlen(scope->service) > 128 || !gmtime_r(&scope->now, &utc))
        return -EINVAL;
    if (strftime(headers->date, sizeof headers->date, "%Y%m%dT%H%M%SZ", &utc) == 0 ||
        strftime(day, sizeof day, "%Y%m%d", &utc) == 0)
        return -EINVAL;
    snprintf(signed_headers, sizeof signed_headers, "%shost;x-amz-date%s",
             request->content_type && *request->content_type ? "content-type;" : "",
             token && *token ? ";x-amz-security-token" : "");
    int rc = digest_request(request_digest, request, headers->date, token, signed_headers);
    if (rc)
        return rc;
    snprintf(scope_text, sizeof scope_text, "%s/%s/%s/aws4_request", day, scope->region,
             scope->service);
    snprintf(to_sign, sizeof to_sign, "AWS4-HMAC-SHA256\n%s\n%s\n%s", headers->date, scope_text,
             request_digest);
    signing_key(key, credentials->secret_access_key, day, scope);
    hmac(key, key, DIGEST, to_sign);
    to_hex(signature, key);
    int size = snprintf(headers->authorization, sizeof headers->authorization,
                        "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
                        credentials->access_key_id, scope_text, signed_headers, signature);
    return (size_t)size < sizeof headers->authorization ? 0 : -EINVAL;
}
