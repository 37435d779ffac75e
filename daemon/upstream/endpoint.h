/* SPDX-License-Identifier: Apache-2.0 */
/* Where AppConfig Data is, from the region and AWS's standard variables. */
#ifndef SHMCONFD_ENDPOINT_H
#define SHMCONFD_ENDPOINT_H

#include <stdbool.h>

#include "base/error.h"

/* The name of the service in a signature. */
#define ENDPOINT_SIGNING_NAME "appconfig"

/* What decides; NULL or "": not set. */
struct endpoint_inputs {
    const char *service_region;    /* the setting SERVICE_REGION */
    const char *region;            /* AWS_REGION */
    const char *default_region;    /* AWS_DEFAULT_REGION */
    const char *service_url;       /* AWS_ENDPOINT_URL_APPCONFIGDATA */
    const char *url;               /* AWS_ENDPOINT_URL */
    const char *ignore_urls;       /* AWS_IGNORE_CONFIGURED_ENDPOINT_URLS */
    const char *use_fips_endpoint; /* AWS_USE_FIPS_ENDPOINT */
    const char *use_dual_stack;    /* AWS_USE_DUALSTACK_ENDPOINT */
};

struct endpoint {
    char region[65];
    char base[1024]; /* "https://host[:port][/path]", without a '/' at the end */
    char host[512];  /* as in the Host header: with the port if that is not the scheme's own */
    char path[512];  /* "" or "/path" */
};

/* The inputs from the environment, which they borrow from. */
struct endpoint_inputs endpoint_inputs_read(const char *service_region);

/* Whether any of them names a region, good or not. */
bool endpoint_has_region(const struct endpoint_inputs *inputs);

/* -EINVAL: a variable is missing or malformed; the error's subject is its name. */
int endpoint_resolve(struct endpoint *endpoint, const struct endpoint_inputs *inputs,
                     struct error *error);

#endif
