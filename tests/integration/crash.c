/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A writer is killed at random moments, again and again, and a successor takes over, while readers
 * verify every byte of every version that they get.
 */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "crash.h"
#include "region/region.h"
#include "temporary.h"

enum { PATIENCE_MS = 20000, DEFAULT_KILLS = 200, MANY_KILLS = 1000, LONGEST_LIFE_US = 8000 };

/* What a successor finds, and so which branches of its recovery it takes. */
enum left { LEFT_NOTHING, LEFT_NO_HEAD, LEFT_TEMPORARY, LEFT_AHEAD, LEFT_BEHIND, LEFT_KINDS };
static const char *const left_names[] = {
    [LEFT_NOTHING] = "nothing to do",
    [LEFT_NO_HEAD] = "no head yet",
    [LEFT_TEMPORARY] = "a temporary file",
    [LEFT_AHEAD] = "a version that the head does not name yet",
    [LEFT_BEHIND] = "a version that was due to be removed",
};

struct test {
    struct crash_shared *shared;
    uint64_t random;
    unsigned kills, early;     /* `early`: killed before their first publication was waited for */
    unsigned left[LEFT_KINDS]; /* how many writers left what behind */
    pid_t writer;
    pid_t readers[CRASH_READERS];
};

void crash_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("crash: FAILED: ", stderr);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, " (in %s)\n", getenv("SHMCONF_DIR"));
    va_end(arguments);
    exit(1);
}

/* ---- Content --------------------------------------------------------------------------------- */

void crash_label(uint64_t incarnation, uint64_t generation, char label[64])
{
    snprintf(label, 64, "writer %llu, generation %llu", (unsigned long long)incarnation,
             (unsigned long long)generation);
}

size_t crash_content(uint64_t incarnation, uint64_t generation, char out[CRASH_MAX_SIZE])
{
    uint64_t state = incarnation << 40 ^ generation;
    uint64_t shape = crash_random(&state);
    size_t most = (size_t)1 << (shape % 17); /* as many small ones as large ones */
    size_t size = 1 + (size_t)(shape >> 8) % most;
    for (size_t at = 0; at < size; at += 8) {
        uint64_t word = crash_random(&state);
        memcpy(out + at, &word, size - at < 8 ? size - at : 8);
    }
    return size;
}

struct crash_files crash_count(const char *root, uint64_t generation)
{
    struct crash_files files = {.temporary = count_temporary(root)};
    char path[512];
    snprintf(path, sizeof path, "%s/" CRASH_PATH, root);
    DIR *stream = opendir(path);
    if (!stream)
        return files;
    for (struct dirent *entry; (entry = readdir(stream));) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        files.heads += strcmp(name, SHMCONF_HEAD_FILE) == 0;
        files.temporary += strncmp(name, ".t", 2) == 0;
        if (name[0] == 'v') {
            uint64_t number = strtoull(name + 1, NULL, 16);
            files.versions++;
            files.newest = number > files.newest ? number : files.newest;
            files.orphans += number > generation || number + 1 < generation;
        } else if (name[0] != '.' && strcmp(name, SHMCONF_HEAD_FILE) != 0) {
            files.others++;
        }
    }
    closedir(stream);
    return files;
}

/* ---- Processes ------------------------------------------------------------------------------- */

