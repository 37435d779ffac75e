/* SPDX-License-Identifier: Apache-2.0 */
/* The Date header of HTTP, without libcurl's parser: small builds of that understand no date. */
#ifndef SHMCONFD_HTTP_DATE_H
#define SHMCONFD_HTTP_DATE_H

#include <time.h>

/* "Sun, 06 Nov 1994 08:49:37 GMT", which is what servers have to send; -1: anything else. */
time_t http_date_parse(const char *text);

#endif
