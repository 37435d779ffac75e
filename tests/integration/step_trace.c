/* SPDX-License-Identifier: Apache-2.0 */
/* Children that are run one instruction at a time. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "step.h"

void step_wait_here(void)
{
    raise(SIGSTOP);
}

/* Waits for a stop by `number`. A child that ended by itself has said why. */
static void wait_for_stop(const struct step_child *child, int number)
{
    int status;
    if (waitpid(child->pid, &status, 0) != child->pid)
        step_fail("waitpid: %s", strerror(errno));
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != number)
        step_fail("a traced process has status %x", (unsigned)status);
}

static void resume(const struct step_child *child, enum __ptrace_request request)
{
    if (ptrace(request, child->pid, NULL, NULL) != 0)
        step_fail("ptrace: %s", strerror(errno));
}

void step_child_start(struct step_child *child, void (*body)(struct step_page *, void *),
                      void *context)
{
    void *page =
        mmap(NULL, sizeof *child->page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        step_fail("mmap: %s", strerror(errno));
    child->page = page;
    fflush(stdout);
    child->pid = fork();
    if (child->pid < 0)
        step_fail("fork: %s", strerror(errno));
    if (child->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            step_fail("ptrace: %s", strerror(errno));
        body(page, context);
        _exit(0);
    }
    wait_for_stop(child, SIGSTOP);
    if (ptrace(PTRACE_SETOPTIONS, child->pid, NULL, PTRACE_O_EXITKILL) != 0)
        step_fail("ptrace: %s", strerror(errno));
}

/* Whether the next instruction is `syscall`. */
static bool is_at_call(const struct step_child *child)
{
#ifdef __x86_64__
    long at = ptrace(PTRACE_PEEKUSER, child->pid, offsetof(struct user_regs_struct, rip), NULL);
    long bytes = ptrace(PTRACE_PEEKTEXT, child->pid, at, NULL);
    return (bytes & 0xffff) == 0x050f;
#else
    (void)child;
    return true;
#endif
}

void step_child_step(struct step_child *child, bool *is_call)
{
    if (is_call)
        *is_call = is_at_call(child);
    resume(child, PTRACE_SINGLESTEP);
    wait_for_stop(child, SIGTRAP);
}

void step_child_pass_calls(struct step_child *child, unsigned calls)
{
    for (unsigned stop = 0; stop < 2 * calls; stop++) { /* each has an entry and an exit */
        resume(child, PTRACE_SYSCALL);
        wait_for_stop(child, SIGTRAP);
    }
}

void step_child_continue(struct step_child *child)
{
    resume(child, PTRACE_CONT);
    wait_for_stop(child, SIGSTOP);
}

static void forget(struct step_child *child)
{
    munmap(child->page, sizeof *child->page);
    *child = (struct step_child){0};
}

void step_child_end(struct step_child *child)
{
    int status;
    resume(child, PTRACE_CONT);
    if (waitpid(child->pid, &status, 0) != child->pid || status != 0)
        step_fail("a traced process ended with status %x", (unsigned)status);
    forget(child);
}

void step_child_kill(struct step_child *child)
{
    int status;
    kill(child->pid, SIGKILL);
    if (waitpid(child->pid, &status, 0) != child->pid || !WIFSIGNALED(status))
        step_fail("a traced process ended by itself, with status %x", (unsigned)status);
    forget(child);
}
