/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a command of whose system calls one fails, then another, as a file tells.
 *
 *     fail_call CONTROL REPORT COMMAND [ARGUMENT]...
 *
 * CONTROL holds a line "SERIAL CALL WAY WHEN [ONLY]". With each new SERIAL (from 1 on) counting
 * begins anew: at once, or, where WHEN is "log", with the first write to standard error. Counted is
 * every call, or, where ONLY names one, such as "read", each of that name. The CALLth call then
 * counted fails in the WAYth of its ways; CALL 0: none fails, all are reported. REPORT gets lines
 *
 *     SERIAL begins
 *     SERIAL call NAME
 *     SERIAL failed NAME WAY       from here on nothing is counted
 *     SERIAL unknown NAME          how it can fail is not known here
 *
 * The command has this process's id. Exit status 2: wrong usage, 77: tracing is not available here.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trace.h"

struct control {
    unsigned serial, call, way;
    char when[8], only[24];
};

static struct trace trace;
static struct control current;
static const char *control_path;
static int report;

/* Takes up a new serial, if there is one. */
static void look_at_control(void)
{
    char text[64] = "";
    struct control next = {0};
    int fd = open(control_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    bool is_whole = read(fd, text, sizeof text - 1) > 0 && strchr(text, '\n');
    close(fd);
    if (!is_whole)
        return;
    char *rest = text;
    next.serial = (unsigned)strtoul(rest, &rest, 10);
    next.call = (unsigned)strtoul(rest, &rest, 10);
    next.way = (unsigned)strtoul(rest, &rest, 10);
    sscanf(rest, "%7s%23s", next.when, next.only);
    if (next.serial == current.serial)
        return;
    current = next;
    memset(&trace, 0, sizeof trace);
    trace.only = current.only[0] ? current.only : NULL;
    trace.fail = next.call;
    trace.choice = next.way;
    trace.is_counting = strcmp(next.when, "now") == 0;
    if (trace.is_counting)
        dprintf(report, "%u begins\n", current.serial);
}

static void tell(unsigned before)
{
    if (trace.has_unknown)
        dprintf(report, "%u unknown %s\n", current.serial, call_name(trace.unknown.number));
    trace.has_unknown = false;
    if (trace.count == before)
        return;
    if (trace.fail == 0)
        dprintf(report, "%u call %s\n", current.serial,
                call_name(trace.calls[trace.count - 1].number));
    if (trace.has_failed) {
        dprintf(report, "%u failed %s %s\n", current.serial, call_name(trace.failed.number),
                way_name(trace.way));
        trace.has_failed = false;
        trace.is_counting = false;
    }
}

/* Whether the traced process is about to write to the log. */
static bool writes_to_log(pid_t process)
{
    struct __ptrace_syscall_info info = {0};
    return ptrace(PTRACE_GET_SYSCALL_INFO, process, sizeof info, &info) > 0 &&
           info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_write &&
           info.entry.args[0] == STDERR_FILENO;
}

static void follow(pid_t process)
{
    int status;
    while (waitpid(process, &status, __WALL) == process && WIFSTOPPED(status)) {
        long number = WSTOPSIG(status);
        if (number == (SIGTRAP | 0x80)) {
            look_at_control();
            unsigned before = trace.count;
            if (strcmp(current.when, "log") == 0 && writes_to_log(process)) {
                strcpy(current.when, "");
                trace.is_counting = true;
                dprintf(report, "%u begins\n", current.serial);
            }
            trace_stop(&trace, process);
            if (trace.count <= TRACE_MAX)
                tell(before);
            number = 0;
        } else if (status >> 16) {
            number = 0; /* an event of ptrace */
        }
        ptrace(PTRACE_SYSCALL, process, NULL, number);
    }
    _exit(0);
}

/* In a process of its own, which is nobody's child. */
static void attach(pid_t process, int ready)
{
    int status;
    setsid();
    if (ptrace(PTRACE_SEIZE, process, NULL, PTRACE_O_TRACESYSGOOD) != 0 ||
        ptrace(PTRACE_INTERRUPT, process, NULL, NULL) != 0)
        _exit(1);
    waitpid(process, &status, __WALL);
    ptrace(PTRACE_SYSCALL, process, NULL, NULL);
    if (write(ready, "", 1) != 1)
        _exit(1);
    for (int fd = 0; fd < report; fd++)
        close(fd);
    close(ready);
    follow(process);
}

int main(int count, char **arguments)
{
    const char *reason;
    int ready[2];
    char byte;
    if (count < 4) {
        fputs("Usage: fail_call CONTROL REPORT COMMAND [ARGUMENT]...\n", stderr);
        return 2;
    }
    control_path = arguments[1];
    report = open(arguments[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (report < 0 || pipe2(ready, O_CLOEXEC) != 0) {
        perror(arguments[2]);
        return 2;
    }
    if (!trace_is_allowed(&reason)) {
        fprintf(stderr, "fail_call: %s\n", reason);
        return 77;
    }
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    pid_t self = getpid();
    pid_t child = fork();
    if (child == 0) {
        if (fork() == 0)
            attach(self, ready[1]);
        _exit(0);
    }
    close(ready[1]);
    ssize_t got;
    while ((got = read(ready[0], &byte, 1)) < 0 && errno == EINTR)
        ;
    waitpid(child, NULL, 0);
    if (got != 1) {
        fputs("fail_call: it cannot be traced\n", stderr);
        return 77;
    }
    execvp(arguments[3], arguments + 3);
    perror(arguments[3]);
    return 127;
}
