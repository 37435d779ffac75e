/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials for AWS. A provider holds the current ones; where they come from, and that they are
 * renewed in time, is its own affair.
 */
#ifndef SHMCONFD_CREDENTIALS_H
#define SHMCONFD_CREDENTIALS_H

#include <stdbool.h>

#include "base/error.h"
#include "loop/loop.h"
#include "upstream/sigv4.h"

/* Somebody who waits for credentials that are being fetched; the memory is his. */
struct credentials_waiter {
    void (*done)(struct credentials_waiter *waiter);
    struct credentials_waiter *next;
    struct credentials_waiter **link; /* what points at it; NULL: it waits for nothing */
};

/* All but `get` and `close` may be NULL, with what the functions below then do. */
struct credentials_provider {
    /*
     * The current ones, borrowed until the next turn of the loop. -EACCES: there are none. -EAGAIN:
     * they are being fetched, and `wait` is allowed.
     */
    int (*get)(struct credentials_provider *provider, struct sigv4_credentials *credentials,
               struct error *error);
    void (*wait)(struct credentials_provider *provider, struct credentials_waiter *waiter);
    void (*drop)(struct credentials_provider *provider, bool is_restored);
    void (*stop)(struct credentials_provider *provider, void (*closed)(void *context),
                 void *context);
    void (*close)(struct credentials_provider *provider);
};

/*
 * The provider that this environment is for: keys in AWS_ACCESS_KEY_ID and its like come first, as
 * with AWS's SDKs, then a container's endpoint. -EINVAL: there is neither, or one is malformed.
 * `loop` NULL: only to find that out.
 */
int credentials_open(struct credentials_provider **provider, struct loop *loop,
                     struct error *error);

/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; -EINVAL: not set. */
int credentials_environment_open(struct credentials_provider **provider, struct error *error);

/* Those that AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or ..._FULL_URI gives; see credentials_open. */
int credentials_container_open(struct credentials_provider **provider, struct loop *loop,
                               struct error *error);

/*
 * The present ones are of no use any more: the machine was restored, or else they were refused.
 * False: there will never be others.
 */
static inline bool credentials_drop(struct credentials_provider *provider, bool is_restored)
{
    if (provider->drop)
        provider->drop(provider, is_restored);
    return provider->drop != NULL;
}

/* Fetches nothing any more; `closed` as with transfers_stop. */
static inline void credentials_stop(struct credentials_provider *provider,
                                    void (*closed)(void *context), void *context)
{
    if (provider->stop)
        provider->stop(provider, closed, context);
    else
        closed(context);
}

/* For the waiter: gives up. Allowed at any time. */
void credentials_waiter_cancel(struct credentials_waiter *waiter);

/* For providers: a list of waiters, the last one first. */
void credentials_waiter_add(struct credentials_waiter **list, struct credentials_waiter *waiter);

/*
 * Empties the list and calls each one's `done`, in the order in which they came. Those may do
 * anything, so nothing that the list belongs to may be touched afterwards.
 */
void credentials_waiters_wake(struct credentials_waiter **list);

#endif
