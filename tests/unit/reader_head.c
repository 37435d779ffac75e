/* SPDX-License-Identifier: Apache-2.0 */
/* Heads that cannot be used, heads that are replaced, and the sequence's wrap. */
#include "reader_fixture.h"

/* ---- A page that is no head of ours stands at the path --------------------------------------- */

static void no_magic(struct shmconf_head *page)
{
    page->magic[0] ^= 1;
}

static void other_byte_order(struct shmconf_head *page)
{
    page->endian = __builtin_bswap32(page->endian);
    page->major = __builtin_bswap16(page->major);
}

static void next_major(struct shmconf_head *page)
{
    page->major++;
}

static void other_size(struct shmconf_head *page)
{
    page->size *= 2;
}

/* Its name differs, and the path is the same: what two names with one hash would come to. */
static void name_of_another(struct shmconf_head *page)
{
    page->name[0] = 'X';
}

static void name_with_more_behind(struct shmconf_head *page)
{
    page->name_size++;
}

static void no_name(struct shmconf_head *page)
{
    page->name_size = 0;
}

static void huge_name(struct shmconf_head *page)
{
    page->name_size = 0xffffffff;
}

static void random_bytes(struct shmconf_head *page)
{
    unsigned char *bytes = (unsigned char *)page;
    uint32_t state = 1;
    for (size_t i = 0; i < sizeof *page; i++) {
        state = state * 1664525 + 1013904223;
        bytes[i] = (unsigned char)(state >> 24);
    }
}

static void zeros(struct shmconf_head *page)
{
    memset(page, 0, sizeof *page);
}

static void nothing(struct shmconf_head *page)
{
    (void)page;
}

static const struct {
    void (*spoil)(struct shmconf_head *page);
    size_t size;
    int error;
} pages[] = {
    {no_magic, SHMCONF_HEAD_SIZE, -EBADMSG},
    {other_byte_order, SHMCONF_HEAD_SIZE, -ENOEXEC},
    {next_major, SHMCONF_HEAD_SIZE, -EPROTONOSUPPORT},
    {other_size, SHMCONF_HEAD_SIZE, -EBADMSG},
    {name_of_another, SHMCONF_HEAD_SIZE, -ENOTUNIQ},
    {name_with_more_behind, SHMCONF_HEAD_SIZE, -ENOTUNIQ},
    {no_name, SHMCONF_HEAD_SIZE, -ENOTUNIQ},
    {huge_name, SHMCONF_HEAD_SIZE, -ENOTUNIQ},
    {random_bytes, SHMCONF_HEAD_SIZE, -EBADMSG},
    {zeros, SHMCONF_HEAD_SIZE, -EBADMSG},
    {nothing, SHMCONF_HEAD_SIZE - 1, -ENODATA},
    {nothing, 1, -ENODATA},
    {nothing, 0, -ENODATA},
};

static void a_head_that_cannot_be_used_is_refused(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader old, newcomer;
    struct shmconf_head good;
    fixture_publish(entry, "one", "", "");
    reader_open(&old, 0);
    reader_expect(&old, "one", 0);
    CHECK_INT(sizeof good, file_read(f, READER_HEAD, &good, sizeof good));
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        struct shmconf_head page = good;
        pages[i].spoil(&page);
        take_away(f, READER_HEAD);
        file_write(f, READER_HEAD, &page, pages[i].size);
        reader_open(&newcomer, 0);
        reader_expect(&newcomer, NULL, pages[i].error);
        CHECK_INT(pages[i].error, reader_status(&newcomer));
        CHECK_INT(pages[i].error, shmconf_wait(&newcomer, 1));
        CHECK_INT(pages[i].error, reader_status(&old));
        reader_expect(&old, "one", 0);
        put_back(f, READER_HEAD);
        reader_reaches(&newcomer, "one");
        CHECK_INT(0, reader_status(&old));
        reader_close(&newcomer);
    }
    reader_close(&old);
    region_entry_close(entry);
}

