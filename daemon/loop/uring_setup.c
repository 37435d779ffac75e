/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/uring_setup.h"

#include <errno.h>
#include <stddef.h>

/* Small, because the rings are charged to RLIMIT_MEMLOCK. */
enum { ENTRIES = 64 };

static int init(struct io_uring *ring)
{
    static const unsigned flags[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN,
        IORING_SETUP_COOP_TASKRUN,
        0,
    };
    int code = -EINVAL;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0] && code == -EINVAL; i++)
        code = io_uring_queue_init(ENTRIES, ring, flags[i]);
    return code;
}

/* What the kernel must have; completions that do not fit the ring must not be dropped. */
static int check_features(struct io_uring *ring)
{
    static const int needed[] = {
        IORING_OP_NOP,      IORING_OP_ACCEPT,  IORING_OP_RECV,         IORING_OP_SENDMSG,
        IORING_OP_POLL_ADD, IORING_OP_TIMEOUT, IORING_OP_ASYNC_CANCEL,
    };
    if (!(ring->features & IORING_FEAT_NODROP) || !(ring->features & IORING_FEAT_FAST_POLL))
        return -EOPNOTSUPP;
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    if (!probe)
        return -EOPNOTSUPP;
    int code = 0;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!io_uring_opcode_supported(probe, needed[i]))
            code = -EOPNOTSUPP;
    io_uring_free_probe(probe);
    return code;
}

/* One round trip: a filter may allow the set-up alone. */
static int check_enter(struct io_uring *ring)
{
    struct io_uring_cqe *cqe;
    io_uring_prep_nop(io_uring_get_sqe(ring));
    int code = io_uring_submit(ring);
    if (code >= 0)
        code = io_uring_wait_cqe(ring, &cqe);
    if (code < 0)
        return code;
    io_uring_cqe_seen(ring, cqe);
    return 0;
}

int uring_setup(struct io_uring *ring)
{
    int code = init(ring);
    if (code < 0)
        return code;
    code = check_features(ring);
    if (code == 0)
        code = check_enter(ring);
    if (code < 0)
        io_uring_queue_exit(ring);
    return code;
}
