/* SPDX-License-Identifier: Apache-2.0 */
/* The head: a seqlock of two cells. docs/region-format.md has the protocol and its invariants. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "region/file_names.h"
#include "region/internal.h"

struct store {
    struct shmconf_cell *cell;
    const struct shmconf_cell *from;
    uint32_t *seq;
    uint32_t next;
};

static void store_cell(void *context)
{
    struct store *store = context;
    uint32_t *to = (uint32_t *)store->cell;
    const uint32_t *from = (const uint32_t *)store->from;
    /* Word by word and relaxed: a reader may be copying this cell, and will find the sequence
       changed. All 128 bytes: a reserved word of a later minor version must read 0. */
    for (size_t i = 0; i < sizeof *store->cell / sizeof *to; i++)
        __atomic_store_n(to + i, from[i], __ATOMIC_RELAXED);
    /* Release: whoever sees the sequence sees the cell and the file that it names. */
    __atomic_store_n(store->seq, store->next, __ATOMIC_RELEASE);
    /* A release store does not hold back what comes after it. The next fill of the other cell and
       the next unlink must not be seen before this sequence. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static void load_seq(void *context)
{
    const struct head *head = context;
    (void)*(const volatile uint32_t *)&head->map->seq;
}

int head_store(struct head *head, const struct shmconf_record *record)
{
    struct shmconf_cell cell = {.record = *record};
    uint32_t next = head->seq + 1;
    if (next == 0)
        next = 2; /* 0 is no sequence; and 0xffffffff was odd, so the next is even */
    struct store store = {&head->map->cells[next & 1], &cell, &head->map->seq, next};
    int rc = fault_guard(store_cell, &store);
    if (rc == 0)
        head->seq = next;
    else if (fault_guard(load_seq, head) == 0)
        rc = -ENOSPC;
    return rc;
}

struct look {
    const struct head *head;
    const struct shmconf_name *name;
    const struct shmconf_record *record;
    bool is_intact;
};

static void look_at_head(void *context)
{
    struct look *look = context;
    const struct shmconf_head *map = look->head->map;
    const struct shmconf_record *record = &map->cells[look->head->seq & 1].record;
    /* Of the record what names the version: a status that could not be stored is no damage. */
    look->is_intact = memcmp(map->magic, SHMCONF_HEAD_MAGIC, sizeof map->magic) == 0 &&
                      map->endian == SHMCONF_ENDIAN_TAG && map->major == SHMCONF_FORMAT_MAJOR &&
                      map->size == SHMCONF_HEAD_SIZE && map->instance == look->head->instance &&
                      map->seq == look->head->seq && map->name_size == look->name->size &&
                      memcmp(map->name, look->name->text, look->name->size) == 0 &&
                      record->generation == look->record->generation &&
                      record->state == look->record->state &&
                      record->payload_size == look->record->payload_size;
}

bool head_is_intact(const struct head *head, const struct shmconf_name *name,
                    const struct shmconf_record *record)
{
    struct look look = {head, name, record, false};
    return fault_guard(look_at_head, &look) == 0 && look.is_intact;
}

bool head_is_file(const struct head *head, const struct stat *status)
{
    return status->st_ino == head->inode && status->st_dev == head->device;
}

