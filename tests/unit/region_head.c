/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon's writer does about a head that is not its own, or not where it should be. */
#include <shmconf.h>

#include "check.h"
#include "reader_fixture.h"

static void expect_newcomer(const char *name, const char *text)
{
    struct shmconf_reader reader;
    CHECK_INT(0, shmconf_open(&reader, name, 0));
    CHECK_STRING(text, shmconf_text(shmconf_enter(&reader)).data);
    shmconf_leave(&reader);
    CHECK_INT(0, shmconf_close(&reader));
}

/* Newcomers refuse it, so it is damage like any other. */
static void a_head_whose_name_was_written_over_is_replaced(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "one", "", "");
    for (int part = 0; part < 2; part++) {
        struct shmconf_head head = fixture_head(f, "A/B/C/head");
        if (part == 0)
            head.name[0] = 'X';
        else
            head.name_size--;
        fixture_write_head(f, "A/B/C/head", &head);
        CHECK_INT(1, region_entry_check(entry, NULL));
        CHECK_INT(0, region_entry_check(entry, NULL));
        expect_newcomer("A:B:C", "one");
    }
    region_entry_close(entry);
}

#define FIELD(member)                                                                              \
    offsetof(struct shmconf_head, member), sizeof(((struct shmconf_head *)0)->member)

/* Whatever newcomers look at: the daemon is the only one who can mend it. */
static void a_head_that_was_written_over_anywhere_is_replaced(struct fixture *f)
{
    static const struct {
        size_t at, size;
        bool is_of_record; /* of the current cell */
    } fields[] = {
        {FIELD(magic), false},
        {FIELD(endian), false},
        {FIELD(major), false},
        {FIELD(size), false},
        {FIELD(instance), false},
        {FIELD(seq), false},
        {FIELD(name_size), false},
        {offsetof(struct shmconf_record, generation), 8, true},
        {offsetof(struct shmconf_record, state), 4, true},
        {offsetof(struct shmconf_record, payload_size), 4, true},
    };
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "one", "", "");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct shmconf_head head = fixture_head(f, "A/B/C/head");
        size_t at = fields[i].at;
        if (fields[i].is_of_record)
            at += (size_t)((char *)&head.cells[head.seq & 1] - (char *)&head);
        ((unsigned char *)&head)[at + fields[i].size - 1] ^= 1;
        fixture_write_head(f, "A/B/C/head", &head);
        CHECK_INT(1, region_entry_check(entry, NULL));
        CHECK_INT(0, region_entry_check(entry, NULL));
        expect_newcomer("A:B:C", "one");
    }
    region_entry_close(entry);
}

/* A generation that no daemon reaches, or none in a head that has a version: not gone on from. */
static void a_head_with_an_impossible_generation_is_not_taken_over(struct fixture *f)
{
    static const uint64_t impossible[] = {UINT64_MAX, UINT64_MAX - 1, 0};
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
        struct region_entry *entry = fixture_entry(f, "A:B:C");
        fixture_publish(entry, "one", "", "");
        struct shmconf_head head = fixture_head(f, "A/B/C/head");
        head.cells[head.seq & 1].record.generation = impossible[i];
        fixture_write_head(f, "A/B/C/head", &head);
        CHECK_INT(1, region_entry_check(entry, NULL)); /* while the daemon lives */
        expect_newcomer("A:B:C", "one");
        head = fixture_head(f, "A/B/C/head");
        head.cells[head.seq & 1].record.generation = impossible[i];
        fixture_write_head(f, "A/B/C/head", &head);
        region_entry_close(entry);
        fixture_restart(f);

        entry = fixture_entry(f, "A:B:C");
        CHECK(region_entry_version(entry) == NULL);
        fixture_publish(entry, "two", "", "");
        expect_newcomer("A:B:C", "two");
        region_entry_close(entry);
    }
}

