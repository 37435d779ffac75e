/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * shmconf: the current version of an AWS AppConfig configuration, read from shared memory in about
 * a nanosecond: no HTTP, no parsing, no system call, no lock. The daemon shmconfd writes, any
 * number of processes read. C99 or later, C++11 or later, gcc or clang; libc only.
 *
 *     struct shmconf_reader config;
 *     int rc = shmconf_open(&config, "Shop:Prod:Checkout", 0);
 *     if (rc)
 *         return fail(shmconf_strerror(rc));
 *     shmconf_wait(&config, 5000);        once: has the daemon fetch it, if it did not, and waits
 *
 *     for each request {
 *         const struct shmconf_version *version = shmconf_enter(&config);
 *         struct shmconf_slice text = shmconf_text(version);
 *         ... text.data, text.size: zero copy, unchanged until leave ...
 *         shmconf_leave(&config);
 *     }
 *     shmconf_close(&config);
 *
 *   shmconf_open, shmconf_open_parts, shmconf_close     any well-formed name, at any time
 *   shmconf_enter, shmconf_leave                        one consistent snapshot in between
 *   shmconf_current                                     the same until the next call, no leave
 *   shmconf_text                                        its bytes, a NUL behind the end
 *   shmconf_hold, shmconf_drop                          keep a version, hand it to another thread
 *   shmconf_wait                                        sleep until the first version, for which
 *                                                       the daemon is asked, or a newer one
 *   shmconf_fresh                                       sleep until the last check is young enough
 *   shmconf_status                                      age, failures, next check
 *   shmconf_request                                     ask the daemon for it, and get its answer
 *   shmconf_error, shmconf_strerror                     why there is nothing newer
 *
 * C++: shmconf::reader, shmconf::snapshot, shmconf::held_version (shmconf/cxx.h).
 *
 * Rules
 * - A reader belongs to one thread. One snapshot is one reader: libraries that must agree on a
 *   version pass the reader, or the version, down.
 * - After fork a child uses only readers of the thread that forked.
 * - A process that calls nothing but enter and leave notices new versions and a daemon that was
 *   replaced or restarted. It does not notice that somebody removed the whole region, or damaged
 *   a head, while no daemon ran or so short a time before it was killed that it had not looked:
 *   wait, fresh and status do, and take it up again.
 * - A mapping of a file that somebody truncates gives SIGBUS. Only the region's owner and root can:
 *   see SECURITY.md, and SHMCONF_PRIVATE, which needs no mapping but that of the head.
 * - Outside Linux every call answers -ENOTSUP.
 *
 * Environment: SHMCONF_DIR (the region, default /tmp/shmconf), SHMCONF_OWNER (a further uid to
 * trust, or "any"), both read by shmconf_open; SHMCONF_HTTP_PORT (or that of AWS's extension),
 * where shmconf_wait and shmconf_request find the daemon, default 2772.
 */
#ifndef SHMCONF_H
#define SHMCONF_H

#define SHMCONF_VERSION "0.1.0"

#ifdef __linux__
#include "shmconf/reader.h"
#include "shmconf/request.h"
#include "shmconf/wait.h"
#else
#include "shmconf/unsupported.h"
#endif

#ifdef __cplusplus
#include "shmconf/cxx.h"
#endif

#endif
