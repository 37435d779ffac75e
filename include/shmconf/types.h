/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The types that users of the header see. */
#ifndef SHMCONF_TYPES_H
#define SHMCONF_TYPES_H

#include <stddef.h>
#include <stdint.h>

struct shmconf_head;
struct shmconf_place;

/* Flags of shmconf_open. */
enum {
    /*
     * Read each version into private memory instead of mapping it: immune to somebody who truncates
     * the version's file (which would be SIGBUS; the head's always is, since it has to be mapped),
     * faster to switch below some 64 KB, dearer above.
     */
    SHMCONF_PRIVATE = 1u << 0,
    /*
     * shmconf_wait does not ask the daemon for a configuration that is not there: for programs that
     * only look, or whose sandbox forbids sockets.
     */
    SHMCONF_SILENT = 1u << 1,
    SHMCONF_VERIFY = 1u << 8 /* internal: compare the body's CRC */
};

/* Bytes with a NUL behind their end (which `size` does not count). */
struct shmconf_slice {
    const char *data;
    size_t size;
};

/*
 * What shmconf_enter returns. The members up to `private_` may be read; all are constant for as
 * long as the version is valid.
 */
struct shmconf_version {
    struct shmconf_slice text;         /* the configuration, byte for byte */
    struct shmconf_slice content_type; /* as the source said it, for example "application/json" */
    struct shmconf_slice label;        /* size 0: none */
    uint64_t generation;               /* counts up; with `instance` it identifies the version */
    uint64_t instance;
    uint64_t fetched_ns; /* unix time */
    uint32_t kind;       /* enum shmconf_kind */
    struct {
        uint32_t references;
        const void *mapping; /* NULL: the bytes stand in `self`'s own memory */
        size_t size;
        struct shmconf_version *self; /* without const, for the reference count */
    } private_;
};

/* All members are private. Must not be copied while it is open. */
struct shmconf_reader {
    /* What every read touches. `seq` points at a constant 0 while no head is mapped. */
    const uint32_t *seq;
    uint64_t gate; /* `seen`; between enter and leave what no sequence is, see SHMCONF_ENTERED */
    struct shmconf_version *version; /* the last good one, with one reference */
    uint32_t seen;                   /* the sequence that it answers to; 0: none, look again */

    const struct shmconf_head *head;
    struct shmconf_place *place;
    uint64_t instance;   /* of the mapped head */
    uint64_t generation; /* of `version`, if it was opened under the mapped head; else 0 */
    uint64_t device;     /* of the mapped head's file */
    uint64_t inode;
    uint64_t tried_instance; /* what was last tried to open, for shmconf_wait */
    uint64_t tried_generation;
    uint64_t looked_ns; /* when the path was last looked at, by shmconf_ticks_ns; 0: never */
    uint64_t ask_ns;    /* the daemon is not asked before, by shmconf_ticks_ns */
    uint64_t directory_inode;
    uint64_t directory_device;
    int directory; /* of the mapped head, for opening versions; -1: none */
    int error;
    unsigned flags;
};

/* What shmconf_status tells. Times are unix time in nanoseconds, 0 when not known. */
struct shmconf_health {
    uint64_t generation; /* of the current version; 0: nothing published */
    uint64_t instance;
    uint64_t fetched_ns;  /* when it arrived */
    uint64_t checked_ns;  /* last good check */
    uint64_t tried_ns;    /* last check, good or not */
    uint64_t next_ns;     /* next check */
    uint64_t age_ns;      /* from checked_ns to now, either way; 0: not known */
    uint32_t failures;    /* checks failed since the last good one */
    uint32_t error;       /* errno value of the last check; 0: it was good */
    uint32_t http_status; /* the source's answer to it; 0: none */
    uint32_t interval_s;  /* between checks */
    uint32_t size;        /* of the current version, in bytes */
};

#endif
