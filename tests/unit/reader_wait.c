/* SPDX-License-Identifier: Apache-2.0 */
/* shmconf_wait, shmconf_fresh, shmconf_status. */
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include "reader_fixture.h"

/* ---- A reader that sleeps in a thread of its own --------------------------------------------- */

struct sleeper {
    pthread_t thread;
    pid_t id; /* of the thread, once it runs */
    struct shmconf_reader *reader;
    int (*call)(struct shmconf_reader *reader);
    int result;
    uint64_t woken_ns;
};

static void *sleeper_main(void *context)
{
    struct sleeper *sleeper = context;
    __atomic_store_n(&sleeper->id, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
    sleeper->result = sleeper->call(sleeper->reader);
    sleeper->woken_ns = clock_monotonic_ns();
    return NULL;
}

/* Whether the kernel has the thread asleep. */
static bool sleeper_sleeps(struct sleeper *sleeper)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat",
             __atomic_load_n(&sleeper->id, __ATOMIC_ACQUIRE));
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    CHECK(fgets(text, sizeof text, file));
    fclose(file);
    const char *state = strrchr(text, ')');
    return state && strncmp(state, ") S", 3) == 0;
}

/* Starts the call and comes back when it sleeps. */
static void sleeper_start(struct sleeper *sleeper, struct shmconf_reader *reader,
                          int (*call)(struct shmconf_reader *reader))
{
    uint64_t end = clock_monotonic_ns() + READER_PATIENCE_MS * NS_PER_MS;
    *sleeper = (struct sleeper){.reader = reader, .call = call};
    CHECK_INT(0, pthread_create(&sleeper->thread, NULL, sleeper_main, sleeper));
    while (!sleeper_sleeps(sleeper))
        CHECK(clock_monotonic_ns() < end && poll(NULL, 0, 1) == 0);
}

static int sleeper_join(struct sleeper *sleeper)
{
    CHECK_INT(0, pthread_join(sleeper->thread, NULL));
    return sleeper->result;
}

static int wait_forever(struct shmconf_reader *reader)
{
    return shmconf_wait(reader, -1);
}

static int fresh_forever(struct shmconf_reader *reader)
{
    return shmconf_fresh(reader, 60000, -1);
}

/* Somebody who was not woken looks after SHMCONF_SLICE_NS, which is 5 s. */
static void check_was_woken(const struct sleeper *sleeper, uint64_t since_ns)
{
    CHECK(sleeper->woken_ns - since_ns < SHMCONF_SLICE_NS * 4 / 5);
}

/* ---- wait ------------------------------------------------------------------------------------ */

static void wait_begins_before_the_root_exists(struct fixture *f)
{
    struct shmconf_reader reader;
    struct sleeper sleeper;
    region_close(f->region);
    fixture_remove_tree(f);
    reader_open(&reader, 0);
    sleeper_start(&sleeper, &reader, wait_forever);
    fixture_start(f);
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "one", "", "");
    CHECK_INT(0, sleeper_join(&sleeper));
    reader_expect(&reader, "one", 0);
    reader_close(&reader);
    region_entry_close(entry);
}

static void a_publication_wakes(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader, other;
    struct sleeper sleeper, beside;
    fixture_publish(entry, "0", "", "");
    reader_open(&reader, 0);
    reader_open(&other, 0);
    reader_expect(&reader, "0", 0);
    reader_expect(&other, "0", 0);
    for (int i = 1; i < 6; i++) {
        char text[2] = {(char)('0' + i), '\0'};
        sleeper_start(&sleeper, &reader, wait_forever);
        sleeper_start(&beside, &other, wait_forever);
        uint64_t now = clock_monotonic_ns();
        fixture_publish(entry, text, "", "");
        CHECK_INT(0, sleeper_join(&sleeper));
        CHECK_INT(0, sleeper_join(&beside));
        check_was_woken(&sleeper, now);
        check_was_woken(&beside, now);
        reader_expect(&other, text, 0);
        CHECK_INT(0, shmconf_wait(&reader, 0)); /* as long as enter has not returned it */
        reader_expect(&reader, text, 0);
        CHECK_INT(-ETIMEDOUT, shmconf_wait(&reader, 0));
    }
    reader_close(&reader);
    reader_close(&other);
    region_entry_close(entry);
}

