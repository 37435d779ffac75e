/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The single-stepping proof. The writer runs in a traced child, one instruction at a time; between
 * two instructions this process compares what is shared with what it was, and when it differs asks
 * readers, checks what must hold for the bytes, and lets a successor recover a copy of the tree.
 *
 *     step.c            the scenarios of a run, and its figures
 *     step_scenario.c   what the writer does in each
 *     step_run.c        one scenario from its first to its last instruction
 *     step_trace.c      ptrace
 *     step_state.c      what is shared: names, files, mapped heads; what must hold for the bytes
 *     step_readers.c    readers, asked between two instructions
 *     step_slow.c       readers that are stepped themselves, some instructions for a change
 *     step_recover.c    a successor, in a copy of the tree
 *     step_content.c    versions and statuses that tell when they are not whole
 */
#ifndef TESTS_STEP_H
#define TESTS_STEP_H

#include <shmconf.h>
#include <stdbool.h>
#include <sys/types.h>

#include "region/region.h"

#define STEP_NAME "Step:Test:Profile"
#define STEP_PATH "Step/Test/Profile"

enum { STEP_VIEWS = 8, STEP_HEADS = 8, STEP_STATES = 400, STEP_PATH_SIZE = 512 };

/* Prints the reason with where it happened, and ends the process. */
void step_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* For step_fail: the scenario and the instruction. */
struct step_where {
    const char *scenario;
    uint64_t instruction;
    unsigned state;
    const char *root;
};
extern struct step_where step_where;

/* What is checked: all, unless somebody wants to know what one kind finds by itself. */
enum step_checks { STEP_ALL, STEP_BYTES, STEP_READERS };
extern enum step_checks step_checks;

/* ---- step_content.c: everything in a version and in a status follows from one number each ------
 */

/* What readers can see: which generation, with which content and status. Generation 0: nothing. */
struct step_view {
    uint64_t generation;
    unsigned content, status;
};

/* What the writer is given; the text stays until the next call. */
struct region_content step_content(unsigned content);
struct shmconf_record step_status(unsigned status, unsigned content);

/* Compares every byte, the content type, the label and the kind; returns the content's number. */
unsigned step_verify(const struct shmconf_version *version);

/* Check that all members are of one record. */
struct step_view step_verify_record(const struct shmconf_record *record);
struct step_view step_verify_health(const struct shmconf_health *health);

/* ---- step_trace.c ------------------------------------------------------------------------------
 */

enum step_phase { STEP_IDLE, STEP_RUNNING, STEP_OVER };

/* Shared by a traced child with us. */
struct step_page {
    uint32_t phase; /* enum step_phase: the child is stepped while it is RUNNING */
    int32_t error;  /* of a slow reader's last read */
    uint64_t generation;
};

struct step_child {
    pid_t pid;
    struct step_page *page;
};

/* Starts `body` in a child, and returns when that waits in step_wait_here for the first time. */
void step_child_start(struct step_child *child, void (*body)(struct step_page *, void *),
                      void *context);
/* In the child: waits for us. */
void step_wait_here(void);
/* Full speed, over this many system calls. */
void step_child_pass_calls(struct step_child *child, unsigned calls);
/* One instruction; a system call is one. `is_call`: it was one. */
void step_child_step(struct step_child *child, bool *is_call);
/* On to the next step_wait_here, or to the end, which has to be a good one. */
void step_child_continue(struct step_child *child);
void step_child_end(struct step_child *child);
void step_child_kill(struct step_child *child);

static inline enum step_phase step_child_phase(const struct step_child *child)
{
    return (enum step_phase)__atomic_load_n(&child->page->phase, __ATOMIC_ACQUIRE);
}

static inline void step_set_phase(struct step_page *page, enum step_phase phase)
{
    __atomic_store_n(&page->phase, (uint32_t)phase, __ATOMIC_RELEASE);
}

/* ---- step_scenario.c ---------------------------------------------------------------------------
 */

/* The writer's own process. */
struct step_writer {
    const struct step_scenario *scenario;
    const char *root;
    struct region *region;
    struct region_entry *entry;
};

struct step_scenario {
    const char *name;
    void (*setup)(struct step_writer *);   /* before readers attach; NULL: nothing */
    void (*damage)(const char *root);      /* what somebody else did behind them; NULL: nothing */
    void (*operate)(struct step_writer *); /* what is stepped */
    struct step_view views[STEP_VIEWS];    /* what may be seen, in this order */
    unsigned count;                        /* of the views */
    bool has_first; /* the first view is there in the beginning, for everybody */
    bool has_no_tmpfile;
    int not_yet; /* what an attaching reader is told until there is a version */
    unsigned least_states, least_steps; /* that make sense; a run with fewer has not stepped it */
};

