/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as what AppConfig answers, through the real calls and a libcurl without a network. The
 * first three bytes say what is asked for, how the transfer ends and how the body is cut; a fourth
 * one divides, and the rest is the answer: "L0a\nHTTP/1.1 200 OK\r\n...".
 */
#include <errno.h>
#include <stdio.h>

#include "answer_head.h"
#include "base/clock.h"
#include "fake_curl.h"
#include "http/request.h"
#include "log/log.h"
#include "upstream/appconfig_data.h"
#include "upstream/transfers_internal.h"

enum { BODY_MAX = 1024, PREFIX = 4, INTERVAL_MAX = 86400 };

static const char sent_token[] = "SENT+token/1=";
static const char secret[] = "SECRETSECRETSECRET";
static const char session_token[] = "SESSION";

/* What was asked for and what comes. */
struct given {
    enum appconfig_call_kind kind;
    CURLcode code;
    size_t piece; /* of the body; 0: all at once */
    struct wire wire;
};

/* A copy of the result, to compare two of them. */
struct seen {
    unsigned calls;
    enum appconfig_outcome outcome;
    int status;
    bool is_clock_error;
    unsigned interval_s;
    char *token;
    char *type;
    char *label;
    char *body;
    size_t body_size;
    char resource[APPCONFIG_RESOURCE_MAX];
    struct error error;
};

static struct transfers *transfers;

static int get_credentials(struct credentials_provider *provider,
                           struct sigv4_credentials *credentials, struct error *error)
{
    (void)provider, (void)error;
    *credentials = (struct sigv4_credentials){"AKIDEXAMPLE", secret, session_token};
    return 0;
}

static void on_done(void *owner, const struct appconfig_result *result)
{
    struct seen *seen = owner;
    require(++seen->calls == 1);
    require(!result->token || result->token_size == strlen(result->token));
    require(!result->body_size || result->body[result->body_size] == '\0');
    seen->outcome = result->outcome;
    seen->status = result->status;
    seen->is_clock_error = result->is_clock_error;
    seen->interval_s = result->interval_s;
    seen->token = result->token ? strdup(result->token) : NULL;
    seen->type = strdup(result->content_type);
    seen->label = strdup(result->label);
    seen->body = copy_text(result->body, result->body_size);
    seen->body_size = result->body_size;
    memcpy(seen->resource, result->resource, sizeof seen->resource);
    seen->error = result->error;
}

static void seen_free(struct seen *seen)
{
    free(seen->token);
    free(seen->type);
    free(seen->label);
    free(seen->body);
}

/* What goes out must be a request, whatever came in before. */
static void check_request(void)
{
    const char *date = fake_curl_sent("X-Amz-Date");
    require(date && strlen(date) == 16 && strspn(date, "0123456789") == 8 && date[8] == 'T' &&
            strspn(date + 9, "0123456789") == 6 && date[15] == 'Z');
    const char *authorization = fake_curl_sent("Authorization");
    require(authorization && is_one_line(authorization) && !strstr(authorization, secret));
    require(is_one_line(fake_curl_url()) && !strchr(fake_curl_url(), ' '));
}

static bool hand_head(const struct wire *wire)
{
    for (size_t at = 0, size; at < wire->head_size; at += size) {
        size = line_size(wire, at);
        if (!fake_curl_header(wire->text + at, size))
            return false;
    }
    return true;
}

static bool hand_body(const struct wire *wire, size_t piece)
{
    for (size_t at = wire->head_size, size; at < wire->size; at += size) {
        size = piece && piece < wire->size - at ? piece : wire->size - at;
        if (!fake_curl_body(wire->text + at, size))
            return false;
    }
    return true;
}

/* libcurl's texts may quote names out of the peer's certificate. */
static void answer(const struct given *given)
{
    char problem[120] = "";
    CURLcode code = given->code;
    if (!hand_head(&given->wire) || !hand_body(&given->wire, given->piece))
        code = CURLE_WRITE_ERROR;
    if (code != CURLE_OK)
        snprintf(problem, sizeof problem, "the certificate is that of %.*s",
                 given->wire.size < 64 ? (int)given->wire.size : 64, given->wire.text);
    fake_curl_end(code, given->wire.status, problem);
    transfers_collect(transfers);
}

