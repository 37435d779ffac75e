/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoint that settings and AWS's variables give. */
#include <errno.h>

#include "check.h"
#include "upstream/endpoint.h"

static struct endpoint endpoint;
static struct error error;

static const struct {
    const char *region;
    const char *fips;
    const char *dual;
    const char *host; /* NULL: refused */
} hosts[] = {
    {"eu-west-1", NULL, NULL, "appconfigdata.eu-west-1.amazonaws.com"},
    {"us-east-1", "true", NULL, "appconfigdata-fips.us-east-1.amazonaws.com"},
    {"ap-southeast-2", NULL, "true", "appconfigdata.ap-southeast-2.api.aws"},
    {"ca-central-1", "True", "TRUE", "appconfigdata-fips.ca-central-1.api.aws"},
    {"mx-central-1", "false", "", "appconfigdata.mx-central-1.amazonaws.com"},
    {"cn-north-1", NULL, NULL, "appconfigdata.cn-north-1.amazonaws.com.cn"},
    {"cn-north-1", NULL, "true", "appconfigdata.cn-north-1.api.amazonwebservices.com.cn"},
    {"us-gov-west-1", NULL, NULL, "appconfigdata.us-gov-west-1.amazonaws.com"},
    {"us-gov-west-1", "true", NULL, "appconfigdata.us-gov-west-1.amazonaws.com"},
    {"us-gov-west-1", "true", "true", "appconfigdata-fips.us-gov-west-1.api.aws"},
    {"us-iso-east-1", NULL, NULL, "appconfigdata.us-iso-east-1.c2s.ic.gov"},
    {"us-isob-east-1", "true", NULL, "appconfigdata-fips.us-isob-east-1.sc2s.sgov.gov"},
    {"us-iso-east-1", NULL, "true", NULL},
    {"eu-isoe-west-1", NULL, NULL, "appconfigdata.eu-isoe-west-1.cloud.adc-e.uk"},
    {"us-isof-south-1", NULL, NULL, "appconfigdata.us-isof-south-1.csp.hci.ic.gov"},
    {"eusc-de-east-1", NULL, NULL, "appconfigdata.eusc-de-east-1.amazonaws.eu"},
    {"mars-west-1", NULL, NULL, NULL},
    {"eu-west", NULL, NULL, NULL},
    {"eu-west-x", NULL, NULL, NULL},
    {"eu-west-1.evil.example", NULL, NULL, NULL},
    {"EU-WEST-1", NULL, NULL, NULL},
};

static void each_partition_has_its_hosts(void)
{
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct endpoint_inputs inputs = {.region = hosts[i].region,
                                         .use_fips_endpoint = hosts[i].fips,
                                         .use_dual_stack = hosts[i].dual};
        int rc = endpoint_resolve(&endpoint, &inputs, &error);
        CHECK_INT(hosts[i].host ? 0 : -EINVAL, rc);
        if (!hosts[i].host)
            continue;
        CHECK_STRING(hosts[i].host, endpoint.host);
        CHECK_STRING("", endpoint.path);
        CHECK(strncmp(endpoint.base, "https://", 8) == 0);
        CHECK_STRING(hosts[i].host, endpoint.base + 8);
        CHECK_STRING(hosts[i].region, endpoint.region);
    }
}

static void the_region_is_looked_for_in_order(void)
{
    struct endpoint_inputs inputs = {
        .service_region = "eu-west-1", .region = "us-east-1", .default_region = "us-east-2"};
    CHECK_INT(0, endpoint_resolve(&endpoint, &inputs, &error));
    CHECK_STRING("eu-west-1", endpoint.region);
    inputs.service_region = "";
    CHECK_INT(0, endpoint_resolve(&endpoint, &inputs, &error));
    CHECK_STRING("us-east-1", endpoint.region);
    inputs.region = NULL;
    CHECK_INT(0, endpoint_resolve(&endpoint, &inputs, &error));
    CHECK_STRING("us-east-2", endpoint.region);
    inputs.default_region = NULL;
    CHECK_INT(-EINVAL, endpoint_resolve(&endpoint, &inputs, &error));
    CHECK_STRING("AWS_REGION", error.subject);
    CHECK(strstr(error.message, "LOCAL_DEVELOPMENT_DIRECTORY"));
}

static const struct {
    const char *url;
    const char *base; /* NULL: refused */
    const char *host;
    const char *path;
} urls[] = {
    {"http://127.0.0.1:4566", "http://127.0.0.1:4566", "127.0.0.1:4566", ""},
    {"https://vpce-1.example/", "https://vpce-1.example", "vpce-1.example", ""},
    {"https://proxy.example:443/aws/data//", "https://proxy.example:443/aws/data", "proxy.example",
     "/aws/data"},
    {"http://[::1]:80", "http://[::1]:80", "[::1]", ""},
    {"http://host:443", "http://host:443", "host:443", ""},
    {"HTTPS://host", "https://host", "host", ""},
    {"ftp://host", NULL, NULL, NULL},
    {"host:80", NULL, NULL, NULL},
    {"http://", NULL, NULL, NULL},
    {"http:///path", NULL, NULL, NULL},
    {"http://user:secret@host", NULL, NULL, NULL},
    {"http://host/?query", NULL, NULL, NULL},
    {"http://host/#fragment", NULL, NULL, NULL},
    {"http://host\r\nEvil: 1", NULL, NULL, NULL},
    {"http://host/a b", NULL, NULL, NULL},
    {"http://host/a\x1b", NULL, NULL, NULL},
    {"http://host/a\x7f", NULL, NULL, NULL},
    {"http://host/\xc3\xa4", NULL, NULL, NULL},
};

static void a_custom_url_is_taken_apart(void)
{
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct endpoint_inputs inputs = {.region = "eu-west-1", .service_url = urls[i].url};
        CHECK_INT(urls[i].base ? 0 : -EINVAL, endpoint_resolve(&endpoint, &inputs, &error));
        if (!urls[i].base) {
            CHECK_STRING("AWS_ENDPOINT_URL_APPCONFIGDATA", error.subject);
            CHECK(!strstr(error.message, "secret"));
            continue;
        }
        CHECK_STRING(urls[i].base, endpoint.base);
        CHECK_STRING(urls[i].host, endpoint.host);
        CHECK_STRING(urls[i].path, endpoint.path);
    }
}

static void custom_urls_have_an_order_and_can_be_ignored(void)
{
    struct endpoint_inputs inputs = {
        .region = "mars-1", .service_url = "http://one", .url = "http://two"};
    CHECK_INT(0, endpoint_resolve(&endpoint, &inputs, &error)); /* any region may be there */
    CHECK_STRING("one", endpoint.host);
    inputs.service_url = NULL;
    CHECK_INT(0, endpoint_resolve(&endpoint, &inputs, &error));
    CHECK_STRING("two", endpoint.host);
    inputs.use_fips_endpoint = "true";
    CHECK_INT(-EINVAL, endpoint_resolve(&endpoint, &inputs, &error));
    CHECK_STRING("AWS_ENDPOINT_URL", error.subject);
    inputs.use_fips_endpoint = NULL;
    inputs.region = "eu-west-1";
    inputs.ignore_urls = "true";
    CHECK_INT(0, endpoint_resolve(&endpoint, &inputs, &error));
    CHECK_STRING("appconfigdata.eu-west-1.amazonaws.com", endpoint.host);
}

int main(void)
{
    each_partition_has_its_hosts();
    the_region_is_looked_for_in_order();
    a_custom_url_is_taken_apart();
    custom_urls_have_an_order_and_can_be_ignored();
    return 0;
}
