/* SPDX-License-Identifier: Apache-2.0 */
/* What a successor does about damage, and about what an earlier boot has left. */
#include <fcntl.h>
#include <shmconf.h>
#include <unistd.h>

#include "check.h"
#include "reader_fixture.h"

/* A predecessor's version is served over HTTP only if all of it is as it was written. */
static void a_damaged_version_is_not_taken_over(struct fixture *f)
{
    const uint32_t far = 0x7fffff00;
    const uint64_t other = 0x1234;
    static const struct {
        long at;
        size_t size;
        bool keeps_crc; /* the header's checksum is put right again */
    } cases[] = {{130, 1, false},
                 {offsetof(struct shmconf_version_header, payload_offset), 4, true},
                 {offsetof(struct shmconf_version_header, type_offset), 4, true},
                 {offsetof(struct shmconf_version_header, instance), 8, true},
                 {offsetof(struct shmconf_version_header, sha256), 4, true},
                 {offsetof(struct shmconf_version_header, total), 4, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct region_entry *entry = fixture_entry(f, "A:B:C");
        char file[64], whole[700];
        struct shmconf_version_header header;
        fixture_publish(entry, i % 2 ? "odd text" : "even text", "text/plain", "label");
        snprintf(file, sizeof file, "A/B/C/v%08zx", i + 1);
        region_entry_close(entry);
        fixture_overwrite(f, file, cases[i].at, cases[i].size == 8 ? (const void *)&other : &far,
                          cases[i].size);
        snprintf(whole, sizeof whole, "%s/%s", f->root, file);
        int fd = open(whole, O_RDONLY);
        CHECK(fd >= 0);
        CHECK_INT(sizeof header, read(fd, &header, sizeof header));
        close(fd);
        header.header_crc =
            shmconf_crc32(0, &header, offsetof(struct shmconf_version_header, header_crc));
        if (cases[i].keeps_crc)
            fixture_overwrite(f, file, 0, &header, sizeof header);
        fixture_restart(f);
        entry = fixture_entry(f, "A:B:C");
        CHECK(region_entry_version(entry) == NULL);
        CHECK_INT(REGION_VERSION_DAMAGED, region_entry_damage(entry));
        CHECK_INT(i + 1, region_entry_record(entry)->generation);
        region_entry_close(entry);
    }
}

/*
 * Nothing is ever synced to the disk. So after a reboot a body is what its checksum says or
 * nothing: a successor vouches for what is whole with a head of this boot, to which readers come
 * along.
 */
static void a_head_of_an_earlier_boot_is_replaced(struct fixture *f)
{
    char earlier[16] = "an earlier boot";
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "one", "", "");
    region_entry_close(entry);
    fixture_overwrite(f, "A/B/C/head", offsetof(struct shmconf_head, boot_id), earlier,
                      sizeof earlier);
    CHECK_INT(0, shmconf_open(&reader, "A:B:C", 0));
    CHECK_STRING("one", shmconf_text(shmconf_enter(&reader)).data);
    shmconf_leave(&reader);
    const uint32_t *seq = reader.seq;
    CHECK(reader.head && !shmconf_is_this_boot(reader.head->boot_id));

    fixture_restart(f);
    entry = fixture_entry(f, "A:B:C");
    CHECK_STRING("one", region_entry_version(entry)->payload);
    CHECK_INT(1, region_entry_record(entry)->generation);
    for (int turn = 0; turn < 2; turn++) { /* the head is another one, and nothing else */
        reader.looked_ns = 0;
        CHECK_INT(-ETIMEDOUT, shmconf_wait(&reader, 1));
    }
    fixture_publish(entry, "two", "", "");
    CHECK_INT(0, shmconf_wait(&reader, 5000));
    CHECK_STRING("two", shmconf_text(shmconf_enter(&reader)).data);
    shmconf_leave(&reader);
    CHECK(reader.seq != seq);
    CHECK(reader.head && shmconf_is_this_boot(reader.head->boot_id));
    CHECK((reader.flags & SHMCONF_VERIFY) == 0); /* nobody pays for a CRC any more */
    CHECK_INT(0, shmconf_close(&reader));
    region_entry_close(entry);
}

