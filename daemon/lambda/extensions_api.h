/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lambda's Extensions API of 2020-01-01, as an external extension calls it: it registers under the
 * name of its file, and then asks for one event after the other. Asking means that the last one has
 * been dealt with; the answer may be hours away, and the process is frozen meanwhile.
 */
#ifndef SHMCONFD_LAMBDA_EXTENSIONS_API_H
#define SHMCONFD_LAMBDA_EXTENSIONS_API_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "loop/loop.h"

enum { EXTENSIONS_ID_SIZE = 128 };

struct extensions_api;

enum extensions_kind { EXTENSIONS_INVOKE, EXTENSIONS_SHUTDOWN, EXTENSIONS_UNKNOWN };

struct extensions_event {
    enum extensions_kind kind;
    uint64_t deadline_ns; /* unix time; 0: not said */
    char reason[32];      /* of a shutdown; "": not said */
};

/*
 * How a call ended. `rc` 0; -ECONNREFUSED: nobody listens, and -ECONNRESET: there was no answer, so
 * the call may be made again; -EBUSY: Lambda still waits to answer an earlier event/next, whose
 * connection is lost, and takes another when it has an event to waste on that; -EPROTO: a
 * registration gave no identifier; -EACCES: it was refused, as it will be each time. `event` is
 * NULL for a registration and unless rc is 0; `error` counts unless rc is 0.
 */
typedef void extensions_done(void *owner, int rc, const struct extensions_event *event,
                             const struct error *error);

/* `address` is that of AWS_LAMBDA_RUNTIME_API, copied. */
int extensions_api_open(struct extensions_api **api, struct loop *loop, const char *address,
                        struct error *error);

/* One call at a time. `done` is never called inside. -ENOMEM. */
int extensions_api_register(struct extensions_api *api, const char *name, bool wants_invoke,
                            extensions_done *done, void *owner);
int extensions_api_next(struct extensions_api *api, extensions_done *done, void *owner);

/* What the registration has given, or "". Setting it takes another's registration over. */
const char *extensions_api_id(const struct extensions_api *api);
void extensions_api_set_id(struct extensions_api *api, const char *id);

/* Gives up the call that runs. `closed` as with transfers_stop. */
void extensions_api_stop(struct extensions_api *api, void (*closed)(void *context), void *context);
void extensions_api_close(struct extensions_api *api);

#endif
