/* SPDX-License-Identifier: Apache-2.0 */
/* One configuration in the region: take over, publish, status, repair. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "region/internal.h"

/* Copies the members that the caller decides. */
static void take_status(struct shmconf_record *record, const struct shmconf_record *status)
{
    record->failures = status->failures;
    record->fetched_ns = status->fetched_ns;
    record->checked_ns = status->checked_ns;
    record->tried_ns = status->tried_ns;
    record->next_ns = status->next_ns;
    record->error = status->error;
    record->http_status = status->http_status;
    record->interval_s = status->interval_s;
}

/*
 * Whoever has our head mapped goes on looking at the path. With the generation that it has: if the
 * new head cannot be made, nothing was published. The flag stays in our record, and nothing is
 * stored until there is a new head; also not the flag again, which a predecessor or an earlier try
 * may have stored. 0, or -ENOSPC: nobody was told, so the head must not be replaced now.
 */
static int mark_moved(struct region_entry *entry)
{
    if (entry->record.state & SHMCONF_MOVED)
        return 0;
    entry->record.state |= SHMCONF_MOVED;
    int rc = head_store(&entry->head, &entry->record);
    if (rc == 0)
        head_wake(&entry->head);
    if (rc != -ENOSPC)
        return 0;
    entry->record.state &= ~(uint32_t)SHMCONF_MOVED;
    return rc;
}

/*
 * Replaces the head: the old one says MOVED first, so that its readers come along even if we die
 * before the rename. Nothing is ever stored in it again.
 */
static int replace_head(struct region_entry *entry, int directory, uint64_t instance,
                        const struct shmconf_record *record)
{
    int rc = entry->head.map ? mark_moved(entry) : 0;
    if (rc == 0)
        rc = head_create(&entry->head, entry->region, directory, &entry->name, instance, record);
    if (rc == 0)
        entry->record = *record;
    return rc;
}

/* A predecessor on an earlier boot synced nothing to the disk. */
static bool is_this_boot(const struct region_entry *entry)
{
    return memcmp(entry->head.map->boot_id, entry->region->boot_id, 16) == 0;
}

/* Whether it was no answer: there may be a head all the same, or a version that is whole. */
static bool is_open_question(int rc)
{
    return rc != 0 && rc != -ENOENT && rc != -EBADMSG;
}

/* There is no version of an earlier boot. A new head would vouch for the damaged body. */
static int leave_to_readers(struct region_entry *entry)
{
    int rc = mark_moved(entry);
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
    if (is_open_question(rc))
        return rc;
    if (!is_this_boot(entry) && !entry->version)
        return leave_to_readers(entry);
    if (!is_this_boot(entry) || (entry->record.state & SHMCONF_MOVED)) {
        struct shmconf_record record = entry->record;
        record.state &= ~(uint32_t)SHMCONF_MOVED;
        replace_head(entry, directory, entry->head.instance, &record);
    }
    return 0;
}

/*
 * Takes over what a predecessor left. Where that cannot be done the entry stays without a version.
 * `untaken` tells why: what may have been a passing trouble must be tried again, since a new head
 * over one that we have not mapped would leave the latter's readers behind.
 */
static void take_over(struct region_entry *entry)
{
    cleanup_close int directory = region_directory_open(entry->region, entry->path, false);
    head_close(&entry->head);
    memset(&entry->record, 0, sizeof entry->record);
    if (entry->region->root < 0)
        entry->untaken = -EAGAIN; /* there may be something below a root that comes later */
    else
        entry->untaken = directory < 0 ? directory : take_over_in(entry, directory);
}

/* What was kept in memory meanwhile is newer than what a predecessor left: it is not given up. */
static void take_over_again(struct region_entry *entry)
{
    struct region_version *kept = entry->version;
    entry->version = NULL;
    take_over(entry);
    if (!kept)
        return;
    region_version_drop(entry->version);
    entry->version = kept;
    entry->is_ahead = true;
}

/* Before a publication. Without descriptors, memory and space that would fail as well. */
static int take_over_at_last(struct region_entry *entry)
{
    if (!entry->untaken)
        return 0;
    take_over_again(entry);
    bool is_shortage = entry->untaken == -EMFILE || entry->untaken == -ENFILE ||
                       entry->untaken == -ENOMEM || entry->untaken == -ENOSPC ||
                       entry->untaken == -EDQUOT;
    return is_shortage ? entry->untaken : 0;
}

