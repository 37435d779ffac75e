/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the head of a real region with two versions. Readers must follow it exactly when it
 * is whole and names one of those, and tell what its current cell says.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <shmconf.h>
#include <stdio.h>
#include <unistd.h>

#include "region/region.h"
#include "require.h"

#define NAME "A:B:C"

int LLVMFuzzerInitialize(int *count, char ***arguments);

static const char *const texts[] = {NULL, "{\"limit\": 10}", "the second version"};
static const char *const labels[] = {NULL, "", "blue"};
enum { VERSIONS = 2 };

/* In inputs this stands for the instance of the region's own versions, which is random. */
static const uint64_t own_instance = 1;

static char root[300];
static int head_file;
static uint64_t instance;

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status, (void)type, (void)where;
    return remove(path);
}

static void remove_region(void)
{
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    struct region *region;
    struct region_entry *entry;
    struct shmconf_name name;
    char path[400];
    const char *temporary = getenv("TMPDIR");
    (void)count, (void)arguments;
    snprintf(root, sizeof root, "%s/shmconf-fuzz-XXXXXX", temporary ? temporary : "/tmp");
    require(mkdtemp(root));
    atexit(remove_region);
    setenv("SHMCONF_DIR", root, 1);
    struct region_options options = {.path = root, .path_is_given = true};
    require(region_open(&region, &options, NULL) == 0 && shmconf_name_parse(&name, NAME) == 0 &&
            region_entry_open(&entry, region, &name, NULL) == 0);
    for (int i = 1; i <= VERSIONS; i++) {
        struct shmconf_record status = {.fetched_ns = 1000, .checked_ns = 1000};
        struct region_content content = {texts[i], strlen(texts[i]), "text/plain", labels[i],
                                         SHMCONF_OPAQUE};
        require(region_entry_publish(entry, &content, &status, NULL) == 1);
    }
    region_entry_close(entry);
    region_close(region);
    snprintf(path, sizeof path, "%s/A/B/C/" SHMCONF_HEAD_FILE, root);
    head_file = open(path, O_RDWR | O_CLOEXEC);
    struct shmconf_head head;
    require(head_file >= 0 && pread(head_file, &head, sizeof head, 0) == sizeof head);
    instance = head.instance;
    return 0;
}

/* In place: no reader has it mapped now. Returns what readers will find. */
static struct shmconf_head put(const uint8_t *data, size_t size)
{
    struct shmconf_head head = {0};
    memcpy(&head, data, size < sizeof head ? size : sizeof head);
    if (head.instance == own_instance)
        head.instance = instance;
    require(pwrite(head_file, data, size, 0) == (ssize_t)size);
    size_t known = size < sizeof head ? size : sizeof head;
    require(pwrite(head_file, &head, known, 0) == (ssize_t)known);
    require(ftruncate(head_file, (off_t)size) == 0);
    return head;
}

/* ---- A second opinion, by docs/region-format.md ---------------------------------------------- */

static bool is_live(const struct shmconf_record *record)
{
    return (record->state & 0xff) == SHMCONF_LIVE;
}

static bool is_whole(const struct shmconf_head *head, size_t size)
{
    static const char name[] = "A\0B\0C";
    const struct shmconf_record *record = &head->cells[head->seq & 1].record;
    return size >= SHMCONF_HEAD_SIZE && memcmp(head->magic, "SHMCHEAD", 8) == 0 &&
           head->endian == 0x01020304 && head->major == 1 && head->size == 4096 && head->seq != 0 &&
           head->name_size == sizeof name && memcmp(head->name, name, sizeof name) == 0 &&
           (!is_live(record) || record->generation > 0);
}

/* The generation of the version that it leads to; 0: none. */
static uint64_t leads_to(const struct shmconf_head *head, const struct shmconf_record *record)
{
    bool is_there = is_live(record) && record->generation <= VERSIONS && head->instance == instance;
    return is_there ? record->generation : 0;
}

/* ---- What readers make of it ----------------------------------------------------------------- */

static void check_version(const struct shmconf_version *version, uint64_t generation)
{
    require((version != NULL) == (generation != 0));
    if (!version)
        return;
    const char *text = texts[generation];
    require(version->generation == generation && version->instance == instance);
    require(version->text.size == strlen(text) && strcmp(version->text.data, text) == 0);
    require(strcmp(version->content_type.data, "text/plain") == 0);
    require(strcmp(version->label.data, labels[generation]) == 0);
}

static void check_health(const struct shmconf_health *health, const struct shmconf_head *head,
                         const struct shmconf_record *record)
{
    require(health->instance == head->instance && health->generation == record->generation);
    require(health->fetched_ns == record->fetched_ns && health->checked_ns == record->checked_ns);
    require(health->tried_ns == record->tried_ns && health->next_ns == record->next_ns);
    require(health->failures == record->failures && health->error == record->error);
    require(health->http_status == record->http_status);
    require(health->interval_s == record->interval_s && health->size == record->payload_size);
}

static void check_reader(const struct shmconf_head *head, bool whole, unsigned flags)
{
    const struct shmconf_record *record = &head->cells[head->seq & 1].record;
    struct shmconf_reader reader;
    struct shmconf_health health;
    require(shmconf_open(&reader, NAME, flags | SHMCONF_SILENT) == 0);
    const struct shmconf_version *version = shmconf_enter(&reader);
    check_version(version, whole ? leads_to(head, record) : 0);
    require((version != NULL) == (shmconf_error(&reader) == 0));
    shmconf_leave(&reader);
    int rc = shmconf_status(&reader, &health);
    require(whole ? rc == (is_live(record) ? 0 : -ENOENT) : rc < 0);
    if (whole)
        check_health(&health, head, record);
    require(shmconf_wait(&reader, 0) <= 0 && shmconf_fresh(&reader, 0, 0) <= 0);
    require(shmconf_close(&reader) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shmconf_head head = put(data, size);
    bool whole = is_whole(&head, size);
    check_reader(&head, whole, size % 2 ? SHMCONF_PRIVATE : 0);
    return 0;
}
