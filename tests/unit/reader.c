/* SPDX-License-Identifier: Apache-2.0 */
/* A reader's life: names, nesting, holding, descriptors, fork, close. */
#include <sys/wait.h>

#include "reader_fixture.h"

/* ---- Names ----------------------------------------------------------------------------------- */

static void malformed_names_cannot_be_opened(struct fixture *f)
{
    char part[SHMCONF_PART_MAX + 2];
    struct shmconf_reader reader;
    (void)f;
    memset(part, 'x', sizeof part - 1);
    part[sizeof part - 1] = '\0';
    CHECK_INT(-EINVAL, shmconf_open(&reader, "", 0));
    CHECK_INT(-EINVAL, shmconf_open(&reader, NULL, 0));
    CHECK_INT(-EINVAL, shmconf_open(&reader, "A:B", 0));
    CHECK_INT(-EINVAL, shmconf_open(&reader, "A:B:C:D", 0));
    CHECK_INT(-EINVAL, shmconf_error(&reader));
    CHECK_INT(-EINVAL, shmconf_open_parts(&reader, "A", "", "C", 0));
    CHECK_INT(-EINVAL, shmconf_open_parts(&reader, "A", NULL, "C", 0));
    CHECK_INT(-ENAMETOOLONG, shmconf_open_parts(&reader, "A", "B", part, 0));
}

static void check_reaches_by_name(struct fixture *f, const struct shmconf_name *name,
                                  const char *payload)
{
    char text[SHMCONF_NAME_TEXT_MAX];
    struct region_entry *entry;
    struct shmconf_reader reader;
    CHECK_INT(0, region_entry_open(&entry, f->region, name, NULL));
    fixture_publish(entry, payload, "", "");
    region_entry_close(entry);
    shmconf_name_print(name, text);
    CHECK_INT(0, shmconf_open(&reader, text, 0));
    reader_expect(&reader, payload, 0);
    reader_close(&reader);
    CHECK_INT(0, shmconf_open_parts(&reader, shmconf_name_part(name, SHMCONF_APPLICATION),
                                    shmconf_name_part(name, SHMCONF_ENVIRONMENT),
                                    shmconf_name_part(name, SHMCONF_PROFILE), 0));
    reader_expect(&reader, payload, 0);
    reader_close(&reader);
}

static void both_spellings_open_the_same(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "my app:a/b:.c");
    struct shmconf_reader reader;
    fixture_publish(entry, "one", "", "");
    CHECK_INT(0, shmconf_open(&reader,
                              "/applications/my%20app/environments/a%2fb/configurations/%2Ec", 0));
    reader_expect(&reader, "one", 0);
    reader_close(&reader);
    region_entry_close(entry);
}

static void every_byte_may_be_in_a_name(struct fixture *f)
{
    for (unsigned byte = 1; byte < 256; byte++) {
        char part[3] = {(char)byte, 'x', '\0'};
        char payload[16];
        struct shmconf_name name;
        snprintf(payload, sizeof payload, "%u", byte);
        CHECK_INT(0, shmconf_name_set(&name, part, "..", part));
        check_reaches_by_name(f, &name, payload);
    }
    CHECK_INT(255 * 2, fixture_count_files(f));
}

static void long_names_do_not_meet(struct fixture *f)
{
    char part[SHMCONF_PART_MAX + 1];
    struct shmconf_name name, other;
    struct shmconf_reader reader;
    memset(part, 'x', sizeof part - 1);
    part[sizeof part - 1] = '\0';
    CHECK_INT(0, shmconf_name_set(&name, part, part, part));
    check_reaches_by_name(f, &name, "long");
    part[sizeof part - 2] = 'y';
    CHECK_INT(0, shmconf_name_set(&other, part, part, part));
    check_reaches_by_name(f, &other, "another");
    CHECK_INT(0, shmconf_open_parts(&reader, shmconf_name_part(&name, 0),
                                    shmconf_name_part(&name, 1), shmconf_name_part(&name, 2), 0));
    reader_expect(&reader, "long", 0);
    reader_close(&reader);
}

