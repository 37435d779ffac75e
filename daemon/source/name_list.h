/* SPDX-License-Identifier: Apache-2.0 */
/* The setting PREFETCH_LIST: names divided by commas, in either spelling. */
#ifndef SHMCONFD_SOURCE_NAME_LIST_H
#define SHMCONFD_SOURCE_NAME_LIST_H

#include <stddef.h>

/*
 * Takes the list apart: `names` receives pointers into `text`, which keeps both alive. Both are the
 * caller's to free. 0 or -ENOMEM; an empty or NULL list has no names.
 */
int name_list_split(const char *list, char **text, char ***names, size_t *count);

#endif
