/* SPDX-License-Identifier: Apache-2.0 */
/* Troubles that pass: what failed once must not be lost, and nothing may be taken back. */
#include <limits.h>
#include <sys/resource.h>

#include "reader_fixture.h"

static void reader_expect_soon(struct shmconf_reader *reader, const char *text)
{
    uint64_t end = clock_monotonic_ns() + READER_PATIENCE_MS * NS_PER_MS;
    for (;;) {
        const char *now = shmconf_text(shmconf_enter(reader)).data;
        int is_there = strcmp(now, text) == 0;
        shmconf_leave(reader);
        if (is_there)
            return;
        CHECK(clock_monotonic_ns() < end);
        poll(NULL, 0, 5);
    }
}

static void a_head_of_sequence_zero_is_left_for_a_good_one(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    uint32_t zero = 0;
    fixture_publish(entry, "one", "", "");
    region_entry_close(entry);
    fixture_overwrite(f, READER_HEAD, offsetof(struct shmconf_head, seq), &zero, sizeof zero);
    reader_open(&reader, 0);
    reader_expect(&reader, NULL, -EBADMSG);
    fixture_restart(f);
    entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "two", "", "");
    reader_expect_soon(&reader, "two");
    reader_close(&reader);
    region_entry_close(entry);
}

static void closed_descriptors_lose_no_version(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "one", "", "");
    reader_open(&reader, 0);
    CHECK_INT(0, shmconf_wait(&reader, 1000));
    close(reader.directory);
    reader_expect(&reader, "one", 0);
    close(reader.directory);
    fixture_publish(entry, "two", "", "");
    CHECK_INT(0, shmconf_wait(&reader, 1000));
    reader_expect(&reader, "two", 0);
    reader_close(&reader);
    region_entry_close(entry);
}

/* Inode numbers repeat on other file systems. */
static void a_program_s_descriptor_is_not_closed(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "one", "", "");
    reader_open(&reader, 0);
    reader_expect(&reader, "one", 0);
    int number = reader.directory;
    int other = open("/proc/self/status", O_RDONLY);
    CHECK(other >= 0);
    struct stat status;
    CHECK_INT(0, fstat(other, &status));
    CHECK_INT(number, dup2(other, number));
    close(other);
    reader.directory_inode = status.st_ino; /* as if the two were equal */
    reader_close(&reader);
    CHECK(fcntl(number, F_GETFD) >= 0);
    close(number);
    region_entry_close(entry);
}

static void a_version_that_failed_for_want_of_descriptors_is_tried_again(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    struct rlimit old;
    fixture_publish(entry, "one", "", "");
    reader_open(&reader, 0);
    reader_expect(&reader, "one", 0);
    fixture_publish(entry, "two", "", "");
    CHECK_INT(0, shmconf_wait(&reader, 0));
    CHECK_INT(0, getrlimit(RLIMIT_NOFILE, &old));
    struct rlimit none = {3, old.rlim_max};
    CHECK_INT(0, setrlimit(RLIMIT_NOFILE, &none));
    reader_expect(&reader, "one", -EMFILE);
    CHECK_INT(-EMFILE, shmconf_wait(&reader, 150));
    CHECK_INT(0, setrlimit(RLIMIT_NOFILE, &old));
    CHECK_INT(0, shmconf_wait(&reader, READER_PATIENCE_MS));
    reader_expect(&reader, "two", 0);
    CHECK_INT(-ETIMEDOUT, shmconf_wait(&reader, 20));
    reader_close(&reader);
    region_entry_close(entry);
}

static void wait_says_why_a_version_cannot_be_used(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "one", "", "");
    fixture_overwrite(f, "A/B/C/v00000001", 0, "X", 1);
    reader_open(&reader, 0);
    CHECK_INT(0, shmconf_wait(&reader, 1000)); /* it has not been looked into yet */
    reader_expect(&reader, NULL, -EBADMSG);
    CHECK_INT(-EBADMSG, shmconf_wait(&reader, 20));
    fixture_publish(entry, "two", "", "");
    CHECK_INT(0, shmconf_wait(&reader, READER_PATIENCE_MS));
    reader_expect(&reader, "two", 0);
    reader_close(&reader);
    region_entry_close(entry);
}

