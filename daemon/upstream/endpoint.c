/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/endpoint.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* AWS's partitions: regions with one of the prefixes, then a word, a hyphen and a number. */
static const struct partition {
    const char *prefixes[12];
    const char *suffix;
    const char *dual_stack; /* NULL: there is none */
    bool has_plain_fips;    /* the ordinary host serves FIPS as well */
} partitions[] = {
    {{"us-", "eu-", "ap-", "sa-", "ca-", "me-", "af-", "il-", "mx-"},
     "amazonaws.com",
     "api.aws",
     false},
    {{"cn-"}, "amazonaws.com.cn", "api.amazonwebservices.com.cn", false},
    {{"us-gov-"}, "amazonaws.com", "api.aws", true},
    {{"us-iso-"}, "c2s.ic.gov", NULL, false},
    {{"us-isob-"}, "sc2s.sgov.gov", NULL, false},
    {{"eu-isoe-"}, "cloud.adc-e.uk", NULL, false},
    {{"us-isof-"}, "csp.hci.ic.gov", NULL, false},
    {{"eusc-de-"}, "amazonaws.eu", "api.amazonwebservices.eu", false},
};

struct endpoint_inputs endpoint_inputs_read(const char *service_region)
{
    return (struct endpoint_inputs){
        .service_region = service_region,
        .region = getenv("AWS_REGION"),
        .default_region = getenv("AWS_DEFAULT_REGION"),
        .service_url = getenv("AWS_ENDPOINT_URL_APPCONFIGDATA"),
        .url = getenv("AWS_ENDPOINT_URL"),
        .ignore_urls = getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
        .use_fips_endpoint = getenv("AWS_USE_FIPS_ENDPOINT"),
        .use_dual_stack = getenv("AWS_USE_DUALSTACK_ENDPOINT"),
    };
}

static bool is_set(const char *text)
{
    return text && *text;
}

static bool is_true(const char *text)
{
    return text && strcasecmp(text, "true") == 0;
}

/* A word of letters and digits, a hyphen and a number: "west-1". */
static bool is_place(const char *text)
{
    size_t word = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789");
    if (word == 0 || text[word] != '-')
        return false;
    const char *number = text + word + 1;
    return *number && strspn(number, "0123456789") == strlen(number);
}

static const struct partition *find_partition(const char *region)
{
    for (size_t i = 0; i < sizeof partitions / sizeof *partitions; i++)
        for (const char *const *prefix = partitions[i].prefixes; *prefix; prefix++)
            if (strncmp(region, *prefix, strlen(*prefix)) == 0 &&
                is_place(region + strlen(*prefix)))
                return &partitions[i];
    return NULL;
}

/* The region and where it comes from, or NULL. */
static const char *find_region(const struct endpoint_inputs *inputs, const char **origin)
{
    const struct {
        const char *name;
        const char *value;
    } choices[] = {{"SERVICE_REGION", inputs->service_region},
                   {"AWS_REGION", inputs->region},
                   {"AWS_DEFAULT_REGION", inputs->default_region}};
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        *origin = choices[i].name;
        if (is_set(choices[i].value))
            return choices[i].value;
    }
    return NULL;
}

bool endpoint_has_region(const struct endpoint_inputs *inputs)
{
    const char *origin;
    return find_region(inputs, &origin) != NULL;
}

static int choose_region(struct endpoint *endpoint, const struct endpoint_inputs *inputs,
                         const char **origin, struct error *error)
{
    const char *region = find_region(inputs, origin);
    if (!region)
        return error_set(
            error, EINVAL, "AWS_REGION",
            "is not set; name the region of AppConfig in it or in SHMCONF_SERVICE_REGION, or "
            "set SHMCONF_LOCAL_DEVELOPMENT_DIRECTORY to take configurations from files");
    if (strlen(region) >= sizeof endpoint->region ||
        strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(region))
        return error_set(error, EINVAL, *origin,
                         "is no region code; allowed: a region code such as eu-west-1");
    memcpy(endpoint->region, region, strlen(region) + 1);
    return 0;
}

