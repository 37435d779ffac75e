/* SPDX-License-Identifier: Apache-2.0 */
#include "source/source.h"

void source_waiter_cancel(struct source_waiter *waiter)
{
    if (!waiter->link)
        return;
    *waiter->link = waiter->next;
    if (waiter->next)
        waiter->next->link = waiter->link;
    waiter->link = NULL;
}

void source_waiter_move(struct source_waiter *waiter, struct source_waiter *to)
{
    *to = *waiter;
    *to->link = to;
    if (to->next)
        to->next->link = &to->next;
    waiter->link = NULL;
}

void source_waiter_add(struct source_waiter **list, struct source_waiter *waiter)
{
    waiter->next = *list;
    waiter->link = list;
    if (waiter->next)
        waiter->next->link = &waiter->next;
    *list = waiter;
}

void source_waiters_wake(struct source_waiter **list)
{
    struct source_waiter *mine = *list;
    *list = NULL;
    if (mine)
        mine->link = &mine;
    while (mine) {
        struct source_waiter *waiter = mine;
        source_waiter_cancel(waiter);
        waiter->done(waiter);
    }
}
