/* SPDX-License-Identifier: Apache-2.0 */
/* What the region's writer does. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "stage.h"

/* ---- Before ---------------------------------------------------------------------------------- */

static void nothing_is_there(struct stage *stage)
{
    stage_attach(stage);
}

static void the_region_is_empty(struct stage *stage)
{
    CHECK_INT(0, stage_open(stage));
    stage_open_entry(stage);
    stage_attach(stage);
}

static void a_version_is_there(struct stage *stage)
{
    stage_begin(stage, "second");
}

static void the_first_version_is_there(struct stage *stage)
{
    the_region_is_empty(stage);
    CHECK_INT(1, stage_publish(stage, "first"));
    stage->text = "first";
    for (int i = 0; i < STAGE_READERS; i++)
        stage_expect(&stage->readers[i], stage->text);
}

static void it_was_killed(struct stage *stage)
{
    stage_begin(stage, "second");
    stage_close_writer(stage);
    stage_plant(stage, "A/B/C/.t0123456789abcdef");
    stage_plant(stage, "A/B/C/v00000003");
    stage->next = stage->text;
}

/* The next store of the head, by hand. */
static void it_was_killed_while_it_replaced_the_head(struct stage *stage)
{
    stage_begin(stage, "second");
    struct shmconf_cell cell = {.record = *region_entry_record(stage->entry)};
    uint32_t seq = 3;
    stage_close_writer(stage);
    cell.record.state |= SHMCONF_MOVED;
    stage_patch(stage, "A/B/C/head", offsetof(struct shmconf_head, cells) + sizeof cell, &cell,
                sizeof cell);
    stage_patch(stage, "A/B/C/head", offsetof(struct shmconf_head, seq), &seq, sizeof seq);
    stage->next = stage->text;
}

static void the_machine_was_booted_since(struct stage *stage)
{
    stage_begin(stage, "second");
    stage_close_writer(stage);
    stage_patch(stage, "A/B/C/head", offsetof(struct shmconf_head, boot_id), "another boot id", 16);
    stage->next = stage->text;
}

/* And its last version did not come to the disk. */
static void the_machine_went_down(struct stage *stage)
{
    the_machine_was_booted_since(stage);
    stage_patch(stage, "A/B/C/v00000002", 200, "X", 1);
    stage->next = "first";
}

/* Its modes are no longer those of the setting, so that the next take-over sets them. */
static void there_were_no_descriptors_for_the_take_over(struct stage *stage)
{
    struct rlimit limit;
    stage_begin(stage, "second");
    stage_close_writer(stage);
    CHECK_INT(0, chmod(stage_path(stage, "A/B/C/head").text, 0600));
    CHECK_INT(0, stage_open(stage));
    CHECK_INT(0, getrlimit(RLIMIT_NOFILE, &limit));
    struct rlimit none = {0, limit.rlim_max};
    CHECK_INT(0, setrlimit(RLIMIT_NOFILE, &none));
    stage_open_entry(stage);
    CHECK_INT(0, setrlimit(RLIMIT_NOFILE, &limit));
    CHECK(region_entry_version(stage->entry) == NULL);
}

/* A version came while something else was in the root's place; a predecessor's is in the root. */
static void a_version_was_kept_in_memory(struct stage *stage)
{
    char away[320];
    snprintf(away, sizeof away, "%s-away", stage->root);
    stage_begin(stage, "second");
    stage_close_writer(stage);
    CHECK_INT(0, rename(stage->root, away));
    CHECK_INT(0, symlink(away, stage->root));
    stage->may_come_later = true;
    CHECK(stage_open(stage) < 0);
    stage_open_entry(stage);
    CHECK_INT(REGION_KEPT, stage_publish(stage, "third"));
    CHECK_INT(0, unlink(stage->root));
    CHECK_INT(0, rename(away, stage->root));
    memset(&stage->error, 0, sizeof stage->error);
    stage->next = "third";
}

static void somebody_removed_the_head(struct stage *stage)
{
    stage_begin(stage, "second");
    CHECK_INT(0, unlink(stage_path(stage, "A/B/C/head").text));
    stage->next = stage->text;
}

