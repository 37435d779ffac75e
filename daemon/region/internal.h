/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share; nobody else includes it. */
#ifndef SHMCONFD_REGION_INTERNAL_H
#define SHMCONFD_REGION_INTERNAL_H

#include <sys/stat.h>

#include "region/region.h"

struct region {
    char *path;
    int root; /* the lock is on this descriptor */
    dev_t device;
    ino_t inode;
    bool is_foreign;  /* a mount point of another owner: its mode is not ours to change */
    bool has_tmpfile; /* false once O_TMPFILE or the naming of such a file was refused */
    struct region_options options;
    uint8_t boot_id[16];
    char *source; /* where the configurations come from; NULL: it was not said */
    uint64_t source_since_ns;
    struct stat source_file; /* of the note in the root, as it has to be */
    bool is_source_unread;   /* what is noted there is not known yet */
};

/* The mapped head of an entry; `map` NULL: none. */
struct head {
    struct shmconf_head *map;
    uint32_t seq;
    uint64_t instance;
    dev_t device; /* of its file, with the inode */
    ino_t inode;
    bool is_of_this_boot; /* by what was read: the mapping may be truncated at any time */
};

/* Of a configuration's directory, below the root. */
enum { REGION_PATH_SIZE = SHMCONF_PARTS * (SHMCONF_SEGMENT_MAX + 1) };

struct region_entry {
    struct region *region;
    struct shmconf_name name;
    char path[REGION_PATH_SIZE]; /* below the root */
    char *text;                  /* the name for messages */
    struct head head;
    struct shmconf_record record;   /* our copy; the one in the head is never read back */
    struct region_version *version; /* NULL: none, or not whole */
    bool is_ahead;                  /* `version` is newer than what readers have */
    struct shmconf_record behind;   /* what those are told of theirs meanwhile */
    int untaken;                    /* -errno of the take-over; 0: done, or no longer needed */
    enum region_damage damage;      /* of versions, found by the last take-over */
};

/* ---- file.c: files that appear complete ------------------------------------------------------ */

enum region_kind { REGION_DIRECTORY, REGION_HEAD, REGION_VERSION };

/* What the access setting makes of each kind. */
mode_t region_mode(const struct region *region, enum region_kind kind);

/* Whether it is of our user, and has the mode and the group of that kind. */
bool region_has_access(const struct region *region, enum region_kind kind,
                       const struct stat *status);

/*
 * Sets mode and group, if `status` has others, whatever the umask and the predecessor's. 0 or
 * -errno.
 */
int region_set_access(const struct region *region, int fd, enum region_kind kind,
                      const struct stat *status);

struct region_file {
    struct stat status; /* once it was written */
    void *map;          /* of a head: its shared mapping, the caller's; else NULL */
};

/*
 * Writes a file completely and then gives it its name, over whatever has that name. All that can
 * fail is done before: a name is not taken back. 0, or -errno, and nothing is left behind then.
 */
int region_file_write(struct region_file *file, struct region *region, int directory,
                      enum region_kind kind, const char *name, const void *bytes, size_t size);

/* Removes what has this name, an empty directory as well. 0 or -errno: -ENOTEMPTY, -ENOENT. */
int region_file_remove(int directory, const char *name);

/* Reads all of an open file's first `size` bytes: 0, -EBADMSG if there are less, or -errno. */
int region_file_read(int fd, void *bytes, size_t size);

/* ---- directory.c: the three levels below the root -------------------------------------------- */

/* The path of a configuration below the root. */
void region_path(const struct shmconf_name *name, char *path, size_t size);

/*
 * Opens it, level by level, each a real directory of ours; makes what is missing if `make`.
 * A descriptor or -errno.
 */
int region_directory_open(struct region *region, const char *path, bool make);

/* Removes temporary files and all versions but `generation` and its predecessor (0: all). */
void region_directory_sweep(int directory, uint64_t generation);

/* Whether each level of it is a directory of ours that readers may pass. */
bool region_directory_is_in_place(const struct region *region, const char *path);

