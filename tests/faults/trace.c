/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* ptrace takes addresses and numbers alike. */
static void request(enum __ptrace_request what, pid_t process, uintptr_t address, uintptr_t data)
{
    if (ptrace(what, process, address, data) < 0 && errno != ESRCH) {
        fprintf(stderr, "trace: ptrace %d: %s\n", what, strerror(errno));
        exit(1);
    }
}

#ifdef __x86_64__
static void set(pid_t process, size_t offset, unsigned long long value)
{
    request(PTRACE_POKEUSER, process, offset, value);
}

/* The kernel does nothing for a call of this number. */
static void skip_call(pid_t process)
{
    set(process, offsetof(struct user, regs.orig_rax), ~0ULL);
}

static void set_size(pid_t process, unsigned long long size)
{
    set(process, offsetof(struct user, regs.rdx), size);
}

static void set_result(pid_t process, long result)
{
    set(process, offsetof(struct user, regs.rax), (unsigned long long)result);
}

static const char *const unsupported = NULL;
#else
static void skip_call(pid_t process)
{
    (void)process;
}

static void set_size(pid_t process, unsigned long long size)
{
    (void)process, (void)size;
}

static void set_result(pid_t process, long result)
{
    (void)process, (void)result;
}

static const char *const unsupported = "system calls are made to fail on x86-64 only";
#endif

bool trace_is_allowed(const char **reason)
{
    int status;
    *reason = unsupported;
    if (unsupported)
        return false;
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(1);
        _exit(0);
    }
    bool is_allowed = child > 0 && waitpid(child, &status, 0) == child && status == 0;
    *reason = "ptrace is not allowed here";
    return is_allowed;
}

/* Which way the call that begins now is to fail in; 0: none. */
static int choose(struct trace *trace, const struct call *call)
{
    int ways[CALL_WAYS];
    size_t count = call_ways(call, ways);
    if (trace->has_no_tmpfile && call_opens_unnamed(call))
        return EOPNOTSUPP;
    if (!trace->is_counting || (trace->only && strcmp(trace->only, call_name(call->number)) != 0))
        return 0;
    if (count == 0 && !call_is_exempt(call)) {
        trace->has_unknown = true;
        trace->unknown = *call;
    }
    if (count == 0)
        return 0;
    if (trace->count < TRACE_MAX)
        trace->calls[trace->count] = *call;
    if (++trace->count != trace->fail)
        return 0;
    trace->has_failed = true;
    trace->failed = *call;
    trace->way = ways[trace->choice % count];
    return trace->way;
}

static void begin(struct trace *trace, pid_t process, const struct __ptrace_syscall_info *info)
{
    struct call call = {.number = info->entry.nr};
    memcpy(call.arguments, info->entry.args, sizeof call.arguments);
    if (call.number == CALL_END)
        trace->is_counting = false;
    trace->pending = choose(trace, &call);
    if (trace->pending == WAY_SHORT) {
        /* An end after one byte must not look like an end after none. */
        set_size(process, (call.arguments[2] + 1) / 2);
        trace->pending = 0;
    } else if (trace->pending && !(trace->pending & WAY_AFTER)) {
        skip_call(process);
    }
}

void trace_stop(struct trace *trace, pid_t process)
{
    struct __ptrace_syscall_info info = {0};
    request(PTRACE_GET_SYSCALL_INFO, process, sizeof info, (uintptr_t)&info);
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        begin(trace, process, &info);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && trace->pending) {
        set_result(process, -(trace->pending & ~WAY_AFTER));
        trace->pending = 0;
    }
}
