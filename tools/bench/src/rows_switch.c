/* SPDX-License-Identifier: Apache-2.0 */
/* What the first enter after a publication costs, the first byte of the new text included. */
#include <shmconf.h>

#include "bench.h"
#include "loop.h"

static struct figure measure_switches(const struct writer *writer, unsigned flags, unsigned count)
{
    struct shmconf_reader reader;
    double numbers[BENCH_MAX_BLOCKS];
    if (shmconf_open(&reader, BENCH_NAME, flags) != 0)
        bench_fail("cannot open %s", BENCH_NAME);
    uint64_t generation = 0;
    for (unsigned i = 0; i < count; i++) {
        writer_publish(writer);
        uint64_t began_ns = bench_now_ns();
        const struct shmconf_version *version = shmconf_enter(&reader);
        use((unsigned char)shmconf_text(version).data[0]);
        numbers[i] = (double)(bench_now_ns() - began_ns);
        if (!version || version->generation <= generation)
            bench_fail("a switch brought nothing new: %s", shmconf_strerror(reader.error));
        generation = version->generation;
        shmconf_leave(&reader);
    }
    shmconf_close(&reader);
    /* The first one was an opening. */
    return figure_of(numbers + 1, count - 1);
}

size_t rows_switch(struct row *rows, const struct writer *writer, unsigned count)
{
    static const struct row kinds[] = {
        {.key = "switch_mapped",
         .title = "switch to a new 6 KB version",
         .budget = BUDGET_NS,
         .limit = 40000},
        {.key = "switch_private",
         .title = "the same with SHMCONF_PRIVATE",
         .budget = BUDGET_NS,
         .limit = 40000},
    };
    for (size_t i = 0; i < 2; i++) {
        rows[i] = kinds[i];
        rows[i].result = measure_switches(writer, i ? SHMCONF_PRIVATE : 0, count);
    }
    return 2;
}