/* Nor may a new head vouch for it: until the source brings it again there is nothing. */
static void a_spoilt_version_of_an_earlier_boot_is_never_read(struct fixture *f)
{
    char earlier[16] = "an earlier boot";
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader early;
    struct shmconf_reader late;
    fixture_publish(entry, "one", "", "");
    CHECK_INT(0, shmconf_open(&early, "A:B:C", 0));
    CHECK_STRING("one", shmconf_text(shmconf_enter(&early)).data);
    shmconf_leave(&early);
    region_entry_close(entry);
    fixture_overwrite(f, "A/B/C/head", offsetof(struct shmconf_head, boot_id), earlier,
                      sizeof earlier);
    fixture_overwrite(f, "A/B/C/v00000001", SHMCONF_VERSION_HEADER_SIZE, "x", 1);

    fixture_restart(f);
    entry = fixture_entry(f, "A:B:C");
    CHECK(region_entry_version(entry) == NULL);
    struct shmconf_head head = fixture_head(f, "A/B/C/head");
    CHECK(head.cells[head.seq & 1].record.state & SHMCONF_MOVED); /* whoever publishes next */
    CHECK(shmconf_open(&late, "A:B:C", 0) == 0);
    CHECK(shmconf_enter(&late) == NULL);
    shmconf_leave(&late);
    fixture_publish(entry, "two", "", "");
    /* By MOVED, which has it look at the path, not at each read. */
    for (int turn = 0; turn < 500 && strcmp(shmconf_text(shmconf_enter(&early)).data, "two") != 0;
         turn++) {
        shmconf_leave(&early);
        usleep(10000);
    }
    CHECK_STRING("two", shmconf_text(shmconf_enter(&early)).data);
    shmconf_leave(&early);
    shmconf_leave(&early);
    CHECK_INT(0, shmconf_close(&early));
    CHECK_INT(0, shmconf_close(&late));
    region_entry_close(entry);
}

static struct found {
    uint64_t generation;
    uint64_t next_ns;
    enum region_damage damage;
} noted;

static void note(void *context, const struct shmconf_name *name,
                 const struct shmconf_record *record, enum region_damage damage)
{
    (void)context, (void)name;
    noted = (struct found){record->generation, record->next_ns, damage};
}

static unsigned recover(struct fixture *f)
{
    struct error error;
    unsigned found = region_recover_each(f->region, note, NULL, &error);
    CHECK_INT(0, error.code);
    return found;
}

/* Three versions with a check planned far ahead, of an earlier boot by what its head says. */
static struct shmconf_head three_of_an_earlier_boot(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_record status = {.checked_ns = 1, .next_ns = UINT64_MAX};
    fixture_publish(entry, "one", "", "");
    fixture_publish(entry, "two", "", "");
    CHECK_INT(0, region_entry_status(entry, &status, NULL));
    struct shmconf_head head = fixture_head(f, "A/B/C/head");
    memcpy(head.boot_id, "an earlier boot", sizeof head.boot_id);
    fixture_publish(entry, "three", "", "");
    region_entry_close(entry);
    return head;
}

/* Where the daemon went down with the machine: readers of now attach before it and after it. */
static void comes_back_with(struct fixture *f, const char *text)
{
    struct shmconf_reader early;
    CHECK_INT(0, shmconf_open(&early, "A:B:C", 0));
    shmconf_enter(&early);
    shmconf_leave(&early);
    fixture_restart(f);
    recover(f);
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    CHECK_STRING(text, region_entry_version(entry)->payload);
    CHECK_INT(5, region_entry_record(entry)->generation);
    CHECK_INT(0, region_entry_record(entry)->checked_ns);
    CHECK_INT(2, fixture_count_files(f)); /* head and version */
    CHECK_INT(0, shmconf_wait(&early, 5000));
    reader_expect(&early, text, 0);
    newcomer_expects(text, 0);
    fixture_publish(entry, "four", "", "");
    CHECK_INT(6, region_entry_record(entry)->generation);
    reader_expect(&early, "four", 0);
    reader_close(&early);
    region_entry_close(entry);
}

/* So that somebody fetches it again: it may be followed by nobody else. */
static void a_lost_version_is_still_found(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_record status = {.checked_ns = 1, .next_ns = UINT64_MAX};
    fixture_publish(entry, "one", "", "");
    CHECK_INT(0, region_entry_status(entry, &status, NULL));
    region_entry_close(entry);
    CHECK_INT(1, recover(f));
    CHECK_INT(REGION_SOUND, noted.damage);
    CHECK(noted.next_ns == UINT64_MAX);
    fixture_remove(f, "A/B/C/v00000001");
    CHECK_INT(1, recover(f));
    CHECK_INT(REGION_VERSION_DAMAGED, noted.damage);
    CHECK_INT(1, noted.generation);
    CHECK_INT(0, noted.next_ns);
}

