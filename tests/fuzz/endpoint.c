/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines as AWS's standard variables, and as QUERY and PATH of a request that is then signed. Where
 * the daemon calls must be a URL, whose parts agree; the signature goes by what is asked for and
 * not by the order in which it is written.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "credentials/credentials.h"
#include "lines.h"
#include "upstream/endpoint.h"

/* 2015-08-30 12:36:00 UTC */
static const time_t then = 1440938160;

static void check_refusal(const struct error *error, const struct lines *lines)
{
    require(error->code == EINVAL || error->code == EACCES);
    require(is_clean(error->message) && error->message[0] && error->subject[0]);
    /* A URL may hold a password, and keys are nobody's business. */
    static const char *const secrets[] = {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_APPCONFIGDATA",
                                          "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                          "AWS_SESSION_TOKEN"};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        const char *value = lines_variable(lines, secrets[i]);
        const char *region = lines_variable(lines, "AWS_REGION");
        if (value && strlen(value) >= 16 && strpbrk(value, "0123456789") &&
            !(region && strstr(region, value)))
            require(!strstr(error->message, value));
    }
}

static void check_endpoint(const struct endpoint *endpoint)
{
    const char *authority = strstr(endpoint->base, "://");
    require(authority && is_one_line(endpoint->base) && !strpbrk(endpoint->base, " \t?#\"\\"));
    authority += strlen("://");
    size_t host = strlen(endpoint->host);
    require(host > 0 && !strpbrk(endpoint->host, "/@"));
    require(strncmp(authority, endpoint->host, host) == 0);
    /* Only the port of the scheme may be left out of the header. */
    const char *rest = authority + host;
    const char *port = strncmp(endpoint->base, "https", 5) == 0 ? ":443" : ":80";
    if (*rest == ':') {
        require(strncmp(rest, port, strlen(port)) == 0);
        rest += strlen(port);
    }
    require(strcmp(rest, endpoint->path) == 0);
    require(!*rest || (*rest == '/' && rest[strlen(rest) - 1] != '/'));
    size_t region = strnlen(endpoint->region, sizeof endpoint->region);
    require(region > 0 && region < sizeof endpoint->region && is_one_line(endpoint->region));
}

static bool sign(struct sigv4_headers *headers, const struct endpoint *endpoint, const char *path,
                 const char *query, const struct sigv4_credentials *credentials)
{
    struct sigv4_request request = {
        .method = "GET", .host = endpoint->host, .path = path, .query = query};
    struct sigv4_scope scope = {endpoint->region, ENDPOINT_SIGNING_NAME, then};
    int rc = sigv4_sign(headers, &request, &scope, credentials);
    require(rc == 0 || rc == -EINVAL);
    require(rc || strcmp(headers->date, "20150830T123600Z") == 0);
    return rc == 0;
}

/* The parameters from the last to the first; empty ones say nothing. */
static char *reverse(const char *query)
{
    char *out = copy_text("", 0);
    char *copy = copy_text(query, strlen(query));
    for (char *last; (last = strrchr(copy, '&')); *last = '\0') {
        char *longer;
        require(asprintf(&longer, "%s%s&", out, last + 1) >= 0);
        free(out);
        out = longer;
    }
    char *whole;
    require(asprintf(&whole, "%s%s", out, copy) >= 0);
    free(out);
    free(copy);
    return whole;
}

static void check_signature(const struct endpoint *endpoint, const char *path, const char *query,
                            const struct sigv4_credentials *credentials)
{
    struct sigv4_headers headers;
    struct sigv4_headers other;
    if (!sign(&headers, endpoint, path, query, credentials))
        return;
    const char *secret = credentials->secret_access_key;
    require(strncmp(headers.authorization, "AWS4-HMAC-SHA256 Credential=", 28) == 0);
    const char *signature = strstr(headers.authorization, ", Signature=");
    require(signature && strspn(signature + 12, "0123456789abcdef") == 64 && !signature[76]);
    require(strlen(secret) < 20 || !strstr(headers.authorization, secret) ||
            strstr(credentials->access_key_id, secret));
    require(!strpbrk(headers.authorization, "\r\n"));
    char *reversed = reverse(query);
    require(sign(&other, endpoint, path, reversed, credentials));
    require(strcmp(headers.authorization, other.authorization) == 0);
    free(reversed);
    /* Slashes and dots that lead nowhere are not signed. */
    char *longer;
    require(asprintf(&longer, "/./%s", path) > 0);
    require(sign(&other, endpoint, longer, query, credentials));
    require(strcmp(headers.authorization, other.authorization) == 0);
    free(longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lines lines;
    struct endpoint endpoint;
    struct credentials_provider *provider;
    struct sigv4_credentials credentials;
    struct error error;
    char **kept = environ;
    lines_read(&lines, data, size);
    environ = lines.variables;
    struct endpoint_inputs inputs = endpoint_inputs_read(lines_variable(&lines, "SERVICE_REGION"));
    error = (struct error){0};
    if (endpoint_resolve(&endpoint, &inputs, &error) != 0) {
        check_refusal(&error, &lines);
    } else {
        check_endpoint(&endpoint);
        error = (struct error){0};
        const char *path = lines_variable(&lines, "PATH");
        const char *query = lines_variable(&lines, "QUERY");
        if (credentials_environment_open(&provider, &error) != 0)
            check_refusal(&error, &lines);
        else if (provider->get(provider, &credentials, &error) == 0)
            check_signature(&endpoint, path ? path : "/", query ? query : "", &credentials);
    }
    environ = kept;
    lines_free(&lines);
    return 0;
}