int region_entry_open(struct region_entry **out, struct region *region,
                      const struct shmconf_name *name, struct error *error)
{
    char text[SHMCONF_NAME_TEXT_MAX];
    shmconf_name_print(name, text);
    struct region_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return error_system(error, ENOMEM, text, "cannot take it up");
    entry->text = strdup(text);
    if (!entry->text) {
        free(entry);
        return error_system(error, ENOMEM, text, "cannot take it up");
    }
    entry->region = region;
    entry->name = *name;
    region_path(name, entry->path, sizeof entry->path);
    take_over(entry);
    *out = entry;
    return 0;
}

void region_entry_close(struct region_entry *entry)
{
    if (!entry)
        return;
    head_close(&entry->head);
    region_version_drop(entry->version);
    free(entry->text);
    free(entry);
}

struct region_version *region_entry_version(const struct region_entry *entry)
{
    return entry->version;
}

const char *region_entry_text(const struct region_entry *entry)
{
    return entry->text;
}

const struct shmconf_record *region_entry_record(const struct region_entry *entry)
{
    return &entry->record;
}

static int publish_failed(const struct region_entry *entry, int rc, const char *what,
                          struct error *error)
{
    const char *hint = "";
    if (rc == -ENOSPC || rc == -EDQUOT)
        hint = " (readers keep the last version; free some space)";
    else if (rc == -EPERM)
        hint = " (a directory there belongs to another user; remove it)";
    else if (rc == -ENOTDIR || rc == -ELOOP)
        hint = " (something else has its name there; remove it)";
    return error_system(error, -rc, entry->text, "cannot %s in %s%s", what, entry->region->path,
                        hint);
}

static void remove_version(int directory, uint64_t generation)
{
    char name[SHMCONF_VERSION_FILE_SIZE];
    shmconf_version_file(name, generation);
    unlinkat(directory, name, 0);
}

/* Is it still the file that we wrote: not another one, not cut, not open to others? */
static bool is_ours(const struct region *region, const char *path, size_t size,
                    enum region_kind kind, struct stat *status)
{
    return fstatat(region->root, path, status, AT_SYMLINK_NOFOLLOW) == 0 &&
           (size_t)status->st_size == size && status->st_uid == geteuid() &&
           (status->st_mode & 07777) == region_mode(region, kind);
}

/* By the whole path: this is done at every check of every configuration. */
static bool head_is_in_place(const struct region_entry *entry)
{
    struct stat status;
    char path[sizeof entry->path + sizeof SHMCONF_HEAD_FILE];
    snprintf(path, sizeof path, "%s/%s", entry->path, SHMCONF_HEAD_FILE);
    return entry->head.map &&
           is_ours(entry->region, path, SHMCONF_HEAD_SIZE, REGION_HEAD, &status) &&
           status.st_ino == entry->head.inode &&
           head_is_intact(&entry->head, &entry->name, &entry->record);
}

static bool version_is_in_place(const struct region_entry *entry)
{
    struct stat status;
    char file[SHMCONF_VERSION_FILE_SIZE];
    char path[sizeof entry->path + SHMCONF_VERSION_FILE_SIZE + 1];
    const struct region_version *version = entry->version;
    shmconf_version_file(file, entry->record.generation);
    snprintf(path, sizeof path, "%s/%s", entry->path, file);
    return is_ours(entry->region, path, version->file_size, REGION_VERSION, &status) &&
           status.st_mtim.tv_sec == version->modified.tv_sec &&
           status.st_mtim.tv_nsec == version->modified.tv_nsec;
}

/*
 * The protocol's publication: the file is complete and has its name before the sequence is stored,
 * and the predecessor's predecessor loses its name after that. `has_head`: ours is at the path.
 */
static int publish(struct region_entry *entry, int directory, bool has_head,
                   const struct region_content *content, const struct shmconf_record *status)
{
    struct region_version *version = NULL;
    struct shmconf_record record = {.generation = entry->record.generation + 1,
                                    .state = SHMCONF_LIVE,
                                    .payload_size = (uint32_t)content->size};
    uint64_t instance = entry->head.instance ? entry->head.instance : head_new_instance();
    take_status(&record, status);
    int rc = version_write(&version, entry->region, directory, instance, record.generation,
                           record.fetched_ns, content);
    if (rc)
        return rc;
    bool is_moved = entry->record.state & SHMCONF_MOVED;
    int stored = has_head && !is_moved ? head_store(&entry->head, &record) : -EFAULT;
    if (stored == 0) {
        entry->record = record;
        head_wake(&entry->head);
        if (record.generation > 2)
            remove_version(directory, record.generation - 2);
    } else {
        rc = stored == -ENOSPC ? stored : replace_head(entry, directory, instance, &record);
        if (rc) {
            remove_version(directory, record.generation);
            region_version_drop(version);
            return rc;
        }
        region_directory_sweep(directory, record.generation);
    }
    region_version_drop(entry->version);
    entry->version = version;
    entry->is_ahead = false;
    entry->untaken = 0;
    return 0;
}