static void a_wrong_size_in_a_head_is_mended_by_a_restart(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "one", "", "");
    region_entry_close(entry);
    struct shmconf_head head = fixture_head(f, "A/B/C/head");
    head.cells[head.seq & 1].record.payload_size = 5;
    fixture_write_head(f, "A/B/C/head", &head);
    fixture_restart(f);

    entry = fixture_entry(f, "A:B:C");
    CHECK_STRING("one", region_entry_version(entry)->payload);
    CHECK_INT(1, region_entry_check(entry, NULL));
    head = fixture_head(f, "A/B/C/head");
    CHECK_INT(3, head.cells[head.seq & 1].record.payload_size);
    region_entry_close(entry);
}

static const char *text_of(struct shmconf_reader *reader)
{
    reader->looked_ns = 0; /* as if the last look at the path were long ago */
    const char *text = shmconf_text(shmconf_enter(reader)).data;
    shmconf_leave(reader);
    return text;
}

static void put_a_copy_in_the_place_of_the_head(struct fixture *f)
{
    struct shmconf_head head = fixture_head(f, "A/B/C/head");
    fixture_touch(f, "A/B/C/copy");
    fixture_write_head(f, "A/B/C/copy", &head);
    CHECK_INT(0, chmod(in_root(f, "A/B/C/copy").text, fixture_mode(f, "A/B/C/head")));
    CHECK_INT(0, rename(in_root(f, "A/B/C/copy").text, in_root(f, "A/B/C/head").text));
}

/* The same bytes in another file: our stores no longer reach those who attach, before or since. */
static void a_copy_in_the_place_of_a_head_is_replaced(struct fixture *f)
{
    struct shmconf_reader before, since;
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "one", "", "");
    CHECK_INT(0, shmconf_open(&before, "A:B:C", 0));
    CHECK_INT(0, shmconf_open(&since, "A:B:C", 0));
    CHECK_STRING("one", text_of(&before));
    put_a_copy_in_the_place_of_the_head(f);
    CHECK_STRING("one", text_of(&since));
    CHECK_INT(1, region_entry_check(entry, NULL));
    CHECK_INT(0, region_entry_check(entry, NULL));
    fixture_publish(entry, "two", "", "");
    CHECK_STRING("two", text_of(&before));
    CHECK_STRING("two", text_of(&since));
    CHECK_INT(0, shmconf_close(&before));
    CHECK_INT(0, shmconf_close(&since));
    region_entry_close(entry);
}

/* A publication may come before the check that would have noticed. */
static void a_publication_replaces_a_copy_as_well(struct fixture *f)
{
    struct shmconf_reader since;
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "one", "", "");
    put_a_copy_in_the_place_of_the_head(f);
    CHECK_INT(0, shmconf_open(&since, "A:B:C", 0));
    CHECK_STRING("one", text_of(&since));
    fixture_publish(entry, "two", "", "");
    CHECK_STRING("two", text_of(&since));
    CHECK_INT(0, shmconf_close(&since));
    region_entry_close(entry);
}

/* A successor finds nothing of it, so who ends has to tell the readers. */
static void who_ends_sends_the_readers_of_a_removed_head_on(struct fixture *f)
{
    enum { HEAD, COPY, MOVED, TREE, KINDS };
    for (int kind = 0; kind < KINDS; kind++) {
        struct shmconf_reader reader;
        struct region_entry *entry = fixture_entry(f, "A:B:C");
        fixture_publish(entry, "one", "", "");
        CHECK_INT(0, shmconf_open(&reader, "A:B:C", 0));
        CHECK_STRING("one", text_of(&reader));
        if (kind == HEAD)
            fixture_remove(f, "A/B/C/head");
        else if (kind == COPY)
            put_a_copy_in_the_place_of_the_head(f);
        else if (kind == MOVED)
            take_away(f, ""); /* with the directory that the region has open */
        else
            fixture_remove_tree(f);
        region_entry_close(entry);
        nftw(away_from(f, "").text, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
        CHECK_STRING("one", text_of(&reader));
        fixture_restart(f);

        entry = fixture_entry(f, "A:B:C");
        fixture_publish(entry, "two", "", "");
        CHECK_STRING("two", text_of(&reader));
        CHECK_INT(0, shmconf_close(&reader));
        region_entry_close(entry);
    }
}

/* Who ends in order leaves a head that nobody has to look behind. */
static void who_ends_leaves_a_head_in_its_place_as_it_is(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "one", "", "");
    struct shmconf_head before = fixture_head(f, "A/B/C/head");
    region_entry_close(entry);
    struct shmconf_head after = fixture_head(f, "A/B/C/head");
    CHECK(memcmp(&before, &after, sizeof before) == 0);
}