/* What a sleeper is told of, enter looks at: or who waits and enters in a loop would never sleep.
 */
static void what_others_write_is_news_once(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    struct shmconf_head page;
    fixture_publish(entry, "one", "", "");
    file_read(f, READER_HEAD, &page, sizeof page);
    const size_t at = offsetof(struct shmconf_head, cells) +
                      (page.seq & 1) * sizeof(struct shmconf_cell) +
                      offsetof(struct shmconf_record, generation);
    const uint64_t generations[] = {77, 1};
    reader_open(&reader, 0);
    reader_expect(&reader, "one", 0);
    fixture_overwrite(f, READER_HEAD, (long)at, &generations[0], sizeof generations[0]);
    CHECK_INT(0, shmconf_wait(&reader, 1000));
    reader_expect(&reader, "one", -ESTALE);
    CHECK_INT(-ESTALE, shmconf_wait(&reader, 20));
    fixture_overwrite(f, READER_HEAD, (long)at, &generations[1], sizeof generations[1]);
    CHECK_INT(-ETIMEDOUT, shmconf_wait(&reader, 20));
    fixture_publish(entry, "two", "", "");
    CHECK_INT(0, shmconf_wait(&reader, READER_PATIENCE_MS));
    reader_expect(&reader, "two", 0);
    reader_close(&reader);
    region_entry_close(entry);
}

static void a_live_head_without_a_generation_is_damaged(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    struct shmconf_head page;
    fixture_publish(entry, "one", "", "");
    region_entry_close(entry);
    file_read(f, READER_HEAD, &page, sizeof page);
    struct shmconf_record record = page.cells[page.seq & 1].record;
    CHECK_INT(SHMCONF_LIVE, record.state & 0xff);
    record.generation = 0;
    head_store_by_hand(f, page.seq + 1, &record);
    reader_open(&reader, 0);
    reader_expect(&reader, NULL, -EBADMSG);
    for (int i = 0; i < 3; i++)
        CHECK_INT(-EBADMSG, shmconf_wait(&reader, 5));
    CHECK_INT(-EBADMSG, reader_status(&reader));
    reader_close(&reader);
}

/* ---- What is not there ----------------------------------------------------------------------- */

static void check_answers(struct shmconf_reader *reader, int error)
{
    reader_expect(reader, NULL, error);
    CHECK_INT(error, shmconf_wait(reader, -1));
    CHECK_INT(error, shmconf_fresh(reader, 0, -1));
    CHECK_INT(error, shmconf_request(reader, -1));
    CHECK_INT(error, reader_status(reader));
}

static void a_reader_that_is_not_open_says_why(struct fixture *f)
{
    struct shmconf_reader reader;
    (void)f;
    CHECK_INT(-EINVAL, shmconf_open(&reader, "A:B", 0));
    check_answers(&reader, -EINVAL);
    CHECK_INT(-EINVAL, shmconf_open_parts(&reader, "A", "", "C", 0));
    check_answers(&reader, -EINVAL);
    reader_open(&reader, 0);
    reader_close(&reader);
    check_answers(&reader, -EBADF);
}

/* The socket's own has microseconds, and 0 is none. */
static void each_limit_of_a_request_holds(struct fixture *f)
{
    static const uint64_t limits[] = {1, 999, 1000, 999998000, 999999999, 1999999500};
    (void)f;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct timeval limit = {0, 0};
        socklen_t size = sizeof limit;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0);
        shmconf_request_limit(fd, SO_RCVTIMEO, limits[i]);
        CHECK_INT(0, getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &size));
        uint64_t ns = (uint64_t)limit.tv_sec * NS_PER_S + (uint64_t)limit.tv_usec * 1000;
        /* The kernel counts in ticks, of 10 ms at most. */
        CHECK(ns >= limits[i] && ns < limits[i] + 21 * NS_PER_MS);
        close(fd);
    }
}

