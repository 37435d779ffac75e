/* SPDX-License-Identifier: Apache-2.0 */
/* One file of the local directory: when to read it, and reading it whole. */
#ifndef SHMCONFD_SOURCE_FILE_H
#define SHMCONFD_SOURCE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"
#include "configuration/configuration.h"
#include "source/file_name.h"

/* Largest configuration; AWS AppConfig's own limit is 4 MiB. */
enum { FILE_SIZE_MAX = 16 * 1024 * 1024 };

/* What changes when a file's content does. All 0: the file is not there. */
struct file_signature {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified;
    struct timespec changed;
};

struct source_file {
    struct source_file *next;
    char *name; /* in the directory */
    struct file_name parsed;
    struct configuration *configuration; /* NULL: ignored */
    bool is_mistake;                     /* the name cannot be understood */
    bool is_told;                        /* it was logged that the file is ignored */
    bool is_touched;               /* an event of the batch that is being taken in was about it */
    uint64_t quiet;                /* and it is to be quiet for so long before it is read */
    bool is_read;                  /* at least once */
    unsigned shortages;            /* attempts in a row for which descriptors ran out */
    bool is_bad;                   /* what was read last cannot be published */
    struct error error;            /* why */
    struct file_signature current; /* what was read last */
    struct file_signature pending; /* what shall be read, if it is still so at `due` */
    uint64_t due;                  /* monotonic ns; 0: nothing is to be read */
};

struct file_signature file_signature_of(const struct stat *status);
bool file_signature_equal(const struct file_signature *a, const struct file_signature *b);

/*
 * Reads and publishes the file, or reports why not. Returns false if it is no longer as `pending`
 * says or changes meanwhile, and is to be tried again.
 */
bool source_file_read(struct source_file *file, int directory);

#endif
