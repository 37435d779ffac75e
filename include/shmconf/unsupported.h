/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Outside Linux there is no region: every call says -ENOTSUP, and enter never has a version, so
 * that a program compiles unchanged and falls back to HTTP.
 */
#ifndef SHMCONF_UNSUPPORTED_H
#define SHMCONF_UNSUPPORTED_H

#include <errno.h>
#include <string.h>

#include "shmconf/error.h"
#include "shmconf/order.h"
#include "shmconf/types.h"

#ifndef ENOTSUP
#define ENOTSUP EOPNOTSUPP
#endif

SHMCONF_API int shmconf_open(struct shmconf_reader *reader, const char *name, unsigned flags)
{
    (void)name;
    (void)flags;
    memset(reader, 0, sizeof *reader);
    return -ENOTSUP;
}

SHMCONF_API int shmconf_open_parts(struct shmconf_reader *reader, const char *application,
                                   const char *environment, const char *profile, unsigned flags)
{
    (void)application;
    (void)environment;
    return shmconf_open(reader, profile, flags);
}

SHMCONF_API const struct shmconf_version *shmconf_enter(struct shmconf_reader *reader)
{
    return reader->version;
}

SHMCONF_API void shmconf_leave(struct shmconf_reader *reader)
{
    (void)reader;
}

SHMCONF_API const struct shmconf_version *shmconf_current(struct shmconf_reader *reader)
{
    return reader->version;
}

SHMCONF_API struct shmconf_slice shmconf_text(const struct shmconf_version *version)
{
    struct shmconf_slice nothing;
    (void)version;
    nothing.data = "";
    nothing.size = 0;
    return nothing;
}

SHMCONF_API const struct shmconf_version *shmconf_hold(const struct shmconf_version *version)
{
    return version;
}

SHMCONF_API void shmconf_drop(const struct shmconf_version *version)
{
    (void)version;
}

SHMCONF_API int shmconf_error(const struct shmconf_reader *reader)
{
    (void)reader;
    return -ENOTSUP;
}

SHMCONF_API int shmconf_wait(struct shmconf_reader *reader, long timeout_ms)
{
    (void)timeout_ms;
    return shmconf_error(reader);
}

SHMCONF_API int shmconf_fresh(struct shmconf_reader *reader, unsigned long max_age_ms,
                              long timeout_ms)
{
    (void)max_age_ms;
    return shmconf_wait(reader, timeout_ms);
}

SHMCONF_API int shmconf_request(struct shmconf_reader *reader, long timeout_ms)
{
    return shmconf_wait(reader, timeout_ms);
}

SHMCONF_API int shmconf_status(struct shmconf_reader *reader, struct shmconf_health *health)
{
    memset(health, 0, sizeof *health);
    return shmconf_error(reader);
}

SHMCONF_API int shmconf_close(struct shmconf_reader *reader)
{
    return shmconf_error(reader);
}

#endif