/* Nothing is synced, so the last version may be in parts or missing where the one before is whole.
 */
static void an_older_version_of_an_earlier_boot_is_better_than_none(struct fixture *f)
{
    struct shmconf_head head = three_of_an_earlier_boot(f);
    fixture_overwrite(f, "A/B/C/head", offsetof(struct shmconf_head, boot_id), head.boot_id,
                      sizeof head.boot_id);
    fixture_overwrite(f, "A/B/C/v00000003", 0, "\0\0\0\0\0\0\0\0", 8);
    fixture_touch(f,
                  "A/B/C/v000000000000000a"); /* no daemon writes the number so, nor such a one */
    fixture_touch(f, "A/B/C/v8000000000000001");
    comes_back_with(f, "two");
    CHECK_INT(REGION_VERSION_OTHER, noted.damage);
    CHECK_INT(3, noted.generation);
    CHECK_INT(0, noted.next_ns); /* it is fetched at once */
}

/* Or the head is as it was some versions ago. */
static void a_newer_version_than_the_head_of_an_earlier_boot_says_is_taken(struct fixture *f)
{
    struct shmconf_head head = three_of_an_earlier_boot(f);
    CHECK_INT(2, head.cells[head.seq & 1].record.generation);
    fixture_overwrite(f, "A/B/C/head", 0, &head, sizeof head);
    comes_back_with(f, "three");
    CHECK_INT(REGION_VERSION_OTHER, noted.damage);
    CHECK_INT(0, noted.next_ns);
}

/* What the digest does not cover: the CRC of the body does. */
static void a_spoilt_content_type_of_an_earlier_boot_is_never_read(struct fixture *f)
{
    char earlier[16] = "an earlier boot";
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "one", "text/plain", "");
    region_entry_close(entry);
    fixture_overwrite(f, "A/B/C/head", offsetof(struct shmconf_head, boot_id), earlier,
                      sizeof earlier);
    const long type_at = SHMCONF_VERSION_HEADER_SIZE + 8; /* "one", a NUL, and up to eight bytes */
    fixture_overwrite(f, "A/B/C/v00000001", type_at, "x", 1);
    fixture_restart(f);
    entry = fixture_entry(f, "A:B:C");
    CHECK(region_entry_version(entry) == NULL);
    region_entry_close(entry);
}

/* Who may not be the daemon's user may write what he owns, whatever its mode. */
static void nothing_of_somebody_else_is_taken_over(struct fixture *f)
{
    static const char *const files[] = {"A/B/C/v00000001", "A/B/C/head"};
    static const enum region_damage found[] = {REGION_VERSION_DAMAGED, REGION_HEAD_DAMAGED};
    if (skipped_unless_root("files of somebody else"))
        return;
    for (size_t i = 0; i < 2; i++) {
        struct region_entry *entry = fixture_entry(f, "A:B:C");
        if (i == 0)
            fixture_publish(entry, "one", "", "");
        CHECK_INT(REGION_SOUND, region_entry_damage(entry));
        region_entry_close(entry);
        CHECK_INT(0, chown(in_root(f, files[i]).text, 1234, 1234));
        fixture_restart(f);
        entry = fixture_entry(f, "A:B:C");
        CHECK(region_entry_version(entry) == NULL);
        CHECK_INT(found[i], region_entry_damage(entry));
        region_entry_close(entry);
        CHECK_INT(0, chown(in_root(f, files[i]).text, 0, 0));
        fixture_restart(f);
    }
}

int main(void)
{
    fixture_run(nothing_of_somebody_else_is_taken_over);
    fixture_run(a_damaged_version_is_not_taken_over);
    fixture_run(a_head_of_an_earlier_boot_is_replaced);
    fixture_run(a_spoilt_version_of_an_earlier_boot_is_never_read);
    fixture_run(a_spoilt_content_type_of_an_earlier_boot_is_never_read);
    fixture_run(a_lost_version_is_still_found);
    fixture_run(an_older_version_of_an_earlier_boot_is_better_than_none);
    fixture_run(a_newer_version_than_the_head_of_an_earlier_boot_says_is_taken);
    return 0;
}
