/* SPDX-License-Identifier: Apache-2.0 */
/* Which URLs credentials are fetched from, and what is taken for credentials. */
#include <errno.h>

#include "check.h"
#include "credentials/container_endpoint.h"

static struct error error;

static const struct {
    const char *relative;
    const char *full;
    const char *url; /* NULL: refused */
} urls[] = {
    {"/v2/credentials/1?a=b", NULL, "http://169.254.170.2/v2/credentials/1?a=b"},
    {"/v2", "http://192.0.2.1/", "http://169.254.170.2/v2"},
    {"", "http://127.0.0.1:9001/2021-04-23/credentials",
     "http://127.0.0.1:9001/2021-04-23/credentials"},
    {NULL, "http://127.8.7.6/x", "http://127.8.7.6/x"},
    {NULL, "http://localhost:1/x", "http://localhost:1/x"},
    {NULL, "http://[::1]:1/x", "http://[::1]:1/x"},
    {NULL, "http://169.254.170.2/x", "http://169.254.170.2/x"},
    {NULL, "http://169.254.170.23/v1/credentials", "http://169.254.170.23/v1/credentials"},
    {NULL, "http://[fd00:ec2::23]/v1/credentials", "http://[fd00:ec2::23]/v1/credentials"},
    {NULL, "https://keys.example.com/x", "https://keys.example.com/x"},
    {NULL, "https://192.0.2.1/x#part", "https://192.0.2.1/x"},
    {"v2", NULL, NULL},
    {"@192.0.2.1/x", NULL, NULL},
    {NULL, "http://192.0.2.1/x", NULL},
    {NULL, "http://169.254.169.254/x", NULL},
    {NULL, "http://169.254.170.3/x", NULL},
    {NULL, "http://128.0.0.1/x", NULL},
    {NULL, "http://[fd00:ec2::254]/x", NULL},
    {NULL, "http://[::ffff:192.0.2.1]/x", NULL},
    {NULL, "http://[::]/x", NULL},
    {NULL, "http://0.0.0.0/x", NULL},
    {NULL, "http://localhost.example.com/x", NULL},
    {NULL, "http://127.0.0.1.example.com/x", NULL},
    {NULL, "http://127.0.0.1@192.0.2.1/x", NULL},
    {NULL, "https://user:word@keys.example.com/x", NULL},
    {NULL, "http://keys.example.com#@127.0.0.1/x", NULL},
    {NULL, "http://keys.example.com\\@127.0.0.1/x", NULL},
    {NULL, "http://127.0.0.1 /x", NULL},
    {NULL, "file:///etc/passwd", NULL},
    {NULL, "127.0.0.1/x", NULL},
    {NULL, "http://", NULL},
};

static void keys_come_from_near_or_by_https(void)
{
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct container_endpoint endpoint;
        int rc = container_endpoint_find(&endpoint, urls[i].relative, urls[i].full, &error);
        if ((rc == 0) != (urls[i].url != NULL))
            fprintf(stderr, "%s: %d\n", urls[i].full ? urls[i].full : urls[i].relative, rc);
        CHECK_INT(urls[i].url ? 0 : -EINVAL, rc);
        if (urls[i].url)
            CHECK_STRING(urls[i].url, endpoint.url);
        else
            CHECK_STRING(endpoint.variable, error.subject);
        free(endpoint.url);
    }
}

static void a_refusal_does_not_repeat_the_url(void)
{
    struct container_endpoint endpoint;
    CHECK_INT(-EINVAL,
              container_endpoint_find(&endpoint, NULL, "http://me:hidden@192.0.2.1/", &error));
    CHECK(!strstr(error.message, "hidden"));
}

static const struct {
    const char *text;
    long long seconds; /* 0: not understood */
} times[] = {
    {"2026-01-01T00:00:00Z", 1767225600},
    {"2026-01-01T00:00:00.123Z", 1767225600},
    {"2026-01-01T01:30:00+01:30", 1767225600},
    {"2025-12-31T22:00:00-02:00", 1767225600},
    {"2026-01-01T00:00:00", 0},
    {"2026-01-01 00:00:00Z", 0},
    {"2026-01-01T00:00:00Zz", 0},
    {"2026-01-01T00:00:00+1", 0},
    {"1900-01-01T00:00:00Z", 0},
    {"soon", 0},
    {"", 0},
};

static void the_expiration_is_a_date_of_iso_8601(void)
{
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        struct container_keys keys;
        char body[256];
        int size = snprintf(body, sizeof body,
                            "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\","
                            "\"Expiration\":\"%s\",\"AccountId\":\"1\"}",
                            times[i].text);
        CHECK_INT(0, container_keys_parse(&keys, body, (size_t)size, &error));
        CHECK_STRING("A", keys.access_key_id);
        CHECK_STRING("S", keys.secret_access_key);
        CHECK_STRING("T", keys.session_token);
        CHECK_INT(times[i].seconds, keys.expires);
        container_keys_free(&keys);
    }
}

static void other_answers_are_refused_and_not_shown(void)
{
    static const char *const bodies[] = {
        "",
        "{",
        "null",
        "7",
        "[]",
        "{}",
        "{\"AccessKeyId\":\"hidden\"}",
        "{\"AccessKeyId\":\"hidden\",\"SecretAccessKey\":\"hidden\",\"Token\":\"\"}",
        "{\"AccessKeyId\":\"hi dden\",\"SecretAccessKey\":\"hidden\",\"Token\":\"hidden\"}",
        "{\"AccessKeyId\":\"hidden\",\"SecretAccessKey\":\"hidden\\n\",\"Token\":\"hidden\"}",
        "{\"AccessKeyId\":\"hidden\",\"SecretAccessKey\":\"hidden\",\"Token\":{}}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct container_keys keys;
        CHECK_INT(-EPROTO, container_keys_parse(&keys, bodies[i], strlen(bodies[i]), &error));
        CHECK(!strstr(error.message, "hidden"));
        CHECK(!keys.access_key_id && !keys.secret_access_key && !keys.session_token);
    }
}

int main(void)
{
    keys_come_from_near_or_by_https();
    a_refusal_does_not_repeat_the_url();
    the_expiration_is_a_date_of_iso_8601();
    other_answers_are_refused_and_not_shown();
    return 0;
}