/* Removes our temporary files from the root. */
void region_root_sweep(const struct region *region);

/* ---- head.c: the seqlock --------------------------------------------------------------------- */

/*
 * Maps the directory's head if it is one of ours and whole, with its current record. 0; -ENOENT;
 * -EBADMSG when it is not usable; another -errno when that could not be found out. `name` NULL:
 * any; the head's name is put into `found`.
 */
int head_open(struct head *head, const struct region *region, int directory,
              const struct shmconf_name *name, struct shmconf_name *found,
              struct shmconf_record *record);

/* A random number that no other head has; never 0. */
uint64_t head_new_instance(void);

/* Makes a head with this record and gives it its name, over whatever is there. 0 or -errno. */
int head_create(struct head *head, struct region *region, int directory,
                const struct shmconf_name *name, uint64_t instance,
                const struct shmconf_record *record);

/*
 * The protocol's store. 0; -EFAULT when somebody truncated the file; -ENOSPC when it is whole and a
 * file system that copies on write has no room: its readers are to be kept.
 */
int head_store(struct head *head, const struct shmconf_record *record);
/* Whether what we know of it still stands in it: somebody may have written over it. */
bool head_is_intact(const struct head *head, const struct shmconf_name *name,
                    const struct shmconf_record *record);
/* Whether that is its file. */
bool head_is_file(const struct head *head, const struct stat *status);
void head_wake(const struct head *head);
void head_close(struct head *head);

/* ---- version.c: version files ---------------------------------------------------------------- */

/* Writes the file of a version and gives it its name. 0 or -errno. */
int version_write(struct region_version **version, struct region *region, int directory,
                  uint64_t instance, uint64_t generation, uint64_t fetched_ns,
                  const struct region_content *content);

/* The same in memory only. */
int version_keep(struct region_version **version, uint64_t instance, uint64_t generation,
                 uint64_t fetched_ns, const struct region_content *content);

/* Opens and checks everything: 0, -ENOENT, -EBADMSG, or why that could not be done. */
int version_open(struct region_version **version, const struct region *region, int directory,
                 uint64_t instance, uint64_t generation);

/* ---- entry.c: what its files share with take_over.c ------------------------------------------ */

/* Copies the members that the source of a configuration decides. */
void entry_take_status(struct shmconf_record *record, const struct shmconf_record *status);

/*
 * Whoever has our head mapped goes on looking at the path. With the generation that it has: if the
 * new head cannot be made, nothing was published. The flag stays in our record, and nothing is
 * stored until there is a new head; also not the flag again, which a predecessor or an earlier try
 * may have stored. 0, or -ENOSPC: nobody was told, so the head must not be replaced now.
 */
int entry_mark_moved(struct region_entry *entry);

/*
 * Replaces the head: the old one says MOVED first, so that its readers come along even if we die
 * before the rename. Nothing is ever stored in it again. 0 or -errno.
 */
int entry_replace_head(struct region_entry *entry, int directory, uint64_t instance,
                       const struct shmconf_record *record);

/* Publishes what the entry has in memory, as the next generation. 0 or -errno. */
int entry_republish(struct region_entry *entry);

/* ---- take_over.c: what a predecessor left ---------------------------------------------------- */

/*
 * Takes over what a predecessor left. Where that cannot be done the entry stays without a version.
 * `untaken` tells why: what may have been a passing trouble must be tried again, since a new head
 * over one that we have not mapped would leave the latter's readers behind.
 */
void entry_take_over(struct region_entry *entry);

/*
 * Tries again before a publication. 0: done, or it must not wait any longer. -errno: without
 * descriptors, memory and space the publication would fail as well.
 */
int entry_take_over_at_last(struct region_entry *entry);

/* Whether `untaken` is no answer: there may be a head all the same, or a version that is whole. */
bool entry_is_open_question(int untaken);

/* ---- fault.c --------------------------------------------------------------------------------- */

/* Runs `store` and returns 0, or -EFAULT when the memory it writes was truncated away (SIGBUS). */
int fault_guard(void (*store)(void *context), void *context);

#endif
