/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers in this process, which owns no writer: each sees a whole version, old or new, or is told
 * that there is none yet. What they do follows from what is shared, from what they have mapped, and
 * from whether 100 ms have passed since they looked at the path; of each state both is asked. So a
 * state that did not change needs no second look: an attaching reader would do the same again, and
 * one that is attached compares the sequence and stays.
 */
#include <stdio.h>
#include <stdlib.h>

#include "step.h"

enum { FIRST = 4, MOST = 1000 };

static const struct step_view nothing;

struct watcher {
    struct shmconf_reader reader;
    const struct shmconf_version *held; /* from before the operation */
    uint64_t generation;                /* of the last version */
    unsigned born;                      /* in this state */
    bool is_impatient; /* has looked at the path just now, and will not do so again for 100 ms */
};

/*
 * Watchers 0 to 3 were attached before the operation and are asked in every state. Each state
 * leaves one more behind, which is asked 1, 2, 4, 8 ... states after it attached, so that it sees
 * several changes at once.
 */
struct step_readers {
    const struct step_scenario *scenario;
    struct watcher *watchers[MOST];
    unsigned count, state;
    struct shmconf_reader asker; /* of the status; attached before */
    int asked;                   /* the last view in its answers; -1: none */
    uint64_t attaching;          /* the last generation that an attaching reader saw */
    int attaching_view;
    uint64_t reads;
};

static void open_reader(struct shmconf_reader *reader, unsigned flags)
{
    int rc = shmconf_open(reader, STEP_NAME, flags);
    if (rc)
        step_fail("open: %s", shmconf_strerror(rc));
}

static void check_close(struct shmconf_reader *reader)
{
    if (shmconf_close(reader) != 0)
        step_fail("a reader cannot be closed");
}

/* A version that is whole is one of the scenario's: a view with this generation and content. */
static void check_version(const struct step_scenario *scenario,
                          const struct shmconf_version *version)
{
    unsigned content = step_verify(version);
    for (unsigned i = 0; i < scenario->count; i++)
        if (scenario->views[i].generation == version->generation &&
            scenario->views[i].content == content)
            return;
    step_fail("a reader got content %u as generation %llu", content,
              (unsigned long long)version->generation);
}

/* The place of a status among the views. */
static int find_view(const struct step_scenario *scenario, struct step_view view)
{
    for (unsigned i = 0; i < scenario->count; i++) {
        const struct step_view *known = &scenario->views[i];
        if (known->generation == view.generation && known->content == view.content &&
            known->status == view.status)
            return (int)i;
    }
    step_fail("status %u stands beside generation %llu with content %u", view.status,
              (unsigned long long)view.generation, view.content);
}

/* One enter of a watcher. `expected`: what attaching readers see now. */
static void ask(struct step_readers *readers, struct watcher *watcher, uint64_t expected)
{
    struct shmconf_reader *reader = &watcher->reader;
    reader->looked_ns = watcher->is_impatient ? shmconf_ticks_ns() : 0;
    const struct shmconf_version *version = shmconf_enter(reader);
    int error = shmconf_error(reader);
    uint64_t generation = version ? version->generation : 0;
    if (version)
        check_version(readers->scenario, version);
    if (generation < watcher->generation)
        step_fail("a reader of state %u fell back from generation %llu to %llu", watcher->born,
                  (unsigned long long)watcher->generation, (unsigned long long)generation);
    if (expected && !watcher->is_impatient && (generation != expected || error))
        step_fail("a reader of state %u is stranded at generation %llu, not %llu: %s",
                  watcher->born, (unsigned long long)generation, (unsigned long long)expected,
                  shmconf_strerror(error));
    if (!version && error != readers->scenario->not_yet && error != -ENOENT)
        step_fail("a reader without a version was told: %s", shmconf_strerror(error));
    if (watcher->held)
        check_version(readers->scenario, watcher->held);
    watcher->generation = generation;
    shmconf_leave(reader);
    readers->reads++;
}

static struct watcher *add(struct step_readers *readers, unsigned flags)
{
    struct watcher *watcher = calloc(1, sizeof *watcher);
    if (!watcher || readers->count == MOST)
        step_fail("more than %u readers", (unsigned)MOST);
    open_reader(&watcher->reader, flags);
    watcher->born = readers->state;
    readers->watchers[readers->count++] = watcher;
    return watcher;
}

struct step_readers *step_readers_start(const struct step_scenario *scenario)
{
    struct step_readers *readers = calloc(1, sizeof *readers);
    if (!readers)
        step_fail("out of memory");
    readers->scenario = scenario;
    readers->asked = readers->attaching_view = -1;
    for (unsigned i = 0; i < FIRST; i++) {
        struct watcher *watcher = add(readers, i % 2 ? SHMCONF_PRIVATE : 0);
        ask(readers, watcher, scenario->has_first ? scenario->views[0].generation : 0);
        watcher->is_impatient = i >= 2;
        watcher->held = shmconf_hold(shmconf_enter(&watcher->reader));
        shmconf_leave(&watcher->reader);
    }
    open_reader(&readers->asker, 0);
    struct shmconf_health health;
    if (shmconf_status(&readers->asker, &health) == 0)
        readers->asked = find_view(scenario, step_verify_health(&health));
    return readers;
}