/* ---- Nesting, holding, closing --------------------------------------------------------------- */

static void the_outermost_pair_decides(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "one", "", "");
    reader_open(&reader, 0);
    const struct shmconf_version *version = shmconf_enter(&reader);
    for (int depth = 0; depth < 3; depth++) {
        fixture_publish(entry, depth % 2 ? "odd" : "even", "", "");
        CHECK(shmconf_enter(&reader) == version);
    }
    for (int depth = 0; depth < 3; depth++) {
        shmconf_leave(&reader);
        CHECK_INT(-EBUSY, shmconf_close(&reader));
        CHECK(shmconf_enter(&reader) == version); /* still inside the outermost one */
        shmconf_leave(&reader);
    }
    CHECK_STRING("one", shmconf_text(version).data);
    CHECK_INT(0, reader_status(&reader)); /* looks, and moves nothing */
    CHECK(shmconf_enter(&reader) == version);
    shmconf_leave(&reader);
    shmconf_leave(&reader);
    reader_expect(&reader, "even", 0);
    reader_close(&reader);
    region_entry_close(entry);
}

static void current_needs_no_leave(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    reader_open(&reader, 0);
    CHECK(shmconf_current(&reader) == NULL);
    fixture_publish(entry, "one", "", "");
    reader_may_look(&reader);
    CHECK_STRING("one", shmconf_text(shmconf_current(&reader)).data);
    fixture_publish(entry, "two", "", "");
    const struct shmconf_version *version = shmconf_current(&reader);
    CHECK_STRING("two", shmconf_text(version).data);
    CHECK(shmconf_current(&reader) == version);
    CHECK(shmconf_enter(&reader) == version);
    fixture_publish(entry, "three", "", "");
    CHECK(shmconf_current(&reader) == version); /* the outermost enter decides */
    CHECK_INT(-EBUSY, shmconf_close(&reader));
    shmconf_leave(&reader);
    CHECK_STRING("three", shmconf_text(shmconf_current(&reader)).data);
    reader_close(&reader);
    region_entry_close(entry);
}

static void held_versions_outlive_everything(struct fixture *f)
{
    enum { VERSIONS = 8 };
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    const struct shmconf_version *held[VERSIONS];
    struct shmconf_reader reader;
    for (unsigned flags = 0; flags < 2; flags++) { /* 0, SHMCONF_PRIVATE */
        reader_open(&reader, flags);
        for (int i = 0; i < VERSIONS; i++) {
            char text[2] = {(char)('a' + i), '\0'};
            fixture_publish(entry, text, "", "");
            held[i] = shmconf_hold(shmconf_enter(&reader));
            shmconf_leave(&reader);
        }
        reader_close(&reader);
        for (int i = 0; i < VERSIONS; i++) {
            char text[2] = {(char)('a' + i), '\0'};
            CHECK_STRING(text, shmconf_text(held[i]).data);
            CHECK(shmconf_hold(held[i]) == held[i]);
            shmconf_drop(held[i]);
            shmconf_drop(held[i]);
        }
    }
    shmconf_drop(shmconf_hold(NULL));
    CHECK_INT(0, shmconf_text(NULL).size);
    CHECK_STRING("", shmconf_text(NULL).data);
    region_entry_close(entry);
}

static void a_reader_opens_and_closes_any_number_of_times(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "one", "", "");
    int first = open("/dev/null", O_RDONLY);
    close(first);
    for (int turn = 0; turn < 200; turn++)
        newcomer_expects("one", 0);
    reader_open(&reader, 0); /* never used */
    reader_close(&reader);
    reader_close(&reader);
    int last = open("/dev/null", O_RDONLY);
    CHECK_INT(first, last); /* no descriptor was left behind */
    close(last);
    region_entry_close(entry);
}

