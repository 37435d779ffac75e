/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/appconfig_answer.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "upstream/redact.h"

/* JSON comes in sessions and errors only, which are short; more is not looked into. */
enum { JSON_MAX = 64 * 1024, TYPE_MAX = 64, INTERVAL_MAX = 86400 };

static const char *text_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static cJSON *parse_json(const struct appconfig_raw *raw)
{
    return raw->body_size <= JSON_MAX ? cJSON_ParseWithLength(raw->body, raw->body_size) : NULL;
}

/* A token goes into a URL and a log shows none, but it is bytes of a stranger all the same. */
static bool is_token(const char *text)
{
    size_t size = strlen(text);
    if (size == 0 || size > APPCONFIG_TOKEN_MAX)
        return false;
    for (const char *at = text; *at; at++)
        if (*at <= ' ' || *at > '~')
            return false;
    return true;
}

static void garbled(struct appconfig_result *result, const char *what)
{
    result->outcome = APPCONFIG_AMBIGUOUS;
    error_set(&result->error, EPROTO, "", "the service's answer %d is not understood: %s",
              result->status, what);
}

static void parse_session(struct appconfig_result *result, const struct appconfig_raw *raw)
{
    cJSON *json = parse_json(raw);
    const char *token = text_of(json, "InitialConfigurationToken");
    /* cJSON ends the text at an escaped NUL. */
    if (token && is_token(token) && !memmem(raw->body, raw->body_size, "\\u0000", 6))
        result->allocated = strdup(token);
    cJSON_Delete(json);
    if (!result->allocated) {
        garbled(result, "there is no usable InitialConfigurationToken");
        return;
    }
    result->outcome = APPCONFIG_ANSWERED;
    result->token = result->allocated;
    result->token_size = strlen(result->token);
}

static const char *header(const struct appconfig_raw *raw, const char *name)
{
    return raw->header ? raw->header(raw->context, name) : NULL;
}

/* What is put into headers of our own answers: "" unless it is there without control characters. */
static const char *text_header(const struct appconfig_raw *raw, const char *name)
{
    const char *text = header(raw, name);
    for (const char *at = text ? text : ""; *at; at++)
        if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
            return "";
    return text ? text : "";
}

static void parse_configuration(struct appconfig_result *result, const struct appconfig_raw *raw)
{
    const char *token = header(raw, "Next-Poll-Configuration-Token");
    const char *interval = header(raw, "Next-Poll-Interval-In-Seconds");
    const char *type = text_header(raw, "Content-Type");
    if (!token || !is_token(token)) {
        garbled(result, "there is no usable Next-Poll-Configuration-Token");
        return;
    }
    if (interval) {
        char *end;
        errno = 0;
        unsigned long seconds = strtoul(interval, &end, 10);
        /* strtoul would take blanks and a sign as well. */
        bool is_number =
            errno == 0 && *interval >= '0' && *interval <= '9' && end[strspn(end, " \t")] == '\0';
        result->interval_s = !is_number               ? 0
                             : seconds > INTERVAL_MAX ? (unsigned)INTERVAL_MAX
                                                      : (unsigned)seconds;
    }
    result->outcome = APPCONFIG_ANSWERED;
    result->token = token;
    result->token_size = strlen(token);
    result->content_type = *type ? type : "application/octet-stream";
    result->label = text_header(raw, "Version-Label");
    result->body = raw->body;
    result->body_size = raw->body_size;
}

/* "BadRequestException" out of "prefix#BadRequestException:http://..." */
static void copy_type(char out[TYPE_MAX], const char *text)
{
    const char *hash = text ? strchr(text, '#') : NULL;
    const char *start = hash ? hash + 1 : text ? text : "";
    snprintf(out, TYPE_MAX, "%.*s", (int)strcspn(start, ": ,"), start);
}

/* Whether any of the parameters named in a BadRequestException has one of the problems. */
static bool has_problem(const cJSON *json, const char *problem, const char *other)
{
    const cJSON *details = cJSON_GetObjectItemCaseSensitive(json, "Details");
    const cJSON *parameters = cJSON_GetObjectItemCaseSensitive(details, "InvalidParameters");
    const cJSON *one;
    cJSON_ArrayForEach(one, parameters)
    {
        const char *text = text_of(one, "Problem");
        if (text && (strcmp(text, problem) == 0 || strcmp(text, other) == 0))
            return true;
    }
    return false;
}

static enum appconfig_outcome bad_request(const cJSON *json, const char *message)
{
    /* The details decide; the message is what public clients of the service look at. */
    if (has_problem(json, "PollIntervalNotSatisfied", "PollIntervalNotSatisfied") ||
        strcmp(message, "Request too early") == 0)
        return APPCONFIG_TOO_EARLY;
    if (has_problem(json, "Expired", "Corrupted") || strcmp(message, "Token not valid") == 0 ||
        strcmp(message, "Configuration token has expired") == 0)
        return APPCONFIG_TOKEN_BAD;
    return APPCONFIG_BAD_REQUEST;
}

