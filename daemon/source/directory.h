/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configurations from the files of a local directory: the agent's local development mode. A file
 * "application:environment:profile[.ext]" is a configuration, published as soon as it is there.
 * Changes are noticed through inotify and, where that says nothing, by a look each second.
 */
#ifndef SHMCONFD_SOURCE_DIRECTORY_H
#define SHMCONFD_SOURCE_DIRECTORY_H

#include "base/error.h"
#include "configuration/configuration.h"
#include "loop/loop.h"
#include "source/source.h"

/* Reads and publishes all files, then follows them on the loop. The directory must exist. */
int directory_source_open(struct source **source, struct loop *loop,
                          struct configurations *configurations, const char *path,
                          struct error *error);

#endif
