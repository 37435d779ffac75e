/* SPDX-License-Identifier: Apache-2.0 */
/* What the name of a file in the local directory says. */
#ifndef SHMCONFD_SOURCE_FILE_NAME_H
#define SHMCONFD_SOURCE_FILE_NAME_H

#include "shmconf/name.h"

struct file_name {
    struct shmconf_name name;
    char content_type[256];
    int is_json; /* its text must be a JSON document */
};

enum file_name_kind {
    FILE_NAME_CONFIGURATION,
    FILE_NAME_OTHER,   /* an editor's or the system's: of no interest, not worth a word */
    FILE_NAME_MISTAKE, /* looks meant, but cannot be understood; `*why` says what is wrong */
};

/* `why` is a constant text. */
enum file_name_kind file_name_parse(struct file_name *parsed, const char *name, const char **why);

#endif