/* Any damage at all: an error or a version, but never a crash or a wait without end. */
static void damaged_heads_do_no_harm(struct fixture *f)
{
    enum { TURNS = 3000 };
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_head good;
    uint32_t state = 7;
    fixture_publish(entry, "one", "", "");
    region_entry_close(entry);
    CHECK_INT(sizeof good, file_read(f, READER_HEAD, &good, sizeof good));
    for (int turn = 0; turn < TURNS; turn++) {
        struct shmconf_reader reader;
        struct shmconf_health health;
        state = state * 1664525 + 1013904223;
        long at = (long)(state >> 16) % 0x210; /* up to the name's first bytes */
        unsigned char byte = (unsigned char)(state >> 8);
        fixture_overwrite(f, READER_HEAD, at, &byte, 1);
        reader_open(&reader, turn % 2 ? SHMCONF_PRIVATE : 0);
        const struct shmconf_version *version = shmconf_enter(&reader);
        if (version)
            CHECK_STRING("one", shmconf_text(version).data);
        shmconf_leave(&reader);
        shmconf_status(&reader, &health);
        reader_close(&reader);
        fixture_overwrite(f, READER_HEAD, at, (const char *)&good + at, 1);
    }
    newcomer_expects("one", 0);
}

static void an_empty_head_has_no_version(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader old, newcomer;
    fixture_publish(entry, "one", "", "");
    struct shmconf_record live = *region_entry_record(entry);
    struct shmconf_record empty = {.state = SHMCONF_EMPTY};
    region_entry_close(entry);
    reader_open(&old, 0);
    reader_expect(&old, "one", 0);
    head_store_by_hand(f, 2, &empty);
    reader_open(&newcomer, 0);
    reader_expect(&newcomer, NULL, -ENOENT);
    CHECK_INT(-ENOENT, reader_status(&newcomer));
    CHECK_INT(-ETIMEDOUT, shmconf_wait(&newcomer, 1));
    CHECK_INT(-ENOENT, reader_status(&old));
    reader_expect(&old, "one", 0);
    head_store_by_hand(f, 3, &live);
    CHECK_INT(0, shmconf_wait(&newcomer, 0));
    reader_expect(&newcomer, "one", 0);
    reader_expect(&old, "one", 0);
    reader_close(&newcomer);
    reader_close(&old);
}

/* The page is still mapped, but everything behind byte 100 reads as 0, the sequence too. */
static void a_mapped_head_cut_short_keeps_the_version(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "one", "", "");
    reader_open(&reader, 0);
    reader_expect(&reader, "one", 0);
    file_truncate(f, READER_HEAD, 100);
    reader_expect(&reader, "one", -EBADMSG);
    CHECK_INT(-EBADMSG, reader_status(&reader));
    fixture_publish(entry, "two", "", ""); /* the daemon makes a new head */
    reader_reaches(&reader, "two");
    newcomer_expects("two", 0);
    reader_close(&reader);
    region_entry_close(entry);
}

/* ---- Replacement ----------------------------------------------------------------------------- */

/* Somebody removed the head's name; the daemon marks the old one and makes another. */
static void a_moved_head_is_followed(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "one", "", "");
    reader_open(&reader, 0);
    reader_expect(&reader, "one", 0);
    const uint32_t *seq = reader.seq;
    CHECK_INT(0, unlink(in_root(f, READER_HEAD).text));
    CHECK_INT(1, region_entry_check(entry, NULL));
    fixture_publish(entry, "two", "", "");
    reader_reaches(&reader, "two");
    CHECK(reader.seq != seq);
    fixture_publish(entry, "three", "", "");
    reader_expect(&reader, "three", 0);
    reader_close(&reader);
    region_entry_close(entry);
}

/* The daemon died between the mark and the new head; its successor ends the replacement. */
static void a_moved_head_without_a_successor_is_used_on(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader old, newcomer;
    fixture_publish(entry, "one", "", "");
    struct shmconf_record moved = *region_entry_record(entry);
    region_entry_close(entry);
    reader_open(&old, 0);
    reader_expect(&old, "one", 0);
    moved.state |= SHMCONF_MOVED;
    head_store_by_hand(f, 2, &moved);
    for (int turn = 0; turn < 3; turn++) {
        reader_expect(&old, "one", 0);
        newcomer_expects("one", 0);
    }
    reader_open(&newcomer, 0);
    CHECK_INT(0, shmconf_wait(&newcomer, 0));
    reader_expect(&newcomer, "one", 0);
    CHECK_INT(0, reader_status(&newcomer));

    fixture_restart(f);
    CHECK_INT(1, region_recover(f->region));
    entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "two", "", "");
    reader_reaches(&old, "two");
    reader_reaches(&newcomer, "two");
    CHECK(!(old.head->cells[1].record.state & SHMCONF_MOVED));
    reader_close(&newcomer);
    reader_close(&old);
    region_entry_close(entry);
}