/* Whatever the daemon takes in Lambda, where it goes on with a variable that is malformed. */
static void the_port_is_the_daemons(struct fixture *f)
{
    static const struct {
        const char *own, *of_aws;
        unsigned port;
    } cases[] = {
        {NULL, NULL, 2772},      {"3917", NULL, 3917},   {NULL, "3917", 3917},
        {"", "3917", 3917},      {"3918", "3917", 3918}, {"abc", "3917", 2772},
        {"3917 ", "3917", 2772}, {"3917x", NULL, 2772},  {NULL, "-1", 2772},
        {NULL, "65536", 2772},   {"65535", NULL, 65535}, {"99999999999999999999", NULL, 2772}};
    (void)f;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsetenv("SHMCONF_HTTP_PORT");
        unsetenv("AWS_APPCONFIG_EXTENSION_HTTP_PORT");
        if (cases[i].own)
            CHECK_INT(0, setenv("SHMCONF_HTTP_PORT", cases[i].own, 1));
        if (cases[i].of_aws)
            CHECK_INT(0, setenv("AWS_APPCONFIG_EXTENSION_HTTP_PORT", cases[i].of_aws, 1));
        CHECK_INT(cases[i].port, shmconf_request_port());
    }
    unsetenv("SHMCONF_HTTP_PORT");
    unsetenv("AWS_APPCONFIG_EXTENSION_HTTP_PORT");
}

static void a_very_long_time_out_does_not_wrap(struct fixture *f)
{
    (void)f;
    CHECK(shmconf_deadline(LONG_MAX) > shmconf_ticks_ns() + UINT64_C(3600) * NS_PER_S);
    CHECK(shmconf_deadline(-1) == ~UINT64_C(0));
}

/* The head cannot be replaced: what was not published is not seen, now or later. */
static void a_failed_replacement_takes_nothing_back(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_record status = {.checked_ns = 1};
    struct region_content content = {"two", 3, "", "", SHMCONF_OPAQUE};
    struct shmconf_reader reader;
    fixture_publish(entry, "one", "", "");
    reader_open(&reader, 0);
    reader_expect(&reader, "one", 0);
    CHECK_INT(0, unlink(in_root(f, READER_HEAD).text));
    CHECK_INT(0, mkdir(in_root(f, READER_HEAD).text, 0700));
    fixture_touch(f, READER_HEAD "/file");
    CHECK(region_entry_publish(entry, &content, &status, NULL) < 0);
    reader_expect(&reader, "one", 0);
    CHECK_INT(0, region_entry_status(entry, &status, NULL));
    reader_expect(&reader, "one", 0);
    CHECK_STRING("one", region_entry_version(entry)->payload);
    fixture_remove(f, READER_HEAD "/file");
    content.payload = "three";
    content.size = 5;
    CHECK_INT(1, region_entry_publish(entry, &content, &status, NULL));
    reader_expect_soon(&reader, "three");
    CHECK_INT(0, region_entry_check(entry, NULL));
    CHECK_INT(2, shmconf_enter(&reader)->generation);
    shmconf_leave(&reader);
    reader_close(&reader);
    region_entry_close(entry);
}

int main(void)
{
    fixture_run(a_head_of_sequence_zero_is_left_for_a_good_one);
    fixture_run(closed_descriptors_lose_no_version);
    fixture_run(a_program_s_descriptor_is_not_closed);
    fixture_run(a_version_that_failed_for_want_of_descriptors_is_tried_again);
    fixture_run(wait_says_why_a_version_cannot_be_used);
    fixture_run(what_others_write_is_news_once);
    fixture_run(a_live_head_without_a_generation_is_damaged);
    fixture_run(a_reader_that_is_not_open_says_why);
    fixture_run(each_limit_of_a_request_holds);
    fixture_run(the_port_is_the_daemons);
    fixture_run(a_very_long_time_out_does_not_wrap);
    fixture_run(a_failed_replacement_takes_nothing_back);
    return 0;
}
