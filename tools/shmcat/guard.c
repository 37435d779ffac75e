/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "shmcat/shmcat.h"

static volatile sig_atomic_t is_drawing;
static sigset_t awake; /* the signals that were blocked before */
static uintptr_t page_size;

static void on_truncated(int number, siginfo_t *info, void *context)
{
    (void)context;
    char *at = (char *)info->si_addr;
    at -= (uintptr_t)at & (page_size - 1);
    /* A page of zeros under the very read that failed: it goes on, and no check lets zeros pass. */
    if (info->si_code == BUS_ADRERR &&
        mmap(at, page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
            MAP_FAILED)
        return;
    signal(number, SIG_DFL);
    raise(number);
}

static void on_interrupt(int number)
{
    static const char plain[] = "\033[0m\n";
    if (is_drawing && write(STDOUT_FILENO, plain, sizeof plain - 1) < 0)
        _exit(EXIT_FAILED);
    _exit(128 + number);
}

static void on_resize(int number)
{
    (void)number; /* it is enough that guard_sleep ends */
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    struct sigaction before;
    /* What the parent has ignored, as nohup does, stays ignored. */
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

void guard_install(void)
{
    struct sigaction truncated = {.sa_sigaction = on_truncated, .sa_flags = SA_SIGINFO};
    page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
    sigaction(SIGBUS, &truncated, NULL);
    handle(SIGINT, on_interrupt);
    signal(SIGPIPE, SIG_DFL); /* a parent may have left it ignored */
}

void guard_screen(void)
{
    sigset_t resize;
    is_drawing = true;
    sigemptyset(&resize);
    sigaddset(&resize, SIGWINCH);
    /* Let in by the sleep only: one that comes just before it must end it as well. */
    sigprocmask(SIG_BLOCK, &resize, &awake);
    handle(SIGWINCH, on_resize);
}

void guard_sleep(uint64_t ns)
{
    struct timespec span = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
    ppoll(NULL, 0, &span, is_drawing ? &awake : NULL);
}

void guard_output(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    if (poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP | POLLNVAL)))
        raise(SIGPIPE);
}