static bool is_clock_error(const char *type)
{
    static const char *const types[] = {"InvalidSignatureException", "SignatureDoesNotMatch",
                                        "RequestTimeTooSkewed",      "RequestExpired",
                                        "RequestInTheFuture",        "AuthFailure"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

static bool is_key_error(const char *type)
{
    return strncmp(type, "ExpiredToken", strlen("ExpiredToken")) == 0 ||
           strcmp(type, "UnrecognizedClientException") == 0 ||
           strcmp(type, "InvalidClientTokenId") == 0;
}

/* Other statuses than these are server errors. */
static const struct {
    int status;
    enum appconfig_outcome outcome;
    int code;
} statuses[] = {
    {400, APPCONFIG_BAD_REQUEST, EINVAL}, {401, APPCONFIG_DENIED, EACCES},
    {403, APPCONFIG_DENIED, EACCES},      {404, APPCONFIG_NOT_FOUND, ENOENT},
    {429, APPCONFIG_THROTTLED, EAGAIN},
};

/* Throttling and errors of the signature come with 400 from some of AWS's front ends. */
static enum appconfig_outcome by_type(const char *type, enum appconfig_outcome otherwise)
{
    if (strncmp(type, "Throttling", strlen("Throttling")) == 0 ||
        strcmp(type, "TooManyRequestsException") == 0)
        return APPCONFIG_THROTTLED;
    if (is_clock_error(type) || is_key_error(type) ||
        strncmp(type, "AccessDenied", strlen("AccessDenied")) == 0)
        return APPCONFIG_DENIED;
    return otherwise;
}

/* What an error shows of a text of the service's. */
static void show(char *out, size_t out_size, const char *text, const struct appconfig_raw *raw)
{
    char kept[512];
    redact(kept, sizeof kept, text, raw->secrets);
    json_escape(out, out_size, kept, strlen(kept));
}

/* What to do where the service's own words do not say it, or "". */
static const char *remedy_of(const struct appconfig_result *result)
{
    if (result->outcome == APPCONFIG_NOT_FOUND)
        return "; correct the name, or deploy a version in this region";
    if (result->outcome == APPCONFIG_DENIED && !result->is_key_error && !result->is_clock_error)
        return "; the role needs appconfig:StartConfigurationSession and "
               "appconfig:GetLatestConfiguration";
    return "";
}

static void parse_failure(struct appconfig_result *result, const struct appconfig_raw *raw)
{
    char type[TYPE_MAX];
    char shown_type[TYPE_MAX + 16];
    char shown[320];
    int code = EREMOTEIO;
    cJSON *json = parse_json(raw);
    const char *message = text_of(json, "Message");
    const char *name = header(raw, "x-amzn-errortype");
    message = message ? message : text_of(json, "message");
    message = message ? message : "";
    name = name ? name : text_of(json, "__type");
    copy_type(type, name ? name : text_of(json, "code"));
    result->outcome = APPCONFIG_SERVER_ERROR;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].status == raw->status) {
            result->outcome = statuses[i].outcome;
            code = statuses[i].code;
        }
    if (result->outcome == APPCONFIG_BAD_REQUEST)
        result->outcome = by_type(type, bad_request(json, message));
    if (result->outcome == APPCONFIG_TOKEN_BAD || result->outcome == APPCONFIG_TOO_EARLY)
        code = EPROTO; /* between the service and us; whoever asks has no part in it */
    result->is_clock_error = result->outcome == APPCONFIG_DENIED && is_clock_error(type);
    result->is_key_error = result->outcome == APPCONFIG_DENIED && is_key_error(type);
    if (result->outcome == APPCONFIG_NOT_FOUND && text_of(json, "ResourceType"))
        redact(result->resource, sizeof result->resource, text_of(json, "ResourceType"),
               raw->secrets);
    show(shown, sizeof shown, message, raw);
    show(shown_type, sizeof shown_type, type, raw);
    error_set(&result->error, code, "", "AppConfig answered %d%s%s%s%s%s", raw->status,
              type[0] ? " " : "", shown_type, message[0] ? ": " : "", shown, remedy_of(result));
    cJSON_Delete(json);
}

static void parse_broken(struct appconfig_result *result, const struct appconfig_raw *raw)
{
    /* libcurl's texts may quote the peer's certificate. */
    char shown[320];
    const char *problem = raw->problem ? raw->problem : "no answer";
    bool is_late = raw->result == TRANSFER_TIMED_OUT || raw->result == TRANSFER_UNCONNECTED;
    /* libcurl tells the milliseconds, so that each time it would seem to be another trouble. */
    if (raw->result == TRANSFER_TIMED_OUT)
        problem = "its answer timed out";
    bool is_lost = raw->result == TRANSFER_LOST;
    const char *remedy = raw->result == TRANSFER_UNTRUSTED
                             ? "; AWS_CA_BUNDLE, else SSL_CERT_FILE, names whom to trust"
                         : raw->result == TRANSFER_REFUSED || raw->result == TRANSFER_UNCONNECTED
                             ? "; is there a way to it from this network?"
                             : "";
    bool was_sent = is_lost || raw->result == TRANSFER_TIMED_OUT || raw->result == TRANSFER_BROKEN;
    show(shown, sizeof shown, problem, raw);
    result->outcome = is_lost    ? APPCONFIG_LOST
                      : was_sent ? APPCONFIG_AMBIGUOUS
                                 : APPCONFIG_NOT_SENT;
    error_set(&result->error,
              is_late    ? ETIMEDOUT
              : was_sent ? ECONNRESET
                         : ECONNREFUSED,
              "", "AppConfig cannot be reached: %s%s", shown, remedy);
}

void appconfig_parse(struct appconfig_result *result, enum appconfig_call_kind kind,
                     const struct appconfig_raw *raw)
{
    memset(result, 0, sizeof *result);
    result->content_type = result->label = result->body = "";
    if (raw->result != TRANSFER_ANSWERED) {
        parse_broken(result, raw);
        return;
    }
    result->status = raw->status;
    if (raw->status < 200 || raw->status > 299)
        parse_failure(result, raw);
    else if (kind == APPCONFIG_START_SESSION)
        parse_session(result, raw);
    else
        parse_configuration(result, raw);
}

void appconfig_result_free(struct appconfig_result *result)
{
    free(result->allocated);
    result->allocated = NULL;
}