static void errno_is_left_alone(struct fixture *f)
{
    struct shmconf_reader reader;
    reader_open(&reader, 0);
    errno = 4242;
    CHECK(shmconf_enter(&reader) == NULL);
    shmconf_leave(&reader);
    reader_status(&reader);
    shmconf_wait(&reader, 1);
    shmconf_fresh(&reader, 1, 1);
    CHECK_INT(4242, errno);
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "one", "", "");
    reader_may_look(&reader);
    errno = 4242;
    reader_expect(&reader, "one", 0);
    CHECK_INT(4242, errno);
    reader_close(&reader);
    region_entry_close(entry);
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

/* A program closed all descriptors that it did not know, and the number came back to it. */
static void a_descriptor_that_was_taken_is_left_alone(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "one", "", "");
    for (int is_directory = 0; is_directory < 2; is_directory++) {
        reader_open(&reader, 0);
        reader_expect(&reader, is_directory ? "two" : "one", 0);
        int mine = open(is_directory ? "/" : "/dev/null", O_RDONLY);
        CHECK_INT(reader.directory, dup2(mine, reader.directory));
        int number = reader.directory;
        close(mine);
        fixture_publish(entry, is_directory ? "three" : "two", "", "");
        reader_reaches(&reader, is_directory ? "three" : "two");
        reader_close(&reader);
        CHECK(fcntl(number, F_GETFD) >= 0);
        close(number);
    }
    region_entry_close(entry);
}

static void a_closed_descriptor_is_opened_again(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "one", "", "");
    reader_open(&reader, 0);
    reader_expect(&reader, "one", 0);
    close(reader.directory);
    fixture_publish(entry, "two", "", "");
    reader_reaches(&reader, "two");
    close(reader.directory);
    reader_close(&reader);
    region_entry_close(entry);
}

/* ---- fork ------------------------------------------------------------------------------------ */

/* In the child: the same version, then a newer one, and a close that is its own. */
static void use_in_child(struct shmconf_reader *reader, int go)
{
    char byte;
    CHECK_STRING("one", shmconf_text(reader->version).data);
    CHECK_INT(1, read(go, &byte, 1));
    reader_expect(reader, "two", 0);
    reader_close(reader);
    _exit(0);
}

static void parent_and_child_read_on_after_fork(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    for (unsigned flags = 0; flags < 2; flags++) { /* 0, SHMCONF_PRIVATE */
        struct shmconf_reader reader;
        int pipes[2], status;
        fixture_publish(entry, "one", "", "");
        reader_open(&reader, flags);
        const struct shmconf_version *version = shmconf_hold(shmconf_enter(&reader));
        shmconf_leave(&reader);
        CHECK_INT(0, pipe(pipes));
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0)
            use_in_child(&reader, pipes[0]);
        fixture_publish(entry, "two", "", "");
        CHECK_INT(1, write(pipes[1], "", 1));
        CHECK_INT(child, waitpid(child, &status, 0));
        CHECK_INT(0, status);
        CHECK_STRING("one", shmconf_text(version).data); /* the child's close was its own */
        reader_expect(&reader, "two", 0);
        shmconf_drop(version);
        reader_close(&reader);
        close(pipes[0]);
        close(pipes[1]);
    }
    region_entry_close(entry);
}

int main(void)
{
    fixture_run(malformed_names_cannot_be_opened);
    fixture_run(both_spellings_open_the_same);
    fixture_run(every_byte_may_be_in_a_name);
    fixture_run(long_names_do_not_meet);
    fixture_run(the_outermost_pair_decides);
    fixture_run(current_needs_no_leave);
    fixture_run(held_versions_outlive_everything);
    fixture_run(a_reader_opens_and_closes_any_number_of_times);
    fixture_run(errno_is_left_alone);
    fixture_run(a_descriptor_that_was_taken_is_left_alone);
    fixture_run(a_closed_descriptor_is_opened_again);
    fixture_run(parent_and_child_read_on_after_fork);
    return 0;
}