static void somebody_removed_the_version(struct stage *stage)
{
    stage_begin(stage, "second");
    CHECK_INT(0, unlink(stage_path(stage, "A/B/C/v00000002").text));
    stage->next = stage->text;
}

static void somebody_wrote_into_the_version(struct stage *stage)
{
    stage_begin(stage, "second");
    stage_patch(stage, "A/B/C/v00000002", 200, "X", 1);
    stage->next = stage->text;
}

static void somebody_removed_the_region(struct stage *stage)
{
    stage_begin(stage, "second");
    stage_remove_tree(stage->root);
    stage->next = stage->text;
}

/* ---- Meanwhile ------------------------------------------------------------------------------- */

static void open_region(struct stage *stage)
{
    stage->rc = stage_open(stage);
    if (stage->rc == 0)
        region_recover(stage->region);
}

static void publish(struct stage *stage)
{
    stage->next = "third";
    stage->rc = stage_publish(stage, stage->next);
}

static void store_status(struct stage *stage)
{
    struct shmconf_record status = *region_entry_record(stage->entry);
    status.failures++;
    stage->next = stage->text;
    stage->rc = region_entry_status(stage->entry, &status, &stage->error);
}

/* As parts.c and configuration.c do it. */
static void take_over(struct stage *stage)
{
    struct shmconf_name name;
    shmconf_name_parse(&name, STAGE_NAME);
    stage->rc = stage_open(stage);
    if (stage->rc)
        return;
    region_recover(stage->region);
    stage->rc = region_entry_open(&stage->entry, stage->region, &name, &stage->error);
}

static void check(struct stage *stage)
{
    stage->rc = region_check_root(stage->region, &stage->error);
    if (stage->rc >= 0)
        stage->rc = region_entry_check(stage->entry, &stage->error);
}

/* ---- Afterwards ------------------------------------------------------------------------------ */

/* A failure is told with the system's words for it, and of what. */
static void judge_error(const struct stage *stage)
{
    const struct error *error = &stage->error;
    CHECK_INT(-stage->rc, error->code);
    CHECK(error->subject[0]);
    CHECK(strstr(error->message, strerror(error->code)) || error->code == EWOULDBLOCK);
    CHECK(strstr(error->subject, stage->root) || strstr(error->message, stage->root) ||
          error->code == ENOMEM);
}

static void judge_readers(struct stage *stage, const char *text)
{
    for (int i = 0; i < STAGE_READERS; i++)
        if (stage->rc < 0)
            stage_expect(&stage->readers[i], text);
        else if (text)
            stage_reach(&stage->readers[i], stage->text, text);
}

/* What could not be published is not seen, now or later; what was, is. */
static void judge(struct stage *stage)
{
    if (stage->rc < 0)
        judge_error(stage);
    const char *text = stage->rc < 0 ? stage->text : stage->next;
    judge_readers(stage, text);
    /* A look that a passing trouble kept from being had is taken at the next check. */
    if (stage->entry && stage->rc >= 0)
        CHECK(region_entry_check(stage->entry, &stage->error) >= 0);
    const struct region_version *version = stage->entry ? region_entry_version(stage->entry) : NULL;
    bool seemed_gone = stage->failing == SYS_openat && stage->way == ENOENT;
    if (text && stage->entry && !seemed_gone)
        CHECK_STRING(text, version ? version->payload : NULL);
    stage->text = text;
    stage_go_on(stage);
}

/* What seems to be gone is not taken over, and leads nobody away from what he has; what fails
 * behind that is too late to. */
static void judge_power_cut(struct stage *stage)
{
    char text[64];
    bool seemed_gone = stage->failing == SYS_openat && stage->way == ENOENT;
    if (stage->rc < 0 || seemed_gone) {
        bool is_led = strcmp(stage_text(&stage->readers[0], text), stage->next) == 0;
        stage->text = stage->next = is_led ? stage->next : stage->text;
    }
    judge(stage);
}

static void judge_in_place(struct stage *stage)
{
    stage_newcomer(stage->rc < 0 ? stage->text : stage->next);
    judge(stage);
}

/*
 * A publication takes over first. Where that is short of something the publication fails; what
 * other troubles keep from it is published over, and who had the old head needs a look at the path.
 */
