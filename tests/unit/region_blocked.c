/* SPDX-License-Identifier: Apache-2.0 */
/* Replacements and publications that fail half way, and how the same daemon goes on. */
#include <errno.h>
#include <shmconf.h>
#include <signal.h>

#include "check.h"
#include "region_fixture.h"

static void expect(struct shmconf_reader *reader, const char *text)
{
    struct shmconf_health health;
    CHECK_INT(0, shmconf_status(reader, &health)); /* this one looks at the path */
    CHECK_STRING(text, shmconf_text(shmconf_enter(reader)).data);
    shmconf_leave(reader);
}

static void expect_blocked(int rc, const struct error *error, const char *directory)
{
    CHECK_INT(-ENOTEMPTY, rc);
    CHECK(strstr(error->message, directory));
    CHECK(strstr(error->message, "something else has its name there; remove it"));
}

/* The version's file had its name already, and nobody will ever read it. */
static void a_head_goes_over_an_empty_directory_only(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    struct error error = {0};
    struct whole_path head = in_root(f, "A/B/C/head");
    fixture_publish(entry, "one", "", "");
    CHECK_INT(0, shmconf_open(&reader, "A:B:C", 0));
    expect(&reader, "one");
    CHECK_INT(0, unlink(head.text));
    CHECK_INT(0, mkdir(head.text, 0700));
    fixture_touch(f, "A/B/C/head/file");
    expect_blocked(region_entry_check(entry, &error), &error, "/A/B/C ");
    CHECK_INT(2, fixture_count_files(f)); /* the version that readers have, and that file */
    CHECK_STRING("one", shmconf_text(shmconf_enter(&reader)).data);
    shmconf_leave(&reader);

    fixture_remove(f, "A/B/C/head/file");
    CHECK_INT(1, region_entry_check(entry, NULL));
    expect(&reader, "one");
    fixture_publish(entry, "two", "", "");
    expect(&reader, "two");
    CHECK_INT(3, fixture_count_files(f));
    CHECK_INT(0, shmconf_close(&reader));
    region_entry_close(entry);
}

/* Readers do not read it, but it would be in the way when its number comes. */
static void a_version_goes_over_an_empty_directory_only(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct region_content content = {"two", 3, "", "", SHMCONF_OPAQUE};
    struct shmconf_record status = {.fetched_ns = 2000};
    struct error error = {0};
    struct shmconf_reader reader;
    struct whole_path version = in_root(f, "A/B/C/v00000002");
    fixture_publish(entry, "one", "", "");
    CHECK_INT(0, shmconf_open(&reader, "A:B:C", 0));
    CHECK_INT(0, mkdir(version.text, 0700));
    fixture_touch(f, "A/B/C/v00000002/file");
    expect_blocked(region_entry_publish(entry, &content, &status, &error), &error, "/A/B/C ");
    expect(&reader, "one");
    fixture_remove(f, "A/B/C/v00000002/file");
    CHECK_INT(1, region_entry_publish(entry, &content, &status, &error));
    expect(&reader, "two");
    CHECK_INT(0, shmconf_close(&reader));
    region_entry_close(entry);
}

static void a_sweep_takes_empty_directories(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct whole_path version = in_root(f, "A/B/C/v00000009");
    fixture_publish(entry, "one", "", "");
    CHECK_INT(0, mkdir(version.text, 0700));
    region_entry_close(entry);
    fixture_restart(f);
    entry = fixture_entry(f, "A:B:C");
    CHECK_INT(-1, rmdir(version.text));
    region_entry_close(entry);
}

/* A head that a predecessor has marked as replaced, and that cannot be replaced at the start. */
static struct region_entry *take_over_unfinished(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "one", "", "");
    region_entry_close(entry);
    struct shmconf_head head = fixture_head(f, "A/B/C/head");
    head.cells[head.seq & 1].record.state |= SHMCONF_MOVED;
    fixture_write_head(f, "A/B/C/head", &head);
    fixture_restart(f);
    fixture_allow_bytes(64);
    entry = fixture_entry(f, "A:B:C");
    CHECK_STRING("one", region_entry_version(entry)->payload);
    return entry;
}

static bool is_moved(struct fixture *f)
{
    struct shmconf_head head = fixture_head(f, "A/B/C/head");
    return head.cells[head.seq & 1].record.state & SHMCONF_MOVED;
}

/* Nothing is stored in it any more, not even a status. */
static void a_replacement_that_failed_is_finished(struct fixture *f)
{
    struct region_entry *entry = take_over_unfinished(f);
    struct shmconf_record status = {.checked_ns = 3000};
    struct shmconf_reader reader;
    uint32_t seq = fixture_head(f, "A/B/C/head").seq;
    CHECK_INT(0, shmconf_open(&reader, "A:B:C", 0));
    for (int i = 0; i < 3; i++) {
        CHECK_INT(0, region_entry_status(entry, &status, NULL));
        CHECK_INT(-EFBIG, region_entry_check(entry, NULL));
        CHECK_INT(seq, fixture_head(f, "A/B/C/head").seq);
        expect(&reader, "one");
    }
    fixture_allow_bytes(RLIM_INFINITY);
    CHECK_INT(1, region_entry_check(entry, NULL));
    CHECK(!is_moved(f));
    expect(&reader, "one");
    CHECK_INT(0, region_entry_check(entry, NULL));
    CHECK_INT(0, shmconf_close(&reader));
    region_entry_close(entry);
}

static void a_publication_finishes_a_replacement_that_failed(struct fixture *f)
{
    struct region_entry *entry = take_over_unfinished(f);
    struct shmconf_reader reader;
    struct whole_path head = in_root(f, "A/B/C/head");
    struct stat before;
    struct stat after;
    CHECK_INT(0, stat(head.text, &before));
    CHECK_INT(0, shmconf_open(&reader, "A:B:C", 0));
    fixture_allow_bytes(RLIM_INFINITY);
    fixture_publish(entry, "two", "", "");
    CHECK_INT(0, stat(head.text, &after));
    CHECK(before.st_ino != after.st_ino);
    CHECK(!is_moved(f));
    CHECK_STRING("two", shmconf_text(shmconf_enter(&reader)).data);
    shmconf_leave(&reader);
    CHECK_INT(0, shmconf_close(&reader));
    region_entry_close(entry);
}

int main(void)
{
    signal(SIGXFSZ, SIG_IGN);
    fixture_run(a_head_goes_over_an_empty_directory_only);
    fixture_run(a_version_goes_over_an_empty_directory_only);
    fixture_run(a_sweep_takes_empty_directories);
    fixture_run(a_replacement_that_failed_is_finished);
    fixture_run(a_publication_finishes_a_replacement_that_failed);
    return 0;
}
