/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the program beside it as Lambda would, and stricter: in an empty root directory, as an
 * ordinary user without rights, with 1,024 descriptors, and without the system calls that sandboxes
 * refuse. It has the name of what it stands for; beside it NAME.static is what it runs, `deny` the
 * static seccomp_deny, and, if there is one, `qemu`, which runs the program of another
 * architecture. It belongs to root and has the set-user-id bit: tests/layer/e2e makes all that.
 *
 * In the root there are these programs and /tmp, the real one, where tests put files.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

enum { DESCRIPTORS = 1024, ARGUMENTS_MAX = 64 };

static void fail(const char *what)
{
    perror(what);
    exit(126);
}

/* Binds a file below the new root; false if there is none. */
static int bind_file(const char *from, const char *to)
{
    if (access(from, F_OK) != 0)
        return 0;
    int fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || close(fd) != 0 || mount(from, to, NULL, MS_BIND, NULL) != 0)
        fail(to);
    return 1;
}

/* Changes into the new root; whether `qemu` is in it. */
static int enter_root(const char *program)
{
    static const char root[] = "/mnt";
    char path[4096];
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", root, "tmpfs", 0, "mode=0755") != 0 || mkdir("/mnt/tmp", 0755) != 0 ||
        mount("/tmp", "/mnt/tmp", NULL, MS_BIND | MS_REC, NULL) != 0)
        fail("a root of its own");
    snprintf(path, sizeof path, "%s.static", program);
    if (!bind_file(path, "/mnt/shmconfd"))
        fail(path);
    char *slash = strrchr(path, '/');
    strcpy(slash, "/deny");
    if (!bind_file(path, "/mnt/deny"))
        fail(path);
    strcpy(slash, "/qemu");
    int has_qemu = bind_file(path, "/mnt/qemu");
    if (chroot(root) != 0 || chdir("/") != 0)
        fail(root);
    return has_qemu;
}

/* Fewer descriptors are what a test asks for. */
static int limit_descriptors(void)
{
    static const struct rlimit most = {DESCRIPTORS, DESCRIPTORS};
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return -1;
    return files.rlim_max <= DESCRIPTORS ? 0 : setrlimit(RLIMIT_NOFILE, &most);
}

static void drop_rights(uid_t user)
{
    if (limit_descriptors() != 0 || setgroups(0, NULL) != 0 || setresgid(user, user, user) != 0 ||
        setresuid(user, user, user) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        fail("dropping rights");
}

int main(int argc, char **argv)
{
    char *command[ARGUMENTS_MAX] = {"/deny",
                                    "38",
                                    "io_uring_setup",
                                    "io_uring_enter",
                                    "io_uring_register",
                                    "pidfd_open",
                                    "clone3",
                                    "epoll_pwait2",
                                    "openat2",
                                    "faccessat2",
                                    "close_range",
                                    "--",
                                    "/deny",
                                    "1",
                                    "fallocate",
                                    "--"};
    int count = 16;
    uid_t user = getuid();
    char program[4000];
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    if (size <= 0 || user == 0 || setresuid(0, 0, 0) != 0) {
        fprintf(stderr, "confined: must be root's, set-user-id, and run by somebody else\n");
        return 126;
    }
    program[size] = '\0';
    umask(022);
    if (enter_root(program))
        command[count++] = "/qemu";
    drop_rights(user);
    command[count++] = "/shmconfd";
    for (int i = 1; i < argc && count < ARGUMENTS_MAX - 1; i++)
        command[count++] = argv[i];
    execve(command[0], command, environ);
    fail(command[0]);
}
