/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's writer, stepped through each thing that it does to shared memory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "step.h"

/* A take-over is stepped from so many of the states that a killed writer leaves. */
enum { TAKE_OVERS = 4, MOST_STEPS = 5000000 };

struct options {
    bool is_every, is_operation;
    char base[STEP_PATH_SIZE / 4];
};

static struct step_figures total;

static void print_figures(const char *kind, const char *name, const struct step_figures *figures,
                          uint64_t began_ns)
{
    printf("step: %-9s %-25s %8llu instructions %4u states %4u recoveries %6llu reads %5llu slow "
           "reads %5.1f s\n",
           kind, name, (unsigned long long)figures->steps, figures->states, figures->recoveries,
           (unsigned long long)figures->reads, (unsigned long long)figures->slow_reads,
           (double)(clock_monotonic_ns() - began_ns) / 1e9);
    fflush(stdout);
}

static void add(struct step_figures *sum, const struct step_figures *figures)
{
    sum->steps += figures->steps;
    sum->states += figures->states;
    sum->recoveries += figures->recoveries;
    sum->reads += figures->reads;
    sum->slow_reads += figures->slow_reads;
}

/* Fewer than half of what was there when the bounds were written: then something is not stepped. */
static void check_figures(const struct step_scenario *scenario, const struct step_figures *figures)
{
    if (step_checks == STEP_BYTES)
        return;
    if (figures->steps < scenario->least_steps || figures->steps > MOST_STEPS ||
        figures->states < scenario->least_states || figures->recoveries < figures->states ||
        figures->reads < figures->states || figures->slow_reads < STEP_SLOW)
        step_fail("%llu instructions and %u states make no sense",
                  (unsigned long long)figures->steps, figures->states);
}

static struct step_figures run_operation(const struct step_scenario *scenario, const char *base)
{
    uint64_t began_ns = clock_monotonic_ns();
    struct step_figures figures = step_run(scenario, base, false);
    print_figures("operation", scenario->name, &figures, began_ns);
    check_figures(scenario, &figures);
    add(&total, &figures);
    return figures;
}

/* Killed for real in each state; readers that were attached go on under the successor. */
static void run_kills(const struct step_scenario *scenario, const char *base,
                      const struct step_point *points, unsigned states)
{
    uint64_t began_ns = clock_monotonic_ns();
    struct step_figures figures = {0};
    for (unsigned state = 1; state <= states; state++, figures.recoveries++)
        step_kill(scenario, base, points, state, true);
    print_figures("killed", scenario->name, &figures, began_ns);
    add(&total, &figures);
}

/* A successor is stepped itself, through the take-over of what a killed writer left. */
static void run_take_overs(const struct step_scenario *scenario, const char *base,
                           const struct step_point *points, unsigned states, bool is_every)
{
    unsigned count = is_every || states < TAKE_OVERS ? states : TAKE_OVERS;
    uint64_t began_ns = clock_monotonic_ns();
    struct step_figures sum = {0};
    for (unsigned i = 0; i < count; i++) {
        /* The first one, the last one, and others in between. */
        unsigned state = count > 1 ? 1 + i * (states - 1) / (count - 1) : 1;
        struct step_view view = step_kill(scenario, base, points, state, false);
        struct step_scenario successor = step_take_over(scenario, view);
        struct step_figures figures = step_run(&successor, base, true);
        check_figures(&successor, &figures);
        add(&sum, &figures);
    }
    print_figures("take-over", scenario->name, &sum, began_ns);
    add(&total, &sum);
}

static void run_scenario(const struct step_scenario *scenario, const struct options *options)
{
    struct step_figures figures = run_operation(scenario, options->base);
    /* A writer that dies after somebody damaged the region leaves a head that nobody can mark, and
       its readers look for another one only when they wait or ask for the status. */
    if (scenario->damage || options->is_operation)
        return;
    struct step_point points[STEP_STATES];
    memcpy(points, step_points, sizeof points);
    run_kills(scenario, options->base, points, figures.states);
    run_take_overs(scenario, options->base, points, figures.states, options->is_every);
}

static void usage(void)
{
    fputs("Usage: step [--every | --operation | --bytes | --readers] [SCENARIO]...\n"
          "Steps the region's writer through the scenarios (all of them), and checks readers and\n"
          "recovery in every state. Then it kills the writer in every state, and steps the\n"
          "take-over of four of them; of every one with --every, none of this with --operation.\n"
          "--bytes, --readers: the operation with only this check.\n"
          "Scenarios:\n",
          stderr);
    for (unsigned i = 0; i < step_scenario_count; i++)
        fprintf(stderr, "    %s\n", step_scenarios[i].name);
    exit(2);
}

static const struct step_scenario *find_scenario(const char *name)
{
    for (unsigned i = 0; i < step_scenario_count; i++)
        if (strcmp(step_scenarios[i].name, name) == 0)
            return &step_scenarios[i];
    usage();
    return NULL;
}

int main(int count, char **arguments)
{
#ifndef __x86_64__
    puts("SKIP single-stepping knows x86-64 only");
    return 77;
#endif
    struct options options = {0};
    uint64_t began_ns = clock_monotonic_ns();
    int first = 1;
    for (; first < count && strncmp(arguments[first], "--", 2) == 0; first++) {
        options.is_every = strcmp(arguments[first], "--every") == 0;
        if (strcmp(arguments[first], "--bytes") == 0)
            step_checks = STEP_BYTES;
        if (strcmp(arguments[first], "--readers") == 0)
            step_checks = STEP_READERS;
        options.is_operation =
            strcmp(arguments[first], "--operation") == 0 || step_checks != STEP_ALL;
        if (!options.is_every && !options.is_operation)
            usage();
    }
    for (int i = first; i < count; i++)
        find_scenario(arguments[i]);
    const char *temporary = getenv("TMPDIR");
    snprintf(options.base, sizeof options.base, "%s/shmconf-step-XXXXXX",
             temporary ? temporary : "/tmp");
    if (!mkdtemp(options.base))
        step_fail("%s: %s", options.base, strerror(errno));
    for (int i = first; i < count; i++)
        run_scenario(find_scenario(arguments[i]), &options);
    for (unsigned i = 0; first == count && i < step_scenario_count; i++)
        run_scenario(&step_scenarios[i], &options);
    step_remove_tree(options.base);
    print_figures("all", "", &total, began_ns);
    return 0;
}
