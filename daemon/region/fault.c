/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store into a mapped file raises SIGBUS when somebody has truncated the file. That somebody has
 * our uid or is root, but a handler's bug must not take the daemon down.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>

#include "region/internal.h"

static sigjmp_buf escape;
static volatile sig_atomic_t is_guarded;
static bool is_installed;

static void on_bus_error(int number)
{
    if (is_guarded)
        siglongjmp(escape, 1);
    signal(number, SIG_DFL); /* not ours: the instruction is repeated and ends us */
}

/* Who runs the handler for us, as ThreadSanitizer does, may have blocked signals around it. */
static void unblock(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGBUS);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Once, and with SA_NODEFER, so that a guarded store costs no system call. */
static int install(void)
{
    struct sigaction action = {.sa_handler = on_bus_error, .sa_flags = SA_NODEFER};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, &action, NULL) != 0)
        return -errno;
    is_installed = true;
    return 0;
}

int fault_guard(void (*store)(void *context), void *context)
{
    if (!is_installed) {
        int rc = install();
        if (rc)
            return rc;
    }
    if (sigsetjmp(escape, 0) != 0) {
        is_guarded = 0;
        unblock();
        return -EFAULT;
    }
    is_guarded = 1;
    store(context);
    is_guarded = 0;
    return 0;
}