void head_wake(const struct head *head)
{
    syscall(SYS_futex, &head->map->seq, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void head_close(struct head *head)
{
    if (head->map)
        munmap(head->map, SHMCONF_HEAD_SIZE);
    *head = (struct head){0};
}

/* Builds the page of a new head. */
static void head_fill(struct shmconf_head *page, const struct region *region,
                      const struct shmconf_name *name, uint64_t instance,
                      const struct shmconf_record *record)
{
    memset(page, 0, sizeof *page);
    memcpy(page->magic, SHMCONF_HEAD_MAGIC, sizeof page->magic);
    page->endian = SHMCONF_ENDIAN_TAG;
    page->major = SHMCONF_FORMAT_MAJOR;
    page->minor = SHMCONF_FORMAT_MINOR;
    page->size = SHMCONF_HEAD_SIZE;
    page->pid = (uint32_t)getpid();
    page->instance = instance;
    page->created_ns = clock_realtime_ns();
    memcpy(page->boot_id, region->boot_id, sizeof page->boot_id);
    page->seq = SHMCONF_SEQ_FIRST;
    page->cells[SHMCONF_SEQ_FIRST & 1].record = *record;
    page->name_size = name->size;
    memcpy(page->name, name->text, name->size);
}

uint64_t head_new_instance(void)
{
    uint64_t instance = 0;
    /* Early in a machine's life there may be no entropy; nothing secret hangs on this. */
    if (getrandom(&instance, sizeof instance, GRND_NONBLOCK) != sizeof instance || instance == 0)
        instance = clock_realtime_ns() ^ (uint64_t)getpid() << 32;
    return instance;
}

int head_create(struct head *head, struct region *region, int directory,
                const struct shmconf_name *name, uint64_t instance,
                const struct shmconf_record *record)
{
    struct shmconf_head page;
    struct region_file file;
    head_fill(&page, region, name, instance, record);
    /* Written out before it is mapped: a full disk fails here and not in a store. */
    int rc = region_file_write(&file, region, directory, REGION_HEAD, SHMCONF_HEAD_FILE, &page,
                               sizeof page);
    if (rc)
        return rc;
    head_close(head);
    *head = (struct head){.map = file.map,
                          .seq = page.seq,
                          .instance = instance,
                          .device = file.status.st_dev,
                          .inode = file.status.st_ino,
                          .is_of_this_boot = true};
    return 0;
}

/* The name that a head carries, if it is well-formed: 0 or -EBADMSG. */
static int head_name(const struct shmconf_head *page, struct shmconf_name *name)
{
    const char *at = page->name;
    const char *end = at + (page->name_size < sizeof page->name ? page->name_size : 0);
    const char *parts[SHMCONF_PARTS];
    for (int i = 0; i < SHMCONF_PARTS; i++) {
        const char *nul = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;
        if (!nul)
            return -EBADMSG;
        parts[i] = at;
        at = nul + 1;
    }
    return at == end && shmconf_name_set(name, parts[0], parts[1], parts[2]) == 0 ? 0 : -EBADMSG;
}

static bool record_is_possible(const struct shmconf_record *record)
{
    bool is_live = (record->state & 0xff) == SHMCONF_LIVE;
    return record->generation <= REGION_GENERATION_MAX && (record->generation > 0 || !is_live);
}

static int head_check(const struct shmconf_head *page, const struct shmconf_name *name,
                      struct shmconf_name *found)
{
    if (memcmp(page->magic, SHMCONF_HEAD_MAGIC, sizeof page->magic) != 0 ||
        page->endian != SHMCONF_ENDIAN_TAG || page->major != SHMCONF_FORMAT_MAJOR ||
        page->size != SHMCONF_HEAD_SIZE || page->instance == 0 || page->seq == 0 ||
        !record_is_possible(&page->cells[page->seq & 1].record))
        return -EBADMSG;
    if (head_name(page, found) != 0)
        return -EBADMSG;
    if (name && (found->size != name->size || memcmp(found->text, name->text, name->size) != 0))
        return -EBADMSG;
    return 0;
}

struct taken {
    struct head *head;
    struct shmconf_record *record;
};

/* The predecessor is gone: nobody else stores. Its stores came before its lock went, and so before
   ours was taken; the fence is the one that a store ends with. */
static void take_head(void *context)
{
    struct taken *taken = context;
    struct head *head = taken->head;
    head->seq = __atomic_load_n(&head->map->seq, __ATOMIC_ACQUIRE);
    *taken->record = head->map->cells[head->seq & 1].record;
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

int head_open(struct head *head, const struct region *region, int directory,
              const struct shmconf_name *name, struct shmconf_name *found,
              struct shmconf_record *record)
{
    cleanup_close int fd =
        openat(directory, SHMCONF_HEAD_FILE, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) /* a directory, a link, a pipe: not ours */
        return errno == EISDIR || errno == ELOOP || errno == ENXIO ? -EBADMSG : -errno;
    struct stat status;
    struct shmconf_head page;
    if (fstat(fd, &status) != 0)
        return -errno;
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid())
        return -EBADMSG;
    int rc = region_file_read(fd, &page, sizeof page);
    if (!rc)
        rc = head_check(&page, name, found);
    if (rc)
        return rc;
    rc = region_set_access(region, fd, REGION_HEAD, &status);
    if (rc)
        return rc;
    void *map = mmap(NULL, SHMCONF_HEAD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    *head = (struct head){.map = map,
                          .instance = page.instance,
                          .device = status.st_dev,
                          .inode = status.st_ino,
                          .is_of_this_boot =
                              memcmp(page.boot_id, region->boot_id, sizeof page.boot_id) == 0};
    struct taken taken = {head, record};
    if (fault_guard(take_head, &taken) == 0)
        return 0;
    head_close(head);
    return -EBADMSG;
}
