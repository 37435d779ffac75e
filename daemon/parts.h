/* SPDX-License-Identifier: Apache-2.0 */
/* What every run of the daemon is made of, put together and taken apart. */
#ifndef SHMCONFD_PARTS_H
#define SHMCONFD_PARTS_H

#include "base/exit_status.h"
#include "configuration/configuration.h"
#include "credentials/credentials.h"
#include "loop/loop.h"
#include "region/region.h"
#include "settings/settings.h"
#include "source/recovered.h"
#include "source/source.h"

struct parts {
    const struct settings *settings;
    struct loop *loop;
    struct region *region;
    struct recovered recovered; /* until the source is open */
    struct configurations *configurations;
    struct credentials_provider *credentials; /* NULL: the source needs none */
    struct source *source;
};

/* The event loop. `parts` is zeroed; close it in any case. */
enum exit_status parts_open_loop(struct parts *parts, const struct settings *settings,
                                 struct error *error);

/* The region, and the set of configurations. */
enum exit_status parts_open_region(struct parts *parts, struct error *error);

/*
 * The source that the settings say, with that prefetch list (NULL: none). It begins to work;
 * `goes_on`: also with what a predecessor followed.
 */
enum exit_status parts_open_source(struct parts *parts, const char *prefetch_list, bool goes_on,
                                   struct error *error);
void parts_close(struct parts *parts);

/* Whether the source could be opened with these settings: for --check. Nothing is started. */
enum exit_status parts_check_source(const struct settings *settings, struct error *error);

/* Longest time that a first fetch may take: a session, a configuration and some waiting. */
uint64_t parts_first_wait_ns(const struct parts *parts);

#endif