static void look_at_the_path(struct stage *stage)
{
    struct shmconf_health health;
    int way = stage->way;
    bool is_shortage =
        way == EMFILE || way == ENFILE || way == ENOMEM || way == ENOSPC || way == EDQUOT;
    if (stage->rc >= 0 && !is_shortage)
        for (int i = 0; i < STAGE_READERS; i++)
            CHECK_INT(0, shmconf_status(&stage->readers[i], &health));
}

static void judge_at_last(struct stage *stage)
{
    look_at_the_path(stage);
    if (stage->rc < 0) /* the next check takes over */
        CHECK_INT(0, region_entry_check(stage->entry, NULL));
    judge_in_place(stage);
}

/* What could not be put back is put back by the next check. */
static void judge_check(struct stage *stage)
{
    if (stage->rc < 0) {
        judge_error(stage);
        judge_readers(stage, stage->text);
        memset(&stage->error, 0, sizeof stage->error);
        check(stage);
    }
    CHECK_INT(1, stage->rc);
    stage_newcomer(stage->next);
    judge(stage);
}

static void judge_kept(struct stage *stage)
{
    CHECK_STRING("third", region_entry_version(stage->entry)->payload);
    look_at_the_path(stage);
    judge_check(stage);
}

#define PUBLISHING "openat stat fchmod fallocate write close mmap allocation"

const struct operation writer_operations[] = {
    {"making the region", "mkdir openat stat fchmod flock access read getdents", nothing_is_there,
     open_region, judge, false, false},
    {"first publication", PUBLISHING " mkdirat linkat renameat getrandom", the_region_is_empty,
     publish, judge_in_place, false, false},
    {"first publication without O_TMPFILE", PUBLISHING " mkdirat renameat", the_region_is_empty,
     publish, judge_in_place, true, false},
    {"second publication", "openat stat fchmod fallocate write linkat sigaction futex close",
     the_first_version_is_there, publish, judge_in_place, false, false},
    {"publication", "openat stat fchmod fallocate write linkat futex close unlinkat allocation",
     a_version_is_there, publish, judge_in_place, false, false},
    {"publication without O_TMPFILE",
     "openat stat fchmod fallocate write renameat futex close unlinkat allocation",
     a_version_is_there, publish, judge_in_place, true, false},
    {"status", "", a_version_is_there, store_status, judge_in_place, false, false},
    {"take-over", "openat stat flock pread mmap futex getdents unlinkat allocation", it_was_killed,
     take_over, judge, false, false},
    {"take-over of a half-done replacement",
     "openat stat flock pread mmap futex fallocate write linkat renameat",
     it_was_killed_while_it_replaced_the_head, take_over, judge, false, false},
    {"take-over after a power cut",
     "openat stat flock pread mmap futex fallocate write linkat unlinkat", the_machine_went_down,
     take_over, judge_power_cut, false, false},
    {"take-over after a boot", "openat stat flock pread mmap futex fallocate write linkat renameat",
     the_machine_was_booted_since, take_over, judge, false, false},
    {"publication after a take-over that failed",
     "openat stat fchmod pread mmap futex getdents fallocate write linkat unlinkat",
     there_were_no_descriptors_for_the_take_over, publish, judge_at_last, false, false},
    {"publication of what was kept", "openat stat flock pread mmap futex fallocate write linkat",
     a_version_was_kept_in_memory, check, judge_kept, false, false},
    {"republication, the head gone", PUBLISHING " linkat renameat futex", somebody_removed_the_head,
     check, judge_check, false, false},
    {"republication, the head gone, without O_TMPFILE", PUBLISHING " renameat futex",
     somebody_removed_the_head, check, judge_check, true, false},
    {"republication, the version gone", "openat stat fallocate write linkat futex close",
     somebody_removed_the_version, check, judge_check, false, false},
    {"republication, the version damaged", "openat stat fallocate write linkat futex close",
     somebody_wrote_into_the_version, check, judge_check, false, false},
    {"republication, the region gone", PUBLISHING " mkdir flock mkdirat linkat renameat futex",
     somebody_removed_the_region, check, judge_check, false, false},
};
const size_t writer_operation_count = sizeof writer_operations / sizeof writer_operations[0];
