/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shmcat beside a daemon that does something at the very moment that matters, and with a clock of
 * the test's: all of it is linked in, so its pauses and its clock are functions here.
 */
#include <sys/wait.h>
#include <time.h>

#include "region_fixture.h"
#include "shmcat/shmcat.h"

static struct fixture *fixture;
static struct region_entry *entry;
static void (*in_pause)(void); /* what the daemon does in the next one */
static uint64_t readings;      /* of the clock */
static uint64_t clock_ns;

int shmcat_main(int argc, char **argv);

int __wrap_nanosleep(const struct timespec *span, struct timespec *left);
int __wrap_nanosleep(const struct timespec *span, struct timespec *left)
{
    void (*act)(void) = in_pause;
    (void)span, (void)left;
    in_pause = NULL;
    if (act)
        act();
    return 0;
}

enum { BENCH_BLOCKS = 41, BENCH_READS = 200000 };

/* Any so many blocks of two readings each take 1...41 ns a read, each of them once. */
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock != CLOCK_MONOTONIC)
        return __real_clock_gettime(clock, now);
    clock_ns += (7 * readings++ % BENCH_BLOCKS + 1) * BENCH_READS;
    now->tv_sec = (time_t)(clock_ns / 1000000000);
    now->tv_nsec = (long)(clock_ns % 1000000000);
    return 0;
}

/* What shmcat prints and how it ends, in a process of its own, since options stay set. */
static void prints(const char *expected, int exit_status, int count, char **words)
{
    int ends[2];
    int status;
    char text[1000] = "";
    size_t size = 0;
    CHECK_INT(0, pipe(ends));
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(dup2(ends[1], STDOUT_FILENO) >= 0);
        _exit(shmcat_main(count, words));
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], text + size, sizeof text - 1 - size)) > 0;)
        size += (size_t)got;
    close(ends[0]);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK_INT(exit_status, WEXITSTATUS(status));
    CHECK_STRING(expected, text);
}

static void verify_finds_nothing(void)
{
    char *words[] = {"shmcat", "verify", NULL};
    prints("1 configuration, 3 files, 0 problems\n", 0, 2, words);
}

static void remove_file(void)
{
    fixture_remove(fixture, "A/B/C/.t0123");
}

static void remove_stray(void)
{
    fixture_remove(fixture, "A/B/.t0123");
}

static void publish_in_its_place(void)
{
    fixture_remove(fixture, "A/B/C/v00000003");
    fixture_publish(entry, "three", "", "");
}

static void publish_for_the_first_time(void)
{
    fixture_remove(fixture, "A/B/C/v00000001");
    fixture_publish(entry, "one", "", "");
}

static void replace_the_head(void)
{
    fixture_remove(fixture, "A/B/C/v00000003");
    fixture_remove(fixture, "A/B/C/head");
    CHECK_INT(1, region_entry_check(entry, NULL));
}

static void start(struct fixture *f)
{
    fixture = f;
    entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "one", "", "");
    fixture_publish(entry, "two", "", "");
}

/* A file that the daemon has made and not yet given its name. */
static void what_is_gone_soon_is_no_finding(struct fixture *f)
{
    start(f);
    fixture_touch(f, "A/B/C/.t0123");
    in_pause = remove_file;
    verify_finds_nothing();
    fixture_touch(f, "A/B/.t0123");
    in_pause = remove_stray;
    verify_finds_nothing();
    region_entry_close(entry);
}

/* Where no daemon is at work nobody is waited for: there may be thousands of such directories. */
static void what_lies_there_for_long_is_one_at_once(struct fixture *f)
{
    static const struct timespec long_ago[2] = {{1, 0}, {1, 0}};
    char *words[] = {"shmcat", "verify", NULL};
    start(f);
    fixture_touch(f, "A/B/C/.t0123");
    CHECK_INT(0, utimensat(AT_FDCWD, in_root(f, "A/B/C").text, long_ago, 0));
    in_pause = remove_file;
    prints("A/B/C/.t0123: it does not belong into the region: move it away, or give shmconfd a "
           "directory of its own\n"
           "1 configuration, 4 files, 1 problem\n",
           1, 2, words);
    in_pause = NULL;
    region_entry_close(entry);
}

/* By the head of then nothing refers to the version, which by now is the current one. */
static void findings_of_a_head_that_has_moved_on_are_looked_for_again(struct fixture *f)
{
    start(f);
    fixture_touch(f, "A/B/C/v00000003");
    in_pause = publish_in_its_place;
    verify_finds_nothing();
    region_entry_close(entry);
}

/* Met when its version has its name and there is no head yet. */
static void a_first_publication_is_no_finding(struct fixture *f)
{
    char *words[] = {"shmcat", "verify", NULL};
    fixture = f;
    entry = fixture_entry(f, "A:B:C");
    CHECK_INT(0, mkdir(in_root(f, "A").text, 0700));
    CHECK_INT(0, mkdir(in_root(f, "A/B").text, 0700));
    CHECK_INT(0, mkdir(in_root(f, "A/B/C").text, 0700));
    fixture_touch(f, "A/B/C/v00000001");
    in_pause = publish_for_the_first_time;
    prints("1 configuration, 2 files, 0 problems\n", 0, 2, words);
    region_entry_close(entry);
}

static void a_replaced_head_is_no_finding(struct fixture *f)
{
    start(f);
    fixture_touch(f, "A/B/C/v00000003");
    in_pause = replace_the_head;
    verify_finds_nothing();
    region_entry_close(entry);
}

static void bench_prints_medians(struct fixture *f)
{
    char *words[] = {"shmcat", "bench", "A:B:C", "--json", NULL};
    start(f);
    prints("{\"load_ns\":21.000,\"read_ns\":21.000,\"http_ns\":null}\n", 0, 4, words);
    region_entry_close(entry);
}

int main(void)
{
    fixture_run(what_is_gone_soon_is_no_finding);
    fixture_run(what_lies_there_for_long_is_one_at_once);
    fixture_run(findings_of_a_head_that_has_moved_on_are_looked_for_again);
    fixture_run(a_first_publication_is_no_finding);
    fixture_run(a_replaced_head_is_no_finding);
    fixture_run(bench_prints_medians);
    return 0;
}
