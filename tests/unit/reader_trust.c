/* SPDX-License-Identifier: Apache-2.0 */
/* Who made what lies at the path: missing, foreign, writable by others, links, other kinds. */
#include <sys/wait.h>

#include "reader_fixture.h"

/* From the root ("") to the head. */
static const char *const levels[] = {"", "A", "A/B", "A/B/C", READER_HEAD};
enum { LEVELS = sizeof levels / sizeof levels[0], STRANGER = 12345 };

/*
 * The pattern of these tests. While something is wrong, a newcomer has no version and `error`; a
 * reader with a version keeps it, and its status says `status`. When it is right again, both have
 * the version.
 */
struct pair {
    struct region_entry *entry;
    struct shmconf_reader old;
    struct shmconf_reader newcomer;
};

static void pair_start(struct pair *pair, struct fixture *f)
{
    pair->entry = fixture_entry(f, "A:B:C");
    fixture_publish(pair->entry, "one", "", "");
    reader_open(&pair->old, 0);
    reader_expect(&pair->old, "one", 0);
}

static void pair_meets(struct pair *pair, int error, int status)
{
    reader_open(&pair->newcomer, 0);
    reader_expect(&pair->newcomer, NULL, error);
    CHECK_INT(error, reader_status(&pair->newcomer));
    CHECK_INT(status, reader_status(&pair->old));
    reader_expect(&pair->old, "one", 0);
}

static void pair_recovers(struct pair *pair)
{
    reader_may_look(&pair->newcomer);
    reader_expect(&pair->newcomer, "one", 0);
    CHECK_INT(0, reader_status(&pair->newcomer));
    CHECK_INT(0, reader_status(&pair->old));
    reader_expect(&pair->old, "one", 0);
    reader_close(&pair->newcomer);
}

static void pair_end(struct pair *pair)
{
    reader_close(&pair->old);
    region_entry_close(pair->entry);
}

static void a_missing_level_is_nothing_published_yet(struct fixture *f)
{
    struct pair pair;
    pair_start(&pair, f);
    for (int i = 0; i < LEVELS; i++) {
        take_away(f, levels[i]);
        pair_meets(&pair, -ENOENT, -ESTALE);
        put_back(f, levels[i]);
        pair_recovers(&pair);
    }
    pair_end(&pair);
}

static void a_level_that_others_may_write_is_refused(struct fixture *f)
{
    struct pair pair;
    pair_start(&pair, f);
    for (int i = 1; i < LEVELS; i++) {
        struct whole_path path = in_root(f, levels[i]);
        unsigned mode = fixture_mode(f, levels[i]);
        static const unsigned writable[] = {0020, 0002};
        for (int bit = 0; bit < 2; bit++) {
            CHECK_INT(0, chmod(path.text, mode | writable[bit]));
            pair_meets(&pair, -EPERM, -EPERM);
            CHECK_INT(0, chmod(path.text, mode));
            pair_recovers(&pair);
        }
    }
    pair_end(&pair);
}

static void a_level_of_a_stranger_is_refused(struct fixture *f)
{
    if (skipped_unless_root("levels that belong to a stranger"))
        return;
    struct pair pair;
    pair_start(&pair, f);
    for (int i = 1; i < LEVELS; i++) {
        struct whole_path path = in_root(f, levels[i]);
        CHECK_INT(0, chown(path.text, STRANGER, (gid_t)-1));
        pair_meets(&pair, -EPERM, -EPERM);
        CHECK_INT(0, chown(path.text, 0, (gid_t)-1));
        pair_recovers(&pair);
    }
    pair_end(&pair);
}

static void a_symbolic_link_is_refused_at_every_level(struct fixture *f)
{
    struct pair pair;
    pair_start(&pair, f);
    for (int i = 0; i < LEVELS; i++) {
        take_away(f, levels[i]);
        CHECK_INT(0, symlink(away_from(f, levels[i]).text, in_root(f, levels[i]).text));
        pair_meets(&pair, -ELOOP, -ELOOP);
        put_back(f, levels[i]);
        pair_recovers(&pair);
    }
    pair_end(&pair);
}

static void a_trailing_slash_does_not_follow_the_roots_link(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    char link[400], with_slashes[410];
    fixture_publish(entry, "one", "", "");
    snprintf(link, sizeof link, "%s.link", f->root);
    CHECK_INT(0, symlink(f->root, link));
    snprintf(with_slashes, sizeof with_slashes, "%s//", link);
    setenv("SHMCONF_DIR", with_slashes, 1);
    newcomer_expects(NULL, -ELOOP);
    snprintf(with_slashes, sizeof with_slashes, "%s//", f->root);
    setenv("SHMCONF_DIR", with_slashes, 1);
    newcomer_expects("one", 0);
    CHECK_INT(0, unlink(link));
    region_entry_close(entry);
}

static void a_file_in_place_of_a_directory_is_refused(struct fixture *f)
{
    struct pair pair;
    pair_start(&pair, f);
    for (int i = 0; i < LEVELS - 1; i++) {
        take_away(f, levels[i]);
        file_write(f, levels[i], "x", 1);
        pair_meets(&pair, -ENOTDIR, -ENOTDIR);
        put_back(f, levels[i]);
        pair_recovers(&pair);
    }
    pair_end(&pair);
}