static bool is_equal(const struct region_version *version, const struct region_content *content)
{
    return version && version->size == content->size &&
           memcmp(version->payload, content->payload, content->size) == 0 &&
           strcmp(version->content_type, content->content_type) == 0 &&
           strcmp(version->label, content->label) == 0;
}

static int publish_new(struct region_entry *entry, const struct region_content *content,
                       const struct shmconf_record *status, struct error *error)
{
    int rc = take_over_at_last(entry);
    if (rc)
        return publish_failed(entry, rc, "take over what is", error);
    if (entry->head.map && !entry->is_ahead && is_equal(entry->version, content)) {
        struct shmconf_record same = *status;
        same.fetched_ns = entry->record.fetched_ns;
        return region_entry_status(entry, &same, error);
    }
    cleanup_close int directory = region_directory_open(entry->region, entry->path, true);
    if (directory < 0)
        return publish_failed(entry, directory, "make the directory", error);
    rc = publish(entry, directory, head_is_in_place(entry), content, status);
    return rc ? publish_failed(entry, rc, "publish a version", error) : 1;
}

/* Whether there is nothing that readers have: then there is no harm in being ahead of them. */
static bool may_keep(const struct region_entry *entry)
{
    return entry->region->options.may_come_later && !entry->head.map;
}

int region_entry_publish(struct region_entry *entry, const struct region_content *content,
                         const struct shmconf_record *status, struct error *error)
{
    struct region_version *version;
    int rc = publish_new(entry, content, status, error);
    if (rc >= 0 || !may_keep(entry))
        return rc;
    if (version_keep(&version, 0, entry->record.generation + 1, status->fetched_ns, content) != 0)
        return rc;
    region_version_drop(entry->version);
    entry->version = version;
    take_status(&entry->record, status);
    if (entry->region->root < 0)
        error->code = 0;
    return REGION_KEPT;
}

int region_entry_status(struct region_entry *entry, const struct shmconf_record *status,
                        struct error *error)
{
    take_status(&entry->record, status);
    if (!entry->head.map || (entry->record.state & SHMCONF_MOVED))
        return 0;
    int rc = head_store(&entry->head, &entry->record);
    if (rc == 0)
        return 0;
    if (rc == -ENOSPC)
        return publish_failed(entry, rc, "store the status", error);
    head_close(&entry->head); /* truncated: the next check makes a new one */
    return publish_failed(entry, -EFAULT, "store the status, since its head was truncated", error);
}

/* Publishes what we have in memory, as the next generation. */
static int republish(struct region_entry *entry, const struct region_version *old)
{
    struct region_content content = {.payload = old->payload,
                                     .size = old->size,
                                     .content_type = old->content_type,
                                     .label = old->label,
                                     .kind = old->kind};
    cleanup_close int directory = region_directory_open(entry->region, entry->path, true);
    if (directory < 0)
        return directory;
    struct shmconf_record status = entry->record;
    status.fetched_ns = old->fetched_ns;
    return publish(entry, directory, head_is_in_place(entry), &content, &status);
}

int region_entry_check(struct region_entry *entry, struct error *error)
{
    int rc = is_open_question(entry->untaken) ? take_over_at_last(entry) : 0;
    /* Without a root region_check_root has said why, and goes on trying. */
    if (!entry->version || entry->region->root < 0)
        return 0;
    if (rc)
        return publish_failed(entry, rc, "take over what is", error);
    if (!entry->is_ahead && !(entry->record.state & SHMCONF_MOVED) && head_is_in_place(entry) &&
        version_is_in_place(entry))
        return 0;
    const char *what = entry->head.map && !entry->is_ahead ? "publish again what was removed"
                                                           : "publish a version";
    rc = republish(entry, entry->version);
    return rc ? publish_failed(entry, rc, what, error) : 1;
}
