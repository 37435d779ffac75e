/* SPDX-License-Identifier: Apache-2.0 */
/* What is left to do for an extension that can do nothing else: not to take the function down. */
#ifndef SHMCONFD_LAMBDA_IDLE_H
#define SHMCONFD_LAMBDA_IDLE_H

#include "base/exit_status.h"

/*
 * Answers Lambda's events until SHUTDOWN. `address` is that of AWS_LAMBDA_RUNTIME_API; `id` of a
 * registration that there is already, or NULL.
 */
enum exit_status lambda_idle(const char *address, const char *id);

#endif
