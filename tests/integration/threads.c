/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One writer and several readers in one process, for ThreadSanitizer and for itself.
 *
 * A region proper shows what readers do among each other: hold here, drop there, close while others
 * hold. Between writer and reader it would show ThreadSanitizer nothing, since each has a mapping
 * of its own: the same bytes at other addresses. So the sequence is run a second time with one head
 * at one address, where the bodies are plain memory and only the sequence's orderings keep the
 * reads of them from being races.
 */
#include <pthread.h>
#include <sched.h>
#include <shmconf.h>
#include <sys/wait.h>

#include "check.h"
#include "region/internal.h"
#include "region_fixture.h"

enum { READERS = 4, PUBLICATIONS = 1000, SLOTS = 8, STORES = 50000, BODY = 8, OFTEN = 500 };

static uint32_t is_over;

/* The writers go on until readers have read that often, all together. */
static uint64_t reads_wanted;
static uint64_t reads_done;

static bool is_enough(void)
{
    return __atomic_load_n(&reads_done, __ATOMIC_RELAXED) >= reads_wanted;
}

static bool ended(void)
{
    return __atomic_load_n(&is_over, __ATOMIC_ACQUIRE) != 0;
}

/* ---- Readers of a region --------------------------------------------------------------------- */

/* Held versions on their way to whichever thread drops them. */
static const struct shmconf_version *slots[SLOTS];

struct reading {
    pthread_t thread;
    unsigned number;
    uint64_t rounds, reads, drops;
    uint64_t forks_at; /* the round; ThreadSanitizer allows a fork, but not many threads with one */
};

static size_t payload_fill(char *payload, uint64_t generation)
{
    size_t size = 1 + (size_t)(generation * 37 % 3000);
    memset(payload, 'a' + (int)(generation % 26), size);
    return size;
}

static void verify(const struct shmconf_version *version)
{
    char expected[4096];
    size_t size = payload_fill(expected, version->generation);
    CHECK_INT(size, version->text.size);
    CHECK(memcmp(version->text.data, expected, size) == 0);
}

/* Puts one in, and drops what another thread left there: acquire and release hand the bytes over.
 */
static void exchange(struct reading *reading, const struct shmconf_version *version)
{
    const struct shmconf_version *other =
        __atomic_exchange_n(&slots[(reading->number + reading->rounds) % SLOTS],
                            shmconf_hold(version), __ATOMIC_ACQ_REL);
    if (!other)
        return;
    verify(other);
    shmconf_drop(other);
    reading->drops++;
}

