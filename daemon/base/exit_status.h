/* SPDX-License-Identifier: Apache-2.0 */
/* The exit status of shmconfd; documented in --help, docs/configuration.md and shmconfd(8). */
#ifndef SHMCONFD_EXIT_STATUS_H
#define SHMCONFD_EXIT_STATUS_H

enum exit_status {
    EXIT_STATUS_OK = 0,
    EXIT_STATUS_FAILURE = 1,  /* anything not named below */
    EXIT_STATUS_USAGE = 2,    /* unknown option, superfluous argument */
    EXIT_STATUS_SETTINGS = 3, /* a setting is malformed, missing, or not implemented and refused */
    EXIT_STATUS_REGION =
        4,                /* the region is another owner's, locked by another daemon, unwritable */
    EXIT_STATUS_PORT = 5, /* the port is taken or may not be bound */
};

#endif
