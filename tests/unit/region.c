/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's writer and the public reader, together on one region. */
#include <fcntl.h>
#include <shmconf.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "reader_fixture.h"

static void a_name_that_was_never_published_has_no_version(struct fixture *f)
{
    struct shmconf_reader reader;
    struct shmconf_health health;
    CHECK_INT(0, shmconf_open(&reader, "Shop:Prod:Checkout", 0));
    CHECK(shmconf_enter(&reader) == NULL);
    shmconf_leave(&reader);
    CHECK_INT(-ENOENT, shmconf_error(&reader));
    CHECK_INT(-ENOENT, shmconf_status(&reader, &health));
    CHECK_INT(-ETIMEDOUT, shmconf_wait(&reader, 20));
    CHECK_INT(0, shmconf_close(&reader));
    CHECK_INT(0, fixture_count_files(f));
}

static void a_publication_reaches_the_reader(struct fixture *f)
{
    struct shmconf_reader reader;
    struct region_entry *entry = fixture_entry(f, "Shop:Prod:Checkout");
    CHECK_INT(0, shmconf_open(&reader, "Shop:Prod:Checkout", 0));
    fixture_publish(entry, "[1]", "application/json", "blue");
    CHECK_INT(0, shmconf_wait(&reader, 1000));
    const struct shmconf_version *version = shmconf_enter(&reader);
    CHECK(version != NULL);
    CHECK_STRING("[1]", shmconf_text(version).data);
    CHECK_INT(3, shmconf_text(version).size);
    CHECK_STRING("application/json", version->content_type.data);
    CHECK_STRING("blue", version->label.data);
    CHECK_INT(1, version->generation);
    CHECK(version->fetched_ns == 1000);

    /* Between enter and leave nothing moves, however much is published. */
    fixture_publish(entry, "[2]", "application/json", "");
    fixture_publish(entry, "[3]", "application/json", "");
    fixture_publish(entry, "[4]", "application/json", "");
    CHECK(shmconf_enter(&reader) == version);
    shmconf_leave(&reader);
    CHECK_STRING("[1]", shmconf_text(version).data);
    CHECK_INT(-EBUSY, shmconf_close(&reader));
    const struct shmconf_version *held = shmconf_hold(version);
    shmconf_leave(&reader);

    version = shmconf_enter(&reader);
    CHECK_STRING("[4]", shmconf_text(version).data);
    CHECK_INT(4, version->generation);
    CHECK_INT(0, version->label.size);
    CHECK_STRING("[1]", shmconf_text(held).data);
    shmconf_leave(&reader);
    CHECK_INT(0, shmconf_close(&reader));
    CHECK_STRING("[1]", shmconf_text(held).data);
    shmconf_drop(held);
    region_entry_close(entry);
    /* head, the current version and its predecessor */
    CHECK_INT(3, fixture_count_files(f));
}

static void an_equal_answer_makes_no_generation(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_record status = {.fetched_ns = 5, .checked_ns = 6, .interval_s = 7};
    struct region_content content = {"x", 1, "text/plain", "", SHMCONF_OPAQUE};
    struct shmconf_reader reader;
    struct shmconf_health health;
    CHECK_INT(1, region_entry_publish(entry, &content, &status, NULL));
    status.fetched_ns = 100;
    status.checked_ns = 101;
    CHECK_INT(0, region_entry_publish(entry, &content, &status, NULL));
    CHECK_INT(0, shmconf_open(&reader, "A:B:C", 0));
    CHECK_INT(0, shmconf_status(&reader, &health));
    CHECK_INT(1, health.generation);
    CHECK_INT(5, health.fetched_ns);
    CHECK_INT(101, health.checked_ns);
    CHECK_INT(7, health.interval_s);
    content.label = "l";
    CHECK_INT(1, region_entry_publish(entry, &content, &status, NULL));
    content.content_type = "text/html";
    CHECK_INT(1, region_entry_publish(entry, &content, &status, NULL));
    CHECK_INT(0, shmconf_status(&reader, &health));
    CHECK_INT(3, health.generation);
    CHECK_INT(0, shmconf_close(&reader));
    region_entry_close(entry);
}

static void a_successor_takes_the_region_over_in_place(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "one", "", "");
    fixture_publish(entry, "two", "", "");
    CHECK_INT(0, shmconf_open(&reader, "A:B:C", 0));
    const struct shmconf_version *version = shmconf_hold(shmconf_enter(&reader));
    shmconf_leave(&reader);
    const uint32_t *seq = reader.seq;
    region_entry_close(entry);

    fixture_restart(f);
    entry = fixture_entry(f, "A:B:C");
    CHECK_STRING("two", region_entry_version(entry)->payload);
    CHECK(shmconf_enter(&reader) == version);
    shmconf_leave(&reader);
    fixture_publish(entry, "three", "", "");
    CHECK_STRING("three", shmconf_text(shmconf_enter(&reader)).data);
    CHECK_INT(3, shmconf_enter(&reader)->generation);
    shmconf_leave(&reader);
    shmconf_leave(&reader);
    CHECK(reader.seq == seq); /* the same head all the time */
    shmconf_drop(version);
    CHECK_INT(0, shmconf_close(&reader));
    region_entry_close(entry);
}

