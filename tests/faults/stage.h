/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One operation on a region of its own, in a process of its own: what is there before, what is done
 * while system calls are counted and one of them fails, and what must hold afterwards.
 */
#ifndef TESTS_FAULTS_STAGE_H
#define TESTS_FAULTS_STAGE_H

#include <shmconf.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "region/region.h"

#define STAGE_NAME "A:B:C"

enum { STAGE_READERS = 2 };

struct stage {
    char root[300];
    uint64_t failing;    /* the number of the call that is going to fail; CALL_END: none */
    int way;             /* in which it is going to */
    bool may_come_later; /* of the region */
    struct region *region;
    struct region_entry *entry;
    struct shmconf_reader readers[STAGE_READERS]; /* attached before: mapping, private */
    struct shmconf_reader reader;                 /* the one that acts */
    const char *text;                             /* the last good version; NULL: none */
    const char *next;                             /* what holds once the operation succeeded */
    int rc;                                       /* of the operation */
    struct error error;
};

struct operation {
    const char *name;
    const char *calls; /* the kinds of calls that it must be seen to make, " " between them */
    void (*prepare)(struct stage *stage);
    void (*act)(struct stage *stage);
    void (*judge)(struct stage *stage);
    bool has_no_tmpfile;
    /* A descriptor whose fstat fails may be somebody else's by now, and is not closed. */
    bool may_leave_descriptor;
};

extern const struct operation writer_operations[];
extern const struct operation reader_operations[];
extern const size_t writer_operation_count;
extern const size_t reader_operation_count;

/* ---- stage.c --------------------------------------------------------------------------------- */

/* Opens the region; -errno with stage->error. */
int stage_open(struct stage *stage);
void stage_open_entry(struct stage *stage);
void stage_close_writer(struct stage *stage);

int stage_publish(struct stage *stage, const char *text);

/* Publishes `text`, which is then the last good version, and has both readers meet it. */
void stage_begin(struct stage *stage, const char *text);
void stage_attach(struct stage *stage);

/* A path below the root. */
struct stage_path {
    char text[400];
};
struct stage_path stage_path(const struct stage *stage, const char *path);
void stage_plant(const struct stage *stage, const char *path);
/* Writes over some bytes of a file. */
void stage_patch(const struct stage *stage, const char *path, size_t at, const void *bytes,
                 size_t size);
void stage_remove_tree(const char *path);

/* What one look gives; NULL: no version. */
const char *stage_text(struct shmconf_reader *reader, char text[64]);
/* The same has to be `text`. */
void stage_expect(struct shmconf_reader *reader, const char *text);
/* Looks until `text` comes, and takes nothing but `text` and `before` meanwhile. */
void stage_reach(struct shmconf_reader *reader, const char *before, const char *text);
/* The same for one that attaches now. */
void stage_newcomer(const char *text);

/* Everything works again: a publication, readers, a restart. Nothing is left behind. */
void stage_go_on(struct stage *stage);

#endif
