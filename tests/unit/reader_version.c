/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in a version file's place, damaged bodies, and what SHMCONF_PRIVATE protects from. */
#include <signal.h>
#include <sys/wait.h>

#include "reader_second.h"

enum { STRANGER = 12345 };

/* What stands in place of the file, rather than what is in it. */
static void put_nothing(const char *path, const char *away)
{
    (void)path, (void)away;
}

static void put_link(const char *path, const char *away)
{
    CHECK_INT(0, symlink(away, path));
}

static void put_fifo(const char *path, const char *away)
{
    (void)away;
    CHECK_INT(0, mkfifo(path, 0600));
}

static void put_directory(const char *path, const char *away)
{
    (void)away;
    CHECK_INT(0, mkdir(path, 0700));
}

static void put_group_writable(const char *path, const char *away)
{
    CHECK_INT(0, link(away, path));
    CHECK_INT(0, chmod(path, 0460));
}

static void put_world_writable(const char *path, const char *away)
{
    CHECK_INT(0, link(away, path));
    CHECK_INT(0, chmod(path, 0602));
}

static void put_strangers(const char *path, const char *away)
{
    CHECK_INT(0, link(away, path));
    CHECK_INT(0, chown(path, STRANGER, (gid_t)-1));
}

static void something_else_in_place_of_the_version_is_refused(struct fixture *f)
{
    static const struct {
        void (*put)(const char *path, const char *away);
        int error;
    } cases[] = {
        {put_nothing, -ESTALE},    {put_link, -ELOOP},           {put_fifo, -EBADMSG},
        {put_directory, -EBADMSG}, {put_group_writable, -EPERM}, {put_world_writable, -EPERM},
        {put_strangers, -EPERM},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (cases[i].put == put_strangers && skipped_unless_root("a version of a stranger"))
            continue;
        struct second second;
        struct whole_path path = in_root(f, SECOND), away = away_from(f, SECOND);
        second_start(&second, f, 0);
        take_away(f, SECOND);
        cases[i].put(path.text, away.text);
        second_meets(&second, cases[i].error);
        if (cases[i].put == put_nothing) {
            CHECK_INT(0, rename(away.text, path.text));
        } else {
            CHECK_INT(0, chmod(away.text, 0400));
            CHECK_INT(0, chown(away.text, geteuid(), (gid_t)-1));
            put_back(f, SECOND);
        }
        second_recovers_and_ends(&second);
        fixture_remove_tree(f);
        fixture_restart(f);
    }
}

/* The daemon's own repair: it publishes the removed version as the next generation. */
static void a_removed_version_comes_back_as_the_next_generation(struct fixture *f)
{
    struct second second;
    second_start(&second, f, 0);
    CHECK_INT(0, unlink(in_root(f, SECOND).text));
    second_meets(&second, -ESTALE);
    CHECK_INT(1, region_entry_check(second.entry, NULL));
    reader_expect(&second.old, "two", 0);
    CHECK_INT(3, second.old.version->generation);
    reader_reaches(&second.newcomer, "two");
    reader_close(&second.old);
    reader_close(&second.newcomer);
    region_entry_close(second.entry);
}

/* Files of this boot were not written out and read back, so their bodies need no check. */
static void bodies_are_checked_after_a_reboot_only(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_head head;
    uint8_t other_boot[16] = "another boot ID";
    fixture_publish(entry, "one", "", "");
    region_entry_close(entry);
    file_read(f, READER_HEAD, &head, sizeof head);
    long boot_at = offsetof(struct shmconf_head, boot_id);
    fixture_overwrite(f, READER_HEAD, boot_at, other_boot, sizeof other_boot);
    newcomer_expects("one", 0);
    fixture_overwrite(f, "A/B/C/v00000001", SHMCONF_VERSION_HEADER_SIZE, "O", 1);
    newcomer_expects(NULL, -EBADMSG);
    struct shmconf_reader reader;
    reader_open(&reader, SHMCONF_PRIVATE);
    reader_expect(&reader, NULL, -EBADMSG);
    fixture_overwrite(f, "A/B/C/v00000001", SHMCONF_VERSION_HEADER_SIZE, "o", 1);
    reader_reaches(&reader, "one");
    reader_close(&reader);
    fixture_overwrite(f, READER_HEAD, boot_at, head.boot_id, sizeof head.boot_id);
    fixture_overwrite(f, "A/B/C/v00000001", SHMCONF_VERSION_HEADER_SIZE, "O", 1);
    newcomer_expects("One", 0);
}

