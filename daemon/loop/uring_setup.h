/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this kernel, here and now, lets us have an io_uring that the loop can use. */
#ifndef SHMCONFD_LOOP_URING_SETUP_H
#define SHMCONFD_LOOP_URING_SETUP_H

#include <liburing.h>

/* Makes a ring that is known to work. 0 or -errno; -EOPNOTSUPP: the kernel is too old. */
int uring_setup(struct io_uring *ring);

#endif
