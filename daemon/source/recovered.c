/* SPDX-License-Identifier: Apache-2.0 */
#include "source/recovered.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static const uint64_t age_max = UINT64_C(86400) * NS_PER_S;

/* With the longest pause between them. */
static const uint32_t failures_of_a_day = 1440;

void recovered_add(void *context, const struct shmconf_name *name,
                   const struct shmconf_record *record)
{
    struct recovered *recovered = context;
    if (recovered->count == recovered->capacity) {
        size_t capacity = recovered->capacity ? 2 * recovered->capacity : 64;
        struct recovered_one **list =
            reallocarray(recovered->list, capacity, sizeof(struct recovered_one *));
        if (!list)
            return;
        recovered->list = list;
        recovered->capacity = capacity;
    }
    size_t size = offsetof(struct shmconf_name, text) + name->size;
    struct recovered_one *one = malloc(offsetof(struct recovered_one, name) + size);
    if (!one)
        return;
    one->record = *record;
    memcpy(&one->name, name, size);
    recovered->list[recovered->count++] = one;
}

static int compare(const void *a, const void *b)
{
    const struct recovered_one *const *x = a;
    const struct recovered_one *const *y = b;
    uint64_t first = (*x)->record.checked_ns;
    uint64_t second = (*y)->record.checked_ns;
    return first == second ? 0 : first > second ? -1 : 1;
}

/* The last good check of all. One in the future was stamped by a clock that was wrong. */
static uint64_t last_check(const struct recovered *recovered, uint64_t now_ns)
{
    uint64_t last = 0;
    for (size_t i = 0; i < recovered->count; i++) {
        uint64_t checked = recovered->list[i]->record.checked_ns;
        if (checked > last && checked <= now_ns)
            last = checked;
    }
    return last;
}

/* What a start after a boot has put there was not checked since, and its version is what tells. */
static uint64_t known_since(const struct shmconf_record *record)
{
    return record->checked_ns ? record->checked_ns : record->fetched_ns;
}

static bool was_followed(const struct shmconf_record *record, uint64_t last_ns)
{
    if (!record->checked_ns)
        return record->failures < failures_of_a_day || record->tried_ns > last_ns + age_max;
    uint64_t age = last_ns > record->checked_ns ? last_ns - record->checked_ns : 0;
    return age <= age_max + 2 * NS_PER_S * record->interval_s;
}

void recovered_select(struct recovered *recovered, uint64_t since_ns, uint64_t now_ns)
{
    uint64_t last = last_check(recovered, now_ns);
    size_t kept = 0;
    for (size_t i = 0; i < recovered->count; i++) {
        struct recovered_one *one = recovered->list[i];
        if (known_since(&one->record) >= since_ns && was_followed(&one->record, last))
            recovered->list[kept++] = one;
        else
            free(one);
    }
    recovered->count = kept;
    if (kept)
        qsort(recovered->list, kept, sizeof(struct recovered_one *), compare);
}

const struct recovered_one *recovered_find(const struct recovered *recovered,
                                           const struct shmconf_name *name)
{
    for (size_t i = 0; i < recovered->count; i++) {
        const struct recovered_one *one = recovered->list[i];
        if (one->name.size == name->size && memcmp(one->name.text, name->text, name->size) == 0)
            return one;
    }
    return NULL;
}

struct shmconf_name recovered_name(const struct recovered_one *one)
{
    struct shmconf_name name = {0};
    memcpy(&name, &one->name, offsetof(struct shmconf_name, text) + one->name.size);
    return name;
}

void recovered_free(struct recovered *recovered)
{
    for (size_t i = 0; i < recovered->count; i++)
        free(recovered->list[i]);
    free(recovered->list);
    *recovered = (struct recovered){0};
}
