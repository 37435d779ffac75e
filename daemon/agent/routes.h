/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP API of AWS's agent on port 2772. docs/http-api.md describes it. */
#ifndef SHMCONFD_AGENT_ROUTES_H
#define SHMCONFD_AGENT_ROUTES_H

#include "agent/fetch.h"
#include "http/server.h"

/* Must live as long as the server. */
struct routes {
    struct fetch fetch;
};

/* An http_handle; `context` is a struct routes. */
void routes_handle(void *context, struct http_exchange *exchange);

#endif
