/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer's side of the shared-memory region: one root directory, locked for the daemon's life,
 * and an entry for each configuration. docs/region-format.md describes what is written.
 */
#ifndef SHMCONFD_REGION_H
#define SHMCONFD_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/error.h"
#include "shmconf/format.h"
#include "shmconf/name.h"

struct region;
struct region_entry;

enum region_access { REGION_OWNER, REGION_GROUP, REGION_ALL };

struct region_options {
    const char *path;
    bool path_is_given; /* by SHMCONF_DIR: then it may be a mount point of another owner */
    enum region_access access;
    bool has_group;
    gid_t group;
    bool may_come_later;
};

/* What a version is made of. Nothing is kept beyond the call. */
struct region_content {
    const void *payload;
    size_t size;
    const char *content_type;
    const char *label; /* "": none */
    enum shmconf_kind kind;
};

/*
 * A published version, in memory of our own: constant, shared by reference count. Not the file's
 * mapping, since whoever truncates that would take the last good version from us as well.
 */
struct region_version {
    const char *payload;
    size_t size;
    const char *content_type;
    const char *label;
    enum shmconf_kind kind;
    uint64_t generation;
    uint64_t instance;
    uint64_t fetched_ns; /* unix time */
    uint8_t sha256[32];
    unsigned references;
    struct timespec modified; /* of the file: whoever changes it in place, changes this */
    char *file;               /* the whole file, which all the above points into */
    size_t file_size;
};

/*
 * Opens or makes the root directory and locks it. -EPERM: it is not ours; -EWOULDBLOCK: another
 * daemon holds it; else what the system said. With `may_come_later` there is a region even so: what
 * is published stays in memory until region_check_root has found a root.
 */
int region_open(struct region **region, const struct region_options *options, struct error *error);
void region_close(struct region *region);

/* What was found of a predecessor. */
enum region_damage {
    REGION_SOUND, /* or nothing at all */
    /* Nothing can be stored there for those who have it open: who only calls shmconf_enter stays
     * with what he has. */
    REGION_HEAD_DAMAGED,
    REGION_VERSION_DAMAGED, /* or removed: the head is sound, and nothing can be served */
    REGION_VERSION_OTHER, /* not all of an earlier boot is there: the newest whole one is served */
};

/*
 * What a start owes to readers and to a predecessor that died: wakes every sleeper, ends half-done
 * replacements and removes orphaned files, in the whole region. Returns the number of
 * configurations that are there; what cannot be read is left alone.
 */
unsigned region_recover(struct region *region);

/*
 * The same; `found` is told of every configuration that has a version, or had one. Where that is
 * not the predecessor's last one the record has it due. `error`: why a place could not be looked
 * at, the first of them; its code is 0 if all could.
 */
typedef void region_found(void *context, const struct shmconf_name *name,
                          const struct shmconf_record *record, enum region_damage damage);
unsigned region_recover_each(struct region *region, region_found *found, void *context,
                             struct error *error);

/*
 * Notes in the root where its configurations come from from now on. `since_ns` receives since when,
 * as unix time, it has been this source without another one in between. 0 or -errno.
 */
int region_set_source(struct region *region, const char *source, uint64_t *since_ns);

/* Notes it again where that was removed or written over, could not be, or the root was made anew. 0
 * or -errno. */
int region_keep_source(struct region *region);

/* Makes the root directory anew if it was removed or replaced: 1 then, 0 if all is well, or -errno.
 */
int region_check_root(struct region *region, struct error *error);

/*
 * The entry of a configuration, with the version that a predecessor published, if it is whole.
 * Creates nothing. The caller has at most one entry per name.
 */
int region_entry_open(struct region_entry **entry, struct region *region,
                      const struct shmconf_name *name, struct error *error);

/* What region_entry_open has found. */
enum region_damage region_entry_damage(const struct region_entry *entry);

void region_entry_close(struct region_entry *entry);

/* The current version, or NULL; the caller's own reference comes from region_version_hold. */
struct region_version *region_entry_version(const struct region_entry *entry);
struct region_version *region_version_hold(struct region_version *version);
void region_version_drop(struct region_version *version);

/*
 * Publishes `content` as the next generation, unless bytes, type and label equal the current one's;
 * either way the status is stored: all members of `status` but generation, state and payload_size.
 * Returns 1 for a new generation, 0 for an equal answer; on failure readers keep what they have.
 * REGION_KEPT: of a region that may come later; it could not be published and is in memory only,
 * until region_entry_check can publish it, and readers are told that theirs is older; the error
 * says why, with code 0 where there is no root, which region_check_root explains.
 */
enum { REGION_KEPT = 2 };
int region_entry_publish(struct region_entry *entry, const struct region_content *content,
                         const struct shmconf_record *status, struct error *error);

/* Stores the status; nobody is woken. Without a published version there is nowhere to, and 0. */
int region_entry_status(struct region_entry *entry, const struct shmconf_record *status,
                        struct error *error);

/* The name as users write it. */
const char *region_entry_text(const struct region_entry *entry);

/* What was stored last; all 0 if nothing was published. */
const struct shmconf_record *region_entry_record(const struct region_entry *entry);

/*
 * Looks whether head and current version still have their names, and publishes again from memory
 * what somebody removed: 1 if it had to, 0 if all is well, or -errno.
 */
int region_entry_check(struct region_entry *entry, struct error *error);

#endif
