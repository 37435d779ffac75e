/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store into a mapped file raises SIGBUS when somebody has truncated the file. That somebody has
 * our uid or is root, but a handler's bug must not take the daemon down.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>

#include "region/internal.h"

static sigjmp_buf escape;
static volatile sig_atomic_t is_guarded;

static void on_bus_error(int number)
{
    if (is_guarded)
        siglongjmp(escape, 1);
    signal(number, SIG_DFL); /* not ours: the instruction is repeated and ends us */
}

int fault_guard(void (*store)(void *context), void *context)
{
    struct sigaction action = {.sa_handler = on_bus_error};
    struct sigaction previous;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, &action, &previous) != 0)
        return -errno;
    int rc = 0;
    if (sigsetjmp(escape, 1) == 0) {
        is_guarded = 1;
        store(context);
    } else {
        rc = -EFAULT;
    }
    is_guarded = 0;
    sigaction(SIGBUS, &previous, NULL);
    return rc;
}
