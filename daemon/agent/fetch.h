/* SPDX-License-Identifier: Apache-2.0 */
/* One configuration over HTTP: asks the source, waits if that is worth it, and answers. */
#ifndef SHMCONFD_AGENT_FETCH_H
#define SHMCONFD_AGENT_FETCH_H

#include "configuration/configuration.h"
#include "http/server.h"
#include "loop/loop.h"
#include "source/source.h"

/* All borrowed. */
struct fetch {
    struct loop *loop;
    struct configurations *configurations;
    struct source *source;
    uint64_t first_wait_ns; /* longest wait for a configuration that was never fetched */
    uint64_t fresh_wait_ns; /* for the check of one that is late; 0: none */
    bool is_ending;         /* nothing more is fetched */
};

/* Answers now or later. */
void fetch_configuration(const struct fetch *fetch, struct http_exchange *exchange,
                         const struct shmconf_name *name);

#endif
