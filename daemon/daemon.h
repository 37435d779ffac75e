/* SPDX-License-Identifier: Apache-2.0 */
/* The running daemon: its parts, put together and taken apart. */
#ifndef SHMCONFD_DAEMON_H
#define SHMCONFD_DAEMON_H

#include "base/exit_status.h"
#include "settings/settings.h"

/* Runs until a signal ends it. What went wrong has been logged. */
enum exit_status daemon_run(const struct settings *settings);

#endif
