/* SPDX-License-Identifier: Apache-2.0 */
/* Two versions are published; readers that had the first one meet what became of the second. */
#ifndef TESTS_READER_SECOND_H
#define TESTS_READER_SECOND_H

#include "reader_fixture.h"

#define SECOND "A/B/C/v00000002"

struct second {
    struct region_entry *entry;
    struct shmconf_reader old;
    struct shmconf_reader newcomer;
};

static inline void second_start(struct second *second, struct fixture *f, unsigned flags)
{
    second->entry = fixture_entry(f, "A:B:C");
    fixture_publish(second->entry, "one", "type", "label");
    reader_open(&second->old, flags);
    reader_expect(&second->old, "one", 0);
    fixture_publish(second->entry, "two", "type", "label");
    reader_open(&second->newcomer, flags);
}

static inline void second_meets(struct second *second, int error)
{
    for (int turn = 0; turn < 2; turn++) {
        reader_expect(&second->old, "one", error);
        reader_expect(&second->newcomer, NULL, error);
    }
    CHECK_INT(0, reader_status(&second->old)); /* the head is fine */
}

/* Whoever has a version tries again when the daemon stores, the others by themselves. */
static inline void second_recovers_and_ends(struct second *second)
{
    struct shmconf_record status = *region_entry_record(second->entry);
    CHECK_INT(0, region_entry_status(second->entry, &status, NULL));
    reader_expect(&second->old, "two", 0);
    reader_may_look(&second->newcomer);
    reader_expect(&second->newcomer, "two", 0);
    reader_close(&second->old);
    reader_close(&second->newcomer);
    region_entry_close(second->entry);
}

#endif
