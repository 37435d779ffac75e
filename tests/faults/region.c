/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every system call that writer and reader of a region make fails once, in every way that it can:
 * a first run of each operation counts the calls, then there is one run for each way of each call.
 * Nobody crashes or hangs, the last good version stays, and all goes on when the fault is over.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "stage.h"
#include "trace.h"

enum { HANG_S = 60, ONE_LOOK = 20 };

struct tally {
    unsigned operations, calls, faults, failed;
};

static char scratch[200];
static pid_t running;

/* ---- Allocations: the program is linked with --wrap ------------------------------------------ */

static bool may_allocate(void)
{
    return syscall(CALL_ALLOCATE) >= 0 || errno != ENOMEM;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
    return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return may_allocate() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *memory, size_t size)
{
    return may_allocate() ? __real_realloc(memory, size) : NULL;
}

char *__wrap_strdup(const char *text)
{
    return may_allocate() ? __real_strdup(text) : NULL;
}

/* ---- In the process that fails --------------------------------------------------------------- */

static int count_descriptors(void)
{
    int count = 0;
    DIR *stream = opendir("/proc/self/fd");
    CHECK(stream != NULL);
    while (readdir(stream))
        count++;
    closedir(stream);
    return count;
}

/* Mappings of files below the root, also of removed ones. */
static int count_mappings(const struct stage *stage)
{
    char line[1000];
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps))
        count += strstr(line, stage->root) != NULL;
    fclose(maps);
    return count;
}

