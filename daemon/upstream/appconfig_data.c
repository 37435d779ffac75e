/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/appconfig_data.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "log/log.h"
#include "upstream/http_date.h"

/* Requests are accepted when their time is within minutes of the service's. */
enum { SKEW_MIN_S = 30 };

/* The year 9999: a signature's date has four digits for it, and without one nothing can be asked.
 */
static const time_t date_end = 253370764800;

struct appconfig_data {
    struct transfers *transfers;
    struct endpoint endpoint;
    struct credentials_provider *credentials;
    long skew_s;
};

struct appconfig_call {
    struct appconfig_data *data;
    enum appconfig_call_kind kind;
    struct transfer *transfer; /* NULL: it waits for credentials */
    struct credentials_waiter waiter;
    char *query;         /* "" for a session */
    char *body;          /* "" for GET */
    char *token;         /* of the session; "" for a new one */
    char *session_token; /* of the credentials; "": none */
    long skew_s;         /* that it was signed with */
    bool is_second;
    bool has_new_keys; /* since the service refused others */
    bool is_urgent;
    appconfig_done *done;
    void *owner;
};

int appconfig_data_open(struct appconfig_data **out, struct transfers *transfers,
                        const struct endpoint *endpoint, struct credentials_provider *credentials,
                        struct error *error)
{
    struct appconfig_data *data = calloc(1, sizeof *data);
    if (!data)
        return error_system(error, ENOMEM, "", "cannot set up AppConfig");
    data->transfers = transfers;
    data->endpoint = *endpoint;
    data->credentials = credentials;
    *out = data;
    return 0;
}

void appconfig_data_close(struct appconfig_data *data)
{
    free(data);
}

long appconfig_data_skew(const struct appconfig_data *data)
{
    return data->skew_s;
}

void appconfig_data_drop_credentials(struct appconfig_data *data)
{
    credentials_drop(data->credentials, true);
}

static void call_free(struct appconfig_call *call)
{
    credentials_waiter_cancel(&call->waiter);
    free(call->query);
    free(call->body);
    free(call->token);
    free(call->session_token);
    free(call);
}

void appconfig_call_cancel(struct appconfig_call *call)
{
    if (call->transfer)
        transfer_cancel(call->transfer);
    call_free(call);
}

uint64_t appconfig_call_began_ns(const struct appconfig_call *call)
{
    return call->transfer ? transfer_began_ns(call->transfer) : 0;
}

static const char *find_header(const void *context, const char *name)
{
    return transfer_header(context, name);
}

/*
 * A restored machine may be far off; the service's own time is what it compares with. Only a
 * refusal teaches: the answer to a call that was let in may be old itself, having waited through a
 * freeze.
 */
static void learn_skew(struct appconfig_data *data, const struct transfer_answer *answer)
{
    const char *date = transfer_header(answer->transfer, "Date");
    time_t there = date ? http_date_parse(date) : -1;
    if (there < 0 || there >= date_end)
        return;
    long skew = (long)(there - time(NULL));
    if (labs(skew) <= SKEW_MIN_S)
        skew = 0;
    if (labs(skew - data->skew_s) > SKEW_MIN_S)
        log_warn("this machine's clock is %ld s %s AppConfig's; requests are signed with the "
                 "latter",
                 labs(skew), skew < 0 ? "ahead of" : "behind");
    data->skew_s = skew;
}

static int send_call(struct appconfig_call *call, struct error *error);

static char *make_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* NULL: no memory. */
static char *make_text(const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    return size < 0 ? NULL : text;
}

static void on_done(void *owner, const struct transfer_answer *answer)
{
    struct appconfig_call *call = owner;
    struct appconfig_result result;
    struct error ignored;
    const char *secrets[] = {call->token, call->session_token, NULL};
    struct appconfig_raw raw = {.result = answer->result,
                                .problem = answer->problem,
                                .status = answer->status,
                                .body = answer->body,
                                .body_size = answer->body_size,
                                .header = find_header,
                                .context = answer->transfer,
                                .secrets = secrets};
    call->transfer = NULL;
    appconfig_parse(&result, call->kind, &raw);
    result.began_ns = transfer_began_ns(answer->transfer);
    if (result.is_clock_error)
        learn_skew(call->data, answer);
    bool is_mended =
        result.is_clock_error && !call->is_second && call->skew_s != call->data->skew_s;
    if (is_mended)
        call->is_second = true;
    if (result.is_key_error && !call->has_new_keys)
        is_mended = call->has_new_keys = credentials_drop(call->data->credentials, false);
    if (is_mended) {
        if (send_call(call, &ignored) == 0) {
            appconfig_result_free(&result);
            return;
        }
    }
    call->done(call->owner, &result);
    appconfig_result_free(&result);
    call_free(call);
}

static int sign(struct appconfig_call *call, const char *path,
                const struct sigv4_credentials *credentials, struct sigv4_headers *headers,
                struct error *error)
{
    const struct endpoint *endpoint = &call->data->endpoint;
    bool is_post = call->kind == APPCONFIG_START_SESSION;
    struct sigv4_request request = {.method = is_post ? "POST" : "GET",
                                    .host = endpoint->host,
                                    .path = path,
                                    .query = call->query,
                                    .content_type = is_post ? "application/json" : NULL,
                                    .body = call->body,
                                    .body_size = strlen(call->body)};
    call->skew_s = call->data->skew_s;
    struct sigv4_scope scope = {endpoint->region, ENDPOINT_SIGNING_NAME, time(NULL) + call->skew_s};
    int rc = sigv4_sign(headers, &request, &scope, credentials);
    return rc ? error_system(error, -rc, "", "the request cannot be signed") : 0;
}

