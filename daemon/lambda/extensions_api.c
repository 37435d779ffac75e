/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/extensions_api.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "upstream/transfers.h"

/* The connection is local and outlives freezes: it is kept, however long it was idle. */
enum { IDLE_MAX_S = 1 << 30, ANSWER_MAX = 1 << 20 };

struct extensions_api {
    struct transfers *transfers;
    char *base;
    char id[EXTENSIONS_ID_SIZE];
    bool is_registering;
    extensions_done *done;
    void *owner;
};

int extensions_api_open(struct extensions_api **out, struct loop *loop, const char *address,
                        struct error *error)
{
    /* No time-out: an event comes when the function is called again, or never. */
    static const struct transfers_options options = {
        .connections_max = 1, .timeout_ns = 0, .idle_max_s = IDLE_MAX_S, .body_max = ANSWER_MAX};
    struct extensions_api *api = calloc(1, sizeof *api);
    if (!api || asprintf(&api->base, "http://%s/2020-01-01/extension", address) < 0) {
        free(api);
        return error_system(error, ENOMEM, "", "cannot call the Extensions API");
    }
    int rc = transfers_open(&api->transfers, loop, &options, error);
    if (rc) {
        extensions_api_close(api);
        return rc;
    }
    *out = api;
    return 0;
}

static void parse_event(struct extensions_event *event, const struct transfer_answer *answer)
{
    cJSON *json = cJSON_ParseWithLength(answer->body, answer->body_size);
    const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "eventType"));
    const char *reason =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "shutdownReason"));
    const cJSON *deadline = cJSON_GetObjectItemCaseSensitive(json, "deadlineMs");
    *event = (struct extensions_event){.kind = EXTENSIONS_UNKNOWN};
    if (kind && strcasecmp(kind, "INVOKE") == 0)
        event->kind = EXTENSIONS_INVOKE;
    else if (kind && strcasecmp(kind, "SHUTDOWN") == 0)
        event->kind = EXTENSIONS_SHUTDOWN;
    /* Until the year 2255: in nanoseconds that is no overflow. */
    if (cJSON_IsNumber(deadline) && deadline->valuedouble > 0 && deadline->valuedouble < 9e12)
        event->deadline_ns = (uint64_t)deadline->valuedouble * NS_PER_MS;
    if (reason)
        snprintf(event->reason, sizeof event->reason, "%s", reason);
    cJSON_Delete(json);
}

/* The identifier goes into a header of ours. */
static bool take_id(struct extensions_api *api, const struct transfer_answer *answer)
{
    const char *id = transfer_header(answer->transfer, "Lambda-Extension-Identifier");
    size_t size = id ? strlen(id) : 0;
    if (size == 0 || size >= sizeof api->id)
        return false;
    for (const char *at = id; *at; at++)
        if (*at <= ' ' || *at >= 0x7f)
            return false;
    memcpy(api->id, id, size + 1);
    return true;
}

/* What the service says of itself: errorType and errorMessage of its JSON. The log escapes it. */
static int describe(struct error *error, int code, const char *what,
                    const struct transfer_answer *answer)
{
    int size = answer->body_size < 200 ? (int)answer->body_size : 200;
    return error_set(error, code, "", "Lambda's Extensions API answered %d to %s: %.*s",
                     answer->status, what, size, answer->body);
}

/*
 * Lambda keeps one state for each extension, and its question is allowed in "Running" only: one
 * asked while another waits is refused, even where nobody listens at the other's end any more.
 */
static bool is_waiting_already(const struct transfer_answer *answer)
{
    cJSON *json = cJSON_ParseWithLength(answer->body, answer->body_size);
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "errorType"));
    bool result =
        answer->status == 403 && type && strcmp(type, "Extension.InvalidExtensionState") == 0;
    cJSON_Delete(json);
    return result;
}

static void on_done(void *owner, const struct transfer_answer *answer)
{
    struct extensions_api *api = owner;
    const char *what = api->is_registering ? "register" : "event/next";
    struct extensions_event event;
    struct error error = {0};
    int rc = 0;
    if (answer->result != TRANSFER_ANSWERED) {
        rc = error_set(&error, answer->result == TRANSFER_REFUSED ? ECONNREFUSED : ECONNRESET, "",
                       "Lambda's Extensions API gave no answer to %s: %s%s", what, answer->problem,
                       api->is_registering ? "; outside of Lambda unset AWS_LAMBDA_RUNTIME_API"
                                           : "");
    } else if (answer->status != 200) {
        bool may_be_repeated = !api->is_registering && is_waiting_already(answer);
        rc = describe(&error, may_be_repeated ? EBUSY : EACCES, what, answer);
    } else if (api->is_registering && !take_id(api, answer)) {
        rc = error_set(&error, EPROTO, "",
                       "Lambda's Extensions API gave no usable Lambda-Extension-Identifier");
    } else if (!api->is_registering) {
        parse_event(&event, answer);
    }
    api->done(api->owner, rc, rc || api->is_registering ? NULL : &event, &error);
}

static int call(struct extensions_api *api, const struct transfer_request *request,
                extensions_done *done, void *owner)
{
    api->done = done;
    api->owner = owner;
    return transfer_start(api->transfers, request, on_done, api) ? 0 : -ENOMEM;
}

int extensions_api_register(struct extensions_api *api, const char *name, bool wants_invoke,
                            extensions_done *done, void *owner)
{
    const char *body =
        wants_invoke ? "{\"events\":[\"INVOKE\",\"SHUTDOWN\"]}" : "{\"events\":[\"SHUTDOWN\"]}";
    char *url;
    char *header = NULL;
    if (asprintf(&url, "%s/register", api->base) < 0)
        return -ENOMEM;
    if (asprintf(&header, "Lambda-Extension-Name: %s", name) < 0) {
        free(url);
        return -ENOMEM;
    }
    const char *headers[] = {header, "Content-Type: application/json", NULL};
    struct transfer_request request = {
        .method = "POST", .url = url, .headers = headers, .body = body, .body_size = strlen(body)};
    api->is_registering = true;
    int rc = call(api, &request, done, owner);
    free(header);
    free(url);
    return rc;
}

int extensions_api_next(struct extensions_api *api, extensions_done *done, void *owner)
{
    char header[sizeof "Lambda-Extension-Identifier: " + EXTENSIONS_ID_SIZE];
    char *url;
    if (asprintf(&url, "%s/event/next", api->base) < 0)
        return -ENOMEM;
    snprintf(header, sizeof header, "Lambda-Extension-Identifier: %s", api->id);
    const char *headers[] = {header, NULL};
    struct transfer_request request = {.method = "GET", .url = url, .headers = headers};
    api->is_registering = false;
    int rc = call(api, &request, done, owner);
    free(url);
    return rc;
}

const char *extensions_api_id(const struct extensions_api *api)
{
    return api->id;
}

void extensions_api_set_id(struct extensions_api *api, const char *id)
{
    snprintf(api->id, sizeof api->id, "%s", id);
}

void extensions_api_stop(struct extensions_api *api, void (*closed)(void *context), void *context)
{
    transfers_stop(api->transfers, closed, context);
}

void extensions_api_close(struct extensions_api *api)
{
    if (!api)
        return;
    transfers_close(api->transfers);
    free(api->base);
    free(api);
}
