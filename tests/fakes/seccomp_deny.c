/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a command for which the kernel refuses some system calls, as sandboxes do.
 *
 *     seccomp_deny ERRNO SYSCALL... -- COMMAND [ARGUMENT]...
 *
 * ERRNO is a number. Exit status 2: wrong usage, 77: filters are not available here.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined __riscv
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#else
#error "which architecture does the filter see here?"
#endif

/* What libc's headers may be too old to know has one number everywhere. */
static const struct {
    const char *name;
    long number;
} table[] = {
    {"io_uring_setup", 425},
    {"io_uring_enter", 426},
    {"io_uring_register", 427},
    {"pidfd_open", 434},
    {"clone3", 435},
    {"close_range", 436},
    {"openat2", 437},
    {"faccessat2", 439},
    {"epoll_pwait2", 441},
    {"inotify_init1", SYS_inotify_init1},
    {"inotify_add_watch", SYS_inotify_add_watch},
    {"fallocate", SYS_fallocate},
    {"statx", SYS_statx},
    {"linkat", SYS_linkat},
    {"getrandom", SYS_getrandom},
    {"flock", SYS_flock},
    {"accept4", SYS_accept4},
};

enum { FILTER_MAX = 2 * sizeof table / sizeof table[0] + 8 };

static struct sock_filter filter[FILTER_MAX];
static unsigned short length;

static void add(unsigned short code, unsigned k, unsigned char if_true, unsigned char if_false)
{
    filter[length++] = (struct sock_filter){code, if_true, if_false, k};
}

static long find(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].number;
    return -1;
}

static int usage(const char *problem)
{
    fprintf(stderr,
            "seccomp_deny: %s\nUsage: seccomp_deny ERRNO SYSCALL... -- COMMAND [ARGUMENT]...\n",
            problem);
    return 2;
}

int main(int argc, char **argv)
{
    int code = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
    int at = 2;
    if (code <= 0 || code > 4095)
        return usage("ERRNO must be a number from 1 to 4095");
    /* Another architecture's numbers mean other calls: let them pass. */
    add(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    add(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    add(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    for (; at < argc && strcmp(argv[at], "--") != 0; at++) {
        long number = find(argv[at]);
        if (number < 0)
            return usage("this system call is not in the table");
        if (length + 3 > FILTER_MAX)
            return usage("too many system calls");
        add(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1);
        add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)code, 0, 0);
    }
    if (at + 1 >= argc)
        return usage("there is no command");
    add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    struct sock_fprog program = {length, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("seccomp_deny: no filter");
        return 77;
    }
    execvp(argv[at + 1], argv + at + 1);
    perror(argv[at + 1]);
    return 127;
}
