/* SPDX-License-Identifier: Apache-2.0 */
/* The files of the local directory that are followed, and which configuration each one is. */
#ifndef SHMCONFD_SOURCE_FILES_H
#define SHMCONFD_SOURCE_FILES_H

#include "configuration/configuration.h"
#include "source/file.h"

enum { SOURCE_FILE_INTERVAL_S = 1 }; /* between two looks */

struct source_files {
    struct configurations *configurations;
    int directory; /* -1 while it is gone */
    struct source_file *first;
    void *tree; /* of search.h: the same files by name */
};

/* NULL if it is not known. */
struct source_file *source_files_find(struct source_files *files, char *name);

/* Takes up a new file; NULL if it is of no interest. */
struct source_file *source_files_add(struct source_files *files, const char *name);

/* Takes up the files that are new, in the order of their names so that every start is the same. */
void source_files_add_new(struct source_files *files);

/* Forgets files that were ignored and are gone; takes up those whose twin is gone. */
void source_files_review(struct source_files *files);

/* At the start: says it when the directory holds files whose names are no configuration's at all.
 */
void source_files_explain(struct source_files *files);

void source_files_free(struct source_files *files);

#endif