/* A new reader's version and status; it stays behind as a watcher. */
static struct step_view attach(struct step_readers *readers)
{
    const struct step_scenario *scenario = readers->scenario;
    unsigned flags = readers->state % 2 ? SHMCONF_PRIVATE : 0;
    struct watcher *watcher = add(readers, flags);
    struct shmconf_health health;
    ask(readers, watcher, 0);
    int error = shmconf_error(&watcher->reader);
    if (error && error != scenario->not_yet)
        step_fail("an attaching reader was told: %s", shmconf_strerror(error));
    struct step_view other = step_read_anew(flags ^ SHMCONF_PRIVATE, &error);
    readers->reads++;
    if (other.generation != watcher->generation)
        step_fail("one attaching reader got generation %llu, the next one %llu",
                  (unsigned long long)watcher->generation, (unsigned long long)other.generation);
    if (watcher->generation == 0)
        return nothing;
    int rc = shmconf_status(&watcher->reader, &health);
    if (rc)
        step_fail("an attaching reader's status: %s", shmconf_strerror(rc));
    struct step_view view = step_verify_health(&health);
    if (view.generation != watcher->generation)
        step_fail("the status is of generation %llu, the version of %llu",
                  (unsigned long long)view.generation, (unsigned long long)watcher->generation);
    return view;
}

/* The status that a reader gets who was there before. */
static void ask_status(struct step_readers *readers)
{
    struct shmconf_health health;
    int rc = shmconf_status(&readers->asker, &health);
    readers->reads++;
    if (rc && (readers->attaching || rc != readers->scenario->not_yet) && rc != -ESTALE)
        step_fail("the status of an attached reader: %s", shmconf_strerror(rc));
    if (rc)
        return;
    int view = find_view(readers->scenario, step_verify_health(&health));
    if (view < readers->asked || (readers->attaching && view != readers->attaching_view))
        step_fail("the status went from view %d to %d, and attaching readers have %d",
                  readers->asked, view, readers->attaching_view);
    readers->asked = view;
}

static bool is_power_of_2(unsigned number)
{
    return number && (number & (number - 1)) == 0;
}

struct step_view step_readers_ask(struct step_readers *readers, const struct step_state *state)
{
    uint64_t named = step_state_generation(state);
    readers->state++;
    struct step_view view = attach(readers);
    bool is_there = named && (state->files.versions >> named & 1);
    if (is_there != (view.generation != 0) || (is_there && view.generation != named))
        step_fail("the head names generation %llu, and an attaching reader got %llu",
                  (unsigned long long)named, (unsigned long long)view.generation);
    if (view.generation < readers->attaching)
        step_fail("there was a version, and now there is none");
    int found = view.generation ? find_view(readers->scenario, view) : -1;
    if (found < readers->attaching_view)
        step_fail("view %d came behind view %d", found, readers->attaching_view);
    readers->attaching = view.generation;
    readers->attaching_view = found;
    for (unsigned i = 0; i < readers->count - 1; i++)
        if (i < FIRST || is_power_of_2(readers->state - readers->watchers[i]->born))
            ask(readers, readers->watchers[i], view.generation);
    ask_status(readers);
    return view;
}

/* After a successor's publication; what the scenario expected no longer matters. */
void step_readers_arrive(struct step_readers *readers, struct step_view view)
{
    struct step_scenario after = {.name = readers->scenario->name, .views = {view}, .count = 1};
    for (unsigned i = 0; i < readers->count; i++) {
        struct watcher *watcher = readers->watchers[i];
        watcher->is_impatient = false;
        shmconf_drop(watcher->held);
        watcher->held = NULL;
    }
    readers->scenario = &after;
    for (unsigned i = 0; i < readers->count; i++)
        ask(readers, readers->watchers[i], view.generation);
    readers->asked = -1;
    readers->attaching = view.generation;
    readers->attaching_view = 0;
    ask_status(readers);
    readers->scenario = NULL;
}

uint64_t step_readers_end(struct step_readers *readers)
{
    uint64_t reads = readers->reads;
    for (unsigned i = 0; i < readers->count; i++) {
        shmconf_drop(readers->watchers[i]->held);
        check_close(&readers->watchers[i]->reader);
        free(readers->watchers[i]);
    }
    check_close(&readers->asker);
    free(readers);
    return reads;
}

struct step_view step_read_anew(unsigned flags, int *error)
{
    struct shmconf_reader reader;
    struct step_view view = nothing;
    open_reader(&reader, flags);
    const struct shmconf_version *version = shmconf_enter(&reader);
    *error = shmconf_error(&reader);
    if (version) {
        view.generation = version->generation;
        view.content = step_verify(version);
    }
    shmconf_leave(&reader);
    check_close(&reader);
    return view;
}
