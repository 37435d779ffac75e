/* SPDX-License-Identifier: Apache-2.0 */
/* The readers of the crash test: every byte of every version, and never a step back. */
#include <sched.h>
#include <shmconf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crash.h"

enum { HELD = 4 };

struct watch {
    struct crash_shared *shared;
    struct crash_reader *counters;
    int role;
    uint64_t instance; /* of the first version; a kill does not change it */
    uint64_t generation;
    char label[64]; /* of that generation */
    const struct shmconf_version *held[HELD];
};

static const char *const roles[] = {"long-lived reader", "attaching reader", "private reader"};

/* The version says who wrote it, twice; its bytes follow from that. */
static void verify(const struct watch *watch, const struct shmconf_version *version)
{
    static char expected[CRASH_MAX_SIZE];
    char label[64];
    size_t size = crash_content(version->fetched_ns, version->generation, expected);
    crash_label(version->fetched_ns, version->generation, label);
    if (version->label.size != strlen(label) || strcmp(version->label.data, label) != 0)
        crash_fail("%s: generation %llu has the label %s, not %s", roles[watch->role],
                   (unsigned long long)version->generation, version->label.data, label);
    if (version->text.size != size || memcmp(version->text.data, expected, size) != 0 ||
        version->text.data[size] != '\0')
        crash_fail("%s: generation %llu of %zu bytes is not what was published", roles[watch->role],
                   (unsigned long long)version->generation, version->text.size);
}

/* `published` was read before the version was asked for. */
static void compare(struct watch *watch, const struct shmconf_version *version, uint64_t published)
{
    if (watch->instance && version->instance != watch->instance)
        crash_fail("%s: the instance changed", roles[watch->role]);
    if (version->generation < watch->generation || version->generation < published)
        crash_fail("%s: generation %llu came behind %llu, and %llu was published",
                   roles[watch->role], (unsigned long long)version->generation,
                   (unsigned long long)watch->generation, (unsigned long long)published);
    if (version->generation == watch->generation && strcmp(version->label.data, watch->label) != 0)
        crash_fail("%s: generation %llu was %s and is now %s", roles[watch->role],
                   (unsigned long long)version->generation, watch->label, version->label.data);
    if (version->generation != watch->generation)
        watch->counters->switches++;
    watch->instance = version->instance;
    watch->generation = version->generation;
    snprintf(watch->label, sizeof watch->label, "%s", version->label.data);
}

/* Keeps some old versions, and looks at them once more when it lets them go. */
static void hold(struct watch *watch, const struct shmconf_version *version)
{
    unsigned slot = (unsigned)(watch->counters->reads % HELD);
    if (watch->held[slot]) {
        verify(watch, watch->held[slot]);
        shmconf_drop(watch->held[slot]);
    }
    watch->held[slot] = version ? shmconf_hold(version) : NULL;
}

static void check_status(const struct watch *watch, struct shmconf_reader *reader)
{
    struct shmconf_health health;
    int rc = shmconf_status(reader, &health);
    if (rc == -EAGAIN)
        return;
    if (rc)
        crash_fail("%s: status: %s", roles[watch->role], shmconf_strerror(rc));
    uint64_t number = health.checked_ns;
    static char expected[CRASH_MAX_SIZE];
    if (health.tried_ns != number * 3 || health.next_ns != ~number ||
        health.failures != (uint32_t)number || health.error != (uint32_t)number + 1 ||
        health.http_status != (uint32_t)number + 2 || health.interval_s != (uint32_t)number + 3)
        crash_fail("%s: a status is made of two", roles[watch->role]);
    if (health.size != crash_content(health.fetched_ns, health.generation, expected))
        crash_fail("%s: a status has the size of another version", roles[watch->role]);
}

static void read_once(struct watch *watch, struct shmconf_reader *reader)
{
    uint64_t published = crash_load(&watch->shared->published);
    const struct shmconf_version *version = shmconf_enter(reader);
    int error = shmconf_error(reader);
    if (watch->role != 1 && !watch->generation)
        published = 0; /* looks at the path are 100 ms apart, so the first version may be late */
    if (error == -EAGAIN) {
        watch->counters->overtaken++;
        published = 0;
    } else if (error && (error != -ENOENT || version || published)) {
        crash_fail("%s: at generation %llu: %s", roles[watch->role],
                   (unsigned long long)watch->generation, shmconf_strerror(error));
    }
    if (version) {
        compare(watch, version, published);
        verify(watch, version);
        hold(watch, version);
        crash_store(&watch->counters->generation, version->generation);
        crash_store(&watch->counters->reads, watch->counters->reads + 1);
    } else if (published || (watch->generation && watch->role != 1)) {
        crash_fail("%s: no version behind generation %llu", roles[watch->role],
                   (unsigned long long)published);
    }
    shmconf_leave(reader);
}

static void open_or_fail(struct shmconf_reader *reader, unsigned flags)
{
    int rc = shmconf_open(reader, CRASH_NAME, flags);
    if (rc)
        crash_fail("open: %s", shmconf_strerror(rc));
}

void crash_read(struct crash_shared *shared, int role)
{
    struct watch watch = {.shared = shared, .counters = &shared->readers[role], .role = role};
    struct shmconf_reader reader;
    open_or_fail(&reader, role == 2 ? SHMCONF_PRIVATE : 0);
    for (uint64_t turn = 0; !__atomic_load_n(&shared->is_over, __ATOMIC_ACQUIRE); turn++) {
        if (role == 1) {
            shmconf_close(&reader);
            open_or_fail(&reader, turn % 2 ? SHMCONF_PRIVATE : 0);
        }
        uint64_t switches = watch.counters->switches;
        read_once(&watch, &reader);
        if (switches == watch.counters->switches)
            sched_yield(); /* nothing new: let the writer run */
        if (turn % 8 == 0 && watch.generation)
            check_status(&watch, &reader);
    }
    for (int i = 0; i < HELD; i++) {
        hold(&watch, NULL);
        watch.counters->reads++;
    }
    watch.counters->reads -= HELD;
    if (shmconf_close(&reader) != 0)
        crash_fail("%s: cannot close", roles[role]);
    _exit(0);
}