/* Killed between the store and the wake: the next start wakes for it. */
static void a_successors_start_wakes(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    struct sleeper sleeper;
    fixture_publish(entry, "one", "", "");
    fixture_publish(entry, "two", "", "");
    struct shmconf_record two = *region_entry_record(entry);
    struct shmconf_record one = two;
    one.generation = 1;
    region_entry_close(entry);
    head_store_by_hand(f, 4, &one);
    reader_open(&reader, 0);
    reader_expect(&reader, "one", 0);
    sleeper_start(&sleeper, &reader, wait_forever);
    head_store_by_hand(f, 5, &two);
    uint64_t now = clock_monotonic_ns();
    fixture_restart(f);
    CHECK_INT(1, region_recover(f->region));
    CHECK_INT(0, sleeper_join(&sleeper));
    check_was_woken(&sleeper, now);
    reader_expect(&reader, "two", 0);
    reader_close(&reader);
}

/* The daemon died, somebody removed everything, and another daemon began anew. */
static void wait_notices_that_the_tree_was_removed(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "old", "", "");
    reader_open(&reader, 0);
    reader_expect(&reader, "old", 0);
    region_entry_close(entry);
    region_close(f->region);
    fixture_remove_tree(f);
    reader_may_look(&reader); /* as if the last look were long ago */
    CHECK_INT(-ETIMEDOUT, shmconf_wait(&reader, 1));
    CHECK_INT(-ESTALE, reader_status(&reader));
    fixture_start(f);
    entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "new", "", "");
    reader_may_look(&reader);
    CHECK_INT(0, shmconf_wait(&reader, 10));
    reader_expect(&reader, "new", 0);
    reader_close(&reader);
    region_entry_close(entry);
}

/* The same, when the last version was not opened in time: only the path tells. */
static void wait_notices_it_also_without_the_last_version(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "old", "", "");
    reader_open(&reader, 0);
    reader_expect(&reader, "old", 0);
    fixture_publish(entry, "missed", "", "");
    region_entry_close(entry);
    region_close(f->region);
    fixture_remove_tree(f);
    reader_expect(&reader, "old", -ESTALE);
    fixture_start(f);
    entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "new", "", "");
    CHECK_INT(0, shmconf_wait(&reader, READER_PATIENCE_MS));
    reader_expect(&reader, "new", 0);
    reader_close(&reader);
    region_entry_close(entry);
}

static void remove_by_hand(struct fixture *f, const char *file)
{
    char path[64];
    snprintf(path, sizeof path, "A/B/C/%s", file);
    CHECK_INT(0, unlink(in_root(f, path).text));
}

/* There is a head, but no version that can be opened: no reason to go round and round. */
static void wait_sleeps_while_a_version_cannot_be_opened(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader first, later;
    struct sleeper of_first, of_later;
    fixture_publish(entry, "one", "", "");
    reader_open(&later, 0);
    reader_expect(&later, "one", 0);
    fixture_publish(entry, "two", "", "");
    remove_by_hand(f, "v00000002");
    reader_open(&first, 0);
    reader_expect(&first, NULL, -ESTALE);
    reader_expect(&later, "one", -ESTALE);
    sleeper_start(&of_first, &first, wait_forever);
    sleeper_start(&of_later, &later, wait_forever);
    uint64_t now = clock_monotonic_ns();
    fixture_publish(entry, "three", "", "");
    CHECK_INT(0, sleeper_join(&of_first));
    CHECK_INT(0, sleeper_join(&of_later));
    check_was_woken(&of_first, now);
    check_was_woken(&of_later, now);
    reader_expect(&first, "three", 0);
    reader_expect(&later, "three", 0);
    reader_close(&first);
    reader_close(&later);
    region_entry_close(entry);
}

/* Nobody wakes for that. */
static void wait_notices_that_a_version_can_be_opened_again(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    struct sleeper sleeper;
    fixture_publish(entry, "one", "", "");
    CHECK_INT(0, chmod(in_root(f, "A/B/C/v00000001").text, 0666));
    reader_open(&reader, 0);
    reader_expect(&reader, NULL, -EPERM);
    sleeper_start(&sleeper, &reader, wait_forever);
    CHECK_INT(0, chmod(in_root(f, "A/B/C/v00000001").text, 0400));
    uint64_t now = clock_monotonic_ns();
    CHECK_INT(0, sleeper_join(&sleeper));
    check_was_woken(&sleeper, now);
    reader_expect(&reader, "one", 0);
    reader_close(&reader);
    region_entry_close(entry);
}

/* Who puts the new head in its place may have died before; its successor does not know the old one.
 */
