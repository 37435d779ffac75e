/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The place of a source that could not be opened: who asks is told why, unless a predecessor left
 * what he asks for.
 */
#ifndef SHMCONFD_SOURCE_UNAVAILABLE_H
#define SHMCONFD_SOURCE_UNAVAILABLE_H

#include "configuration/configuration.h"
#include "source/recovered.h"
#include "source/source.h"

/* `reason` is copied; of `recovered` as much is added as there is room for. NULL: no memory. */
struct source *unavailable_source_open(const struct error *reason,
                                       struct configurations *configurations,
                                       const struct recovered *recovered);

#endif
