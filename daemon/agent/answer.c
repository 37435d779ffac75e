/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

enum {
    ETAG_MAX = sizeof "\"-\"" + TEXT_HEX_SIZE + TEXT_NUMBER_MAX,
    LABEL_MAX = 512, /* twice the service's 64 characters */
    HEADERS_MAX = ETAG_MAX + LABEL_MAX + 2 * TEXT_NUMBER_MAX +
                  sizeof "Configuration-Version: \r\nConfigurationVersion: \r\nETag: \r\n"
                         "Version-Label: \r\n",
};

/* Instance and generation identify the bytes, also across restarts. */
static void make_etag(char etag[ETAG_MAX], const struct region_version *version)
{
    etag = text_put_string(etag, "\"");
    etag = text_put_hex(etag, version->instance);
    etag = text_put_string(etag, "-");
    etag = text_put_number(etag, version->generation);
    memcpy(etag, "\"", sizeof "\"");
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

/* A label comes from the service: one that would end the header line is left out. */
static char *put_label(char *out, const char *label)
{
    if (!label[0] || strlen(label) > LABEL_MAX || strpbrk(label, "\r\n"))
        return out;
    out = text_put_string(out, "Version-Label: ");
    out = text_put_string(out, label);
    return text_put_string(out, "\r\n");
}

/* AWS's agent says Configuration-Version; its published API description the other. */
static void make_headers(char headers[HEADERS_MAX], const struct region_version *version,
                         const char *etag)
{
    char *out = text_put_string(headers, "Configuration-Version: ");
    out = text_put_number(out, version->generation);
    out = text_put_string(out, "\r\nConfigurationVersion: ");
    out = text_put_number(out, version->generation);
    out = text_put_string(out, "\r\nETag: ");
    out = text_put_string(out, etag);
    out = text_put_string(out, "\r\n");
    out = put_label(out, version->label);
    *out = '\0';
}

/* 200 or 304 with a body of the version's own bytes, or of memory that the answer takes over. */
static void answer_body(struct http_exchange *exchange, struct region_version *version,
                        struct http_text body, char *allocated)
{
    char etag[ETAG_MAX];
    char headers[HEADERS_MAX];
    make_etag(etag, version);
    make_headers(headers, version, etag);
    struct http_response response = {
        .status = client_has(http_exchange_request(exchange), etag) ? 304 : 200,
        .content_type = version->content_type,
        .headers = headers,
        .body = body.data,
        .body_size = body.size,
        .release = allocated ? free : drop_version,
        .owner = allocated ? (void *)allocated : region_version_hold(version)};
    http_respond(exchange, &response);
}

void answer_version(struct http_exchange *exchange, struct region_version *version)
{
    answer_body(exchange, version, (struct http_text){version->payload, version->size}, NULL);
}

/* An object of the flags, each key and value as it stands in the document. */
static void answer_several(struct http_exchange *exchange, struct region_version *version,
                           const struct flags *flags)
{
    size_t size = 2;
    for (size_t i = 0; i < flags->count; i++)
        size += flags->list[i].key.size + flags->list[i].value.size + 2;
    char *body = malloc(size);
    if (!body) {
        http_respond_message(exchange, 500, NULL, "no memory for the answer");
        return;
    }
    char *end = body;
    for (size_t i = 0; i < flags->count; i++) {
        const struct flag *flag = &flags->list[i];
        end = text_put_string(end, i == 0 ? "{" : ",");
        end = text_put(end, flag->key.data, flag->key.size);
        end = text_put_string(end, ":");
        end = text_put(end, flag->value.data, flag->value.size);
    }
    end = text_put_string(end, "}");
    size = (size_t)(end - body);
    answer_body(exchange, version, (struct http_text){body, size}, body);
}

/* 400 that names every flag which is not there. */
static void answer_missing(struct http_exchange *exchange, const struct flags *flags)
{
    char *body;
    size_t size;
    char name[6 * HTTP_LINE_MAX + 1]; /* every byte as \uXXXX */
    const char *separator = "";
    FILE *out = open_memstream(&body, &size);
    if (!out) {
        http_respond_message(exchange, 500, NULL, "no memory for the answer");
        return;
    }
    fputs("{\"Details\":{\"Value\":{", out);
    for (size_t i = 0; i < flags->count; i++) {
        if (flags->list[i].value.data)
            continue;
        json_escape(name, sizeof name, flags->list[i].name.data, flags->list[i].name.size);
        fprintf(out, "%s\"%s\":{\"Problem\":\"NoSuchFlag\"}", separator, name);
        separator = ",";
    }
    fputs("}},\"Message\":\"Configuration data missing one or more flag values\","
          "\"Reason\":\"InvalidParameters\"}",
          out);
    bool is_whole = fclose(out) == 0;
    struct http_response response = {.status = is_whole ? 400 : 500,
                                     .content_type = "application/json",
                                     .body = body,
                                     .body_size = is_whole ? size : 0,
                                     .release = free,
                                     .owner = body};
    http_respond(exchange, &response);
}

void answer_flags(struct http_exchange *exchange, struct region_version *version,
                  struct flags *flags)
{
    /* By the bytes and not by the content type: a local file without an extension will do. */
    if (flags_find(flags, version->payload, version->size) != 0) {
        http_respond_message(exchange, 400, NULL,
                             "The parameter flag needs a configuration that is a JSON object");
        return;
    }
    for (size_t i = 0; i < flags->count; i++)
        if (!flags->list[i].value.data) {
            answer_missing(exchange, flags);
            return;
        }
    if (flags->count == 1)
        answer_body(exchange, version, flags->list[0].value, NULL);
    else
        answer_several(exchange, version, flags);
}

/* {"Message": ..., "ResourceType": ...}, the latter only if there is one. */
static void answer_error(struct http_exchange *exchange, int status, const char *message,
                         const char *resource)
{
    char escaped[1024];
    char escaped_resource[128];
    char body[1280];
    json_escape(escaped, sizeof escaped, message, strlen(message));
    json_escape(escaped_resource, sizeof escaped_resource, resource, strlen(resource));
    int size =
        snprintf(body, sizeof body, "{\"Message\":\"%s\"%s%s%s}", escaped,
                 *resource ? ",\"ResourceType\":\"" : "", escaped_resource, *resource ? "\"" : "");
    struct http_response response = {.status = status,
                                     .content_type = "application/json",
                                     .body = body,
                                     .body_size = (size_t)size};
    http_respond(exchange, &response);
}

void answer_not_allowed(struct http_exchange *exchange)
{
    http_respond_message(exchange, 405, "Allow: GET, HEAD\r\n",
                         "Method not allowed; GET and HEAD are");
}

void answer_not_found(struct http_exchange *exchange, const char *message)
{
    answer_error(exchange, 404, message, "Configuration");
}

void answer_ending(struct http_exchange *exchange)
{
    http_respond_message(exchange, 503, NULL,
                         "The daemon is shutting down, and has not fetched this configuration yet");
}

/* What a client is told when the service refused or was not reached; 500: it is our own trouble. */
static int status_of(const struct error *error, const struct configuration_answer *answer)
{
    if (error->code == EPROTO)
        return 502;
    switch (answer->status) {
    case 400:
    case 403:
    case 404:
        return (int)answer->status;
    case 401:
        return 403;
    case 0:
        break;
    default:
        return 502;
    }
    switch (error->code) {
    case ETIMEDOUT:
        return 504;
    case ECONNRESET:
    case ECONNREFUSED:
        return 502;
    default:
        return 500;
    }
}

void answer_unavailable(struct http_exchange *exchange, const struct configuration *configuration)
{
    const struct error *error = configuration_error(configuration);
    const struct configuration_answer *answer = configuration_answer(configuration);
    char message[800];
    if (error->code)
        snprintf(message, sizeof message, "%s: %s", error->subject, error->message);
    else
        snprintf(message, sizeof message, "%.600s was not read yet",
                 configuration_text(configuration));
    answer_error(exchange, status_of(error, answer), message, answer->resource);
}
