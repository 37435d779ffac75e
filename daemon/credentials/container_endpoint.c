/* SPDX-License-Identifier: Apache-2.0 */
#include "credentials/container_endpoint.h"

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "credentials/container_host.h"

#define ECS_BASE "http://169.254.170.2"

/* What libcurl takes the text for is checked, and then requested in its spelling. */
static int check_url(struct container_endpoint *endpoint, CURLU *url, const char *text,
                     struct error *error)
{
    char *part = NULL;
    bool is_http = false;
    if (curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK)
        goto malformed;
    if (curl_url_get(url, CURLUPART_USER, &part, 0) == CURLUE_OK)
        goto malformed;
    if (curl_url_get(url, CURLUPART_SCHEME, &part, 0) != CURLUE_OK)
        goto malformed;
    is_http = strcasecmp(part, "http") == 0;
    if (!is_http && strcasecmp(part, "https") != 0)
        goto malformed;
    curl_free(part);
    part = NULL;
    if (curl_url_get(url, CURLUPART_HOST, &part, 0) != CURLUE_OK)
        goto malformed;
    bool is_allowed = !is_http || container_host_is_near(part);
    curl_free(part);
    part = NULL;
    if (!is_allowed)
        return error_set(error, EINVAL, endpoint->variable,
                         "credentials are not fetched from there by plain http; "
                         "allowed: " CONTAINER_HOSTS_ALLOWED);
    curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0);
    if (curl_url_get(url, CURLUPART_URL, &part, 0) == CURLUE_OK)
        endpoint->url = strdup(part);
    curl_free(part);
    return endpoint->url ? 0
                         : error_system(error, ENOMEM, endpoint->variable, "cannot be taken up");
malformed:
    curl_free(part);
    /* The value is not repeated: it might hold a password. */
    return error_set(error, EINVAL, endpoint->variable,
                     "is malformed; allowed: http[s]://host[:port]/path, without user");
}

int container_endpoint_find(struct container_endpoint *endpoint, const char *relative_uri,
                            const char *full_uri, struct error *error)
{
    bool is_relative = relative_uri && *relative_uri;
    cleanup_free char *text = NULL;
    *endpoint = (struct container_endpoint){
        .variable = is_relative ? "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
                                : "AWS_CONTAINER_CREDENTIALS_FULL_URI"};
    if (is_relative && relative_uri[0] != '/')
        return error_set(error, EINVAL, endpoint->variable, "is malformed; allowed: /path");
    if (asprintf(&text, "%s%s", is_relative ? ECS_BASE : "",
                 is_relative ? relative_uri : full_uri) < 0) {
        text = NULL;
        return error_system(error, ENOMEM, endpoint->variable, "cannot be taken up");
    }
    CURLU *url = curl_url();
    if (!url)
        return error_system(error, ENOMEM, endpoint->variable, "cannot be taken up");
    int rc = check_url(endpoint, url, text, error);
    curl_url_cleanup(url);
    return rc;
}

/* Minutes of "hh:mm" with nothing behind it; -1: it is something else. */
static long parse_offset(const char *text)
{
    struct tm time = {0};
    const char *end = strptime(text, "%H:%M", &time);
    return end && !*end ? time.tm_hour * 60L + time.tm_min : -1;
}

/* "2026-01-01T00:00:00Z", perhaps with a fraction, or an offset in place of the Z; 0: neither. */
static time_t parse_time(const char *text)
{
    struct tm date = {0};
    long minutes = 0;
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &date);
    if (!rest)
        return 0;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    if (*rest == '+' || *rest == '-')
        minutes = parse_offset(rest + 1);
    else if (strcmp(rest, "Z") != 0)
        return 0;
    if (minutes < 0)
        return 0;
    time_t offset = minutes * 60;
    time_t seconds = timegm(&date) - (*rest == '-' ? -offset : offset);
    return seconds > 0 ? seconds : 0;
}

/* A copy, or NULL: it is not there, or nothing that can go into a header. */
static char *take_text(const cJSON *json, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
    for (const char *at = text ? text : ""; *at; at++)
        if (*at <= ' ' || *at >= 0x7f)
            return NULL;
    return text && *text ? strdup(text) : NULL;
}

int container_keys_parse(struct container_keys *keys, const char *body, size_t size,
                         struct error *error)
{
    cJSON *json = cJSON_ParseWithLength(body, size);
    const char *expiration =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "Expiration"));
    *keys = (struct container_keys){.access_key_id = take_text(json, "AccessKeyId"),
                                    .secret_access_key = take_text(json, "SecretAccessKey"),
                                    .session_token = take_text(json, "Token"),
                                    .expires = expiration ? parse_time(expiration) : 0};
    const char *missing = !json                      ? "JSON"
                          : !keys->access_key_id     ? "AccessKeyId"
                          : !keys->secret_access_key ? "SecretAccessKey"
                          : !keys->session_token     ? "Token"
                                                     : NULL;
    cJSON_Delete(json);
    if (!missing)
        return 0;
    container_keys_free(keys);
    return error_set(error, EPROTO, "", "its answer has no usable %s", missing);
}

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void container_keys_free(struct container_keys *keys)
{
    free(keys->access_key_id);
    wipe(keys->secret_access_key);
    wipe(keys->session_token);
    *keys = (struct container_keys){0};
}
