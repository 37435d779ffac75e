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

static void a_second_writer_is_refused(struct fixture *f)
{
    struct region *second;
    struct error error = {0};
    struct region_options options = {.path = f->root, .path_is_given = true};
    CHECK_INT(-EWOULDBLOCK, region_open(&second, &options, &error));
    CHECK(strstr(error.message, "another shmconfd") != NULL);
}

static void orphans_are_swept_at_the_start(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "one", "", "");
    fixture_publish(entry, "two", "", "");
    region_entry_close(entry);
    int files = fixture_count_files(f);
    fixture_touch(f, "A/B/C/v00000009");
    fixture_touch(f, "A/B/C/.t0123456789abcdef");
    char path[600];
    snprintf(path, sizeof path, "%s/A/B/D", f->root);
    CHECK_INT(0, mkdir(path, 0700));
    fixture_touch(f, "A/B/D/v00000001");
    fixture_overwrite(f, "A/B/D/v00000001", 0, SHMCONF_VERSION_MAGIC, 8);
    fixture_restart(f);
    CHECK_INT(1, region_recover(f->region));
    CHECK_INT(files, fixture_count_files(f));
}

/* There stands what the daemon notes of its source, and perhaps what others have put there. */
static void of_the_root_only_own_temporary_files_are_swept(struct fixture *f)
{
    uint64_t since_ns;
    CHECK_INT(0, region_set_source(f->region, "directory", &since_ns));
    fixture_touch(f, ".t012345");
    fixture_touch(f, ".t0123456789abcdefg");
    fixture_touch(f, "v00000001");
    CHECK_INT(0, mkdir(in_root(f, ".tfedcba9876543210").text, 0700));
    int files = fixture_count_files(f);
    fixture_touch(f, ".t0123456789abcdef");
    if (!skipped_unless_root("a file of another user")) {
        fixture_touch(f, ".t00000000000000ff");
        CHECK_INT(0, chown(in_root(f, ".t00000000000000ff").text, 12345, 12345));
        files++;
    }
    fixture_restart(f);
    CHECK_INT(0, region_recover(f->region));
    CHECK_INT(files, fixture_count_files(f));
    CHECK_INT(0700, fixture_mode(f, ".tfedcba9876543210"));
    CHECK_INT(-1, access(in_root(f, ".t0123456789abcdef").text, F_OK));
}

/* Of anything else that is there, beside what the region has and where it has nothing. */
static void nothing_is_swept_that_has_another_name(struct fixture *f)
{
    static const char *const names[] = {"vector.c",    "version",   "v1",
                                        "v0000002",    "v0000000g", "v00000000000000001",
                                        ".travis.yml", ".t1",       ".tmux.conf"};
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    uint64_t since_ns;
    fixture_publish(entry, "one", "", "");
    region_entry_close(entry);
    CHECK_INT(0, region_set_source(f->region, "directory", &since_ns));
    CHECK_INT(0, mkdir(in_root(f, "A/B/D").text, 0700));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];
        snprintf(path, sizeof path, "A/B/C/%s", names[i]);
        fixture_touch(f, path);
        path[4] = 'D';
        fixture_touch(f, path);
    }
    /* Without a head the name alone does not tell. */
    fixture_touch(f, "A/B/D/v20240101");
    CHECK_INT(0, mkdir(in_root(f, "A/B/D/v20240102").text, 0700));
    int files = fixture_count_files(f);
    fixture_restart(f);
    CHECK_INT(1, region_recover(f->region));
    CHECK_INT(files, fixture_count_files(f));
}

static int open_as_it_is(struct fixture *f, unsigned mode)
{
    struct region_options options = {.path = f->root, .path_is_given = true};
    struct error error = {0};
    region_close(f->region);
    f->region = NULL;
    CHECK_INT(0, chmod(f->root, mode));
    int rc = region_open(&f->region, &options, &error);
    CHECK(rc == 0 || strstr(error.message, "is neither empty nor a region"));
    return rc;
}

/* Not the /tmp or /usr that somebody has named, nor any other place where others have something. */
static void a_directory_that_others_use_is_not_closed_to_them(struct fixture *f)
{
    uint64_t since_ns;
    CHECK_INT(0, mkdir(in_root(f, "lost+found").text, 0700));
    CHECK_INT(0, open_as_it_is(f, 0777)); /* just made for it */
    CHECK_INT(0700, fixture_mode(f, "."));
    fixture_touch(f, "another");
    CHECK_INT(-EPERM, open_as_it_is(f, 01777));
    CHECK_INT(01777, fixture_mode(f, "."));
    CHECK_INT(-EPERM, open_as_it_is(f, 0755));
    CHECK_INT(0755, fixture_mode(f, "."));
    CHECK_INT(-EPERM, open_as_it_is(f, 0700)); /* as a home */
    fixture_remove(f, "another");
    CHECK_INT(0, open_as_it_is(f, 01777));
    CHECK_INT(0, region_set_source(f->region, "directory", &since_ns));
    CHECK_INT(0, open_as_it_is(f, 0777)); /* a region that somebody has opened to all */
    CHECK_INT(0700, fixture_mode(f, "."));
}

