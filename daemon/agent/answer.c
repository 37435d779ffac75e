/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"

enum { ETAG_SIZE = 48 };

/* Instance and generation identify the bytes, also across restarts. */
static void make_etag(char etag[ETAG_SIZE], const struct region_version *version)
{
    snprintf(etag, ETAG_SIZE, "\"%016" PRIx64 "-%" PRIu64 "\"", version->instance,
             version->generation);
}

/*
 * Whether the list of an If-None-Match header has the tag, compared weakly (RFC 9110, 13.1.2). A
 * tag stands in quotation marks and may hold commas.
 */
static bool list_has(struct http_text list, const char *etag)
{
    const char *at = list.data;
    const char *end = at + list.size;
    size_t size = strlen(etag);
    while (at < end) {
        if (*at == '*')
            return true;
        if (*at != '"') { /* white space, a comma, W/ */
            at++;
            continue;
        }
        if ((size_t)(end - at) >= size && memcmp(at, etag, size) == 0)
            return true;
        const char *close = memchr(at + 1, '"', (size_t)(end - at - 1));
        at = close ? close + 1 : end;
    }
    return false;
}

static bool client_has(const struct http_request *request, const char *etag)
{
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (header->name.size == strlen("If-None-Match") &&
            strncasecmp(header->name.data, "If-None-Match", header->name.size) == 0 &&
            list_has(header->value, etag))
            return true;
    }
    return false;
}

static void drop_version(void *owner)
{
    region_version_drop(owner);
}

/* A label comes from the service; what would end the header line is left out. */
static int label_header(char *out, size_t size, const char *label)
{
    if (!label[0] || strpbrk(label, "\r\n"))
        return 0;
    return snprintf(out, size, "Version-Label: %s\r\n", label);
}

void answer_version(struct http_exchange *exchange, struct region_version *version)
{
    char etag[ETAG_SIZE];
    char headers[1024];
    make_etag(etag, version);
    /* AWS's agent says Configuration-Version; its published API description the other. */
    int size = snprintf(headers, sizeof headers,
                        "Configuration-Version: %" PRIu64 "\r\n"
                        "ConfigurationVersion: %" PRIu64 "\r\n"
                        "ETag: %s\r\n",
                        version->generation, version->generation, etag);
    int label = label_header(headers + size, sizeof headers - (size_t)size, version->label);
    if (label < 0 || (size_t)label >= sizeof headers - (size_t)size)
        headers[size] = '\0';
    struct http_response response = {
        .status = client_has(http_exchange_request(exchange), etag) ? 304 : 200,
        .content_type = version->content_type,
        .headers = headers,
        .body = version->payload,
        .body_size = version->size,
        .release = drop_version,
        .owner = region_version_hold(version)};
    http_respond(exchange, &response);
}

void answer_not_allowed(struct http_exchange *exchange)
{
    http_respond_message(exchange, 405, "Allow: GET, HEAD\r\n",
                         "Method not allowed; GET and HEAD are");
}

void answer_not_found(struct http_exchange *exchange, const char *message)
{
    char escaped[512];
    char body[640];
    json_escape(escaped, sizeof escaped, message, strlen(message));
    int size = snprintf(body, sizeof body,
                        "{\"Message\":\"%s\",\"ResourceType\":\"Configuration\"}", escaped);
    struct http_response response = {
        .status = 404, .content_type = "application/json", .body = body, .body_size = (size_t)size};
    http_respond(exchange, &response);
}

void answer_unavailable(struct http_exchange *exchange, const struct configuration *configuration)
{
    const struct error *error = configuration_error(configuration);
    if (error->code)
        http_respond_message(exchange, 500, NULL, "%s: %s", error->subject, error->message);
    else
        http_respond_message(exchange, 500, NULL, "%s was not read yet",
                             configuration_text(configuration));
}
