/* SPDX-License-Identifier: Apache-2.0 */
/* What answers of AppConfig Data mean. */
#include <errno.h>
#include <strings.h>

#include "check.h"
#include "upstream/appconfig_answer.h"

enum { HEADERS = 6 };

struct answer {
    const char *headers[HEADERS][2];
};

static const char *find(const void *context, const char *name)
{
    const struct answer *answer = context;
    for (size_t i = 0; i < HEADERS && answer->headers[i][0]; i++)
        if (strcasecmp(answer->headers[i][0], name) == 0)
            return answer->headers[i][1];
    return NULL;
}

static struct appconfig_result result;

static void parse(enum appconfig_call_kind kind, int status, const char *body,
                  const struct answer *answer)
{
    struct appconfig_raw raw = {.result = TRANSFER_ANSWERED,
                                .status = status,
                                .body = body,
                                .body_size = strlen(body),
                                .header = find,
                                .context = answer};
    appconfig_result_free(&result);
    appconfig_parse(&result, kind, &raw);
}

static void a_session_brings_a_token(void)
{
    static const struct answer none;
    parse(APPCONFIG_START_SESSION, 201, "{\"InitialConfigurationToken\":\"a+/=\"}", &none);
    CHECK_INT(APPCONFIG_ANSWERED, result.outcome);
    CHECK_STRING("a+/=", result.token);
    static const char *const garbled[] = {"",
                                          "{}",
                                          "[]",
                                          "null",
                                          "{\"InitialConfigurationToken\":",
                                          "{\"InitialConfigurationToken\":7}",
                                          "{\"InitialConfigurationToken\":\"\"}",
                                          "{\"InitialConfigurationToken\":\"a b\"}",
                                          "{\"InitialConfigurationToken\":\"a\\u0000b\"}",
                                          "{\"InitialConfigurationToken\":\"\\r\\n\"}",
                                          "{\"initialconfigurationtoken\":\"a\"}"};
    for (size_t i = 0; i < sizeof garbled / sizeof *garbled; i++) {
        parse(APPCONFIG_START_SESSION, 201, garbled[i], &none);
        CHECK_INT(APPCONFIG_AMBIGUOUS, result.outcome);
        CHECK_INT(EPROTO, result.error.code);
        CHECK(!result.token);
    }
}

static void tokens_may_be_long_but_not_longer(void)
{
    static const struct answer none;
    static char body[10000];
    for (size_t size = APPCONFIG_TOKEN_MAX; size <= APPCONFIG_TOKEN_MAX + 1; size++) {
        int prefix = sprintf(body, "{\"InitialConfigurationToken\":\"");
        memset(body + prefix, 'x', size);
        memcpy(body + prefix + size, "\"}", sizeof "\"}");
        parse(APPCONFIG_START_SESSION, 201, body, &none);
        CHECK_INT(size == APPCONFIG_TOKEN_MAX ? APPCONFIG_ANSWERED : APPCONFIG_AMBIGUOUS,
                  result.outcome);
    }
}

static void a_configuration_is_its_headers_and_bytes(void)
{
    static const struct answer full = {{{"next-poll-configuration-token", "t2"},
                                        {"Next-Poll-Interval-In-Seconds", "60"},
                                        {"Content-Type", "application/json"},
                                        {"Version-Label", "v1"}}};
    static const struct answer least = {{{"Next-Poll-Configuration-Token", "t3"}}};
    static const struct answer none;
    parse(APPCONFIG_GET_LATEST, 200, "{}", &full);
    CHECK_INT(APPCONFIG_ANSWERED, result.outcome);
    CHECK_STRING("t2", result.token);
    CHECK_INT(60, result.interval_s);
    CHECK_STRING("application/json", result.content_type);
    CHECK_STRING("v1", result.label);
    CHECK_INT(2, result.body_size);
    parse(APPCONFIG_GET_LATEST, 200, "", &least);
    CHECK_INT(APPCONFIG_ANSWERED, result.outcome);
    CHECK_INT(0, result.interval_s);
    CHECK_INT(0, result.body_size);
    CHECK_STRING("application/octet-stream", result.content_type);
    parse(APPCONFIG_GET_LATEST, 200, "{}", &none);
    CHECK_INT(APPCONFIG_AMBIGUOUS, result.outcome);
}

