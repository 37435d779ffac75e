/* SPDX-License-Identifier: Apache-2.0 */
/* What a predecessor left of one configuration: taken over at the start, or when that is possible.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "region/internal.h"

/* A predecessor on an earlier boot synced nothing to the disk. */
static bool is_this_boot(const struct region_entry *entry)
{
    return entry->head.is_of_this_boot;
}

bool entry_is_open_question(int rc)
{
    return rc != 0 && rc != -ENOENT && rc != -EBADMSG;
}

/* There is no version of an earlier boot. A new head would vouch for the damaged body. */
static int leave_to_readers(struct region_entry *entry)
{
    int rc = entry_mark_moved(entry);
    if (rc)
        return rc;
    head_close(&entry->head);
    memset(&entry->record, 0, sizeof entry->record);
    return 0;
}

static int take_over_in(struct region_entry *entry, int directory)
{
    struct shmconf_name found;
    int rc =
        head_open(&entry->head, entry->region, directory, &entry->name, &found, &entry->record);
    if (rc)
        return rc;
    head_wake(&entry->head);
    bool is_live = (entry->record.state & 0xff) == SHMCONF_LIVE;
    region_directory_sweep(directory, is_live ? entry->record.generation : 0);
    if (is_live)
        rc = version_open(&entry->version, entry->region, directory, entry->head.instance,
                          entry->record.generation);
    if (entry_is_open_question(rc))
        return rc;
    entry->has_lost_version = is_live && !entry->version;
    /* A head that says something else is damaged, and mended by the next check. */
    if (entry->version)
        entry->record.payload_size = (uint32_t)entry->version->size;
    if (!is_this_boot(entry) && !entry->version)
        return leave_to_readers(entry);
    if (!is_this_boot(entry) || (entry->record.state & SHMCONF_MOVED)) {
        struct shmconf_record record = entry->record;
        record.state &= ~(uint32_t)SHMCONF_MOVED;
        entry_replace_head(entry, directory, entry->head.instance, &record);
    }
    return 0;
}

void entry_take_over(struct region_entry *entry)
{
    cleanup_close int directory = region_directory_open(entry->region, entry->path, false);
    head_close(&entry->head);
    memset(&entry->record, 0, sizeof entry->record);
    entry->is_ahead = false;
    entry->has_lost_version = false;
    if (entry->region->root < 0)
        entry->untaken = -EAGAIN; /* there may be something below a root that comes later */
    else
        entry->untaken = directory < 0 ? directory : take_over_in(entry, directory);
}

/* What was kept in memory meanwhile is newer than what a predecessor left: it is not given up. */
static void take_over_again(struct region_entry *entry)
{
    struct region_version *kept = entry->version;
    struct shmconf_record status = entry->record;
    entry->version = NULL;
    entry_take_over(entry);
    if (!kept)
        return;
    region_version_drop(entry->version);
    entry->version = kept;
    entry->is_ahead = true;
    entry->behind = entry->record;
    entry_take_status(&entry->record, &status);
}

int entry_take_over_at_last(struct region_entry *entry)
{
    if (!entry->untaken)
        return 0;
    take_over_again(entry);
    bool is_shortage = entry->untaken == -EMFILE || entry->untaken == -ENFILE ||
                       entry->untaken == -ENOMEM || entry->untaken == -ENOSPC ||
                       entry->untaken == -EDQUOT;
    return is_shortage ? entry->untaken : 0;
}
