/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures against documented ones and the rules of the canonical form. */
#include <errno.h>

#include "check.h"
#include "upstream/sigv4.h"

static const struct sigv4_credentials example = {"AKIDEXAMPLE",
                                                 "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", NULL};

/* 2015-08-30 12:36:00 UTC, the time of AWS's examples. */
static const time_t then = 1440938160;

static struct sigv4_headers headers;

static const char *sign(struct sigv4_request request, const char *service,
                        const struct sigv4_credentials *credentials)
{
    struct sigv4_scope scope = {"us-east-1", service, then};
    CHECK_INT(0, sigv4_sign(&headers, &request, &scope, credentials));
    const char *signature = strstr(headers.authorization, "Signature=");
    CHECK(signature);
    return signature + strlen("Signature=");
}

static const char *sign_query(const char *query)
{
    static char copy[65];
    snprintf(copy, sizeof copy, "%s",
             sign(
                 (struct sigv4_request){
                     .method = "GET", .host = "example.amazonaws.com", .path = "/", .query = query},
                 "service", &example));
    return copy;
}

static void awss_examples_are_signed_alike(void)
{
    /* The list of users of IAM, from the description of the algorithm. */
    const char *got = sign(
        (struct sigv4_request){.method = "GET",
                               .host = "iam.amazonaws.com",
                               .path = "/",
                               .query = "Action=ListUsers&Version=2010-05-08",
                               .content_type = "application/x-www-form-urlencoded; charset=utf-8"},
        "iam", &example);
    CHECK_STRING("5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7", got);
    CHECK_STRING("20150830T123600Z", headers.date);
    CHECK(strstr(headers.authorization,
                 "Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
                 "SignedHeaders=content-type;host;x-amz-date, "));
    /* get-vanilla and get-vanilla-query-order-key-case of the published test suite. */
    CHECK_STRING("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
                 sign_query(""));
    CHECK_STRING("b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
                 sign_query("Param2=value2&Param1=value1"));
}

static void the_query_is_sorted(void)
{
    char first[65];
    snprintf(first, sizeof first, "%s", sign_query("a=1&a=2&a-=3&b="));
    CHECK_STRING(first, sign_query("b&a-=3&a=2&a=1"));
    CHECK(strcmp(first, sign_query("b&a-=3&a=2&a=2")) != 0);
}

static void same_path(const char *a, const char *b)
{
    struct sigv4_request request = {.method = "GET", .host = "h", .path = a, .query = ""};
    char first[65];
    snprintf(first, sizeof first, "%s", sign(request, "service", &example));
    request.path = b;
    CHECK_STRING(first, sign(request, "service", &example));
}

static void dots_and_empty_segments_of_a_path_are_resolved(void)
{
    same_path("/", "");
    same_path("/", "//./../a/..");
    same_path("/a", "/a/b/..");
    same_path("/a", "//a/.");
    same_path("/a/", "/./a/b/..//");
}

static void a_session_token_is_signed(void)
{
    struct sigv4_credentials temporary = example;
    temporary.session_token = "token+/=";
    struct sigv4_request request = {
        .method = "GET", .host = "example.amazonaws.com", .path = "/", .query = ""};
    sign(request, "service", &temporary);
    CHECK(strstr(headers.authorization, "SignedHeaders=host;x-amz-date;x-amz-security-token, "));
    temporary.session_token = "";
    CHECK_STRING("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
                 sign(request, "service", &temporary));
}

static void escaping_is_strict(void)
{
    char out[64];
    sigv4_escape(out, "aZ09-_.~+/= \xc3\xa4");
    CHECK_STRING("aZ09-_.~%2B%2F%3D%20%C3%A4", out);
}

static void absurd_keys_are_refused(void)
{
    static char key[400];
    memset(key, 'x', sizeof key - 1);
    struct sigv4_credentials absurd = {"id", key, NULL};
    struct sigv4_request request = {.method = "GET", .host = "h", .path = "/", .query = ""};
    struct sigv4_scope scope = {"us-east-1", "service", then};
    CHECK_INT(-EINVAL, sigv4_sign(&headers, &request, &scope, &absurd));
}

static void a_year_without_room_is_refused(void)
{
    struct sigv4_request request = {
        .method = "GET", .host = "example.amazonaws.com", .path = "/", .query = ""};
    struct sigv4_scope scope = {"us-east-1", "service", 253402300799};
    CHECK_INT(0, sigv4_sign(&headers, &request, &scope, &example));
    CHECK_STRING("99991231T235959Z", headers.date);
    scope.now++;
    CHECK_INT(-EINVAL, sigv4_sign(&headers, &request, &scope, &example));
}

int main(void)
{
    awss_examples_are_signed_alike();
    the_query_is_sorted();
    dots_and_empty_segments_of_a_path_are_resolved();
    a_session_token_is_signed();
    escaping_is_strict();
    absurd_keys_are_refused();
    a_year_without_room_is_refused();
    return 0;
}