static void on_credentials(struct credentials_waiter *waiter)
{
    struct appconfig_call *call =
        (struct appconfig_call *)((char *)waiter - offsetof(struct appconfig_call, waiter));
    struct appconfig_result result = {
        .outcome = APPCONFIG_NOT_SENT, .content_type = "", .label = "", .body = ""};
    if (send_call(call, &result.error) == 0)
        return;
    call->done(call->owner, &result);
    call_free(call);
}

/* 0 also when it is going to be sent, as soon as there are credentials. */
static int send_call(struct appconfig_call *call, struct error *error)
{
    struct appconfig_data *data = call->data;
    struct sigv4_credentials credentials;
    struct sigv4_headers signature;
    char path[sizeof data->endpoint.path + 32];
    cleanup_free char *url = NULL;
    cleanup_free char *date = NULL;
    cleanup_free char *authorization = NULL;
    cleanup_free char *token = NULL;
    bool is_post = call->kind == APPCONFIG_START_SESSION;
    snprintf(path, sizeof path, "%s%s", data->endpoint.path,
             is_post ? "/configurationsessions" : "/configuration");
    int rc = data->credentials->get(data->credentials, &credentials, error);
    if (rc == -EAGAIN) {
        call->waiter.done = on_credentials;
        data->credentials->wait(data->credentials, &call->waiter);
        return 0;
    }
    if (!rc)
        rc = sign(call, path, &credentials, &signature, error);
    if (rc)
        return rc;
    bool has_token = credentials.session_token && *credentials.session_token;
    url = make_text("%s%s%s%s", data->endpoint.base, path + strlen(data->endpoint.path),
                    *call->query ? "?" : "", call->query);
    date = make_text("X-Amz-Date: %s", signature.date);
    authorization = make_text("Authorization: %s", signature.authorization);
    token = make_text("X-Amz-Security-Token: %s", has_token ? credentials.session_token : "");
    free(call->session_token);
    call->session_token = strdup(has_token ? credentials.session_token : "");
    if (!url || !date || !authorization || !token || !call->session_token)
        return error_system(error, ENOMEM, "", "the request cannot be made");
    const char *headers[] = {date, authorization,
                             is_post ? "Content-Type: application/json" : "Accept: */*",
                             has_token ? token : NULL, NULL};
    struct transfer_request request = {.method = is_post ? "POST" : "GET",
                                       .url = url,
                                       .headers = headers,
                                       .body = call->body,
                                       .body_size = strlen(call->body),
                                       .is_urgent = call->is_urgent,
                                       .is_once = !is_post};
    call->transfer = transfer_start(data->transfers, &request, on_done, call);
    return call->transfer ? 0 : error_system(error, ENOMEM, "", "the request cannot be made");
}

/* Takes the texts of what is given over. */
static struct appconfig_call *start(const struct appconfig_call *given, struct error *error)
{
    struct appconfig_call *call = malloc(sizeof *call);
    if (!call) {
        free(given->query);
        free(given->body);
        free(given->token);
        error_system(error, ENOMEM, "", "the request cannot be made");
        return NULL;
    }
    *call = *given;
    if (!call->query || !call->body || !call->token)
        error_system(error, ENOMEM, "", "the request cannot be made");
    else if (send_call(call, error) == 0)
        return call;
    call_free(call);
    return NULL;
}

struct appconfig_call *appconfig_start_session(struct appconfig_data *data,
                                               const struct shmconf_name *name, unsigned interval_s,
                                               bool is_urgent, appconfig_done *done, void *owner,
                                               struct error *error)
{
    enum { ESCAPE_MAX = 6 };
    char parts[SHMCONF_PARTS][ESCAPE_MAX * SHMCONF_PART_MAX + 1];
    for (int i = 0; i < SHMCONF_PARTS; i++) {
        const char *part = shmconf_name_part(name, i);
        json_escape(parts[i], sizeof parts[i], part, strlen(part));
    }
    char *body = make_text(
        "{\"ApplicationIdentifier\":\"%s\",\"EnvironmentIdentifier\":\"%s\","
        "\"ConfigurationProfileIdentifier\":\"%s\",\"RequiredMinimumPollIntervalInSeconds\":%u}",
        parts[SHMCONF_APPLICATION], parts[SHMCONF_ENVIRONMENT], parts[SHMCONF_PROFILE], interval_s);
    struct appconfig_call call = {.data = data,
                                  .kind = APPCONFIG_START_SESSION,
                                  .query = strdup(""),
                                  .body = body,
                                  .token = strdup(""),
                                  .is_urgent = is_urgent,
                                  .done = done,
                                  .owner = owner};
    return start(&call, error);
}

struct appconfig_call *appconfig_get_latest(struct appconfig_data *data, const char *token,
                                            appconfig_done *done, void *owner, struct error *error)
{
    static const char key[] = "configuration_token=";
    char *query = malloc(sizeof key + 3 * strlen(token));
    if (query) {
        memcpy(query, key, sizeof key - 1);
        sigv4_escape(query + sizeof key - 1, token);
    }
    struct appconfig_call call = {.data = data,
                                  .kind = APPCONFIG_GET_LATEST,
                                  .query = query,
                                  .body = strdup(""),
                                  .token = strdup(token),
                                  .is_urgent = true,
                                  .done = done,
                                  .owner = owner};
    return start(&call, error);
}
