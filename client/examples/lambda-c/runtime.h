/* SPDX-License-Identifier: Apache-2.0 */
/* Lambda's Runtime API: the loop of a custom runtime. */
#ifndef LAMBDA_RUNTIME_H
#define LAMBDA_RUNTIME_H

#include <stddef.h>
#include <stdio.h>

struct runtime_event {
    const char *request_id;
    unsigned long long deadline_ms; /* when the invocation times out, since 1970 */
    const char *json;
    size_t size;
};

/*
 * Handles one invocation: writes the answer, JSON, and returns 0; or writes why it failed, plain
 * text, and returns anything else.
 */
typedef int runtime_handler(void *context, const struct runtime_event *event, FILE *answer);

/* Handles invocations one after the other. Returns only when Lambda cannot be talked to: -1. */
int runtime_run(runtime_handler *handler, void *context);

/* Tells Lambda that the function cannot start; what main is to return. */
int runtime_init_failed(const char *reason);

#endif