static void perform(const struct operation *operation, unsigned serial, uint64_t failing, int way)
{
    struct stage stage = {.failing = failing, .way = way};
    stage.reader.directory = -1;
    snprintf(stage.root, sizeof stage.root, "%s/%u", scratch, serial);
    setenv("SHMCONF_DIR", stage.root, 1);
    int descriptors = count_descriptors();
    operation->prepare(&stage);
    CHECK_INT(0, ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    kill(getpid(), SIGTRAP); /* the tracer counts from here */
    operation->act(&stage);
    syscall(CALL_END);
    int rc = stage.rc;
    operation->judge(&stage);
    for (int i = 0; i < STAGE_READERS; i++)
        CHECK_INT(0, shmconf_close(&stage.readers[i]));
    stage_close_writer(&stage);
    bool may_be_left = operation->may_leave_descriptor && failing == SYS_newfstatat;
    CHECK(count_descriptors() - descriptors <= (may_be_left ? 1 : 0));
    CHECK_INT(0, count_mappings(&stage));
    stage_remove_tree(stage.root);
    _exit(rc < 0 ? 10 : 0);
}

/* ---- The tracer ------------------------------------------------------------------------------ */

static void on_hang(int number)
{
    (void)number;
    if (running)
        kill(running, SIGKILL);
}

/* Runs an operation: 0 it succeeded, 10 it said that it failed; anything else is a finding. */
static int run(const struct operation *operation, struct trace *trace, uint64_t failing, int way)
{
    static unsigned serial;
    int status;
    fflush(NULL);
    serial++;
    trace->has_no_tmpfile = operation->has_no_tmpfile;
    running = fork();
    CHECK(running >= 0);
    if (running == 0)
        perform(operation, serial, failing, way);
    alarm(HANG_S);
    bool is_traced = false;
    while (waitpid(running, &status, 0) == running && WIFSTOPPED(status)) {
        int number = WSTOPSIG(status);
        if (!is_traced && number == SIGTRAP) {
            ptrace(PTRACE_SETOPTIONS, running, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
            is_traced = trace->is_counting = true;
            number = 0;
        } else if (number == (SIGTRAP | 0x80)) {
            trace_stop(trace, running);
            number = 0;
        }
        ptrace(trace->is_counting || trace->pending ? PTRACE_SYSCALL : PTRACE_CONT, running, NULL,
               (long)number);
    }
    alarm(0);
    running = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void fail(const struct operation *operation, const struct trace *trace, int status)
{
    printf("FAILED: %s: ", operation->name);
    if (trace->fail)
        printf("call %u, %s: %s: ", trace->fail, call_name(trace->failed.number),
               trace->way ? way_name(trace->way) : "was not reached");
    printf(status == 128 + SIGKILL ? "it hangs\n" : "it ended with %d\n", status);
    printf("what it left is in %s\n", scratch);
    exit(1);
}

/* Whether a call of this name was counted. */
static bool has_call(const struct trace *trace, const char *name)
{
    for (unsigned i = 0; i < trace->count; i++)
        if (strcmp(call_name(trace->calls[i].number), name) == 0)
            return true;
    return false;
}

/* The counting run must have seen what the operation cannot do without. */
static void check_calls(const struct operation *operation, const struct trace *trace)
{
    char names[400];
    char *rest;
    snprintf(names, sizeof names, "%s", operation->calls);
    for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
        if (!has_call(trace, name)) {
            printf("FAILED: %s: no %s among its %u calls\n", operation->name, name, trace->count);
            exit(1);
        }
    if (!operation->calls[0] && trace->count) {
        printf("FAILED: %s: it should make no call that can fail, and makes %u, the first is %s\n",
               operation->name, trace->count, call_name(trace->calls[0].number));
        exit(1);
    }
    if (trace->has_unknown) {
        printf("FAILED: %s: how can %s fail? calls.c does not say\n", operation->name,
               call_name(trace->unknown.number));
        exit(1);
    }
}

/* It ends with -ETIMEDOUT when all is well. */
static bool is_in_vain(const struct operation *operation)
{
    return strstr(operation->name, "in vain") != NULL;
}

static void run_faults(const struct operation *operation, const struct trace *counted,
                       struct tally *tally)
{
    static struct trace trace;
    unsigned faults = 0;
    unsigned failed = 0;
    unsigned calls = counted->count;
    if (is_in_vain(operation) && calls > ONE_LOOK)
        calls = ONE_LOOK; /* the rest is the same once more */
    for (unsigned i = 0; i < calls; i++) {
        int ways[CALL_WAYS];
        size_t count = call_ways(&counted->calls[i], ways);
        for (unsigned way = 0; way < count; way++) {
            memset(&trace, 0, sizeof trace);
            trace.fail = i + 1;
            trace.choice = way;
            int status = run(operation, &trace, counted->calls[i].number, ways[way]);
            /* How often something is looked at in a time is the machine's affair. */
            bool is_other = !trace.has_failed || trace.failed.number != counted->calls[i].number;
            if (status == 10 && is_in_vain(operation) && !trace.has_failed)
                continue;
            if ((status != 0 && status != 10) || is_other)
                fail(operation, &trace, status);
            faults++;
            failed += status == 10;
        }
    }
    printf("%-50s %3u calls, %4u faults, %4u failed it\n", operation->name, calls, faults, failed);
    tally->operations++;
    tally->calls += calls;
    tally->faults += faults;
    tally->failed += failed;
}

static void try_all(const struct operation *operations, size_t count, const char *only,
                    struct tally *tally)
{
    static struct trace counted;
    for (size_t i = 0; i < count; i++) {
        if (only && strcmp(only, operations[i].name) != 0)
            continue;
        memset(&counted, 0, sizeof counted);
        int status = run(&operations[i], &counted, CALL_END, 0);
        if (status != (is_in_vain(&operations[i]) ? 10 : 0) || counted.count >= TRACE_MAX)
            fail(&operations[i], &counted, status);
        check_calls(&operations[i], &counted);
        run_faults(&operations[i], &counted, tally);
    }
}

static int list(const char *only)
{
    fprintf(stderr, "faults_region: there is no operation \"%s\", only:\n", only);
    for (size_t i = 0; i < writer_operation_count; i++)
        fprintf(stderr, "  %s\n", writer_operations[i].name);
    for (size_t i = 0; i < reader_operation_count; i++)
        fprintf(stderr, "  %s\n", reader_operations[i].name);
    return 2;
}

int main(int count, char **arguments)
{
    /* Less would mean that something is no longer counted. */
    enum { FAULTS_MIN = 1000 };
    struct tally tally = {0};
    const char *reason;
    const char *only = count > 1 ? arguments[1] : NULL;
    const char *temporary = getenv("TMPDIR");
    if (!trace_is_allowed(&reason))
        SKIP(reason);
    snprintf(scratch, sizeof scratch, "%s/shmconf-faults-XXXXXX", temporary ? temporary : "/tmp");
    CHECK(mkdtemp(scratch) != NULL);
    signal(SIGALRM, on_hang);
    uint64_t began_ns = clock_monotonic_ns();
    try_all(writer_operations, writer_operation_count, only, &tally);
    try_all(reader_operations, reader_operation_count, only, &tally);
    printf("%u operations, %u calls, %u faults, %u of them failed the operation; %.1f s\n",
           tally.operations, tally.calls, tally.faults, tally.failed,
           (double)(clock_monotonic_ns() - began_ns) / (double)NS_PER_S);
    if (tally.operations == 0)
        return list(only);
    if (!only)
        CHECK(tally.faults >= FAULTS_MIN);
    stage_remove_tree(scratch);
    return 0;
}
