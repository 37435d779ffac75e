/* SPDX-License-Identifier: Apache-2.0 */
/* A region whose directory cannot be had at first, as in Lambda while a predecessor still ends. */
#include <errno.h>
#include <shmconf.h>
#include <signal.h>

#include "check.h"
#include "region_fixture.h"

static const struct shmconf_record fetched = {.fetched_ns = 2000, .checked_ns = 2000};

/* The root with what a predecessor published in it is out of the way, and something else in it. */
static void hide_root(struct fixture *f, char away[320])
{
    snprintf(away, 320, "%s-away", f->root);
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "old", "", "");
    region_entry_close(entry);
    region_close(f->region);
    CHECK_INT(0, rename(f->root, away));
    int fd = open(f->root, O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0);
    close(fd);
    struct region_options options = {
        .path = f->root, .path_is_given = true, .may_come_later = true};
    CHECK_INT(-ENOTDIR, region_open(&f->region, &options, NULL)); /* and there is one */
}

static void show_root(struct fixture *f, const char *away)
{
    CHECK_INT(0, unlink(f->root));
    CHECK_INT(0, rename(away, f->root));
    CHECK(region_check_root(f->region, NULL) >= 0);
}

static int publish(struct region_entry *entry, const char *payload)
{
    struct error error = {0};
    struct region_content content = {payload, strlen(payload), "", "", SHMCONF_OPAQUE};
    return region_entry_publish(entry, &content, &fetched, &error);
}

static void expect(struct shmconf_reader *reader, const char *text, uint64_t generation)
{
    const struct shmconf_version *version = shmconf_enter(reader);
    CHECK_STRING(text, shmconf_text(version).data);
    CHECK_INT(generation, version->generation);
    shmconf_leave(reader);
}

static void what_was_fetched_meanwhile_follows_what_was_there(struct fixture *f)
{
    char away[320];
    struct shmconf_reader reader;
    hide_root(f, away);
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    CHECK_INT(REGION_KEPT, publish(entry, "new"));
    CHECK_INT(0, region_entry_check(entry, NULL));
    show_root(f, away);
    CHECK_INT(0, shmconf_open(&reader, "A:B:C", 0));
    expect(&reader, "old", 1);
    CHECK_INT(1, region_entry_check(entry, NULL));
    expect(&reader, "new", 2);
    CHECK_INT(2000, region_entry_record(entry)->fetched_ns);
    CHECK_INT(2000, region_entry_record(entry)->checked_ns);
    CHECK_INT(0, region_entry_check(entry, NULL));
    CHECK_INT(0, shmconf_close(&reader));
    region_entry_close(entry);
}

static void check_is_good(struct region_entry *entry)
{
    struct shmconf_record good = fetched;
    good.checked_ns = shmconf_now_ns();
    CHECK_INT(0, region_entry_status(entry, &good, NULL));
}

static void expect_health(struct shmconf_reader *reader, uint64_t fetched_ns, unsigned failures,
                          int error, int fresh)
{
    struct shmconf_health health;
    CHECK_INT(0, shmconf_status(reader, &health));
    CHECK_INT(fetched_ns, health.fetched_ns);
    CHECK_INT(failures, health.failures);
    CHECK_INT(error, health.error);
    CHECK_INT(fresh, shmconf_fresh(reader, 60000, 0));
}

