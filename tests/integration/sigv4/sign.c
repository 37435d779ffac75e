/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's signer as a program: reads requests, writes signatures. It compiles the signer's
 * source itself, to show the canonical request too: among what is hashed that is the second text.
 *
 * A request is a line of FIELDS, a signature a line of authorization, date and canonical request;
 * all are in hexadecimal with a tab between, "-" stands for none.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shmconf/hash.h"

static void noted_sha256(const void *bytes, size_t size, uint8_t digest[32]);
#define shmconf_sha256 noted_sha256
#include "upstream/sigv4.c" // NOLINT(bugprone-suspicious-include)
#undef shmconf_sha256

/* `query` is escaped already; `token` is put behind it as the daemon puts a poll's token there. */
enum field {
    KEY_ID,
    SECRET,
    SESSION_TOKEN,
    REGION,
    SERVICE,
    TIME,
    METHOD,
    HOST,
    PATH,
    QUERY,
    TOKEN,
    CONTENT_TYPE,
    BODY,
    FIELDS
};

static char *canonical;
static size_t canonical_size;
static int hashes;

static void *take(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (!memory)
        abort();
    return memory;
}

static void noted_sha256(const void *bytes, size_t size, uint8_t digest[32])
{
    if (++hashes == 2) {
        canonical = take(size);
        memcpy(canonical, bytes, size);
        canonical_size = size;
    }
    shmconf_sha256(bytes, size, digest);
}

static void fail(const char *what)
{
    fprintf(stderr, "sigv4_sign: %s\n", what);
    exit(2);
}

static unsigned nibble(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : NULL;
    if (!at)
        fail("a field is not hexadecimal");
    return (unsigned)(at - digits);
}

/* In place, with a NUL behind it; returns the size. */
static size_t decode(char *field)
{
    size_t size = strlen(field) / 2;
    for (size_t i = 0; i < size; i++)
        field[i] = (char)(nibble(field[2 * i]) << 4 | nibble(field[2 * i + 1]));
    field[size] = '\0';
    return size;
}

static void write_field(const char *bytes, size_t size, char end)
{
    for (size_t i = 0; i < size; i++)
        printf("%02x", (unsigned char)bytes[i]);
    putchar(end);
}

static char *make_query(const char *query, const char *token)
{
    static const char name[] = "configuration_token=";
    char *text = take(strlen(query) + sizeof name + 1 + (token ? 3 * strlen(token) : 0));
    int size = sprintf(text, "%s%s%s", query, token && *query ? "&" : "", token ? name : "");
    if (token)
        sigv4_escape(text + size, token);
    return text;
}

static void sign(char *fields[FIELDS], size_t body_size)
{
    struct sigv4_headers headers;
    char *query = make_query(fields[QUERY], fields[TOKEN]);
    struct sigv4_credentials credentials = {fields[KEY_ID], fields[SECRET], fields[SESSION_TOKEN]};
    struct sigv4_scope scope = {fields[REGION], fields[SERVICE],
                                (time_t)strtoll(fields[TIME], NULL, 10)};
    struct sigv4_request request = {.method = fields[METHOD],
                                    .host = fields[HOST],
                                    .path = fields[PATH],
                                    .query = query,
                                    .content_type = fields[CONTENT_TYPE],
                                    .body = fields[BODY],
                                    .body_size = body_size};
    hashes = 0;
    if (sigv4_sign(&headers, &request, &scope, &credentials) || !canonical)
        fail("a request was refused");
    write_field(headers.authorization, strlen(headers.authorization), '\t');
    write_field(headers.date, strlen(headers.date), '\t');
    write_field(canonical, canonical_size, '\n');
    free(canonical);
    canonical = NULL;
    free(query);
}

static bool is_required(enum field field)
{
    return field != SESSION_TOKEN && field != TOKEN && field != CONTENT_TYPE;
}

static void read_request(char *line)
{
    char *fields[FIELDS];
    size_t size = 0;
    for (int i = 0; i < FIELDS; i++) {
        char *field = strsep(&line, "\t\n");
        if (!field)
            fail("a request has too few fields");
        bool is_none = strcmp(field, "-") == 0;
        if (is_none && is_required((enum field)i))
            fail("a request lacks what every request has");
        size = is_none ? 0 : decode(field);
        fields[i] = is_none ? NULL : field;
    }
    sign(fields, size);
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0)
        read_request(line);
    free(line);
    return 0;
}