static void something_else_in_place_of_the_head_is_refused(struct fixture *f)
{
    struct pair pair;
    pair_start(&pair, f);
    for (int i = 0; i < 2; i++) {
        struct whole_path path = in_root(f, READER_HEAD);
        take_away(f, READER_HEAD);
        CHECK_INT(0, i ? mkdir(path.text, 0700) : mkfifo(path.text, 0600));
        pair_meets(&pair, -EBADMSG, -EBADMSG);
        put_back(f, READER_HEAD);
        pair_recovers(&pair);
    }
    pair_end(&pair);
}

/* SHMCONF_DIR is trusted by whoever sets it; what lies below is not, and neither is the default. */
static void shmconf_dir_exempts_the_root_alone(struct fixture *f)
{
    struct pair pair;
    struct shmconf_reader defaulted;
    pair_start(&pair, f);
    CHECK_INT(0, chmod(f->root, 01777));
    newcomer_expects("one", 0);
    CHECK_INT(0, reader_status(&pair.old));

    /* The default root cannot be used by a test, so a reader is told that its root is that one. */
    reader_open(&defaulted, 0);
    CHECK(defaulted.place->root_is_given);
    defaulted.place->root_is_given = 0;
    reader_expect(&defaulted, NULL, -EPERM);
    CHECK_INT(0, chmod(f->root, 0755));
    reader_reaches(&defaulted, "one");
    reader_close(&defaulted);
    if (!skipped_unless_root("a root that belongs to a stranger")) {
        CHECK_INT(0, chown(f->root, STRANGER, (gid_t)-1));
        newcomer_expects("one", 0);
        reader_open(&defaulted, 0);
        defaulted.place->root_is_given = 0;
        reader_expect(&defaulted, NULL, -EPERM);
        reader_close(&defaulted);
        CHECK_INT(0, chown(f->root, 0, (gid_t)-1));
    }
    setenv("SHMCONF_DIR", "", 1); /* as good as not set */
    reader_open(&defaulted, 0);
    CHECK(!defaulted.place->root_is_given);
    CHECK_STRING("/tmp/shmconf", defaulted.place->root);
    reader_close(&defaulted);
    setenv("SHMCONF_DIR", f->root, 1);
    pair_end(&pair);
}

static void shmconf_owner_names_a_further_user(struct fixture *f)
{
    static const struct {
        const char *owner;
        bool is_trusted;
    } cases[] = {{"12345", true}, {"any", true},   {"12346", false}, {"", false},
                 {"0", false},    {"name", false}, {"12345x", false}};
    if (skipped_unless_root("SHMCONF_OWNER"))
        return;
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "one", "", "");
    CHECK_INT(0, chown(in_root(f, "A/B").text, STRANGER, (gid_t)-1));
    CHECK_INT(0, chown(in_root(f, "A/B/C/v00000001").text, STRANGER, (gid_t)-1));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setenv("SHMCONF_OWNER", cases[i].owner, 1);
        newcomer_expects(cases[i].is_trusted ? "one" : NULL, cases[i].is_trusted ? 0 : -EPERM);
    }
    /* Another owner is trusted, everybody's hands are not. */
    setenv("SHMCONF_OWNER", "any", 1);
    CHECK_INT(0, chmod(in_root(f, "A/B").text, 0720));
    newcomer_expects(NULL, -EPERM);
    unsetenv("SHMCONF_OWNER");
    region_entry_close(entry);
}

/* Ends the child with the answer of a newcomer under another user. */
static void answer_as(uid_t user)
{
    struct shmconf_reader reader;
    if (setuid(user) != 0 || shmconf_open(&reader, "A:B:C", 0) != 0)
        _exit(255);
    const struct shmconf_version *version = shmconf_enter(&reader);
    _exit(version ? 0 : -shmconf_error(&reader));
}

static int newcomer_under(uid_t user)
{
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        answer_as(user);
    CHECK_INT(child, waitpid(child, &status, 0));
    CHECK(WIFEXITED(status));
    return -WEXITSTATUS(status);
}

static void access_decides_who_may_read(struct fixture *f)
{
    if (skipped_unless_root("a reader under another user"))
        return;
    uint64_t since_ns;
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "one", "", "");
    CHECK_INT(0, region_set_source(f->region, "directory", &since_ns)); /* as a daemon does */
    CHECK_INT(0, chmod(f->base, 0755));
    CHECK_INT(-EACCES, newcomer_under(STRANGER));
    region_entry_close(entry);
    f->access = REGION_ALL;
    fixture_restart(f);
    entry = fixture_entry(f, "A:B:C");
    CHECK_INT(0, newcomer_under(STRANGER)); /* root's files are trusted by everybody */
    region_entry_close(entry);
}

int main(void)
{
    fixture_run(a_missing_level_is_nothing_published_yet);
    fixture_run(a_level_that_others_may_write_is_refused);
    fixture_run(a_level_of_a_stranger_is_refused);
    fixture_run(a_symbolic_link_is_refused_at_every_level);
    fixture_run(a_trailing_slash_does_not_follow_the_roots_link);
    fixture_run(a_file_in_place_of_a_directory_is_refused);
    fixture_run(something_else_in_place_of_the_head_is_refused);
    fixture_run(shmconf_dir_exempts_the_root_alone);
    fixture_run(shmconf_owner_names_a_further_user);
    fixture_run(access_decides_who_may_read);
    return 0;
}
