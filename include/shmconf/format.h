/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The layout of the shared-memory region, version 1.0. docs/region-format.md says the same in
 * prose.
 *
 *     <root>/<application>/<environment>/<profile>/head        struct shmconf_head: the seqlock
 *     <root>/<application>/<environment>/<profile>/v0000002a   the current version: immutable
 *     <root>/<application>/<environment>/<profile>/v00000029   its predecessor, for late openers
 *
 * Numbers are in the byte order of the machine, with a tag that tells a reader of the other order.
 */
#ifndef SHMCONF_FORMAT_H
#define SHMCONF_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "shmconf/order.h"

#define SHMCONF_DEFAULT_DIR   "/tmp/shmconf"
#define SHMCONF_HEAD_FILE     "head"
#define SHMCONF_HEAD_MAGIC    "SHMCHEAD"
#define SHMCONF_VERSION_MAGIC "SHMCVERS"

enum {
    SHMCONF_FORMAT_MAJOR = 1, /* a reader refuses any other */
    SHMCONF_FORMAT_MINOR = 0, /* a later one only gives meaning to bytes that were 0 */
    SHMCONF_ENDIAN_TAG = 0x01020304,
    SHMCONF_HEAD_SIZE = 4096,
    SHMCONF_VERSION_HEADER_SIZE = 128,
    SHMCONF_PART_MAX = 512,    /* bytes of an application's, environment's or profile's name */
    SHMCONF_SEGMENT_MAX = 200, /* bytes of its encoded form, which is a file name */
    SHMCONF_SEQ_FIRST = 1 /* of a new head; 0 is no sequence: a reader's 0 means "never read" */
};

enum shmconf_state {
    SHMCONF_EMPTY = 0,
    SHMCONF_LIVE = 1,
    SHMCONF_DELETED = 2,  /* reserved, never written */
    SHMCONF_MOVED = 0x100 /* a flag over the state: another head is, or will be, at this path */
};

/* What the head says of the configuration. A time of 0 is not known. */
struct shmconf_record {
    uint64_t generation;   /* the current version is the file v<generation>; 0: none */
    uint32_t state;        /* enum shmconf_state */
    uint32_t failures;     /* checks that have failed since the last good one */
    uint64_t fetched_ns;   /* unix time: when this version arrived */
    uint64_t checked_ns;   /* unix time: last good check, whether or not it brought a version */
    uint64_t tried_ns;     /* unix time: last check */
    uint64_t next_ns;      /* unix time: next check */
    uint32_t error;        /* errno value of the last check; 0: it was good */
    uint32_t http_status;  /* the source's answer to the last check; 0: none */
    uint32_t interval_s;   /* between checks */
    uint32_t payload_size; /* bytes of the current version's text */
};

struct shmconf_cell {
    struct shmconf_record record;
    uint8_t reserved[64];
};

/*
 * A seqlock of two cells: `cells[seq & 1]` is current. The writer fills the other one and then
 * stores seq + 1 with release, so a reader never waits for a writer and a writer that was killed
 * at any instruction leaves a whole record behind. All else is constant once the file has its name.
 */
struct shmconf_head {
    char magic[8];
    uint32_t endian;
    uint16_t major;
    uint16_t minor;
    uint32_t size;       /* SHMCONF_HEAD_SIZE */
    uint32_t pid;        /* of the creator; for people only */
    uint64_t instance;   /* random; a version is identified by (instance, generation) */
    uint64_t created_ns; /* unix time */
    uint8_t boot_id[16]; /* of the machine; all 0: not known */
    uint8_t reserved0[72];
    uint32_t seq; /* alone in 128 bytes: no neighbour's writes disturb its readers */
    uint8_t reserved1[124];
    struct shmconf_cell cells[2];
    uint32_t name_size; /* of the three NUL-terminated names, application first, NULs included */
    uint32_t reserved2;
    char name[3576];
};

struct shmconf_version_header {
    char magic[8];
    uint32_t endian;
    uint16_t major;
    uint16_t minor;
    uint64_t total; /* size of the file */
    uint64_t generation;
    uint64_t instance;   /* of the head it was published under */
    uint64_t fetched_ns; /* unix time */
    uint32_t payload_offset;
    uint32_t payload_size; /* a NUL that is not counted follows the payload */
    uint32_t index_offset; /* compiled JSON; 0: none */
    uint32_t index_size;
    uint8_t sha256[32];   /* of the payload */
    uint32_t type_offset; /* content type and label have a NUL behind them as well */
    uint32_t type_size;
    uint32_t label_offset;
    uint32_t label_size; /* 0: no label */
    uint32_t kind;       /* enum shmconf_kind */
    uint32_t body_crc;   /* CRC-32 (IEEE) of everything behind this header */
    uint32_t reserved;
    uint32_t header_crc; /* CRC-32 (IEEE) of the header's first 124 bytes */
};