static void wait_looks_for_the_successor_of_a_head_that_moved(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    struct sleeper sleeper;
    fixture_publish(entry, "one", "", "");
    struct shmconf_record moved = *region_entry_record(entry);
    moved.state |= SHMCONF_MOVED;
    reader_open(&reader, 0);
    reader_expect(&reader, "one", 0);
    region_entry_close(entry);
    head_store_by_hand(f, 2, &moved);
    remove_by_hand(f, "head");
    sleeper_start(&sleeper, &reader, wait_forever);
    fixture_restart(f);
    entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "two", "", "");
    uint64_t now = clock_monotonic_ns();
    CHECK_INT(0, sleeper_join(&sleeper));
    check_was_woken(&sleeper, now);
    reader_expect(&reader, "two", 0);
    reader_close(&reader);
    region_entry_close(entry);
}

/* Where there is nothing to sleep on: not every millisecond, and not after minutes either. */
static void who_is_woken_by_nobody_looks_up_to_every_100_ms(struct fixture *f)
{
    uint64_t pause = NS_PER_MS;
    (void)f;
    for (int turn = 0; turn < 7; turn++) {
        CHECK(shmconf_longer(pause) >= pause + pause / 2);
        pause = shmconf_longer(pause);
    }
    CHECK_INT(100 * NS_PER_MS, pause);
    CHECK_INT(100 * NS_PER_MS, shmconf_longer(pause));
}

static void wait_ends_in_time_and_says_why(struct fixture *f)
{
    struct shmconf_reader reader;
    reader_open(&reader, 0);
    CHECK_INT(-ETIMEDOUT, shmconf_wait(&reader, 0));
    uint64_t before = clock_monotonic_ns();
    CHECK_INT(-ETIMEDOUT, shmconf_wait(&reader, 30));
    CHECK(clock_monotonic_ns() - before >= 20 * NS_PER_MS); /* by a clock with ticks of 4 ms */
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    fixture_publish(entry, "one", "", "");
    CHECK_INT(0, chmod(in_root(f, "A").text, 0777));
    CHECK_INT(-EPERM, shmconf_wait(&reader, 10));
    CHECK_INT(0, chmod(in_root(f, "A").text, 0700));
    CHECK_INT(0, shmconf_wait(&reader, 0));
    reader_close(&reader);
    region_entry_close(entry);
}

/* Between enter and leave as well: it says that there is something, and the snapshot stays. */
static void wait_leaves_the_snapshot_alone(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    fixture_publish(entry, "one", "", "");
    reader_open(&reader, 0);
    const struct shmconf_version *version = shmconf_enter(&reader);
    fixture_publish(entry, "two", "", "");
    CHECK_INT(0, shmconf_wait(&reader, 0));
    CHECK(shmconf_enter(&reader) == version);
    shmconf_leave(&reader);
    CHECK_STRING("one", shmconf_text(version).data);
    shmconf_leave(&reader);
    CHECK_INT(0, shmconf_wait(&reader, 0));
    reader_expect(&reader, "two", 0);
    reader_close(&reader);
    region_entry_close(entry);
}

static void on_signal(int number)
{
    (void)number;
}

/* Neither a signal nor a status update is a version. */
static void wait_sleeps_on_over_signals_and_status_updates(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct sigaction action = {.sa_handler = on_signal};
    struct shmconf_record status = {.checked_ns = 1};
    struct shmconf_reader reader;
    struct sleeper sleeper;
    CHECK_INT(0, sigaction(SIGUSR1, &action, NULL));
    fixture_publish(entry, "one", "", "");
    reader_open(&reader, 0);
    reader_expect(&reader, "one", 0);
    sleeper_start(&sleeper, &reader, wait_forever);
    for (int turn = 0; turn < 10; turn++) {
        status.tried_ns++;
        CHECK_INT(0, region_entry_status(entry, &status, NULL));
        CHECK_INT(0, pthread_kill(sleeper.thread, SIGUSR1));
    }
    fixture_publish(entry, "two", "", "");
    CHECK_INT(0, sleeper_join(&sleeper));
    reader_expect(&reader, "two", 0);
    reader_close(&reader);
    region_entry_close(entry);
}

/* ---- fresh ----------------------------------------------------------------------------------- */

