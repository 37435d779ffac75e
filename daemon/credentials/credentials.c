/* SPDX-License-Identifier: Apache-2.0 */
#include "credentials/credentials.h"

#include <stdlib.h>

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

int credentials_open(struct credentials_provider **provider, struct loop *loop, struct error *error)
{
    bool has_keys = is_set("AWS_ACCESS_KEY_ID") || is_set("AWS_SECRET_ACCESS_KEY");
    bool has_endpoint = is_set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") ||
                        is_set("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (has_endpoint && !has_keys)
        return credentials_container_open(provider, loop, error);
    return credentials_environment_open(provider, error);
}

void credentials_waiter_cancel(struct credentials_waiter *waiter)
{
    if (!waiter->link)
        return;
    *waiter->link = waiter->next;
    if (waiter->next)
        waiter->next->link = waiter->link;
    waiter->link = NULL;
}

void credentials_waiter_add(struct credentials_waiter **list, struct credentials_waiter *waiter)
{
    waiter->next = *list;
    waiter->link = list;
    if (waiter->next)
        waiter->next->link = &waiter->next;
    *list = waiter;
}

void credentials_waiters_wake(struct credentials_waiter **list)
{
    struct credentials_waiter *mine = NULL;
    struct credentials_waiter *waiter;
    while ((waiter = *list)) {
        credentials_waiter_cancel(waiter);
        credentials_waiter_add(&mine, waiter);
    }
    while ((waiter = mine)) {
        credentials_waiter_cancel(waiter);
        waiter->done(waiter);
    }
}
