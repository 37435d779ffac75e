/* SPDX-License-Identifier: Apache-2.0 */
/* The region's root: whose it is, who may write and read there, and what is removed at the start.
 */
#include <fcntl.h>
#include <shmconf.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "reader_fixture.h"

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
    f->access = REGION_ALL;
    fixture_restart(f);
    CHECK_INT(0, region_set_source(f->region, "directory", &again_ns));
    CHECK(again_ns == since_ns);
    CHECK_INT(0444, fixture_mode(f, ".source"));
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

static void note(struct fixture *f, const char *text, unsigned mode, uid_t owner)
{
    char whole[400];
    snprintf(whole, sizeof whole, "%s/.source", f->root);
    unlink(whole);
    fixture_touch(f, ".source");
    fixture_overwrite(f, ".source", 0, text, strlen(text));
    CHECK_INT(0, chmod(whole, mode));
    if (owner)
        CHECK_INT(0, chown(whole, owner, (gid_t)-1));
}

/* Another source's, or who knows whose: what the region has is not followed on by it. */
static void what_does_not_tell_the_source_is_not_believed(struct fixture *f)
{
    static const struct {
        const char *text;
        unsigned mode;
        uid_t owner;
        bool is_ours;
    } notes[] = {
        {"77 https://x\n", 0400, 0, true},  {"77 https://x.y\n", 0400, 0, false},
        {"77 https://\n", 0400, 0, false},  {"77 https://x", 0400, 0, false},
        {"-5 https://x\n", 0400, 0, false}, {"9999999999999999999 https://x\n", 0400, 0, false},
        {"https://x\n", 0400, 0, false},    {"77 https://x\n", 0420, 0, false},
        {"77 https://x\n", 0402, 0, false}, {"77 https://x\n", 0400, 1234, false}};
    uint64_t since_ns;
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
        if (notes[i].owner && skipped_unless_root("a file of another user"))
            continue;
        note(f, notes[i].text, notes[i].mode, notes[i].owner);
        CHECK_INT(0, region_set_source(f->region, "https://x", &since_ns));
        CHECK_INT(notes[i].is_ours, since_ns == 77);
        CHECK(since_ns <= clock_realtime_ns());
        CHECK_INT(0400, fixture_mode(f, ".source"));
    }
}

/* Their readers are of that group, and could pass no longer. */
static void another_group_is_put_right(struct fixture *f)
{
    static const char *const paths[] = {"A", "A/B", "A/B/C", "A/B/C/head", "A/B/C/v00000001"};
    if (skipped_unless_root("files of another group"))
        return;
    f->access = REGION_GROUP;
    f->group = 4321;
    fixture_restart(f);
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct stat status;
    fixture_publish(entry, "one", "", "");
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        CHECK_INT(0, chown(in_root(f, paths[i]).text, (uid_t)-1, 1234));
        CHECK(region_entry_check(entry, NULL) >= 0);
        CHECK_INT(0, region_entry_check(entry, NULL));
        CHECK_INT(0, stat(in_root(f, "A/B/C/head").text, &status));
        CHECK_INT(4321, status.st_gid);
        CHECK(i > 2 || (stat(in_root(f, paths[i]).text, &status) == 0 && status.st_gid == 4321));
    }
    CHECK(region_entry_record(entry)->generation > 1);
    region_entry_close(entry);
}

/* Has the lock of the directory for a moment, in which another one takes its place. */
static pid_t replace_while_locked(const char *path, const char *away)
{
    int root = open(path, O_RDONLY | O_DIRECTORY);
    CHECK(root >= 0);
    CHECK_INT(0, flock(root, LOCK_EX | LOCK_NB));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        usleep(50000);
        CHECK_INT(0, rename(path, away));
        CHECK_INT(0, mkdir(path, 0700));
        _exit(0);
    }
    close(root);
    return child;
}

/* Who waited for the lock has that of a directory in which nobody looks. */
static void a_root_that_was_replaced_meanwhile_is_left(struct fixture *f)
{
    char path[sizeof f->base + 8], away[sizeof f->base + 8];
    struct region *region;
    struct error error;
    int rc, status;
    snprintf(path, sizeof path, "%s/other", f->base);
    snprintf(away, sizeof away, "%s/away", f->base);
    struct region_options options = {.path = path, .path_is_given = true};
    CHECK_INT(0, mkdir(path, 0700));
    pid_t child = replace_while_locked(path, away);
    do /* this machine may be slower than who waits is patient */
        rc = region_open(&region, &options, &error);
    while (rc == -EWOULDBLOCK);
    CHECK_INT(0, rc);
    CHECK_INT(child, waitpid(child, &status, 0));
    CHECK_INT(0, status);
    CHECK_INT(0, region_check_root(region, &error)); /* it is the one that has the name */
    int root = open(path, O_RDONLY | O_DIRECTORY);
    CHECK(root >= 0);
    CHECK_INT(-1, flock(root, LOCK_EX | LOCK_NB));
    close(root);
    region_close(region);
    CHECK_INT(0, rmdir(path));
    CHECK_INT(0, rmdir(away));
}

int main(void)
{
    fixture_run(a_second_writer_is_refused);
    fixture_run(orphans_are_swept_at_the_start);
    fixture_run(nothing_is_swept_that_has_another_name);
    fixture_run(a_directory_that_others_use_is_not_closed_to_them);
    fixture_run(of_the_root_only_own_temporary_files_are_swept);
    fixture_run(a_region_is_known_without_a_note_of_its_source);
    fixture_run(the_note_of_the_source_is_kept);
    fixture_run(what_does_not_tell_the_source_is_not_believed);
    fixture_run(access_sets_every_mode_whatever_the_umask);
    fixture_run(another_group_is_put_right);
    fixture_run(a_root_that_was_replaced_meanwhile_is_left);
    return 0;
}