static int from_partition(struct endpoint *endpoint, const struct endpoint_inputs *inputs,
                          const char *origin, struct error *error)
{
    const struct partition *partition = find_partition(endpoint->region);
    bool fips = is_true(inputs->use_fips_endpoint);
    bool dual = is_true(inputs->use_dual_stack);
    if (!partition)
        return error_set(error, EINVAL, origin,
                         "\"%s\" is in no partition of AWS that is known here; correct it, or name "
                         "the service in AWS_ENDPOINT_URL_APPCONFIGDATA",
                         endpoint->region);
    if (dual && !partition->dual_stack)
        return error_set(error, EINVAL, "AWS_USE_DUALSTACK_ENDPOINT",
                         "there is no dual-stack endpoint in %s; unset it", endpoint->region);
    snprintf(endpoint->host, sizeof endpoint->host, "appconfigdata%s.%s.%s",
             fips && (dual || !partition->has_plain_fips) ? "-fips" : "", endpoint->region,
             dual ? partition->dual_stack : partition->suffix);
    snprintf(endpoint->base, sizeof endpoint->base, "https://%s", endpoint->host);
    endpoint->path[0] = '\0';
    return 0;
}

static bool is_authority(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr(".-_:[]", text[i]))
            return false;
    return size > 0 && text[0] != ':';
}

/* What a URL may hold behind its authority, of which query and fragment are not wanted here. */
static bool is_path(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || strchr("?#\"\\", *text))
            return false;
    return true;
}

/* Host and path of "scheme://host[:port][/path]"; -EINVAL. */
static int split_url(struct endpoint *endpoint, const char *url)
{
    static const struct {
        const char *scheme;
        const char *port;
    } schemes[] = {{"http://", ":80"}, {"https://", ":443"}};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t scheme = strlen(schemes[i].scheme);
        size_t port = strlen(schemes[i].port);
        if (strncasecmp(url, schemes[i].scheme, scheme) != 0)
            continue;
        const char *host = url + scheme;
        size_t size = strcspn(host, "/");
        size_t path = strlen(host + size);
        while (path > 0 && host[size + path - 1] == '/')
            path--;
        if (!is_authority(host, size) || size >= sizeof endpoint->host ||
            path >= sizeof endpoint->path || !is_path(host + size))
            return -EINVAL;
        snprintf(endpoint->base, sizeof endpoint->base, "%s%.*s", schemes[i].scheme,
                 (int)(size + path), host);
        if (size > port && memcmp(host + size - port, schemes[i].port, port) == 0)
            size -= port;
        snprintf(endpoint->host, sizeof endpoint->host, "%.*s", (int)size, host);
        snprintf(endpoint->path, sizeof endpoint->path, "%.*s", (int)path,
                 host + strcspn(host, "/"));
        return 0;
    }
    return -EINVAL;
}

int endpoint_resolve(struct endpoint *endpoint, const struct endpoint_inputs *inputs,
                     struct error *error)
{
    const char *origin = "";
    bool by_service = is_set(inputs->service_url);
    const char *url = by_service ? inputs->service_url : inputs->url;
    const char *name = by_service ? "AWS_ENDPOINT_URL_APPCONFIGDATA" : "AWS_ENDPOINT_URL";
    int rc = choose_region(endpoint, inputs, &origin, error);
    if (rc)
        return rc;
    if (!is_set(url) || is_true(inputs->ignore_urls))
        return from_partition(endpoint, inputs, origin, error);
    if (is_true(inputs->use_fips_endpoint) || is_true(inputs->use_dual_stack))
        return error_set(error, EINVAL, name,
                         "cannot be combined with AWS_USE_FIPS_ENDPOINT or "
                         "AWS_USE_DUALSTACK_ENDPOINT; name the wanted endpoint in it alone");
    /* The value is not repeated: it might hold a password. */
    if (split_url(endpoint, url))
        return error_set(error, EINVAL, name,
                         "is malformed; allowed: http[s]://host[:port][/path], without user, query "
                         "or fragment");
    return 0;
}