static void a_strange_interval_counts_as_none(void)
{
    static const char *const strange[] = {"", "abc", "-1", "\v-1", "1e9", "99999999999999999999",
                                          "0"};
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        struct answer answer = {{{"Next-Poll-Configuration-Token", "t"},
                                 {"Next-Poll-Interval-In-Seconds", strange[i]}}};
        parse(APPCONFIG_GET_LATEST, 200, "x", &answer);
        CHECK_INT(APPCONFIG_ANSWERED, result.outcome);
        CHECK_INT(0, result.interval_s);
    }
    struct answer answer = {
        {{"Next-Poll-Configuration-Token", "t"}, {"Next-Poll-Interval-In-Seconds", "4294967297"}}};
    parse(APPCONFIG_GET_LATEST, 200, "x", &answer);
    CHECK_INT(86400, result.interval_s);
}

#define PROBLEM(problem)                                                                           \
    "{\"Message\":\"m\",\"Reason\":\"InvalidParameters\",\"Details\":{\"InvalidParameters\":"      \
    "{\"configuration_token\":{\"Problem\":\"" problem "\"}}}}"

static const struct {
    int status;
    const char *type;
    const char *body;
    enum appconfig_outcome outcome;
    int code;
} failures[] = {
    {400, "BadRequestException:", PROBLEM("Expired"), APPCONFIG_TOKEN_BAD, EPROTO},
    {400, "BadRequestException:http://x", PROBLEM("Corrupted"), APPCONFIG_TOKEN_BAD, EPROTO},
    {400, NULL, "{\"Message\":\"Token not valid\"}", APPCONFIG_TOKEN_BAD, EPROTO},
    {400, NULL, PROBLEM("PollIntervalNotSatisfied"), APPCONFIG_TOO_EARLY, EPROTO},
    {400, NULL, "{\"Message\":\"Request too early\"}", APPCONFIG_TOO_EARLY, EPROTO},
    {400, "BadRequestException:", "{\"Message\":\"other\"}", APPCONFIG_BAD_REQUEST, EINVAL},
    {400, "BadRequestException:", PROBLEM("Else"), APPCONFIG_BAD_REQUEST, EINVAL},
    {400, NULL, "<html>", APPCONFIG_BAD_REQUEST, EINVAL},
    {400, "ThrottlingException", "{}", APPCONFIG_THROTTLED, EINVAL},
    {400, "ExpiredTokenException", "{}", APPCONFIG_DENIED, EINVAL},
    {403, "AccessDeniedException:", "{\"Message\":\"no\"}", APPCONFIG_DENIED, EACCES},
    {403, NULL, "{\"__type\":\"com.amazon#InvalidSignatureException\"}", APPCONFIG_DENIED, EACCES},
    {404, "ResourceNotFoundException:", "{\"ResourceType\":\"Deployment\"}", APPCONFIG_NOT_FOUND,
     ENOENT},
    {429, "ThrottlingException:", "", APPCONFIG_THROTTLED, EAGAIN},
    {500, "InternalServerException:", "{}", APPCONFIG_SERVER_ERROR, EREMOTEIO},
    {503, NULL, "busy", APPCONFIG_SERVER_ERROR, EREMOTEIO},
    {302, NULL, "", APPCONFIG_SERVER_ERROR, EREMOTEIO},
    {418, NULL, "{\"Message\":[1]}", APPCONFIG_SERVER_ERROR, EREMOTEIO},
};