static pid_t start(struct test *test, uint64_t incarnation, int role)
{
    pid_t child = fork();
    if (child < 0)
        crash_fail("fork: %s", strerror(errno));
    if (child > 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (incarnation)
        crash_write(test->shared, incarnation);
    crash_read(test->shared, role);
}

/* A child that ended by itself has found something, and has said what. */
static void check_children(const struct test *test)
{
    int status;
    for (int i = 0; i < CRASH_READERS; i++)
        if (test->readers[i] && waitpid(test->readers[i], &status, WNOHANG) != 0)
            crash_fail("a reader ended with status %x; the seed is %llu", (unsigned)status,
                       (unsigned long long)test->shared->seed);
    if (test->writer && waitpid(test->writer, &status, WNOHANG) != 0)
        crash_fail("a writer ended with status %x; the seed is %llu", (unsigned)status,
                   (unsigned long long)test->shared->seed);
}

static void sleep_us(uint64_t us)
{
    struct timespec time = {0, (long)us * 1000};
    nanosleep(&time, NULL);
}

/* Until every reader has a generation above this one. */
static void wait_for_readers(struct test *test, uint64_t generation)
{
    uint64_t end = clock_monotonic_ns() + PATIENCE_MS * NS_PER_MS;
    for (int role = 0; role < CRASH_READERS;) {
        check_children(test);
        if (crash_load(&test->shared->readers[role].generation) > generation) {
            role++;
            continue;
        }
        if (clock_monotonic_ns() > end)
            crash_fail("reader %d is stranded at generation %llu; published is %llu", role,
                       (unsigned long long)crash_load(&test->shared->readers[role].generation),
                       (unsigned long long)crash_load(&test->shared->published));
        sleep_us(50);
    }
}

static void kill_writer(struct test *test)
{
    int status;
    kill(test->writer, SIGKILL);
    if (waitpid(test->writer, &status, 0) != test->writer || !WIFSIGNALED(status))
        crash_fail("the writer ended by itself, with status %x", (unsigned)status);
    test->writer = 0;
    test->kills++;
}

/* The generation in the head as it stands on the disk; 0: there is none. */
static uint64_t head_generation(const char *root)
{
    struct shmconf_head head = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/" CRASH_PATH "/" SHMCONF_HEAD_FILE, root);
    FILE *file = fopen(path, "rb");
    if (!file)
        return 0;
    size_t got = fread(&head, sizeof head, 1, file);
    fclose(file);
    return got ? head.cells[head.seq & 1].record.generation : 0;
}

static void count_leftovers(struct test *test)
{
    uint64_t generation = head_generation(test->shared->root);
    struct crash_files files = crash_count(test->shared->root, generation);
    bool is_ahead = files.newest > generation;
    unsigned behind = files.orphans - is_ahead;
    test->left[LEFT_NO_HEAD] += generation == 0;
    test->left[LEFT_TEMPORARY] += files.temporary > 0;
    test->left[LEFT_AHEAD] += is_ahead;
    test->left[LEFT_BEHIND] += behind > 0;
    test->left[LEFT_NOTHING] += generation && !files.temporary && !files.orphans;
}

static void live_and_die(struct test *test)
{
    uint64_t before = crash_load(&test->shared->published);
    bool is_early = crash_random(&test->random) % 4 == 0;
    test->writer = start(test, test->kills + 1, 0);
    if (is_early)
        test->early++;
    else
        wait_for_readers(test, before + 1);
    sleep_us(crash_random(&test->random) % LONGEST_LIFE_US);
    kill_writer(test);
    check_children(test);
    count_leftovers(test);
}

/* ---- The end --------------------------------------------------------------------------------- */

/*
 * Many kills must have shown the successors what is not rare: in 1,000 each of these is met more
 * than ten times. Left out are the others: only the first writer can die before there is a head,
 * and few die in the microseconds between a store and the removal behind it. integration.step kills
 * there.
 */
static void check_left(const struct test *test)
{
    static const enum left expected[] = {LEFT_NOTHING, LEFT_TEMPORARY, LEFT_AHEAD};
    for (size_t i = 0; test->kills >= MANY_KILLS && i < sizeof expected / sizeof *expected; i++)
        if (test->left[expected[i]] == 0)
            crash_fail("of %u killed writers none left this behind: %s", test->kills,
                       left_names[expected[i]]);
}

static void end_readers(struct test *test)
{
    __atomic_store_n(&test->shared->is_over, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < CRASH_READERS; i++) {
        int status;
        if (waitpid(test->readers[i], &status, 0) != test->readers[i] || status != 0)
            crash_fail("a reader ended with status %x", (unsigned)status);
    }
}

/* One more writer, which takes over, sees that it is over, and ends. */
static void check_the_end(struct test *test)
{
    int status;
    pid_t last = start(test, test->kills + 1, 0);
    if (waitpid(last, &status, 0) != last || status != 0)
        crash_fail("the last writer ended with status %x", (unsigned)status);
    uint64_t published = test->shared->published;
    uint64_t publications = test->shared->publications;
    struct crash_files files = crash_count(test->shared->root, published);
    if (files.heads != 1 || files.versions < 1 || files.versions > 2 || files.temporary)
        crash_fail("in the end: %u heads, %u versions, %u temporary files", files.heads,
                   files.versions, files.temporary);
    /* A writer that is killed behind its store has published without having counted it. */
    if (published < publications || published > publications + test->kills)
        crash_fail("%llu publications made generation %llu", (unsigned long long)publications,
                   (unsigned long long)published);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status, (void)type, (void)where;
    return remove(path);
}

static void summarize(const struct test *test, uint64_t began_ns)
{
    const struct crash_shared *shared = test->shared;
    const struct crash_reader *r = shared->readers;
    unsigned long long overtaken = r[0].overtaken + r[1].overtaken + r[2].overtaken;
    printf("crash: seed %llu: %u kills (%u at the start), %llu publications, %llu status updates\n",
           (unsigned long long)shared->seed, test->kills, test->early,
           (unsigned long long)shared->publications, (unsigned long long)shared->statuses);
    printf("crash: versions verified: %llu long-lived, %llu attaching, %llu private (%llu, %llu, "
           "%llu switches; overtaken %llu times)\n",
           (unsigned long long)r[0].reads, (unsigned long long)r[1].reads,
           (unsigned long long)r[2].reads, (unsigned long long)r[0].switches,
           (unsigned long long)r[1].switches, (unsigned long long)r[2].switches, overtaken);
    printf("crash: the writers left behind:\n");
    for (int i = 0; i < LEFT_KINDS; i++)
        printf("crash: %8u  %s\n", test->left[i], left_names[i]);
    printf("crash: %.1f s\n", (double)(clock_monotonic_ns() - began_ns) / 1e9);
}

static unsigned long number_of(const char *text, unsigned long otherwise)
{
    char *end;
    unsigned long number = text ? strtoul(text, &end, 10) : otherwise;
    if (text && (*text < '0' || *text > '9' || *end)) {
        fputs("Usage: crash [KILLS [SEED]]\n"
              "Kills a writer KILLS times (200) at moments that follow from SEED (random), under "
              "readers.\n",
              stderr);
        exit(2);
    }
    return number;
}

int main(int count, char **arguments)
{
    struct test test = {0};
    uint64_t began_ns = clock_monotonic_ns();
    unsigned long kills = number_of(count > 1 ? arguments[1] : NULL, DEFAULT_KILLS);
    unsigned long seed =
        number_of(count > 2 ? arguments[2] : NULL, (unsigned long)(began_ns % 1000000007));
    void *page =
        mmap(NULL, sizeof *test.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        crash_fail("mmap: %s", strerror(errno));
    test.shared = page;
    test.random = test.shared->seed = seed;
    const char *temporary = getenv("TMPDIR");
    snprintf(test.shared->root, sizeof test.shared->root, "%s/shmconf-crash-XXXXXX",
             temporary ? temporary : "/tmp");
    if (!mkdtemp(test.shared->root))
        crash_fail("%s: %s", test.shared->root, strerror(errno));
    setenv("SHMCONF_DIR", test.shared->root, 1);
    printf("crash: seed %lu\n", seed);
    fflush(stdout);
    for (int role = 0; role < CRASH_READERS; role++)
        test.readers[role] = start(&test, 0, role);
    while (test.kills < kills)
        live_and_die(&test);
    end_readers(&test);
    check_the_end(&test);
    nftw(test.shared->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    summarize(&test, began_ns);
    check_left(&test);
    return 0;
}
