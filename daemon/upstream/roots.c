/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/roots.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log/log.h"
#include "upstream/amazon_roots.h"

/* Where systems keep theirs: Debian, Ubuntu, Alpine; Amazon Linux, Fedora; openSUSE; older ones. */
static const char *const bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};

/* The domains of AWS's partitions whose servers have certificates of Amazon's authorities. */
static const char *const domains[] = {".amazonaws.com", ".amazonaws.com.cn", ".api.aws"};

static bool ends_with(const char *text, size_t size, const char *end)
{
    size_t length = strlen(end);
    return size > length && strncasecmp(text + size - length, end, length) == 0;
}

static bool is_of_aws(const char *url)
{
    static const char scheme[] = "https://";
    if (strncasecmp(url, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *host = url + sizeof scheme - 1;
    size_t size = strcspn(host, ":/");
    for (size_t i = 0; i < sizeof domains / sizeof *domains; i++)
        if (ends_with(host, size, domains[i]))
            return true;
    return false;
}

static const char *system_bundle(void)
{
    for (size_t i = 0; i < sizeof bundles / sizeof *bundles; i++)
        if (access(bundles[i], R_OK) == 0)
            return bundles[i];
    return NULL;
}

static int check_bundle(const char *variable, const char *file, struct error *error)
{
    struct stat status;
    if (access(file, R_OK) != 0)
        return error_system(error, errno, variable, "%s cannot be read", file);
    /* Of a pipe libcurl would wait for the other end, in the loop's only thread. */
    if (stat(file, &status) == 0 && !S_ISREG(status.st_mode))
        return error_set(error, EINVAL, variable, "%s is no file, and so no bundle of certificates",
                         file);
    return 0;
}

/*
 * In Lambda the extension has the function's own environment, and another working directory: a
 * bundle that is the function's need not be ours. Nobody is trusted more without it.
 */
static bool may_do_without(const char *variable, const struct error *error)
{
    if (!getenv("AWS_LAMBDA_RUNTIME_API") || strcmp(variable, "SSL_CERT_FILE") != 0)
        return false;
    log_subject(LOG_LEVEL_WARN, variable, "%s; done without it", error->message);
    return true;
}

int roots_choose(struct roots *roots, const char *url, struct error *error)
{
    static const char *const variables[] = {"AWS_CA_BUNDLE", "SSL_CERT_FILE"};
    *roots = (struct roots){0};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *file = getenv(variables[i]);
        if (!file || !*file)
            continue;
        int rc = check_bundle(variables[i], file, error);
        if (rc && may_do_without(variables[i], error))
            continue;
        roots->file = rc ? NULL : file;
        return rc;
    }
    roots->file = system_bundle();
    if (is_of_aws(url))
        roots->built_in = amazon_roots;
    return 0;
}

const char *roots_describe(const struct roots *roots)
{
    return roots->built_in ? "Amazon's roots" : roots->file ? roots->file : "libcurl's own roots";
}
