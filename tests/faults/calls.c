/* SPDX-License-Identifier: Apache-2.0 */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/* Ways end with 0. What is not in man pages, file systems and security modules say all the same. */
static const struct row {
    uint64_t number;
    const char *name;
    int ways[CALL_WAYS];
} table[] = {
    {CALL_ALLOCATE, "allocation", {ENOMEM}},
    /* Files. */
    {SYS_openat, "openat", {EMFILE, ENFILE, ENOMEM, EACCES, ENOENT, EIO}},
    {SYS_read, "read", {EIO, EINTR, WAY_SHORT}},
    {SYS_pread64, "pread", {EIO, EINTR, WAY_SHORT}},
    {SYS_write, "write", {ENOSPC, EDQUOT, EIO, EINTR, WAY_SHORT}},
    {SYS_close, "close", {EIO | WAY_AFTER, EINTR | WAY_AFTER}},
    {SYS_newfstatat, "stat", {EIO, ENOMEM, EACCES}},
    {SYS_statx, "statx", {EIO, ENOMEM, ENOSYS}},
    {SYS_getdents64, "getdents", {EIO, ENOENT}},
    {SYS_fcntl, "fcntl", {EINVAL, EACCES}},
    {SYS_fallocate, "fallocate", {ENOSPC, EDQUOT, EIO, EINTR, EOPNOTSUPP}},
    {SYS_fchmod, "fchmod", {EPERM, EROFS, EIO, ENOSPC, EDQUOT}},
    {SYS_fchown, "fchown", {EPERM, EROFS, EIO, ENOSPC, EDQUOT}},
    {SYS_flock, "flock", {EINTR, ENOLCK, EWOULDBLOCK}},
    {SYS_mmap, "mmap", {ENOMEM, EAGAIN}},
    /* Names. */
    {SYS_mkdirat, "mkdirat", {ENOSPC, EDQUOT, EROFS, EACCES, EIO}},
    {SYS_linkat, "linkat", {ENOSPC, EDQUOT, EROFS, EACCES, EIO, ENOENT, EEXIST}},
    {SYS_renameat, "renameat", {ENOSPC, EDQUOT, EROFS, EACCES, EIO}},
    {SYS_unlinkat, "unlinkat", {EROFS, EACCES, EIO, EBUSY}},
    {SYS_readlinkat, "readlinkat", {EIO, EACCES}},
    /* Waiting and signals. */
    {SYS_futex, "futex", {EINTR, EAGAIN, EPERM}},
    {SYS_getrandom, "getrandom", {EAGAIN, EINTR, ENOSYS}},
    {SYS_rt_sigaction, "sigaction", {EINVAL}},
    {SYS_rt_sigprocmask, "sigprocmask", {EINVAL}},
    {SYS_signalfd4, "signalfd", {EMFILE, ENOMEM}},
    {SYS_epoll_create1, "epoll_create", {EMFILE, ENOMEM}},
    {SYS_epoll_ctl, "epoll_ctl", {ENOMEM, ENOSPC}},
    {SYS_inotify_init1, "inotify_init", {EMFILE, ENOMEM}},
    {SYS_inotify_add_watch, "inotify_add_watch", {ENOSPC, ENOMEM, EACCES}},
    {425, "io_uring_setup", {ENOMEM, EPERM}},
    {426, "io_uring_enter", {EINTR, EAGAIN, EBUSY}},
    {427, "io_uring_register", {ENOMEM, EINVAL}},
    /* The network. */
    {SYS_socket, "socket", {EMFILE, ENOMEM, EACCES, EAFNOSUPPORT}},
    {SYS_bind, "bind", {EADDRINUSE, EACCES, EADDRNOTAVAIL}},
    {SYS_listen, "listen", {EADDRINUSE}},
    {SYS_setsockopt, "setsockopt", {ENOMEM, ENOPROTOOPT}},
    {SYS_getsockname, "getsockname", {ENOBUFS}},
    {SYS_connect, "connect", {ECONNREFUSED, EINTR, EAGAIN, ETIMEDOUT}},
    {SYS_sendto, "send", {EPIPE, ECONNRESET, EINTR, WAY_SHORT}},
    {SYS_accept4, "accept", {EMFILE, ECONNABORTED, ENOMEM}},
    {SYS_recvfrom, "recv", {ECONNRESET, EINTR, WAY_SHORT}},
    {SYS_sendmsg, "sendmsg", {EPIPE, EINTR}},
    {SYS_prlimit64, "prlimit", {EPERM}},
#ifdef SYS_open
    {SYS_open, "open", {EMFILE, ENFILE, ENOMEM, EACCES, ENOENT, EIO}},
    {SYS_mkdir, "mkdir", {ENOSPC, EDQUOT, EROFS, EACCES, EIO}},
    {SYS_access, "access", {EACCES, ENOENT}},
    {SYS_fstat, "stat", {EIO, ENOMEM, EACCES}}, /* musl asks so */
    {SYS_lstat, "stat", {EIO, ENOMEM, EACCES}},
    {SYS_poll, "poll", {EINTR, ENOMEM}},
    {SYS_epoll_wait, "epoll_wait", {EINTR}},
#endif
    {SYS_faccessat, "access", {EACCES, ENOENT}},
    {SYS_ppoll, "poll", {EINTR, ENOMEM}},
    {SYS_epoll_pwait, "epoll_wait", {EINTR}},
};