static void make_directories(struct fixture *f, mode_t mode)
{
    const char *const paths[] = {"A", "A/B", "A/B/C"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        CHECK_INT(0, mkdir(in_root(f, paths[i]).text, mode));
}

/* Its source could not be noted, on a full disk, or was removed. */
static void a_region_is_known_without_a_note_of_its_source(struct fixture *f)
{
    make_directories(f, 0700);
    fixture_touch(f, "A/B/C/.t0123456789abcdef");
    fixture_touch(f, "A/B/C/v00000001");
    fixture_overwrite(f, "A/B/C/v00000001", 0, SHMCONF_VERSION_MAGIC, 8);
    CHECK_INT(0, open_as_it_is(f, 0755)); /* what a first publication leaves that did not end */
    fixture_overwrite(f, "A/B/C/v00000001", 0, "another.", 8);
    CHECK_INT(-EPERM, open_as_it_is(f, 0755));
    fixture_remove(f, "A/B/C/v00000001");
    CHECK_INT(0, chmod(in_root(f, "A/B").text, 0755));
    CHECK_INT(-EPERM, open_as_it_is(f, 0755));
    CHECK_INT(0, chmod(in_root(f, "A/B").text, 0700));
    CHECK_INT(0, open_as_it_is(f, 0700));
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "one", "", "");
    region_entry_close(entry);
    fixture_touch(f, "notes");
    CHECK_INT(0, open_as_it_is(f, 0755)); /* it has a head */
}

static int first_byte(struct fixture *f, const char *path)
{
    unsigned char byte;
    int fd = open(in_root(f, path).text, O_RDONLY);
    CHECK(fd >= 0);
    CHECK_INT(1, read(fd, &byte, 1));
    close(fd);
    return byte;
}

/* By it a successor knows what to follow on. */
static void the_note_of_the_source_is_kept(struct fixture *f)
{
    uint64_t since_ns, again_ns;
    char whole[400];
    struct error error = {0};
    snprintf(whole, sizeof whole, "%s/.source", f->root);
    CHECK_INT(0, mkdir(whole, 0700));
    fixture_touch(f, ".source/in the way");
    CHECK_INT(-ENOTEMPTY, region_set_source(f->region, "directory", &since_ns));
    CHECK_INT(-ENOTEMPTY, region_keep_source(f->region));
    fixture_remove(f, ".source/in the way");
    for (int turn = 0; turn < 4; turn++) {
        CHECK_INT(0, region_keep_source(f->region));
        CHECK_INT(0400, fixture_mode(f, ".source"));
        CHECK(first_byte(f, ".source") != 'X');
        if (turn == 0)
            fixture_remove(f, ".source");
        else if (turn == 1)
            fixture_overwrite(f, ".source", 0, "X", 1);
        else if (turn == 2)
            CHECK_INT(0, chmod(whole, 0666));
    }
    fixture_restart(f);
    CHECK_INT(0, region_set_source(f->region, "directory", &again_ns));
    CHECK(again_ns == since_ns);
    fixture_remove_tree(f);
    CHECK_INT(1, region_check_root(f->region, &error));
    CHECK_INT(0, region_keep_source(f->region));
    fixture_restart(f);
    CHECK_INT(0, region_set_source(f->region, "directory", &again_ns));
    CHECK(again_ns == since_ns);
}

static void access_sets_every_mode_whatever_the_umask(struct fixture *f)
{
    static const struct {
        enum region_access access;
        unsigned directory, head, version;
    } cases[] = {{REGION_OWNER, 0700, 0600, 0400},
                 {REGION_GROUP, 0750, 0640, 0440},
                 {REGION_ALL, 0755, 0644, 0444}};
    mode_t old = umask(0777);
    uint64_t since_ns;
    CHECK_INT(0, region_set_source(f->region, "directory", &since_ns));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        f->access = cases[i].access;
        fixture_restart(f);
        struct region_entry *entry = fixture_entry(f, "A:B:C");
        fixture_publish(entry, i % 2 ? "odd" : "even", "", "");
        CHECK_INT(cases[i].directory, fixture_mode(f, "A/B/C"));
        CHECK_INT(cases[i].directory, fixture_mode(f, "."));
        CHECK_INT(cases[i].version, fixture_mode(f, i == 0   ? "A/B/C/v00000001"
                                                    : i == 1 ? "A/B/C/v00000002"
                                                             : "A/B/C/v00000003"));
        CHECK_INT(cases[i].head, fixture_mode(f, "A/B/C/head"));
        region_entry_close(entry);
    }
    umask(old);
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
    fixture_run(a_second_writer_is_refused);
    fixture_run(orphans_are_swept_at_the_start);
    fixture_run(nothing_is_swept_that_has_another_name);
    fixture_run(a_directory_that_others_use_is_not_closed_to_them);
    fixture_run(of_the_root_only_own_temporary_files_are_swept);
    fixture_run(a_region_is_known_without_a_note_of_its_source);
    fixture_run(the_note_of_the_source_is_kept);
    fixture_run(access_sets_every_mode_whatever_the_umask);
    return 0;
}