static void run(const struct given *given, struct seen *seen)
{
    static struct credentials_provider credentials = {.get = get_credentials};
    static const struct endpoint endpoint = {
        .region = "eu-west-1", .base = "https://localhost/p", .host = "localhost", .path = "/p"};
    struct appconfig_data *data;
    struct shmconf_name name;
    struct error error;
    memset(seen, 0, sizeof *seen);
    require(shmconf_name_parse(&name, "Shop:Prod:Users") == 0);
    require(appconfig_data_open(&data, transfers, &endpoint, &credentials, &error) == 0);
    require(given->kind == APPCONFIG_START_SESSION
                ? appconfig_start_session(data, &name, 15, false, on_done, seen, &error) != NULL
                : appconfig_get_latest(data, sent_token, on_done, seen, &error) != NULL);
    unsigned requests = 0;
    while (fake_curl_is_running()) {
        require(++requests <= 2);
        check_request();
        answer(given);
    }
    require(seen->calls == 1);
    appconfig_data_close(data);
}

/* The next call with the token that came: its URL says exactly that. */
static void check_token(const char *token)
{
    static char escaped[3 * APPCONFIG_TOKEN_MAX + 1];
    static char back[APPCONFIG_TOKEN_MAX + 1];
    size_t size = strlen(token);
    require(size > 0 && size <= APPCONFIG_TOKEN_MAX && is_one_line(token) && !strchr(token, ' '));
    sigv4_escape(escaped, token);
    require(!strpbrk(escaped, " &=+?#/"));
    require(http_percent_decode((struct http_text){escaped, strlen(escaped)}, back, sizeof back) ==
            (long)size);
    require(strcmp(back, token) == 0);
}

static unsigned expected_interval(const char *text)
{
    unsigned long value = 0;
    size_t digits = text ? strspn(text, "0123456789") : 0;
    if (digits == 0 || digits > 18 || text[digits + strspn(text + digits, " \t")])
        return 0;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (unsigned long)(text[i] - '0');
    return value > INTERVAL_MAX ? INTERVAL_MAX : (unsigned)value;
}

static void check_configuration(const struct seen *seen, const struct wire *wire)
{
    char *token = wire_header(wire, "Next-Poll-Configuration-Token");
    char *interval = wire_header(wire, "Next-Poll-Interval-In-Seconds");
    char *type = wire_header(wire, "Content-Type");
    char *label = wire_header(wire, "Version-Label");
    require(token && strcmp(token, seen->token) == 0);
    require(seen->body_size == wire->size - wire->head_size);
    require(memcmp(seen->body, wire->text + wire->head_size, seen->body_size) == 0);
    require(seen->interval_s <= INTERVAL_MAX);
    /* More digits than any interval has may count as none or as the longest. */
    if (!interval || strspn(interval, "0123456789") <= 18)
        require(seen->interval_s == expected_interval(interval));
    require(seen->type[0] && is_one_line(seen->type) && is_one_line(seen->label));
    require(!type || !type[0] || !is_one_line(type) || strcmp(type, seen->type) == 0);
    require(strcmp(seen->label, label && is_one_line(label) ? label : "") == 0);
    free(token);
    free(interval);
    free(type);
    free(label);
}

/* A token of the head may be in an error's text only if the service wrote it into its message. */
static void check_not_told(const struct seen *seen, const struct wire *wire, const char *token)
{
    enum { SHORT = 6 };
    char *type = wire_header(wire, "x-amzn-errortype");
    const char *body = wire->text + wire->head_size;
    if (token && strlen(token) >= SHORT && !(type && strstr(type, token)) &&
        !memmem(body, wire->size - wire->head_size, token, strlen(token)))
        require(!strstr(seen->error.message, token));
    free(type);
}

