/* SPDX-License-Identifier: Apache-2.0 */
/* What a predecessor left of one configuration: taken over at the start, or when that is possible.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/list.h"
#include "region/file_names.h"
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

/* The generation of a version's file, or 0: it is none that a daemon has written. */
static uint64_t generation_of(const char *file)
{
    char exact[SHMCONF_VERSION_FILE_SIZE];
    if (!region_file_is_version(file))
        return 0;
    uint64_t generation = strtoull(file + 1, NULL, 16);
    shmconf_version_file(exact, generation);
    return generation <= REGION_GENERATION_MAX && strcmp(file, exact) == 0 ? generation : 0;
}

/* Of what an earlier boot left, in whatever order and as much of it as came to the disk. */
struct leftovers {
    struct region_version *newest; /* of the head's instance that is whole; NULL: none */
    uint64_t highest;              /* generation of all that have a file, and of the head */
    uint64_t unknown;              /* generation of the newest one that cannot be read now */
    int reason;                    /* -errno of that */
};

static void look_at_version(struct leftovers *left, const struct region_entry *entry, int directory,
                            uint64_t generation)
{
    struct region_version *version;
    if (generation > left->highest)
        left->highest = generation;
    if (generation == 0 || (left->newest && generation < left->newest->generation))
        return;
    int rc = version_open(&version, entry->region, directory, entry->head.instance, generation);
    if (rc == -ENOENT)
        rc = -EAGAIN; /* it was there a moment ago: nothing is given up for that */
    if (rc == 0) {
        region_version_drop(left->newest);
        left->newest = version;
    } else if (entry_is_open_question(rc) && generation > left->unknown) {
        left->unknown = generation;
        left->reason = rc;
    }
}

/* 0, or -errno when it cannot be told which is the newest one. */
static int find_newest(struct leftovers *left, const struct region_entry *entry, int directory)
{
    DIR *stream = list_directory(directory);
    if (!stream)
        return -errno;
    errno = 0;
    for (struct dirent *file; (file = readdir(stream)); errno = 0)
        look_at_version(left, entry, directory, generation_of(file->d_name));
    int rc = -errno;
    closedir(stream);
    if (rc) {
        region_version_drop(left->newest);
        return rc;
    }
    if (left->unknown == 0 || (left->newest && left->newest->generation > left->unknown))
        return 0;
    region_version_drop(left->newest);
    return left->reason;
}

/*
 * The version of an earlier boot's head is not the newest one that is whole. A new head would vouch
 * for it; `whole` becomes a new version instead, never checked and due. That takes no reader back:
 * all of them began after the boot, with the same files. NULL: there is none.
 */
static int begin_anew(struct region_entry *entry, int directory, struct region_version *whole,
                      uint64_t highest)
{
    int rc = entry_mark_moved(entry);
    if (rc) {
        region_version_drop(whole);
        return rc;
    }
    head_close(&entry->head);
    memset(&entry->record, 0, sizeof entry->record);
    entry->damage = whole ? REGION_VERSION_OTHER : REGION_VERSION_DAMAGED;
    if (!whole) {
        region_directory_sweep(directory, highest);
        return 0;
    }
    entry->version = whole;
    entry->record.generation = highest + 1; /* so that of all before it nothing stays */
    entry_republish(entry);                 /* or the next check does */
    return 0;
}

/* Removes what nobody needs, and replaces a head that cannot stay. */
static void settle(struct region_entry *entry, int directory)
{
    bool is_live = (entry->record.state & 0xff) == SHMCONF_LIVE;
    region_directory_sweep(directory, is_live ? entry->record.generation : 0);
    /* A head that says something else is damaged, and mended by the next check. */
    if (entry->version)
        entry->record.payload_size = (uint32_t)entry->version->size;
    if (!is_this_boot(entry) || (entry->record.state & SHMCONF_MOVED)) {
        struct shmconf_record record = entry->record;
        record.state &= ~(uint32_t)SHMCONF_MOVED;
        entry_replace_head(entry, directory, entry->head.instance, &record);
    }
}

static int take_over_version(struct region_entry *entry, int directory)
{
    int rc = version_open(&entry->version, entry->region, directory, entry->head.instance,
                          entry->record.generation);
    if (entry_is_open_question(rc))
        return rc;
    if (!entry->version)
        entry->damage = REGION_VERSION_DAMAGED;
    settle(entry, directory);
    return 0;
}

/* The same of an earlier boot's. */
static int take_over_from_disk(struct region_entry *entry, int directory)
{
    struct leftovers left = {.highest = entry->record.generation};
    int rc = find_newest(&left, entry, directory);
    if (rc)
        return rc;
    if (!left.newest || left.newest->generation != entry->record.generation)
        return begin_anew(entry, directory, left.newest, left.highest);
    entry->version = left.newest;
    settle(entry, directory);
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
    if ((entry->record.state & 0xff) != SHMCONF_LIVE)
        settle(entry, directory);
    else if (is_this_boot(entry))
        rc = take_over_version(entry, directory);
    else
        rc = take_over_from_disk(entry, directory);
    return rc;
}

void entry_take_over(struct region_entry *entry)
{
    cleanup_close int directory = region_directory_open(entry->region, entry->path, false);
    head_close(&entry->head);
    memset(&entry->record, 0, sizeof entry->record);
    entry->is_ahead = false;
    entry->damage = REGION_SOUND;
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
