/* SPDX-License-Identifier: Apache-2.0 */
/* Where a container's credentials are to be had, and what is answered there. No requests here. */
#ifndef SHMCONFD_CONTAINER_ENDPOINT_H
#define SHMCONFD_CONTAINER_ENDPOINT_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/error.h"

struct container_endpoint {
    const char *variable; /* that names it */
    char *url;            /* as it is to be requested; freed by the owner */
};

/*
 * AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, else ..._FULL_URI; either may be NULL or "", but not
 * both. -EINVAL: no URL, or one that keys are not fetched from: plain http leaves the machine
 * unless the host is loopback or the address of ECS or EKS.
 */
int container_endpoint_find(struct container_endpoint *endpoint, const char *relative_uri,
                            const char *full_uri, struct error *error);

/* Texts are the caller's to free, also when zeroed. */
struct container_keys {
    char *access_key_id;
    char *secret_access_key;
    char *session_token;
    time_t expires; /* 0: not said */
};

/* 0, or -EPROTO: that is no answer with credentials. Its text is never shown: it may hold keys. */
int container_keys_parse(struct container_keys *keys, const char *body, size_t size,
                         struct error *error);
void container_keys_free(struct container_keys *keys);

#endif
