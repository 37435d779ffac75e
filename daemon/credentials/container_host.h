/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts that credentials are fetched from by plain http, since that does not leave the machine. */
#ifndef SHMCONFD_CONTAINER_HOST_H
#define SHMCONFD_CONTAINER_HOST_H

#include <stdbool.h>

#define CONTAINER_HOSTS_ALLOWED                                                                    \
    "https, or http to loopback, 169.254.170.2, 169.254.170.23 or [fd00:ec2::23]"

/* A host as libcurl will go there: an IPv6 address in brackets. */
bool container_host_is_near(const char *host);

#endif