static void each_failure_has_its_meaning(void)
{
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        struct answer answer = {{{failures[i].type ? "X-Amzn-ErrorType" : NULL, failures[i].type}}};
        parse(APPCONFIG_GET_LATEST, failures[i].status, failures[i].body, &answer);
        CHECK_INT(failures[i].outcome, result.outcome);
        CHECK_INT(failures[i].code, result.error.code);
        CHECK_INT(failures[i].status, result.status);
    }
    static const struct answer none;
    parse(APPCONFIG_START_SESSION, 404,
          "{\"ResourceType\":\"Environment\",\"Message\":\"a\\u0007\"}", &none);
    CHECK_STRING("Environment", result.resource);
    CHECK(strstr(result.error.message, "a\\u0007"));
    parse(APPCONFIG_START_SESSION, 403, "{\"__type\":\"RequestExpired\"}", &none);
    CHECK(result.is_clock_error);
    CHECK(!strstr(result.error.message, "the role needs"));
    parse(APPCONFIG_START_SESSION, 403, "{\"__type\":\"AccessDeniedException\"}", &none);
    CHECK(!result.is_clock_error);
    CHECK(strstr(result.error.message, "; the role needs appconfig:StartConfigurationSession"));
}

static void what_was_sent_is_not_shown(void)
{
    static const char *const secrets[] = {"AQ+token/of=876characters", "", NULL};
    static const struct {
        const char *message;
        const char *shown;
    } cases[] = {
        {"bad AQ+token/of=876characters!", "bad [hidden]!"},
        {"configuration_token=AQ%2Btoken%2fof%3D876characters\\nhost",
         "configuration_token=[hidden]\\nhost"},
        {"AQ+token/of=876charactersAQ+token/of=876characters", "[hidden][hidden]"},
        {"AQ+token/of=...", "[hidden]..."},
        {"AQ+token/of...", "AQ+token/of..."}, /* one less than is hidden */
        {"...f=876characters", "...[hidden]"},
        {"AQ%2token/of=876characters%2", "AQ%2[hidden]%2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const struct answer none;
        char body[256];
        char wanted[256];
        snprintf(body, sizeof body, "{\"Message\":\"%s\",\"ResourceType\":\"%s\"}",
                 cases[i].message, i == 0 ? secrets[0] : "Deployment");
        snprintf(wanted, sizeof wanted,
                 "AppConfig answered 404: %s; correct the name, or deploy a version in this region",
                 cases[i].shown);
        struct appconfig_raw raw = {.result = TRANSFER_ANSWERED,
                                    .status = 404,
                                    .body = body,
                                    .body_size = strlen(body),
                                    .header = find,
                                    .context = &none,
                                    .secrets = secrets};
        appconfig_parse(&result, APPCONFIG_GET_LATEST, &raw);
        CHECK_STRING(wanted, result.error.message);
        CHECK_STRING(i == 0 ? "[hidden]" : "Deployment", result.resource);
    }
}

static void a_broken_transfer_is_ambiguous_unless_it_was_never_sent(void)
{
    static const struct {
        enum transfer_result given;
        enum appconfig_outcome outcome;
        int code;
    } cases[] = {{TRANSFER_REFUSED, APPCONFIG_NOT_SENT, ECONNREFUSED},
                 {TRANSFER_UNTRUSTED, APPCONFIG_NOT_SENT, ECONNREFUSED},
                 {TRANSFER_UNCONNECTED, APPCONFIG_NOT_SENT, ETIMEDOUT},
                 {TRANSFER_BROKEN, APPCONFIG_AMBIGUOUS, ECONNRESET},
                 {TRANSFER_TIMED_OUT, APPCONFIG_AMBIGUOUS, ETIMEDOUT},
                 {TRANSFER_LOST, APPCONFIG_LOST, ECONNRESET}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct appconfig_raw raw = {.result = cases[i].given, .problem = "p", .status = 200};
        appconfig_parse(&result, APPCONFIG_GET_LATEST, &raw);
        CHECK_INT(cases[i].outcome, result.outcome);
        CHECK_INT(cases[i].code, result.error.code);
        CHECK_INT(0, result.status);
    }
}

int main(void)
{
    a_session_brings_a_token();
    tokens_may_be_long_but_not_longer();
    a_configuration_is_its_headers_and_bytes();
    a_strange_interval_counts_as_none();
    each_failure_has_its_meaning();
    what_was_sent_is_not_shown();
    a_broken_transfer_is_ambiguous_unless_it_was_never_sent();
    return 0;
}