/* What an open that makes a file can say besides. */
static const int ways_of_making[] = {ENOSPC, EDQUOT, EROFS};

/*
 * They cannot fail for a caller that is right, or, as munmap and brk, leave it nothing to do: the
 * allocator is asked through CALL_ALLOCATE.
 */
static const uint64_t exempt[] = {
    SYS_munmap,  SYS_brk,      SYS_geteuid,         SYS_getuid,        SYS_getgid,
    SYS_getegid, SYS_getpid,   SYS_gettid,          SYS_clock_gettime, SYS_lseek,
    SYS_mremap,  SYS_madvise,  SYS_clock_nanosleep, SYS_exit_group,    SYS_rt_sigreturn,
    SYS_tgkill,  SYS_mprotect, SYS_restart_syscall, SYS_kill,
};

static const struct row *find(uint64_t number)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].number == number)
            return &table[i];
    return NULL;
}

/* 0 when it opens nothing. */
static uint64_t flags_of_open(const struct call *call)
{
#ifdef SYS_open
    if (call->number == SYS_open)
        return call->arguments[1];
#endif
    return call->number == SYS_openat ? call->arguments[2] : 0;
}

bool call_opens_unnamed(const struct call *call)
{
    return (flags_of_open(call) & O_TMPFILE) == O_TMPFILE;
}

size_t call_ways(const struct call *call, int ways[CALL_WAYS])
{
    const struct row *row = find(call->number);
    size_t count = 0;
    if (!row)
        return 0;
    for (; row->ways[count]; count++)
        ways[count] = row->ways[count];
    if (call_opens_unnamed(call) || (flags_of_open(call) & O_CREAT))
        for (size_t i = 0; i < sizeof ways_of_making / sizeof ways_of_making[0]; i++)
            ways[count++] = ways_of_making[i];
    return count;
}

bool call_is_exempt(const struct call *call)
{
    for (size_t i = 0; i < sizeof exempt / sizeof exempt[0]; i++)
        if (exempt[i] == call->number)
            return true;
    return false;
}

const char *call_name(uint64_t number)
{
    static char text[32];
    const struct row *row = find(number);
    if (row)
        return row->name;
    snprintf(text, sizeof text, "call %llu", (unsigned long long)number);
    return text;
}

const char *way_name(int way)
{
    static char text[48];
    if (way == WAY_SHORT)
        return "short";
    snprintf(text, sizeof text, "%s%s", strerrorname_np(way & ~WAY_AFTER),
             way & WAY_AFTER ? ", but done" : "");
    return text;
}
