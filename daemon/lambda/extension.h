/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon as a Lambda extension: when it registers, what it does at each event, and when it asks
 * for the next one. Lambda calls the handler for the first time when every extension has asked for
 * its first event, and freezes the sandbox when all have asked again after an invocation. So a poll
 * has to begin and end between an INVOKE and the next question, or it is frozen half way.
 */
#ifndef SHMCONFD_LAMBDA_EXTENSION_H
#define SHMCONFD_LAMBDA_EXTENSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "lambda/extensions_api.h"
#include "loop/loop.h"
#include "source/source.h"

struct extension;

enum { EXTENSION_INIT_WAIT_S = 5 };

struct extension_options {
    const char *address;      /* AWS_LAMBDA_RUNTIME_API */
    bool wants_invoke;        /* false on managed instances, which refuse it and never freeze */
    bool waits;               /* asks for the next event only when a due poll has ended */
    uint64_t poll_timeout_ns; /* longest such wait */
    /* SHUTDOWN came: everything is to end before `deadline_ns` of the monotonic clock. */
    void (*shut_down)(void *context, uint64_t deadline_ns);
    /* Lambda refuses to give events, or is not there any more: nothing is left to live for. */
    void (*refused)(void *context, const struct error *error);
    void *context;
};

/* Whether AWS_LAMBDA_INITIALIZATION_TYPE says that this is an instance that is never frozen. */
bool extension_is_managed(void);

/* Whether it says that this process is to be frozen into a snapshot (SnapStart). */
bool extension_is_snapshot(void);

/*
 * Registers under the name of the executable file, and returns when that was answered: the runtime
 * starts only then. The loop must be idle: it is run for that. -EACCES: Lambda refuses.
 */
int extension_open(struct extension **extension, struct loop *loop,
                   const struct extension_options *options, struct error *error);

/* The same with a registration that there is already. */
int extension_resume(struct extension **extension, struct loop *loop,
                     const struct extension_options *options, const char *id, struct error *error);

/*
 * Asks for the first event when no check of `source` runs any more (NULL: at once), but after at
 * most EXTENSION_INIT_WAIT_S.
 */
void extension_start(struct extension *extension, struct source *source);

/* What Lambda knows it by. */
const char *extension_id(const struct extension *extension);

/* Asks for nothing any more; `closed` as with source_stop. */
void extension_stop(struct extension *extension, void (*closed)(void *context), void *context);
void extension_close(struct extension *extension);

#endif
