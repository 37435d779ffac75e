/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of the crash test: the daemon's own code, as fast as it goes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash.h"
#include "proc.h"
#include "region/region.h"

static struct region *open_region(const struct crash_shared *shared, uint64_t incarnation)
{
    struct region *region;
    uint64_t since_ns;
    struct error error = {0};
    struct region_options options = {.path = shared->root, .path_is_given = true};
    proc_is_there = incarnation % 2 == 0;
    if (region_open(&region, &options, &error) != 0)
        crash_fail("writer %llu: %s: %s", (unsigned long long)incarnation, error.subject,
                   error.message);
    region_recover(region);
    if (region_set_source(region, incarnation % 3 ? "directory" : "another", &since_ns) != 0)
        crash_fail("writer %llu: cannot note the source", (unsigned long long)incarnation);
    return region;
}

/* What a take-over owes: nothing that was published is lost, and nothing half-done is left. */
static struct region_entry *take_over(struct crash_shared *shared, struct region *region)
{
    struct shmconf_name name;
    struct region_entry *entry;
    uint64_t published = crash_load(&shared->published);
    if (shmconf_name_parse(&name, CRASH_NAME) != 0 ||
        region_entry_open(&entry, region, &name, NULL) != 0)
        crash_fail("writer: cannot open the entry");
    uint64_t generation = region_entry_record(entry)->generation;
    const struct region_version *version = region_entry_version(entry);
    if (generation < published || generation > published + 1)
        crash_fail("writer: took over generation %llu, published was %llu",
                   (unsigned long long)generation, (unsigned long long)published);
    if (generation && (!version || version->generation != generation))
        crash_fail("writer: the version of generation %llu is not whole",
                   (unsigned long long)generation);
    crash_store(&shared->published, generation);
    struct crash_files files = crash_count(shared->root, generation);
    if (files.heads > 1 || files.versions > 2 || files.orphans || files.temporary || files.others)
        crash_fail("writer: after the take-over: %u heads, %u versions (%u orphans), %u temporary "
                   "files, %u others",
                   files.heads, files.versions, files.orphans, files.temporary, files.others);
    return entry;
}

/* All members follow from one number, so that a torn record shows. */
static struct shmconf_record status_of(uint64_t number, uint64_t incarnation)
{
    struct shmconf_record status = {
        .failures = (uint32_t)number,
        .fetched_ns = incarnation,
        .checked_ns = number,
        .tried_ns = number * 3,
        .next_ns = ~number,
        .error = (uint32_t)number + 1,
        .http_status = (uint32_t)number + 2,
        .interval_s = (uint32_t)number + 3,
    };
    return status;
}

static void publish(struct crash_shared *shared, struct region_entry *entry, uint64_t incarnation,
                    uint64_t *number)
{
    static char payload[CRASH_MAX_SIZE];
    char label[64];
    struct error error = {0};
    uint64_t generation = region_entry_record(entry)->generation + 1;
    size_t size = crash_content(incarnation, generation, payload);
    crash_label(incarnation, generation, label);
    struct region_content content = {payload, size, "application/octet-stream", label,
                                     SHMCONF_OPAQUE};
    struct shmconf_record status = status_of(++*number, incarnation);
    if (region_entry_publish(entry, &content, &status, &error) != 1)
        crash_fail("writer: %s: %s", error.subject, error.message);
    crash_store(&shared->published, region_entry_record(entry)->generation);
    crash_store(&shared->publications, shared->publications + 1);
    for (uint64_t rest = *number % 4; rest > 0; rest--) {
        status = status_of(++*number, incarnation);
        if (region_entry_status(entry, &status, &error) != 0)
            crash_fail("writer: %s: %s", error.subject, error.message);
        crash_store(&shared->statuses, shared->statuses + 1);
    }
}

void crash_write(struct crash_shared *shared, uint64_t incarnation)
{
    struct region *region = open_region(shared, incarnation);
    struct region_entry *entry = take_over(shared, region);
    uint64_t number = incarnation << 32;
    while (!__atomic_load_n(&shared->is_over, __ATOMIC_ACQUIRE))
        publish(shared, entry, incarnation, &number);
    region_entry_close(entry);
    region_close(region);
    _exit(0);
}
