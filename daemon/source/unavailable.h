/* SPDX-License-Identifier: Apache-2.0 */
/* The place of a source that could not be opened: whoever asks is told why. */
#ifndef SHMCONFD_SOURCE_UNAVAILABLE_H
#define SHMCONFD_SOURCE_UNAVAILABLE_H

#include "source/source.h"

/* `reason` is copied. NULL: no memory. */
struct source *unavailable_source_open(const struct error *reason);

#endif