/* The service sends it once only. What readers have meanwhile is old, however good the checks. */
static void it_is_not_lost_when_it_cannot_be_published_at_once(struct fixture *f)
{
    char away[320];
    struct shmconf_reader reader;
    struct error error = {0};
    hide_root(f, away);
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    CHECK_INT(REGION_KEPT, publish(entry, "new"));
    show_root(f, away);
    CHECK_INT(0, shmconf_open(&reader, "A:B:C", 0));
    fixture_allow_bytes(64);
    for (unsigned i = 0; i < 3; i++) {
        check_is_good(entry);
        expect_health(&reader, 1000, i, i ? EFBIG : 0, -ETIMEDOUT);
        CHECK_INT(-EFBIG, region_entry_check(entry, &error));
        expect_health(&reader, 1000, i + 1, EFBIG, -ETIMEDOUT);
        CHECK(strstr(error.message, "cannot publish a version"));
        CHECK_STRING("new", region_entry_version(entry)->payload);
        expect(&reader, "old", 1);
    }
    fixture_allow_bytes(RLIM_INFINITY);
    CHECK_INT(1, region_entry_check(entry, NULL));
    expect(&reader, "new", 2);
    expect_health(&reader, 2000, 0, 0, 0);
    check_is_good(entry);
    expect_health(&reader, 2000, 0, 0, 0);
    CHECK_INT(0, shmconf_close(&reader));
    region_entry_close(entry);
}

/* A disk that fills up later: requests get what is newer, and readers are told that theirs is not.
 */
static void a_disk_that_is_full_later_keeps_nothing_from_requests(struct fixture *f)
{
    struct shmconf_reader reader;
    struct region_options options = {
        .path = f->root, .path_is_given = true, .may_come_later = true};
    region_close(f->region);
    CHECK_INT(0, region_open(&f->region, &options, NULL));
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    CHECK_INT(1, publish(entry, "old"));
    CHECK_INT(0, shmconf_open(&reader, "A:B:C", 0));
    fixture_allow_bytes(64);
    CHECK_INT(REGION_KEPT, publish(entry, "new"));
    CHECK_STRING("new", region_entry_version(entry)->payload);
    expect(&reader, "old", 1);
    expect_health(&reader, 2000, 1, EFBIG, -ETIMEDOUT);
    struct shmconf_record planned = *region_entry_record(entry);
    planned.next_ns = UINT64_MAX; /* a successor has the old version only, and must not wait */
    CHECK_INT(0, region_entry_status(entry, &planned, NULL));
    struct shmconf_health health;
    CHECK_INT(0, shmconf_status(&reader, &health));
    CHECK_INT(0, health.next_ns);
    CHECK_INT(REGION_KEPT, publish(entry, "newer"));
    fixture_allow_bytes(RLIM_INFINITY);
    CHECK_INT(1, region_entry_check(entry, NULL));
    expect(&reader, "newer", 2);
    CHECK_INT(0, shmconf_close(&reader));
    region_entry_close(entry);
}

/* Also where the source brings it once more, or the next one, before anybody has looked. */
static void a_publication_comes_first(struct fixture *f)
{
    static const char *const next[] = {"new", "newer"};
    for (int i = 0; i < 2; i++) {
        char away[320];
        struct shmconf_reader reader;
        hide_root(f, away);
        struct region_entry *entry = fixture_entry(f, "A:B:C");
        CHECK_INT(REGION_KEPT, publish(entry, "new"));
        show_root(f, away);
        fixture_allow_bytes(64);
        CHECK_INT(REGION_KEPT, publish(entry, next[i]));
        CHECK_STRING(next[i], region_entry_version(entry)->payload);
        fixture_allow_bytes(RLIM_INFINITY);
        CHECK_INT(1, publish(entry, next[i]));
        CHECK_INT(0, shmconf_open(&reader, "A:B:C", 0));
        expect(&reader, next[i], region_entry_record(entry)->generation);
        CHECK_INT(0, publish(entry, next[i]));
        CHECK_INT(0, shmconf_close(&reader));
        region_entry_close(entry);
    }
}

int main(void)
{
    signal(SIGXFSZ, SIG_IGN);
    fixture_run(what_was_fetched_meanwhile_follows_what_was_there);
    fixture_run(it_is_not_lost_when_it_cannot_be_published_at_once);
    fixture_run(a_disk_that_is_full_later_keeps_nothing_from_requests);
    fixture_run(a_publication_comes_first);
    return 0;
}
