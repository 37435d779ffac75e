/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slow readers: the header's own code in traced children, stepped a fixed number of instructions
 * for each change of the shared state. So one copy of a record, or one way from a record to the
 * file that it names, spans many of the writer's steps. Between changes they need not move: what
 * they load is the same.
 */
#include <errno.h>
#include <stdio.h>

#include "step.h"

enum { COPIERS = 4, ATTACHING = 19 };

/* Instructions for each change: copying a record takes some 50, opening a version some thousands,
   attaching some ten thousands. */
static const unsigned pace[STEP_SLOW] = {1,  2,  3,  5,  4,  5,   6,   8,   10,  13,  16,
                                         20, 25, 32, 40, 60, 100, 200, 400, 200, 700, 1500};

/* Only copy the record: the seqlock's read by itself. */
static bool is_copier(const struct step_slow *slow)
{
    return slow->number < COPIERS;
}

/* Attach anew for each read; the others were there before the operation. */
static bool is_attaching(const struct step_slow *slow)
{
    return slow->number >= ATTACHING;
}

static void open_slow(struct shmconf_reader *reader, const struct step_slow *slow)
{
    if (shmconf_open(reader, STEP_NAME, slow->number % 2 ? SHMCONF_PRIVATE : 0) != 0)
        step_fail("slow reader %u: open", slow->number);
}

/* The present version, at full speed. */
static void enter_fast(struct step_page *page, struct shmconf_reader *reader)
{
    reader->looked_ns = 0; /* as if 100 ms had passed */
    const struct shmconf_version *version = shmconf_enter(reader);
    page->generation = version ? version->generation : 0;
    shmconf_leave(reader);
}

static void copy_slowly(struct step_page *page, const struct shmconf_reader *reader)
{
    struct shmconf_record record = {0};
    uint32_t seq;
    int error = -ENOENT;
    step_set_phase(page, STEP_RUNNING);
    if (reader->head)
        error = shmconf_head_copy(reader->head, &record, &seq);
    step_set_phase(page, STEP_OVER);
    page->generation = error ? 0 : step_verify_record(&record).generation;
    page->error = error;
}

static void enter_slowly(struct step_page *page, struct shmconf_reader *reader)
{
    reader->looked_ns = 0;
    step_set_phase(page, STEP_RUNNING);
    const struct shmconf_version *version = shmconf_enter(reader);
    step_set_phase(page, STEP_OVER);
    page->generation = version ? version->generation : 0;
    page->error = shmconf_error(reader);
    if (version)
        step_verify(version);
    shmconf_leave(reader);
}

/* The child: one read after the other, of which only the read itself is stepped. */
static void read_slowly(struct step_page *page, void *context)
{
    struct step_slow *slow = context;
    struct shmconf_reader reader;
    open_slow(&reader, slow);
    if (!is_attaching(slow))
        enter_fast(page, &reader);
    for (;;) {
        if (is_attaching(slow)) {
            shmconf_close(&reader);
            open_slow(&reader, slow);
        }
        step_set_phase(page, STEP_IDLE);
        step_wait_here();
        if (is_copier(slow))
            copy_slowly(page, &reader);
        else
            enter_slowly(page, &reader);
        if (is_copier(slow)) {
            uint64_t copied = page->generation;
            enter_fast(page, &reader); /* follows to another head */
            page->generation = copied;
        }
    }
}

/*
 * What was read lies between what was there when the read began and what is there now. An attached
 * reader may have more than an attaching one: its last good version.
 */
static void end_read(struct step_slow *slow, uint64_t generation)
{
    step_child_continue(&slow->child);
    uint64_t got = slow->child.page->generation;
    int error = slow->child.page->error;
    if (got < slow->begun || got < slow->seen)
        step_fail("slow reader %u got generation %llu, had %llu, and %llu was there: %s",
                  slow->number, (unsigned long long)got, (unsigned long long)slow->seen,
                  (unsigned long long)slow->begun, shmconf_strerror(error));
    if (got > generation && got > slow->seen)
        step_fail("slow reader %u got generation %llu before it was there", slow->number,
                  (unsigned long long)got);
    if (error && slow->begun)
        step_fail("slow reader %u was told: %s", slow->number, shmconf_strerror(error));
    slow->seen = is_attaching(slow) ? 0 : got;
    slow->begun = generation;
    slow->reads++;
}

void step_slow_start(struct step_slow slow[STEP_SLOW], uint64_t generation)
{
    for (unsigned i = 0; i < STEP_SLOW; i++) {
        slow[i] = (struct step_slow){.number = i, .begun = generation};
        step_child_start(&slow[i].child, read_slowly, &slow[i]);
        slow[i].seen = slow[i].child.page->generation;
    }
}

void step_slow_advance(struct step_slow slow[STEP_SLOW], uint64_t generation)
{
    for (unsigned i = 0; i < STEP_SLOW; i++)
        for (unsigned step = 0; step < pace[i]; step++) {
            if (step_child_phase(&slow[i].child) == STEP_OVER)
                end_read(&slow[i], generation);
            step_child_step(&slow[i].child, NULL);
        }
}

uint64_t step_slow_end(struct step_slow slow[STEP_SLOW], uint64_t generation)
{
    uint64_t reads = 0;
    for (unsigned i = 0; i < STEP_SLOW; i++) {
        end_read(&slow[i], generation); /* the one under way */
        end_read(&slow[i], generation); /* and one that began now */
        if (slow[i].child.page->generation != generation)
            step_fail("slow reader %u is stranded at generation %llu, not %llu", i,
                      (unsigned long long)slow[i].child.page->generation,
                      (unsigned long long)generation);
        reads += slow[i].reads;
        step_child_kill(&slow[i].child);
    }
    return reads;
}
