/* SPDX-License-Identifier: Apache-2.0 */
/* One read again and again, for tests/integration/instructions to count what the processor does. */
#include <shmconf.h>
#include <stdio.h>

#include "region_fixture.h"

typedef void block(struct shmconf_reader *reader, unsigned count);

/* The least that any reader of shared memory does. The barrier keeps it from being done once. */
static void load(struct shmconf_reader *reader, unsigned count)
{
    const uint32_t *word = &reader->head->seq;
    for (unsigned i = 0; i < count; i++) {
        uint32_t value = __atomic_load_n(word, __ATOMIC_RELAXED);
        __asm__ volatile("" : : "r"(value) : "memory");
    }
}

static void read_version(struct shmconf_reader *reader, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct shmconf_version *version = shmconf_enter(reader);
        __asm__ volatile("" : : "r"(version) : "memory");
        shmconf_leave(reader);
    }
}

static void look(struct shmconf_reader *reader, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct shmconf_version *version = shmconf_current(reader);
        __asm__ volatile("" : : "r"(version) : "memory");
    }
}

static unsigned times;
static block *wanted;

static void test_reads(struct fixture *f)
{
    struct shmconf_reader reader;
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct region_content content = {"text", 4, "", "", SHMCONF_OPAQUE};
    struct shmconf_record status = {0};
    CHECK_INT(1, region_entry_publish(entry, &content, &status, NULL));
    CHECK_INT(0, shmconf_open(&reader, "A:B:C", 0));
    CHECK(shmconf_enter(&reader) != NULL);
    shmconf_leave(&reader);
    /* As at every check that brings nothing: the first read sees it, the others cost what they did.
     */
    CHECK_INT(0, region_entry_status(entry, &status, NULL));
    wanted(&reader, times);
    CHECK_INT(0, shmconf_close(&reader));
    region_entry_close(entry);
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fputs("Usage: instructions load|look|read TIMES\n", stderr);
        return 2;
    }
    wanted = strcmp(arguments[1], "load") == 0   ? load
             : strcmp(arguments[1], "look") == 0 ? look
                                                 : read_version;
    times = (unsigned)strtoul(arguments[2], NULL, 10);
    fixture_run(test_reads);
    return 0;
}