/* A child goes on with the reader of the thread that forked, and with what it holds. */
static void read_in_a_child(struct shmconf_reader *reader)
{
    const struct shmconf_version *held = shmconf_enter(reader);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        bool is_right = held->text.size > 0 &&
                        held->text.data[held->text.size - 1] == 'a' + (char)(held->generation % 26);
        shmconf_leave(reader);
        for (int i = 0; is_right && i < 100; i++) {
            const struct shmconf_version *version = shmconf_enter(reader);
            is_right = version && version->generation >= held->generation;
            shmconf_leave(reader);
        }
        _exit(is_right ? 0 : 1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_INT(0, status);
    verify(held);
    shmconf_leave(reader);
}

/* As handlers read: most of the time nothing is new. */
static uint64_t read_often(struct shmconf_reader *reader, uint64_t last)
{
    for (int i = 0; i < OFTEN; i++) {
        const struct shmconf_version *version = shmconf_enter(reader);
        CHECK(version->generation >= last);
        CHECK(version->text.data[0] == 'a' + (char)(version->generation % 26));
        last = version->generation;
        shmconf_leave(reader);
    }
    __atomic_fetch_add(&reads_done, OFTEN, __ATOMIC_RELAXED);
    return last;
}

static void *read_region(void *context)
{
    struct reading *reading = context;
    struct shmconf_reader reader;
    struct shmconf_health health;
    uint64_t last = 0;
    CHECK_INT(0, shmconf_open(&reader, "A:B:C", reading->number % 2 ? SHMCONF_PRIVATE : 0));
    CHECK_INT(0, shmconf_wait(&reader, -1));
    while (!ended()) {
        const struct shmconf_version *version = shmconf_enter(&reader);
        CHECK(version && version->generation >= last);
        last = version->generation;
        verify(version);
        exchange(reading, version);
        if (reading->rounds % 64 == 0)
            CHECK_INT(0, shmconf_status(&reader, &health));
        shmconf_leave(&reader);
        version = shmconf_current(&reader);
        CHECK(version && version->generation >= last);
        last = version->generation;
        verify(version);
        last = read_often(&reader, last);
        reading->reads += OFTEN;
        if (reading->forks_at == reading->rounds++)
            read_in_a_child(&reader);
        /* Closed while other threads hold versions of it. */
        if (reading->rounds % 256 == 0) {
            CHECK_INT(0, shmconf_close(&reader));
            CHECK_INT(0, shmconf_open(&reader, "A:B:C", 0));
        }
        sched_yield();
    }
    CHECK_INT(0, shmconf_close(&reader));
    return NULL;
}

static uint64_t published;

static void *write_region(void *context)
{
    struct fixture *f = context;
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    char payload[4096];
    for (uint64_t generation = 1; generation <= PUBLICATIONS || !is_enough(); generation++) {
        struct region_content content = {payload, payload_fill(payload, generation), "", "",
                                         SHMCONF_OPAQUE};
        struct shmconf_record status = {.checked_ns = generation};
        /* Equal bytes would be no new version. */
        content.label = generation % 2 ? "odd" : "even";
        CHECK_INT(1, region_entry_publish(entry, &content, &status, NULL));
        CHECK_INT(0, region_entry_status(entry, &status, NULL));
    }
    published = region_entry_record(entry)->generation;
    region_entry_close(entry);
    __atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void readers_share_versions_across_threads(struct fixture *f)
{
    struct reading readings[READERS] = {0};
    pthread_t writer;
    uint64_t reads = 0, drops = 0;
    is_over = 0;
    for (unsigned i = 0; i < READERS; i++) {
        readings[i].number = i;
        readings[i].forks_at = 10 + i;
        CHECK_INT(0, pthread_create(&readings[i].thread, NULL, read_region, &readings[i]));
    }
    CHECK_INT(0, pthread_create(&writer, NULL, write_region, f));
    CHECK_INT(0, pthread_join(writer, NULL));
    for (unsigned i = 0; i < READERS; i++) {
        CHECK_INT(0, pthread_join(readings[i].thread, NULL));
        reads += readings[i].reads;
        drops += readings[i].drops;
    }
    for (int i = 0; i < SLOTS; i++) {
        shmconf_drop(slots[i]);
        slots[i] = NULL;
    }
    CHECK_INT(3, fixture_count_files(f));
    printf("threads: %llu publications, %llu reads, %llu versions dropped elsewhere\n",
           (unsigned long long)published, (unsigned long long)reads, (unsigned long long)drops);
}

/* ---- One head at one address ----------------------------------------------------------------- */

static struct shmconf_head page;
/* The version files: written once, before the store that names them. */
static uint32_t bodies[STORES + 1][BODY];

static void *write_head(void *context)
{
    struct head head = {.map = &page, .seq = page.seq};
    (void)context;
    for (uint32_t generation = 1; generation <= STORES; generation++) {
        struct shmconf_record record = {.generation = generation,
                                        .state = SHMCONF_LIVE,
                                        .checked_ns = generation * UINT64_C(0x100000001),
                                        .payload_size = generation};
        for (uint32_t i = 0; i < BODY; i++)
            bodies[generation][i] = generation + i;
        CHECK_INT(0, head_store(&head, &record));
    }
    __atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void *read_head(void *context)
{
    struct reading *reading = context;
    uint64_t last = 0;
    while (!ended()) {
        struct shmconf_record record;
        uint32_t seq;
        if (shmconf_head_copy(&page, &record, &seq) != 0)
            continue; /* overtaken 64 times */
        CHECK(record.generation >= last);
        CHECK(record.checked_ns == record.generation * UINT64_C(0x100000001));
        CHECK_INT(record.generation, record.payload_size);
        last = record.generation;
        for (uint32_t i = 0; last && i < BODY; i++)
            CHECK(bodies[last][i] == last + i);
        reading->reads++;
    }
    return NULL;
}

static void the_sequence_orders_what_it_names(void)
{
    struct reading readings[READERS] = {0};
    pthread_t writer;
    uint64_t reads = 0;
    is_over = 0;
    page.seq = SHMCONF_SEQ_FIRST;
    for (int i = 0; i < READERS; i++)
        CHECK_INT(0, pthread_create(&readings[i].thread, NULL, read_head, &readings[i]));
    CHECK_INT(0, pthread_create(&writer, NULL, write_head, NULL));
    CHECK_INT(0, pthread_join(writer, NULL));
    for (int i = 0; i < READERS; i++) {
        CHECK_INT(0, pthread_join(readings[i].thread, NULL));
        reads += readings[i].reads;
    }
    printf("threads: %d stores, %llu copies\n", STORES, (unsigned long long)reads);
}

int main(int count, char **arguments)
{
    char *end = NULL;
    reads_wanted = count > 1 ? strtoull(arguments[1], &end, 10) : 0;
    if (count > 2 || (end && (*end || reads_wanted == 0))) {
        fputs("Usage: threads [READS]\n"
              "One writer and four readers; goes on until they have read READS times.\n",
              stderr);
        return 2;
    }
    fixture_run(readers_share_versions_across_threads);
    the_sequence_orders_what_it_names();
    return 0;
}
