/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which certificate authorities a server is to be vouched for by. Reading the system's bundle, some
 * 140 of them, costs a cold start 8 to 34 ms of CPU time; those that sign for AWS are five, and
 * built in.
 */
#ifndef SHMCONFD_ROOTS_H
#define SHMCONFD_ROOTS_H

#include "base/error.h"

struct roots {
    const char *built_in; /* PEM, tried first; NULL: not for this server */
    const char *file;     /* the bundle; NULL: none was found, libcurl's own if it has one */
};

/*
 * The first of: AWS_CA_BUNDLE; SSL_CERT_FILE; for AWS's own host names the built-in ones, and the
 * system's bundle if these do not do; the system's bundle. `url` is the server's. Texts belong to
 * the environment or are constant. -errno: what was named cannot be read.
 */
int roots_choose(struct roots *roots, const char *url, struct error *error);

/* For the log: "Amazon's roots", or the file. */
const char *roots_describe(const struct roots *roots);

#endif
