/* SPDX-License-Identifier: Apache-2.0 */
/* What in a root is not ours: it may have been named by mistake, as /tmp itself, or a home. */
#ifndef SHMCONFD_REGION_OTHERS_H
#define SHMCONFD_REGION_OTHERS_H

#include <sys/types.h>

/*
 * Whether something else than a region lies in this directory: then it is not ours to use, nor to
 * change its mode. A region has its source noted, or a head; without either it holds at most what a
 * first publication leaves that did not come to its end, in directories of this mode. 1, 0 or
 * -errno.
 */
int region_is_of_others(int directory, mode_t mode);

/* Whether a file begins with these eight bytes, as each version and each head does. 1, 0 or -errno.
 */
int region_file_begins_with(int directory, const char *name, const char *magic);

#endif