static void a_removed_region_comes_back_and_strands_nobody(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    struct shmconf_health health;
    fixture_publish(entry, "one", "", "");
    CHECK_INT(0, shmconf_open(&reader, "A:B:C", SHMCONF_PRIVATE));
    CHECK_STRING("one", shmconf_text(shmconf_enter(&reader)).data);
    shmconf_leave(&reader);
    fixture_remove_tree(f);
    CHECK_INT(-ESTALE, shmconf_status(&reader, &health));
    CHECK_INT(1, region_check_root(f->region, NULL));
    CHECK_INT(1, region_entry_check(entry, NULL));
    CHECK_INT(0, region_entry_check(entry, NULL));
    CHECK_INT(0, shmconf_status(&reader, &health));
    CHECK_INT(0, shmconf_wait(&reader, 1000));
    CHECK_STRING("one", shmconf_text(shmconf_enter(&reader)).data);
    CHECK_INT(2, shmconf_enter(&reader)->generation);
    shmconf_leave(&reader);
    shmconf_leave(&reader);
    fixture_publish(entry, "two", "", "");
    CHECK_STRING("two", shmconf_text(shmconf_enter(&reader)).data);
    shmconf_leave(&reader);
    CHECK_INT(0, shmconf_close(&reader));
    region_entry_close(entry);
}

static void other_bytes_under_the_same_generation_are_another_version(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "old", "", "");
    CHECK_INT(0, shmconf_open(&reader, "A:B:C", 0));
    const struct shmconf_version *old = shmconf_hold(shmconf_enter(&reader));
    shmconf_leave(&reader);
    region_entry_close(entry);
    region_close(f->region); /* the daemon is dead when the tree goes */
    fixture_remove_tree(f);
    fixture_start(f);
    entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "new", "", "");
    CHECK(shmconf_enter(&reader) == old);
    shmconf_leave(&reader);
    struct shmconf_health health;
    CHECK_INT(0, shmconf_status(&reader, &health)); /* this one looks at the path */
    const struct shmconf_version *new = shmconf_enter(&reader);
    CHECK_STRING("new", shmconf_text(new).data);
    CHECK_INT(old->generation, new->generation);
    CHECK(old->instance != new->instance);
    CHECK_STRING("old", shmconf_text(old).data);
    shmconf_leave(&reader);
    shmconf_drop(old);
    CHECK_INT(0, shmconf_close(&reader));
    region_entry_close(entry);
}

static void a_truncated_head_is_replaced(struct fixture *f)
{
    char path[600];
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_record status = {.checked_ns = 1};
    fixture_publish(entry, "one", "", "");
    snprintf(path, sizeof path, "%s/A/B/C/head", f->root);
    CHECK_INT(0, truncate(path, 0));
    struct error error = {0};
    CHECK_INT(-EFAULT, region_entry_status(entry, &status, &error));
    CHECK(strstr(error.message, "truncated") != NULL);
    CHECK_INT(1, region_entry_check(entry, &error));
    struct shmconf_reader reader;
    CHECK_INT(0, shmconf_open(&reader, "A:B:C", 0));
    CHECK_STRING("one", shmconf_text(shmconf_enter(&reader)).data);
    shmconf_leave(&reader);
    CHECK_INT(0, shmconf_close(&reader));
    region_entry_close(entry);
}

/* Only the region's own accesses are caught, and only while they last. */
static void a_bus_error_of_somebody_else_ends_the_process(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_record status = {.checked_ns = 1};
    char path[600];
    int ended;
    fixture_publish(entry, "one", "", "");
    snprintf(path, sizeof path, "%s/A/B/C/head", f->root);
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    volatile char *other = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    CHECK(other != MAP_FAILED && truncate(path, 0) == 0);
    CHECK_INT(-EFAULT, region_entry_status(entry, &status, NULL));
    pid_t child = fork();
    if (child == 0) {
        *other = 1;
        _exit(0);
    }
    CHECK_INT(child, waitpid(child, &ended, 0));
    CHECK(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGBUS);
    region_entry_close(entry);
}

/* Whatever was written over, opened or given away under a running daemon is published again. */
static void damage_in_place_is_repaired(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    char path[600];
    uint64_t generation = 1;
    fixture_publish(entry, "one", "", "");
    for (int damage = 0; damage < 4; damage++) {
        char file[64];
        CHECK_INT(0, region_entry_check(entry, NULL));
        snprintf(file, sizeof file, "A/B/C/v%08llx", (unsigned long long)generation);
        snprintf(path, sizeof path, "%s/A/B/C/head", f->root);
        if (damage == 0)
            fixture_overwrite(f, "A/B/C/head", 0, "garbage", 7);
        else if (damage == 1)
            fixture_overwrite(f, "A/B/C/head", offsetof(struct shmconf_head, seq), "\x77\x77", 2);
        else if (damage == 2)
            fixture_overwrite(f, file, 130, "x", 1);
        else
            CHECK_INT(0, chmod(path, 0666));
        CHECK_INT(1, region_entry_check(entry, NULL));
        generation++;
        CHECK_INT(0, shmconf_open(&reader, "A:B:C", 0));
        CHECK_STRING("one", shmconf_text(shmconf_enter(&reader)).data);
        CHECK_INT(generation, shmconf_enter(&reader)->generation);
        shmconf_leave(&reader);
        shmconf_leave(&reader);
        CHECK_INT(0, shmconf_close(&reader));
    }
    region_entry_close(entry);
}

int main(void)
{
    fixture_run(damage_in_place_is_repaired);
    fixture_run(a_name_that_was_never_published_has_no_version);
    fixture_run(a_publication_reaches_the_reader);
    fixture_run(an_equal_answer_makes_no_generation);
    fixture_run(a_successor_takes_the_region_over_in_place);
    fixture_run(a_removed_region_comes_back_and_strands_nobody);
    fixture_run(other_bytes_under_the_same_generation_are_another_version);
    fixture_run(a_truncated_head_is_replaced);
    fixture_run(a_bus_error_of_somebody_else_ends_the_process);
    return 0;
}