extern const struct step_scenario step_scenarios[];
extern const unsigned step_scenario_count;

/* A region as a daemon opens it at its start, with its one entry. */
void step_open(struct step_writer *writer);
void step_publish(struct step_writer *writer, unsigned content);
void step_close(struct step_writer *writer);

/* Take-over of what a killed writer left, where an attaching reader saw `view`. */
struct step_scenario step_take_over(const struct step_scenario *crashed, struct step_view view);

/* ---- step_state.c ------------------------------------------------------------------------------
 */

/* The files of the configuration's directory. */
struct step_files {
    bool has_head;
    unsigned temporary, others;
    uint64_t versions; /* bit g: v<g> */
};

/* A head that is, or was, at the path. */
struct step_head {
    ino_t inode;
    const struct shmconf_head *map;
    struct shmconf_head before; /* its bytes when it was last looked at */
};

struct step_state {
    const char *root;
    uint64_t names; /* a digest of all names, inodes, modes, sizes and contents but the heads' */
    struct step_head heads[STEP_HEADS];
    unsigned head_count;
    int current; /* the head at the path; -1: none */
    bool is_damaged;
    struct step_files files;
};

/* Begins anew, or goes on after a damage, with what is there. */
void step_state_take(struct step_state *state, bool is_damaged);
/* Whether something changed since the last look; what must hold for every change is checked. */
bool step_state_changed(struct step_state *state, bool with_names);
void step_state_end(struct step_state *state);
/* The generation that the head at the path names, if that is a valid head; 0 if not. */
uint64_t step_state_generation(const struct step_state *state);
struct step_files step_list(const char *root);

void step_copy_tree(const char *from, const char *to);
void step_remove_tree(const char *path);

/* ---- step_readers.c ----------------------------------------------------------------------------
 */

struct step_readers;

/* Attaches those that are there before the operation. */
struct step_readers *step_readers_start(const struct step_scenario *scenario);
/* Asks all whose turn it is in this state, and new ones. Returns what an attaching one sees. */
struct step_view step_readers_ask(struct step_readers *readers, const struct step_state *state);
/* All see `view` now. */
void step_readers_arrive(struct step_readers *readers, struct step_view view);
/* Closes all and returns how many reads were verified. */
uint64_t step_readers_end(struct step_readers *readers);

/* One read of an attaching reader, which is closed again. */
struct step_view step_read_anew(unsigned flags, int *error);

/* ---- step_slow.c -------------------------------------------------------------------------------
 */

enum { STEP_SLOW = 22 };

struct step_slow {
    struct step_child child;
    unsigned number;
    uint64_t begun; /* what an attaching reader saw when the present read began */
    uint64_t seen;  /* generation of the last version that it got */
    uint64_t reads;
};

void step_slow_start(struct step_slow slow[STEP_SLOW], uint64_t generation);
/* Some instructions for each. `generation`: what an attaching reader sees now. */
void step_slow_advance(struct step_slow slow[STEP_SLOW], uint64_t generation);
/* Their present reads are brought to the end. Returns the number of all reads. */
uint64_t step_slow_end(struct step_slow slow[STEP_SLOW], uint64_t generation);

/* ---- step_recover.c ----------------------------------------------------------------------------
 */

/*
 * A successor recovers the tree at `root` and publishes once, in a process of its own. `view` is
 * what a reader saw there before.
 */
void step_recover(const char *root, const struct step_scenario *scenario, struct step_view view);
/* What is seen afterwards. */
struct step_view step_recovered_view(const char *root);

/* ---- step_run.c --------------------------------------------------------------------------------
 */

struct step_figures {
    uint64_t steps, reads, slow_reads;
    unsigned calls; /* of the steps */
    unsigned states, recoveries;
};

/* How the writer came to a state, so that another one can be brought there faster. */
struct step_point {
    unsigned calls;      /* system calls before the instruction that made it */
    uint64_t generation; /* that an attaching reader sees in it */
};

/* Of the last step_run; state 0 is the one before the first instruction. */
extern struct step_point step_points[STEP_STATES];

/* `is_prepared`: begins with the tree that is there. */
struct step_figures step_run(const struct step_scenario *scenario, const char *base,
                             bool is_prepared);
/*
 * Kills the writer, for real, in its state number `state`, of which `points` tells; returns what an
 * attaching reader sees then. `with_readers`: readers that were attached before go on under a
 * successor.
 */
struct step_view step_kill(const struct step_scenario *scenario, const char *base,
                           const struct step_point *points, unsigned state, bool with_readers);

#endif