/* Boots differ in random bits: each digit of the id counts. */
static void a_boot_is_another_by_any_digit_of_its_id(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_head head;
    long boot_at = offsetof(struct shmconf_head, boot_id);
    fixture_publish(entry, "one", "", "");
    region_entry_close(entry);
    file_read(f, READER_HEAD, &head, sizeof head);
    fixture_overwrite(f, "A/B/C/v00000001", SHMCONF_VERSION_HEADER_SIZE, "O", 1);
    newcomer_expects("One", 0);
    for (size_t digit = 0; digit < 2 * sizeof head.boot_id; digit++) {
        uint8_t other[sizeof head.boot_id];
        memcpy(other, head.boot_id, sizeof other);
        other[digit / 2] ^= digit % 2 ? 0x01 : 0x10;
        fixture_overwrite(f, READER_HEAD, boot_at, other, sizeof other);
        newcomer_expects(NULL, -EBADMSG);
    }
}

/* What fails is not tried at each enter: who has a version waits for the daemon's next store, who
   has none for 100 ms. */
static void a_failure_costs_the_next_enters_nothing(struct fixture *f)
{
    struct second second;
    second_start(&second, f, 0);
    take_away(f, SECOND);
    reader_expect(&second.old, "one", -ESTALE);
    reader_expect(&second.newcomer, NULL, -ESTALE);
    put_back(f, SECOND);
    reader_expect(&second.old, "one", -ESTALE);
    CHECK_INT(*second.old.seq, second.old.seen);
    uint64_t now;
    do {
        now = shmconf_ticks_ns();
        second.newcomer.looked_ns = now;
        shmconf_enter(&second.newcomer);
        shmconf_leave(&second.newcomer);
    } while (!second.newcomer.version && shmconf_ticks_ns() - now >= SHMCONF_LOOK_NS);
    CHECK(!second.newcomer.version);
    second_recovers_and_ends(&second);
}

static void a_private_version_survives_truncation(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "the whole text", "text/plain", "blue");
    reader_open(&reader, SHMCONF_PRIVATE);
    const struct shmconf_version *version = shmconf_hold(shmconf_enter(&reader));
    shmconf_leave(&reader);
    file_truncate(f, "A/B/C/v00000001", 0);
    reader_expect(&reader, "the whole text", 0);
    CHECK_STRING("text/plain", version->content_type.data);
    CHECK_STRING("blue", version->label.data);
    reader_close(&reader);
    CHECK_STRING("the whole text", shmconf_text(version).data);
    shmconf_drop(version);
    region_entry_close(entry);
}

/* What the header says of it: the sequence is always read from a mapping. */
static void a_truncated_head_is_a_bus_error_for_every_reader(struct fixture *f)
{
    static const unsigned kinds[] = {0, SHMCONF_PRIVATE};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct region_entry *entry = fixture_entry(f, "A:B:C");
        struct shmconf_reader reader;
        int status;
        fixture_publish(entry, i ? "two" : "one", "", "");
        reader_open(&reader, kinds[i]);
        pid_t child = fork();
        if (child == 0) {
            shmconf_enter(&reader);
            shmconf_leave(&reader);
            signal(SIGBUS, SIG_DFL); /* a sanitizer has its own */
            file_truncate(f, READER_HEAD, 0);
            shmconf_enter(&reader);
            _exit(0);
        }
        CHECK_INT(child, waitpid(child, &status, 0));
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
        reader_close(&reader);
        CHECK_INT(1, region_entry_check(entry, NULL)); /* a new one */
        region_entry_close(entry);
    }
}

int main(void)
{
    fixture_run(something_else_in_place_of_the_version_is_refused);
    fixture_run(a_removed_version_comes_back_as_the_next_generation);
    fixture_run(bodies_are_checked_after_a_reboot_only);
    fixture_run(a_boot_is_another_by_any_digit_of_its_id);
    fixture_run(a_failure_costs_the_next_enters_nothing);
    fixture_run(a_private_version_survives_truncation);
    fixture_run(a_truncated_head_is_a_bus_error_for_every_reader);
    return 0;
}
