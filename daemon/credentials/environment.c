/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "credentials/credentials.h"

/* Constant for the life of the process: the environment is only read, never changed. */
static int get(struct credentials_provider *provider, struct sigv4_credentials *credentials,
               struct error *error)
{
    (void)provider;
    *credentials = (struct sigv4_credentials){.access_key_id = getenv("AWS_ACCESS_KEY_ID"),
                                              .secret_access_key = getenv("AWS_SECRET_ACCESS_KEY"),
                                              .session_token = getenv("AWS_SESSION_TOKEN")};
    const char *missing = !credentials->access_key_id || !*credentials->access_key_id
                              ? "AWS_ACCESS_KEY_ID"
                          : !credentials->secret_access_key || !*credentials->secret_access_key
                              ? "AWS_SECRET_ACCESS_KEY"
                              : NULL;
    /* It would end the header that it goes into. */
    if (credentials->session_token && strpbrk(credentials->session_token, "\r\n"))
        return error_set(error, EACCES, "AWS_SESSION_TOKEN", "holds a line break; set it without");
    /* The fields of that header and of its scope end with these. */
    if (!missing && strpbrk(credentials->access_key_id, "\r\n\t ,/"))
        return error_set(error, EACCES, "AWS_ACCESS_KEY_ID",
                         "holds a blank, a line break, a comma or a slash; set it without");
    if (!missing)
        return 0;
    return error_set(error, EACCES, missing,
                     "is not set; AppConfig needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and "
                     "AWS_SESSION_TOKEN for temporary ones), or a container's endpoint in "
                     "AWS_CONTAINER_CREDENTIALS_FULL_URI; profiles and the credentials of "
                     "instances are not implemented yet");
}

static void close_provider(struct credentials_provider *provider)
{
    (void)provider;
}

int credentials_environment_open(struct credentials_provider **provider, struct error *error)
{
    static struct credentials_provider environment = {.get = get, .close = close_provider};
    struct sigv4_credentials credentials;
    if (get(&environment, &credentials, error) != 0)
        return -EINVAL;
    *provider = &environment;
    return 0;
}
