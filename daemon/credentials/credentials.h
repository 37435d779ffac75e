/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials for AWS. A provider holds the current ones; where they come from, and that they are
 * renewed in time, is its own affair.
 */
#ifndef SHMCONFD_CREDENTIALS_H
#define SHMCONFD_CREDENTIALS_H

#include "base/error.h"
#include "upstream/sigv4.h"

struct credentials_provider {
    /* The current ones, borrowed until the next turn of the loop. -EACCES: there are none. */
    int (*get)(struct credentials_provider *provider, struct sigv4_credentials *credentials,
               struct error *error);
    void (*close)(struct credentials_provider *provider);
};

/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; -EINVAL: not set. */
int credentials_environment_open(struct credentials_provider **provider, struct error *error);

#endif
