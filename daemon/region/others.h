/* SPDX-License-Identifier: Apache-2.0 */
/* A root that was named and is used for something else, such as /tmp itself, or /usr. */
#ifndef SHMCONFD_REGION_OTHERS_H
#define SHMCONFD_REGION_OTHERS_H

#include <stdbool.h>

/* Whether something else than a region lies in this directory: then its mode is not ours to change.
 */
bool region_is_of_others(int directory);

#endif
