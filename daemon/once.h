/* SPDX-License-Identifier: Apache-2.0 */
/* shmconfd --once: fetches and publishes what the command line names, and ends. */
#ifndef SHMCONFD_ONCE_H
#define SHMCONFD_ONCE_H

#include "base/exit_status.h"
#include "settings/settings.h"

/* A line for each on standard output, or on standard error what went wrong. */
enum exit_status once_run(const struct settings *settings);

#endif
