/* SPDX-License-Identifier: Apache-2.0 */
/* One configuration in the region: publish, status, repair. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "region/internal.h"

void entry_take_status(struct shmconf_record *record, const struct shmconf_record *status)
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
 * What the head tells. While readers have an older version than ours no good check counts for them,
 * and that it cannot be published is their error.
 */
static struct shmconf_record told(const struct region_entry *entry)
{
    struct shmconf_record record = entry->record;
    if (!entry->is_ahead)
        return record;
    record.fetched_ns = entry->behind.fetched_ns;
    record.checked_ns = entry->behind.checked_ns;
    record.next_ns = entry->behind.next_ns; /* who succeeds us has theirs only: it is due */
    if (!record.error) {
        record.failures = entry->behind.failures;
        record.error = entry->behind.error;
    }
    return record;
}

int entry_mark_moved(struct region_entry *entry)
{
    if (entry->record.state & SHMCONF_MOVED)
        return 0;
    entry->record.state |= SHMCONF_MOVED;
    struct shmconf_record record = told(entry);
    int rc = head_store(&entry->head, &record);
    if (rc == 0)
        head_wake(&entry->head);
    if (rc != -ENOSPC)
        return 0;
    entry->record.state &= ~(uint32_t)SHMCONF_MOVED;
    return rc;
}

/*
 * Somebody has put another head there, a copy of ours perhaps. Nothing that we store reaches who
 * attached to it since.
 */
static void mark_foreign_moved(const struct region_entry *entry, int directory)
{
    struct head other = {0};
    struct shmconf_name found;
    struct shmconf_record record;
    if (head_open(&other, entry->region, directory, &entry->name, &found, &record) != 0)
        return;
    bool is_ours = other.inode == entry->head.inode && other.device == entry->head.device;
    if (!is_ours && !(record.state & SHMCONF_MOVED)) {
        record.state |= SHMCONF_MOVED;
        if (head_store(&other, &record) == 0)
            head_wake(&other);
    }
    head_close(&other);
}

int entry_replace_head(struct region_entry *entry, int directory, uint64_t instance,
                       const struct shmconf_record *record)
{
    int rc = entry->head.map ? entry_mark_moved(entry) : 0;
    if (rc)
        return rc;
    mark_foreign_moved(entry, directory);
    rc = head_create(&entry->head, entry->region, directory, &entry->name, instance, record);
    if (rc == 0)
        entry->record = *record;
    return rc;
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
    entry_take_over(entry);
    *out = entry;
    return 0;
}

enum region_damage region_entry_damage(const struct region_entry *entry)
{
    return entry->untaken == -EBADMSG ? REGION_HEAD_DAMAGED : entry->damage;
}

/* Whether its head was removed or moved away, or another one has its name. By the whole path: what
 * the root's descriptor leads to may have gone with it. */
static bool has_lost_its_name(const struct region_entry *entry)
{
    struct stat status;
    cleanup_free char *path = NULL;
    if (asprintf(&path, "%s/%s/%s", entry->region->path, entry->path, SHMCONF_HEAD_FILE) < 0)
        return false;
    if (lstat(path, &status) == 0)
        return !head_is_file(&entry->head, &status);
    return errno == ENOENT || errno == ENOTDIR;
}

void region_entry_close(struct region_entry *entry)
{
    if (!entry)
        return;
    /* No successor finds it, so nobody else can have its readers look for another one. */
    if (entry->head.map && has_lost_its_name(entry))
        entry_mark_moved(entry);
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
        hint = entry->record.generation
                   ? " (readers keep the last version; free some space or inodes)"
                   : " (free some space or inodes)";
    else if (rc == -EPERM)
        hint = " (a directory there belongs to another user; remove it)";
    else if (rc == -ENOTDIR || rc == -ELOOP || rc == -ENOTEMPTY || rc == -EBUSY)
        hint = " (something else has its name there; remove it)";
    return error_system(error, -rc, entry->text, "cannot %s in %s/%s%s", what, entry->region->path,
                        entry->path, hint);
}

static void remove_version(int directory, uint64_t generation)
{
    char name[SHMCONF_VERSION_FILE_SIZE];
    shmconf_version_file(name, generation);
    region_file_remove(directory, name);
}

/* Is it still the file that we wrote: not another one, not cut, not open to others? */
static bool is_ours(const struct region *region, const char *path, size_t size,
                    enum region_kind kind, struct stat *status)
{
    return fstatat(region->root, path, status, AT_SYMLINK_NOFOLLOW) == 0 &&
           (size_t)status->st_size == size && region_has_access(region, kind, status);
}

