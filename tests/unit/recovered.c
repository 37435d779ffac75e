/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the configurations that a predecessor left are followed on. */
#include <stdbool.h>

#include "base/clock.h"
#include "check.h"
#include "source/recovered.h"

static const uint64_t day = UINT64_C(86400) * NS_PER_S;
static const uint64_t now = 100 * UINT64_C(86400) * NS_PER_S;

/* Of two: one that was checked just now, and this one. */
static bool is_followed(struct shmconf_record record, uint64_t since_ns)
{
    struct recovered recovered = {0};
    struct shmconf_record fresh = {.checked_ns = now, .interval_s = 45};
    struct shmconf_name one, other;
    CHECK_INT(0, shmconf_name_parse(&one, "A:B:C"));
    CHECK_INT(0, shmconf_name_parse(&other, "A:B:D"));
    record.interval_s = 45;
    recovered_add(&recovered, &one, &record);
    recovered_add(&recovered, &other, &fresh);
    recovered_select(&recovered, since_ns, now);
    CHECK(recovered_find(&recovered, &other) != NULL);
    bool result = recovered_find(&recovered, &one) != NULL;
    recovered_free(&recovered);
    return result;
}

int main(void)
{
    CHECK(is_followed((struct shmconf_record){.checked_ns = now - day}, 1));
    CHECK(!is_followed((struct shmconf_record){.checked_ns = now - 2 * day}, 1));
    CHECK(!is_followed((struct shmconf_record){.checked_ns = now - day}, now - day / 2));
    /* Put there by a start after a boot and not checked since: its version is as old as it is. */
    CHECK(is_followed((struct shmconf_record){.fetched_ns = now - 50 * day}, 1));
    CHECK(is_followed((struct shmconf_record){.fetched_ns = now - 50 * day, .failures = 1439}, 1));
    CHECK(!is_followed((struct shmconf_record){.fetched_ns = now - 50 * day, .failures = 1440}, 1));
    /* The service was gone for all. */
    CHECK(is_followed((struct shmconf_record){.fetched_ns = now - 50 * day,
                                              .tried_ns = now + day + 1,
                                              .failures = 1440},
                      1));
    CHECK(!is_followed((struct shmconf_record){.fetched_ns = now - 50 * day}, now - 10 * day));
    return 0;
}