static void of_somebody_else(struct fixture *f, struct region_entry *entry, const char *path)
{
    struct stat status;
    CHECK_INT(0, chown(in_root(f, path).text, 12345, (gid_t)-1));
    CHECK_INT(1, region_entry_check(entry, NULL));
    CHECK_INT(0, region_entry_check(entry, NULL));
    CHECK_INT(0, stat(in_root(f, "A/B/C/head").text, &status));
    CHECK_INT(geteuid(), status.st_uid);
    expect_newcomer("A:B:C", "one");
}

static void what_was_given_to_somebody_else_is_replaced(struct fixture *f)
{
    if (skipped_unless_root("a head and a version of another user"))
        return;
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "one", "", "");
    of_somebody_else(f, entry, "A/B/C/head");
    of_somebody_else(f, entry, "A/B/C/v00000002");
    region_entry_close(entry);
}

/* A later minor version may give them a meaning: 0 is "not known". */
static void a_store_leaves_nothing_in_the_reserved_words(struct fixture *f)
{
    static const struct shmconf_cell nothing;
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_cell dirty;
    fixture_publish(entry, "one", "", "");
    memset(&dirty, 0xff, sizeof dirty);
    for (uint32_t i = 0; i < 2; i++) { /* the other cell; the current one is not to be touched */
        struct shmconf_head head = fixture_head(f, "A/B/C/head");
        fixture_overwrite(f, "A/B/C/head",
                          (long)(offsetof(struct shmconf_head, cells[(head.seq + 1) & 1]) +
                                 offsetof(struct shmconf_cell, reserved)),
                          dirty.reserved, sizeof dirty.reserved);
        CHECK_INT(0, region_entry_status(entry, region_entry_record(entry), NULL));
    }
    struct shmconf_head head = fixture_head(f, "A/B/C/head");
    for (int i = 0; i < 2; i++)
        CHECK(memcmp(head.cells[i].reserved, nothing.reserved, sizeof nothing.reserved) == 0);
    region_entry_close(entry);
}

/* As after a restored backup that was unpacked in the wrong place. */
static void a_head_of_another_name_is_not_taken_over(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct region_entry *other = fixture_entry(f, "A:B:D");
    fixture_publish(entry, "one", "", "");
    fixture_publish(other, "other", "", "");
    fixture_publish(other, "another", "", "");
    region_entry_close(entry);
    region_entry_close(other);
    struct shmconf_head head = fixture_head(f, "A/B/D/head");
    fixture_write_head(f, "A/B/C/head", &head);
    fixture_restart(f);

    entry = fixture_entry(f, "A:B:C");
    CHECK(region_entry_version(entry) == NULL);
    CHECK_INT(0, region_entry_record(entry)->generation);
    fixture_publish(entry, "two", "", "");
    expect_newcomer("A:B:C", "two");
    expect_newcomer("A:B:D", "another");
    region_entry_close(entry);
}

int main(void)
{
    fixture_run(a_head_whose_name_was_written_over_is_replaced);
    fixture_run(a_head_that_was_written_over_anywhere_is_replaced);
    fixture_run(a_head_with_an_impossible_generation_is_not_taken_over);
    fixture_run(a_wrong_size_in_a_head_is_mended_by_a_restart);
    fixture_run(a_copy_in_the_place_of_a_head_is_replaced);
    fixture_run(a_publication_replaces_a_copy_as_well);
    fixture_run(who_ends_sends_the_readers_of_a_removed_head_on);
    fixture_run(who_ends_leaves_a_head_in_its_place_as_it_is);
    fixture_run(what_was_given_to_somebody_else_is_replaced);
    fixture_run(a_store_leaves_nothing_in_the_reserved_words);
    fixture_run(a_head_of_another_name_is_not_taken_over);
    return 0;
}