static void check_failure(const struct seen *seen, const struct given *given)
{
    require(!seen->token && seen->body_size == 0 && seen->interval_s == 0);
    require(seen->error.code > 0 && seen->error.message[0] && !seen->error.subject[0]);
    require(is_clean(seen->error.message));
    require(memchr(seen->resource, '\0', sizeof seen->resource));
    require(!strstr(seen->error.message, session_token) && !strstr(seen->resource, session_token));
    if (given->kind == APPCONFIG_GET_LATEST)
        require(!strstr(seen->error.message, sent_token) && !strstr(seen->resource, sent_token));
    if (given->code != CURLE_OK || seen->status == 0)
        return;
    char *token = wire_header(&given->wire, "Next-Poll-Configuration-Token");
    if (seen->status / 100 == 2) {
        /* It was a payload: nothing of it is repeated. */
        char expected[sizeof seen->error.message];
        snprintf(expected, sizeof expected,
                 "the service's answer %d is not understood: there is no usable %s", seen->status,
                 given->kind == APPCONFIG_START_SESSION ? "InitialConfigurationToken"
                                                        : "Next-Poll-Configuration-Token");
        require(strcmp(seen->error.message, expected) == 0);
    }
    check_not_told(seen, &given->wire, token);
    free(token);
}

static void check(const struct seen *seen, const struct given *given)
{
    if (seen->outcome != APPCONFIG_ANSWERED) {
        check_failure(seen, given);
        return;
    }
    require(given->code == CURLE_OK && seen->status / 100 == 2 && seen->token);
    require(seen->body_size <= BODY_MAX);
    check_token(seen->token);
    if (given->kind == APPCONFIG_GET_LATEST)
        check_configuration(seen, &given->wire);
    else if (!memchr(given->wire.text, '\\', given->wire.size))
        require(memmem(given->wire.text, given->wire.size, seen->token, strlen(seen->token)));
}

static bool is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void check_same(const struct seen *a, const struct seen *b)
{
    require(a->outcome == b->outcome && a->status == b->status &&
            a->is_clock_error == b->is_clock_error && a->interval_s == b->interval_s);
    require(is_same(a->token, b->token) && is_same(a->type, b->type) &&
            is_same(a->label, b->label) && strcmp(a->resource, b->resource) == 0);
    require(a->body_size == b->body_size && memcmp(a->body, b->body, a->body_size) == 0);
    require(a->error.code == b->error.code && strcmp(a->error.message, b->error.message) == 0);
}

static void set_up(void)
{
    static const struct transfers_options options = {
        .connections_max = 3, .timeout_ns = NS_PER_S, .body_max = BODY_MAX};
    struct loop *loop;
    struct error error;
    require(loop_open(&loop, LOOP_EPOLL, &error) == 0);
    require(transfers_open(&transfers, loop, &options, &error) == 0);
    require(log_open(LOG_LEVEL_NONE, LOG_FORMAT_TEXT, NULL, &error) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const CURLcode codes[8] = {[5] = CURLE_PARTIAL_FILE,
                                      [6] = CURLE_OPERATION_TIMEDOUT,
                                      [7] = CURLE_PEER_FAILED_VERIFICATION};
    if (size < PREFIX)
        return 0;
    if (!transfers)
        set_up();
    char *text = copy_bytes(data + PREFIX, size - PREFIX);
    struct given given = {.kind = data[0] % 2 ? APPCONFIG_START_SESSION : APPCONFIG_GET_LATEST,
                          .code = codes[data[1] % 8],
                          .wire = wire_read(text, size - PREFIX)};
    /* A NUL would be two lines to the daemon; libcurl lets none through. */
    if (!memchr(text, '\0', given.wire.head_size)) {
        struct seen whole;
        struct seen cut;
        run(&given, &whole);
        given.piece = (size_t)data[2] % 64 + 1;
        run(&given, &cut);
        check(&whole, &given);
        check_same(&whole, &cut);
        seen_free(&whole);
        seen_free(&cut);
    }
    free(text);
    return 0;
}
