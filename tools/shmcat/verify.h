/* SPDX-License-Identifier: Apache-2.0 */
/* What `shmcat verify` finds wrong with bytes: a constant text, or NULL. */
#ifndef SHMCAT_VERIFY_H
#define SHMCAT_VERIFY_H

#include "shmcat/shmcat.h"

/* Of a version's file, whose header has been checked. */
const char *verify_version_bytes(const char *bytes, size_t size, const struct config *config,
                                 uint64_t generation);

/* Of the head that `config` has mapped. */
const char *verify_head(const struct config *config);

/* ---- verify_source.c ---- */

/* Of what tells the source, in the root: 0, -EBADMSG if that is not in it, or another -errno. */
int verify_read_source(const struct shmconf_place *place, int root);

/* And what to do about it. `config` is the root's. */
const char *verify_remedy_of_source(const struct config *config, int rc);

#endif