enum shmconf_kind { SHMCONF_OPAQUE = 0, SHMCONF_JSON = 1 };

SHMCONF_ASSERT(record_size, sizeof(struct shmconf_record) == 64);
SHMCONF_ASSERT(record_state, offsetof(struct shmconf_record, state) == 0x08);
SHMCONF_ASSERT(record_failures, offsetof(struct shmconf_record, failures) == 0x0c);
SHMCONF_ASSERT(record_fetched, offsetof(struct shmconf_record, fetched_ns) == 0x10);
SHMCONF_ASSERT(record_checked, offsetof(struct shmconf_record, checked_ns) == 0x18);
SHMCONF_ASSERT(record_tried, offsetof(struct shmconf_record, tried_ns) == 0x20);
SHMCONF_ASSERT(record_next, offsetof(struct shmconf_record, next_ns) == 0x28);
SHMCONF_ASSERT(record_error, offsetof(struct shmconf_record, error) == 0x30);
SHMCONF_ASSERT(record_http_status, offsetof(struct shmconf_record, http_status) == 0x34);
SHMCONF_ASSERT(record_interval, offsetof(struct shmconf_record, interval_s) == 0x38);
SHMCONF_ASSERT(record_payload_size, offsetof(struct shmconf_record, payload_size) == 0x3c);
SHMCONF_ASSERT(head_size, sizeof(struct shmconf_head) == SHMCONF_HEAD_SIZE);
SHMCONF_ASSERT(head_endian, offsetof(struct shmconf_head, endian) == 0x008);
SHMCONF_ASSERT(head_major, offsetof(struct shmconf_head, major) == 0x00c);
SHMCONF_ASSERT(head_minor, offsetof(struct shmconf_head, minor) == 0x00e);
SHMCONF_ASSERT(head_size_field, offsetof(struct shmconf_head, size) == 0x010);
SHMCONF_ASSERT(head_pid, offsetof(struct shmconf_head, pid) == 0x014);
SHMCONF_ASSERT(head_instance, offsetof(struct shmconf_head, instance) == 0x018);
SHMCONF_ASSERT(head_created, offsetof(struct shmconf_head, created_ns) == 0x020);
SHMCONF_ASSERT(head_boot_id, offsetof(struct shmconf_head, boot_id) == 0x028);
SHMCONF_ASSERT(head_seq, offsetof(struct shmconf_head, seq) == 0x080);
SHMCONF_ASSERT(head_cells, offsetof(struct shmconf_head, cells) == 0x100);
SHMCONF_ASSERT(head_cell_size, sizeof(struct shmconf_cell) == 0x80);
SHMCONF_ASSERT(head_name_size, offsetof(struct shmconf_head, name_size) == 0x200);
SHMCONF_ASSERT(head_name, offsetof(struct shmconf_head, name) == 0x208);
SHMCONF_ASSERT(version_size, sizeof(struct shmconf_version_header) == SHMCONF_VERSION_HEADER_SIZE);
SHMCONF_ASSERT(version_total, offsetof(struct shmconf_version_header, total) == 0x10);
SHMCONF_ASSERT(version_generation, offsetof(struct shmconf_version_header, generation) == 0x18);
SHMCONF_ASSERT(version_instance, offsetof(struct shmconf_version_header, instance) == 0x20);
SHMCONF_ASSERT(version_fetched, offsetof(struct shmconf_version_header, fetched_ns) == 0x28);
SHMCONF_ASSERT(version_payload, offsetof(struct shmconf_version_header, payload_offset) == 0x30);
SHMCONF_ASSERT(version_index, offsetof(struct shmconf_version_header, index_offset) == 0x38);
SHMCONF_ASSERT(version_sha256, offsetof(struct shmconf_version_header, sha256) == 0x40);
SHMCONF_ASSERT(version_type, offsetof(struct shmconf_version_header, type_offset) == 0x60);
SHMCONF_ASSERT(version_label, offsetof(struct shmconf_version_header, label_offset) == 0x68);
SHMCONF_ASSERT(version_kind, offsetof(struct shmconf_version_header, kind) == 0x70);
SHMCONF_ASSERT(version_body_crc, offsetof(struct shmconf_version_header, body_crc) == 0x74);
SHMCONF_ASSERT(version_header_crc, offsetof(struct shmconf_version_header, header_crc) == 0x7c);

/* "v" and at least eight hexadecimal digits of the generation. */
#define SHMCONF_VERSION_FILE_SIZE 20

SHMCONF_API void shmconf_version_file(char name[SHMCONF_VERSION_FILE_SIZE], uint64_t generation)
{
    static const char digits[] = "0123456789abcdef";
    unsigned width = 8;
    while (width < 16 && (generation >> (4 * width)) != 0)
        width++;
    name[0] = 'v';
    for (unsigned i = 0; i < width; i++)
        name[width - i] = digits[(generation >> (4 * i)) & 0xf];
    name[width + 1] = '\0';
}

#endif
