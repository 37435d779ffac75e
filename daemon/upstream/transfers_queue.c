/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for a connection: the urgent go first, but not for ever. */
#include <stddef.h>

#include "upstream/transfers_internal.h"

enum { URGENT_IN_ROW_MAX = 3 };

static struct transfer_queue *queue_of(struct transfers *transfers, const struct transfer *transfer)
{
    return transfer->is_urgent ? &transfers->urgent : &transfers->usual;
}

void transfers_enqueue(struct transfers *transfers, struct transfer *transfer)
{
    struct transfer_queue *queue = queue_of(transfers, transfer);
    transfer->next = NULL;
    if (queue->first)
        queue->last->next = transfer;
    else
        queue->first = transfer;
    queue->last = transfer;
}

struct transfer *transfers_dequeue(struct transfers *transfers)
{
    bool is_contested = transfers->urgent.first && transfers->usual.first;
    bool is_urgent =
        transfers->urgent.first && !(is_contested && transfers->urgent_in_row >= URGENT_IN_ROW_MAX);
    struct transfer_queue *queue = is_urgent ? &transfers->urgent : &transfers->usual;
    struct transfer *transfer = queue->first;
    transfers->urgent_in_row = is_contested && is_urgent ? transfers->urgent_in_row + 1 : 0;
    if (transfer)
        queue->first = transfer->next;
    return transfer;
}

void transfers_leave_queue(struct transfers *transfers, const struct transfer *transfer)
{
    struct transfer_queue *queue = queue_of(transfers, transfer);
    struct transfer *before = NULL;
    for (struct transfer *at = queue->first; at != transfer; at = at->next)
        before = at;
    *(before ? &before->next : &queue->first) = transfer->next;
    if (queue->last == transfer)
        queue->last = before;
}
