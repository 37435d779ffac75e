/* SPDX-License-Identifier: Apache-2.0 */
/* The answers of the agent's API. */
#ifndef SHMCONFD_AGENT_ANSWER_H
#define SHMCONFD_AGENT_ANSWER_H

#include "agent/flags.h"
#include "configuration/configuration.h"
#include "http/server.h"

/* 200 with the version's bytes, or 304 when the client has them. */
void answer_version(struct http_exchange *exchange, struct region_version *version);

/* 405 for whatever is neither GET nor HEAD. */
void answer_not_allowed(struct http_exchange *exchange);

/* The same with the flags only: one flag's own value, or an object of several. */
void answer_flags(struct http_exchange *exchange, struct region_version *version,
                  struct flags *flags);

/* 404 in the form of AWS's agent. */
void answer_not_found(struct http_exchange *exchange, const char *message);

/* 503: nothing was published yet, and nobody waits for it any longer. */
void answer_ending(struct http_exchange *exchange);

/* Nothing was published yet: the reason of the last check, with the status that fits it. */
void answer_unavailable(struct http_exchange *exchange, const struct configuration *configuration);

#endif