static void fresh_is_a_matter_of_the_last_good_check(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_record status = {.checked_ns = 0};
    struct shmconf_reader reader;
    reader_open(&reader, 0);
    CHECK_INT(-ENOENT, shmconf_fresh(&reader, 1000, 1));
    fixture_publish(entry, "one", "", ""); /* checked in 1970 */
    CHECK_INT(-ETIMEDOUT, shmconf_fresh(&reader, 60000, 10));
    CHECK_INT(0, region_entry_status(entry, &status, NULL));
    CHECK_INT(-ETIMEDOUT, shmconf_fresh(&reader, ~0ul, 1)); /* never checked */
    status.checked_ns = clock_realtime_ns() - 10 * NS_PER_S;
    CHECK_INT(0, region_entry_status(entry, &status, NULL));
    CHECK_INT(0, shmconf_fresh(&reader, 3600000, 0));
    CHECK_INT(-ETIMEDOUT, shmconf_fresh(&reader, 9000, 10));
    fixture_remove_tree(f);
    CHECK_INT(-ESTALE, shmconf_fresh(&reader, 60000, 10));
    reader_close(&reader);
    region_entry_close(entry);
}

static void fresh_sleeps_until_a_check_was_good(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_record status = {.checked_ns = clock_realtime_ns()};
    struct shmconf_reader reader;
    struct sleeper sleeper;
    fixture_publish(entry, "one", "", "");
    reader_open(&reader, 0);
    sleeper_start(&sleeper, &reader, fresh_forever);
    CHECK_INT(0, region_entry_status(entry, &status, NULL));
    CHECK_INT(0, sleeper_join(&sleeper));
    reader_close(&reader);
    region_entry_close(entry);
}

/* ---- status ---------------------------------------------------------------------------------- */

static void status_tells_what_the_daemon_stored(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct shmconf_reader reader;
    struct shmconf_health health;
    uint64_t now = clock_realtime_ns();
    struct shmconf_record status = {.failures = 3,
                                    .fetched_ns = 11,
                                    .checked_ns = now - 5 * NS_PER_S,
                                    .tried_ns = now,
                                    .next_ns = now + 1,
                                    .error = ETIMEDOUT,
                                    .http_status = 503,
                                    .interval_s = 45};
    struct region_content content = {"four", 4, "", "", SHMCONF_OPAQUE};
    reader_open(&reader, 0);
    CHECK_INT(-ENOENT, shmconf_status(&reader, &health));
    CHECK_INT(0, health.generation);
    CHECK_INT(1, region_entry_publish(entry, &content, &status, NULL));
    CHECK_INT(0, shmconf_status(&reader, &health));
    CHECK_INT(1, health.generation);
    CHECK(health.instance != 0);
    CHECK_INT(11, health.fetched_ns);
    CHECK_INT(now - 5 * NS_PER_S, health.checked_ns);
    CHECK_INT(now, health.tried_ns);
    CHECK_INT(now + 1, health.next_ns);
    CHECK(health.age_ns >= 5 * NS_PER_S && health.age_ns < 3600 * NS_PER_S);
    CHECK_INT(3, health.failures);
    CHECK_INT(ETIMEDOUT, health.error);
    CHECK_INT(503, health.http_status);
    CHECK_INT(45, health.interval_s);
    CHECK_INT(4, health.size);

    status.checked_ns = clock_realtime_ns() + 3600 * NS_PER_S; /* the clock was set back since */
    CHECK_INT(0, region_entry_status(entry, &status, NULL));
    CHECK_INT(0, shmconf_status(&reader, &health));
    CHECK(health.age_ns > 1800 * NS_PER_S && health.age_ns <= 3600 * NS_PER_S);

    fixture_remove_tree(f); /* what was last known is told nevertheless */
    CHECK_INT(-ESTALE, shmconf_status(&reader, &health));
    CHECK_INT(503, health.http_status);
    reader_close(&reader);
    region_entry_close(entry);
}

int main(void)
{
    fixture_run(wait_begins_before_the_root_exists);
    fixture_run(a_publication_wakes);
    fixture_run(a_successors_start_wakes);
    fixture_run(wait_notices_that_the_tree_was_removed);
    fixture_run(wait_notices_it_also_without_the_last_version);
    fixture_run(wait_sleeps_while_a_version_cannot_be_opened);
    fixture_run(wait_notices_that_a_version_can_be_opened_again);
    fixture_run(wait_looks_for_the_successor_of_a_head_that_moved);
    fixture_run(who_is_woken_by_nobody_looks_up_to_every_100_ms);
    fixture_run(wait_ends_in_time_and_says_why);
    fixture_run(wait_leaves_the_snapshot_alone);
    fixture_run(wait_sleeps_on_over_signals_and_status_updates);
    fixture_run(fresh_is_a_matter_of_the_last_good_check);
    fixture_run(fresh_sleeps_until_a_check_was_good);
    fixture_run(status_tells_what_the_daemon_stored);
    return 0;
}