/* By the whole path: this is done at every check of every configuration. */
static bool head_is_in_place(const struct region_entry *entry)
{
    struct stat status;
    char path[REGION_PATH_SIZE + sizeof SHMCONF_HEAD_FILE];
    snprintf(path, sizeof path, "%s/%s", entry->path, SHMCONF_HEAD_FILE);
    return entry->head.map &&
           is_ours(entry->region, path, SHMCONF_HEAD_SIZE, REGION_HEAD, &status) &&
           head_is_file(&entry->head, &status) &&
           head_is_intact(&entry->head, &entry->name, &entry->record);
}

static bool version_is_in_place(const struct region_entry *entry)
{
    struct stat status;
    char file[SHMCONF_VERSION_FILE_SIZE];
    char path[REGION_PATH_SIZE + SHMCONF_VERSION_FILE_SIZE + 1];
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
    entry_take_status(&record, status);
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
        rc = stored == -ENOSPC ? stored : entry_replace_head(entry, directory, instance, &record);
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
    int rc = entry_take_over_at_last(entry);
    if (rc)
        return publish_failed(entry, rc, "take over what is", error);
    if (entry->head.map && !entry->is_ahead && is_equal(entry->version, content)) {
        struct shmconf_record same = *status;
        same.fetched_ns = entry->record.fetched_ns;
        return region_entry_status(entry, &same, error);
    }
    cleanup_close int directory = region_directory_open(entry->region, entry->path, true);
    if (directory < 0)
        return publish_failed(entry, directory, "publish a version", error);
    rc = publish(entry, directory, head_is_in_place(entry), content, status);
    return rc ? publish_failed(entry, rc, "publish a version", error) : 1;
}

/* Nothing may follow MOVED. 0, -ENOSPC, or -EFAULT: truncated, so the next check makes a new one.
 */
static int tell(struct region_entry *entry)
{
    if (!entry->head.map || (entry->record.state & SHMCONF_MOVED))
        return 0;
    struct shmconf_record record = told(entry);
    int rc = head_store(&entry->head, &record);
    if (rc == -EFAULT)
        head_close(&entry->head);
    return rc;
}

/* Readers still have what was published before, and may want to know. */
static void tell_that_behind(struct region_entry *entry, int rc)
{
    if (!entry->is_ahead)
        return;
    entry->behind.failures++;
    entry->behind.error = (uint32_t)-rc;
    tell(entry);
}

int region_entry_publish(struct region_entry *entry, const struct region_content *content,
                         const struct shmconf_record *status, struct error *error)
{
    struct region_version *version;
    int rc = publish_new(entry, content, status, error);
    if (rc >= 0 || !entry->region->options.may_come_later)
        return rc;
    if (version_keep(&version, 0, entry->record.generation + 1, status->fetched_ns, content) != 0)
        return rc;
    region_version_drop(entry->version);
    entry->version = version;
    if (entry->head.map && !entry->is_ahead) {
        entry->is_ahead = true;
        entry->behind = entry->record;
    }
    entry_take_status(&entry->record, status);
    tell_that_behind(entry, rc);
    if (entry->region->root < 0)
        error->code = 0;
    return REGION_KEPT;
}

int region_entry_status(struct region_entry *entry, const struct shmconf_record *status,
                        struct error *error)
{
    entry_take_status(&entry->record, status);
    int rc = tell(entry);
    if (rc == 0)
        return 0;
    const char *what =
        rc == -ENOSPC ? "store the status" : "store the status, since its head was truncated";
    return publish_failed(entry, rc, what, error);
}

int entry_republish(struct region_entry *entry)
{
    const struct region_version *old = entry->version;
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

/* Also after a mode that somebody has changed was set again, which opening does. */
static bool directory_is_in_place(const struct region_entry *entry)
{
    if (region_directory_is_in_place(entry->region, entry->path))
        return true;
    cleanup_close int directory = region_directory_open(entry->region, entry->path, false);
    return directory >= 0;
}

int region_entry_check(struct region_entry *entry, struct error *error)
{
    const char *what = "take over what is";
    int rc = entry_is_open_question(entry->untaken) ? entry_take_over_at_last(entry) : 0;
    /* Without a root region_check_root has said why, and goes on trying. */
    if (!entry->version || entry->region->root < 0)
        return 0;
    if (!rc) {
        if (directory_is_in_place(entry) && !entry->is_ahead &&
            !(entry->record.state & SHMCONF_MOVED) && head_is_in_place(entry) &&
            version_is_in_place(entry))
            return 0;
        what = entry->head.map && !entry->is_ahead ? "publish again what was removed"
                                                   : "publish a version";
        rc = entry_republish(entry);
    }
    if (!rc)
        return 1;
    tell_that_behind(entry, rc);
    return publish_failed(entry, rc, what, error);
}