static void a_region_removed_while_mapped_keeps_the_version(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "one", "", "");
    reader_open(&reader, 0);
    reader_expect(&reader, "one", 0);
    fixture_remove_tree(f);
    reader_expect(&reader, "one", 0);
    CHECK_INT(-ESTALE, reader_status(&reader));
    CHECK_INT(1, region_check_root(f->region, NULL));
    CHECK_INT(1, region_entry_check(entry, NULL));
    reader_reaches(&reader, "one");
    fixture_publish(entry, "two", "", "");
    reader_reaches(&reader, "two"); /* the daemon's mark was enough: no status, no wait */
    reader_close(&reader);
    region_entry_close(entry);
}

/* The mapped head names the generation that the new one names, and the bytes are others. */
static void other_bytes_under_one_generation_are_told_apart(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    struct shmconf_reader who_asks;
    fixture_publish(entry, "old", "", "");
    reader_open(&reader, SHMCONF_PRIVATE);
    reader_open(&who_asks, SHMCONF_PRIVATE);
    reader_expect(&reader, "old", 0);
    reader_expect(&who_asks, "old", 0);
    region_entry_close(entry);
    region_close(f->region);
    fixture_remove_tree(f);
    fixture_start(f);
    entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "new", "", "");
    reader_expect(&reader, "old", 0);
    reader_may_look(&reader);
    CHECK_INT(-ETIMEDOUT, shmconf_wait(&reader, 0)); /* a look is due when a sleep is over */
    CHECK_INT(0, shmconf_wait(&reader, 20));
    reader_expect(&reader, "new", 0);
    CHECK_INT(0, reader_status(&who_asks));
    reader_expect(&who_asks, "new", 0); /* though its sequence is what it was */
    reader_close(&who_asks);
    reader_close(&reader);
    region_entry_close(entry);
}

/* ---- The sequence's wrap --------------------------------------------------------------------- */

static void the_sequence_wraps_past_0_and_keeps_its_parity(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "x", "", "");
    struct shmconf_record record = *region_entry_record(entry);
    region_entry_close(entry);
    head_store_by_hand(f, 0xfffffffc, &record);
    fixture_restart(f);
    entry = fixture_entry(f, "A:B:C");
    reader_open(&reader, 0);
    reader_expect(&reader, "x", 0);
    static const uint32_t expected[] = {0xfffffffd, 0xfffffffe, 0xffffffff, 2, 3, 4};
    uint32_t before = shmconf_load_acquire(reader.seq);
    CHECK(before == 0xfffffffc);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        char text[2] = {(char)('a' + i), '\0'};
        struct shmconf_record status = {.checked_ns = i};
        if (i == 2)
            CHECK_INT(0, region_entry_status(entry, &status, NULL));
        else
            fixture_publish(entry, text, "", "");
        uint32_t seq = shmconf_load_acquire(reader.seq);
        CHECK_INT(expected[i], seq);
        CHECK((seq & 1) != (before & 1));
        before = seq;
        reader_expect(&reader, i == 2 ? "b" : text, 0);
    }
    reader_close(&reader);
    region_entry_close(entry);
}

/* A successor that begins anew counts from 1 again: that generation is another one. */
static void a_failure_is_one_of_its_head(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "old", "", "");
    fixture_remove(f, "A/B/C/v00000001");
    reader_open(&reader, 0);
    reader_expect(&reader, NULL, -ESTALE);
    region_entry_close(entry);
    fixture_remove(f, READER_HEAD);
    fixture_restart(f);
    entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "new", "", "");
    CHECK_INT(1, region_entry_record(entry)->generation);
    reader_may_look(&reader);
    reader_expect(&reader, "new", 0);
    reader_close(&reader);
    region_entry_close(entry);
}

int main(void)
{
    fixture_run(a_failure_is_one_of_its_head);
    fixture_run(a_head_that_cannot_be_used_is_refused);
    fixture_run(damaged_heads_do_no_harm);
    fixture_run(an_empty_head_has_no_version);
    fixture_run(a_mapped_head_cut_short_keeps_the_version);
    fixture_run(a_moved_head_is_followed);
    fixture_run(a_moved_head_without_a_successor_is_used_on);
    fixture_run(a_region_removed_while_mapped_keeps_the_version);
    fixture_run(other_bytes_under_one_generation_are_told_apart);
    fixture_run(the_sequence_wraps_past_0_and_keeps_its_parity);
    return 0;
}
