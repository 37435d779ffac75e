/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a command to which the kernel gives the same random bytes again and again.
 *
 *     same_random COMMAND [ARGUMENT]...
 *
 * What differs all the same between two things that the command makes came out of its own memory:
 * copies of that memory would make the same. By seccomp's notifications, so that static programs
 * are reached as well; the command has this process's id. Exit status 2: wrong usage, 77:
 * notifications are not available here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int notify_of_getrandom(void)
{
    struct sock_filter filter[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_getrandom},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                        &program);
}

/* The bytes that were asked for, all the same, into the memory of who asks. */
static void answer(int listener, const struct seccomp_notif *asked)
{
    struct seccomp_notif_resp reply = {.id = asked->id};
    char path[64];
    char bytes[256];
    size_t size = asked->data.args[1] < sizeof bytes ? (size_t)asked->data.args[1] : sizeof bytes;
    memset(bytes, 0x42, size);
    snprintf(path, sizeof path, "/proc/%u/mem", asked->pid);
    int memory = open(path, O_WRONLY | O_CLOEXEC);
    if (memory >= 0 && pwrite(memory, bytes, size, (off_t)asked->data.args[0]) == (ssize_t)size)
        reply.val = (long long)size;
    else
        reply.error = -EIO;
    if (memory >= 0)
        close(memory);
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
}

/* Until nobody is left who could ask. */
static void supervise(int listener)
{
    struct pollfd wait = {.fd = listener, .events = POLLIN};
    while (poll(&wait, 1, -1) > 0 && wait.revents & POLLIN) {
        struct seccomp_notif asked;
        memset(&asked, 0, sizeof asked); /* the kernel insists */
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) == 0)
            answer(listener, &asked);
    }
}

static void send_descriptor(int end, int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec byte = {"", 1};
    struct msghdr message = {.msg_iov = &byte,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    sendmsg(end, &message, 0);
}

static int receive_descriptor(int end)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec into = {&byte, 1};
    struct msghdr message = {.msg_iov = &into,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    int fd = -1;
    if (recvmsg(end, &message, MSG_CMSG_CLOEXEC) == 1 && message.msg_controllen)
        memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
    return fd;
}

int main(int argc, char **argv)
{
    int ends[2];
    if (argc < 2) {
        fputs("Usage: same_random COMMAND [ARGUMENT]...\n", stderr);
        return 2;
    }
    /* Before the filter: the supervisor itself may ask for what it likes. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        perror("same_random");
        return 2;
    }
    if (fork() == 0) {
        setsid();
        close(ends[1]);
        int listener = receive_descriptor(ends[0]);
        close(ends[0]);
        if (listener >= 0)
            supervise(listener);
        _exit(0);
    }
    close(ends[0]);
    int listener = notify_of_getrandom();
    if (listener < 0) {
        perror("same_random: no notifications");
        return 77;
    }
    send_descriptor(ends[1], listener);
    close(listener); /* the supervisor's is the one that counts: it sees our end */
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 127;
}
