/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations from AWS AppConfig. */
#ifndef SHMCONFD_SOURCE_AWS_H
#define SHMCONFD_SOURCE_AWS_H

#include "configuration/configuration.h"
#include "credentials/credentials.h"
#include "loop/loop.h"
#include "source/recovered.h"
#include "source/source.h"
#include "upstream/endpoint.h"

/* Texts are borrowed for the call only, the provider until the source is closed. */
struct aws_source_options {
    const struct endpoint *endpoint;
    struct credentials_provider *credentials;
    uint64_t poll_interval_ns;
    uint64_t request_timeout_ns;
    uint64_t late_max_ns; /* requests wait for a check that began later than that */
    unsigned connections_max;
    const struct roots *roots; /* its texts are borrowed until the source is closed */
    unsigned idle_max_s;       /* see struct transfers_options */
    bool has_no_copies; /* nobody restores snapshots of this process: its tokens are its own */
    bool keeps_fresh;   /* what is listed, but recovered and fresh, is not fetched at the start */
    bool is_snapshot; /* copies of this process go on from here: each needs a session of its own */
    bool is_waited_for; /* what checks take is paid for: after slow failures the pause is longer */
    const char *prefetch_list;         /* NULL: none; otherwise as the setting of that name */
    const struct recovered *recovered; /* what is to be followed on; NULL: nothing */
};

/*
 * Begins to fetch what the list names, and goes on with what was recovered; everything else is
 * fetched when somebody wants it.
 */
int aws_source_open(struct source **source, struct loop *loop,
                    struct configurations *configurations, const struct aws_source_options *options,
                    struct error *error);

#endif
