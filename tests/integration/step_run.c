/* SPDX-License-Identifier: Apache-2.0 */
/* One scenario, from the first instruction of the writer's operation to the last. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "step.h"

/* Names and files change by system calls alone, so they are looked at behind each, and behind
   every so manieth instruction in any case: to see that this is so. */
enum { SPOT_CHECK = 256 };

struct step_point step_points[STEP_STATES];

struct run {
    const struct step_scenario *scenario;
    char root[STEP_PATH_SIZE / 2], copy[STEP_PATH_SIZE / 2];
    struct step_child writer;
    struct step_state state;
    struct step_readers *readers;
    struct step_slow slow[STEP_SLOW];
    struct step_view view; /* what an attaching reader sees */
    struct step_figures figures;
    unsigned last_calls; /* system calls before the instruction that made the present state */
};

static void write_traced(struct step_page *page, void *context)
{
    const struct run *run = context;
    struct step_writer writer = {.scenario = run->scenario, .root = run->root};
    if (run->scenario->setup)
        run->scenario->setup(&writer);
    step_wait_here();
    step_set_phase(page, STEP_RUNNING);
    run->scenario->operate(&writer);
    step_set_phase(page, STEP_OVER);
    step_close(&writer);
}

static void prepare(struct run *run, const char *base, bool is_prepared)
{
    snprintf(run->root, sizeof run->root, "%s/root", base);
    snprintf(run->copy, sizeof run->copy, "%s/copy", base);
    step_where = (struct step_where){.scenario = run->scenario->name, .root = run->root};
    setenv("SHMCONF_DIR", run->root, 1);
    if (!is_prepared)
        step_remove_tree(run->root);
    run->state = (struct step_state){.root = run->root, .current = -1};
    step_child_start(&run->writer, write_traced, run);
    step_state_take(&run->state, false);
}

/* One instruction of the writer; whether what is shared differs now. */
static bool step_writer(struct run *run)
{
    bool is_call;
    step_child_step(&run->writer, &is_call);
    if (step_child_phase(&run->writer) != STEP_RUNNING)
        return false; /* the way into the operation, and out of it */
    step_where.instruction = ++run->figures.steps;
    bool is_spot = !is_call && run->figures.steps % SPOT_CHECK == 0;
    uint64_t names = run->state.names;
    unsigned calls = run->figures.calls;
    run->figures.calls += is_call;
    if (!step_state_changed(&run->state, is_call || is_spot))
        return false;
    if (is_spot && names != run->state.names)
        step_fail("names or files changed without a system call");
    step_where.state = ++run->figures.states;
    if (run->figures.states == STEP_STATES)
        step_fail("more than %u states", (unsigned)STEP_STATES);
    run->last_calls = calls;
    return true;
}

static void recover(struct run *run, const char *root)
{
    if (step_checks == STEP_ALL)
        step_recover(root, run->scenario, run->view);
    run->figures.recoveries++;
}

/* Everything that is asked of one state. */
static void check_state(struct run *run)
{
    if (step_checks == STEP_BYTES)
        return;
    run->view = step_readers_ask(run->readers, &run->state);
    step_slow_advance(run->slow, run->view.generation);
    step_copy_tree(run->root, run->copy);
    recover(run, run->copy);
    step_points[run->figures.states] =
        (struct step_point){.calls = run->last_calls, .generation = run->view.generation};
}

/* After the operation: its result is there, without litter, and a successor goes on from it. */
static void check_end(struct run *run)
{
    const struct step_scenario *scenario = run->scenario;
    struct step_view nothing = {0};
    const struct step_view *last =
        scenario->count ? &scenario->views[scenario->count - 1] : &nothing;
    if (run->view.generation != last->generation || run->view.content != last->content ||
        run->view.status != last->status)
        step_fail("in the end readers see generation %llu, status %u",
                  (unsigned long long)run->view.generation, run->view.status);
    struct step_files files = step_list(run->root);
    uint64_t own = last->generation ? UINT64_C(1) << last->generation : 0;
    if (files.temporary || files.others || (files.versions & ~(own | own >> 1)))
        step_fail("in the end there are %u temporary names, versions %llx", files.temporary,
                  (unsigned long long)files.versions);
    run->figures.slow_reads = step_slow_end(run->slow, run->view.generation);
    recover(run, run->root);
    if (step_checks == STEP_ALL)
        step_readers_arrive(run->readers, step_recovered_view(run->root));
}

struct step_figures step_run(const struct step_scenario *scenario, const char *base,
                             bool is_prepared)
{
    static struct run run;
    run = (struct run){.scenario = scenario};
    prepare(&run, base, is_prepared);
    run.readers = step_readers_start(scenario);
    step_slow_start(run.slow, scenario->has_first ? scenario->views[0].generation : 0);
    if (scenario->damage) {
        scenario->damage(run.root);
        step_state_take(&run.state, true);
    }
    check_state(&run); /* before the first instruction */
    while (step_child_phase(&run.writer) != STEP_OVER)
        if (step_writer(&run))
            check_state(&run);
    step_child_end(&run.writer);
    if (step_checks != STEP_BYTES)
        check_end(&run);
    step_state_end(&run.state);
    run.figures.reads = step_readers_end(run.readers);
    return run.figures;
}

/* To the last system call before that state at full speed, then step by step. */
static void step_to(struct run *run, const struct step_point *points, unsigned state)
{
    while (step_child_phase(&run->writer) == STEP_IDLE)
        step_child_step(&run->writer, NULL);
    step_child_pass_calls(&run->writer, points[state].calls);
    for (unsigned i = 1; i < state; i++)
        run->figures.states += points[i].calls < points[state].calls;
    step_state_take(&run->state, false);
    while (run->figures.states < state && step_child_phase(&run->writer) != STEP_OVER)
        step_writer(run);
}

struct step_view step_kill(const struct step_scenario *scenario, const char *base,
                           const struct step_point *points, unsigned state, bool with_readers)
{
    static struct run run;
    int error;
    run = (struct run){.scenario = scenario};
    prepare(&run, base, false);
    if (with_readers)
        run.readers = step_readers_start(scenario);
    step_to(&run, points, state);
    step_child_kill(&run.writer);
    if (with_readers) {
        run.view = step_readers_ask(run.readers, &run.state);
        step_recover(run.root, scenario, run.view);
        step_readers_arrive(run.readers, step_recovered_view(run.root));
        step_readers_end(run.readers);
    } else {
        struct shmconf_reader reader;
        struct shmconf_health health;
        run.view = step_read_anew(0, &error);
        if (run.view.generation && shmconf_open(&reader, STEP_NAME, 0) == 0 &&
            shmconf_status(&reader, &health) == 0) {
            run.view = step_verify_health(&health);
            shmconf_close(&reader);
        }
    }
    if (run.view.generation != points[state].generation)
        step_fail("a second run came to another state");
    step_state_end(&run.state);
    return run.view;
}
