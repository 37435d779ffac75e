/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a configuration's files, plain or field by field; docs/region-format.md has the
   whole. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "shmcat/shmcat.h"

static struct {
    uint64_t generation;
    bool annotate;
} options = {.generation = NOT_GIVEN};

static const struct option_row rows[] = {
    {0, OPTION_FLAG, "annotate", NULL, "every field with offset, value and meaning",
     &options.annotate},
    {0, OPTION_NUMBER, "version", "G", "generation G: the current one or its predecessor",
     &options.generation},
    {0},
};

enum field_kind {
    FIELD_NUMBER,
    FIELD_HEX,
    FIELD_TIME,
    FIELD_TEXT,
    FIELD_BYTES,
    FIELD_RESERVED,
};

struct field {
    size_t offset;
    size_t size;
    enum field_kind kind;
    const char *name;
    const char *meaning;
};

#define FIELD(type, kind, member, meaning)                                                         \
    {                                                                                              \
        offsetof(struct type, member), sizeof((struct type *)NULL)->member, kind, #member, meaning \
    }

static const char reserved[] = "0 in this version of the format";

static const struct field head_fields[] = {
    FIELD(shmconf_head, FIELD_TEXT, magic, "a head"),
    FIELD(shmconf_head, FIELD_HEX, endian, "1020304 in the writer's byte order"),
    FIELD(shmconf_head, FIELD_NUMBER, major, "of the format; readers refuse any other"),
    FIELD(shmconf_head, FIELD_NUMBER, minor, "of the format; reserved bytes gain meaning with it"),
    FIELD(shmconf_head, FIELD_NUMBER, size, "of this file"),
    FIELD(shmconf_head, FIELD_NUMBER, pid, "of the daemon that made it, for people only"),
    FIELD(shmconf_head, FIELD_HEX, instance, "random; names a version together with generation"),
    FIELD(shmconf_head, FIELD_TIME, created_ns, "when it was made"),
    FIELD(shmconf_head, FIELD_BYTES, boot_id, "of the machine's start that it belongs to"),
    FIELD(shmconf_head, FIELD_RESERVED, reserved0, reserved),
    FIELD(shmconf_head, FIELD_NUMBER, seq, "the seqlock: cell seq & 1 is current"),
    FIELD(shmconf_head, FIELD_RESERVED, reserved1, reserved),
    FIELD(shmconf_head, FIELD_NUMBER, name_size, "of the names that follow, NULs included"),
    FIELD(shmconf_head, FIELD_RESERVED, reserved2, reserved),
};

/* A record is what its cell begins with. */
static const struct field cell_fields[] = {
    FIELD(shmconf_record, FIELD_NUMBER, generation, "the current version's; 0: none"),
    FIELD(shmconf_record, FIELD_HEX, state, "0 empty, 1 live, flag 100: another head comes"),
    FIELD(shmconf_record, FIELD_NUMBER, failures, "checks failed since the last good one"),
    FIELD(shmconf_record, FIELD_TIME, fetched_ns, "when this version arrived"),
    FIELD(shmconf_record, FIELD_TIME, checked_ns, "the last good check"),
    FIELD(shmconf_record, FIELD_TIME, tried_ns, "the last check"),
    FIELD(shmconf_record, FIELD_TIME, next_ns, "the next check"),
    FIELD(shmconf_record, FIELD_NUMBER, error, "errno of the last check; 0: it was good"),
    FIELD(shmconf_record, FIELD_NUMBER, http_status, "what the source answered; 0: nothing"),
    FIELD(shmconf_record, FIELD_NUMBER, interval_s, "seconds between checks"),
    FIELD(shmconf_record, FIELD_NUMBER, payload_size, "bytes of the current version's text"),
    FIELD(shmconf_cell, FIELD_RESERVED, reserved, reserved),
};

static const struct field version_fields[] = {
    FIELD(shmconf_version_header, FIELD_TEXT, magic, "a version"),
    FIELD(shmconf_version_header, FIELD_HEX, endian, "1020304 in the writer's byte order"),
    FIELD(shmconf_version_header, FIELD_NUMBER, major, "of the format"),
    FIELD(shmconf_version_header, FIELD_NUMBER, minor, "of the format"),
    FIELD(shmconf_version_header, FIELD_NUMBER, total, "size of this file"),
    FIELD(shmconf_version_header, FIELD_NUMBER, generation, "as in its file name"),
    FIELD(shmconf_version_header, FIELD_HEX, instance, "of the head that it was published under"),
    FIELD(shmconf_version_header, FIELD_TIME, fetched_ns, "when it arrived"),
    FIELD(shmconf_version_header, FIELD_NUMBER, payload_offset, "where the text begins"),
    FIELD(shmconf_version_header, FIELD_NUMBER, payload_size, "of the text, without its NUL"),
    FIELD(shmconf_version_header, FIELD_NUMBER, index_offset, "of compiled JSON; 0: none"),
    FIELD(shmconf_version_header, FIELD_NUMBER, index_size, "of compiled JSON"),
    FIELD(shmconf_version_header, FIELD_BYTES, sha256, "of the text"),
    FIELD(shmconf_version_header, FIELD_NUMBER, type_offset, "of the content type"),
    FIELD(shmconf_version_header, FIELD_NUMBER, type_size, "of the content type"),
    FIELD(shmconf_version_header, FIELD_NUMBER, label_offset, "of the version label"),
    FIELD(shmconf_version_header, FIELD_NUMBER, label_size, "of the version label; 0: none"),
    FIELD(shmconf_version_header, FIELD_NUMBER, kind, "0 opaque, 1 JSON"),
    FIELD(shmconf_version_header, FIELD_HEX, body_crc, "CRC-32 of all behind this header"),
    FIELD(shmconf_version_header, FIELD_RESERVED, reserved, reserved),
    FIELD(shmconf_version_header, FIELD_HEX, header_crc, "CRC-32 of the 124 bytes before"),
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* ---- Field by field ------------------------------------------------------------------------- */

static uint64_t number_of(const unsigned char *bytes, size_t size)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (size) {
    case sizeof two:
        memcpy(&two, bytes, size);
        return two;
    case sizeof four:
        memcpy(&four, bytes, size);
        return four;
    default:
        memcpy(&eight, bytes, sizeof eight);
        return eight;
    }
}

/* What no writer stores: the first byte that is there all the same, and where in the file. */
static char *reserved_value(const unsigned char *bytes, size_t size, size_t offset)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return text_format("%02x at %06zx", bytes[i], offset + i);
    return text_format("0");
}

/* `offset` is the field's in the file. */
static char *value_of(const struct field *field, const unsigned char *bytes, size_t offset)
{
    char time[TIME_SIZE];
    char *text;
    switch (field->kind) {
    case FIELD_NUMBER:
        return text_format("%" PRIu64, number_of(bytes, field->size));
    case FIELD_HEX:
        return text_format("0x%" PRIx64, number_of(bytes, field->size));
    case FIELD_TIME:
        text_time(time, number_of(bytes, field->size));
        return text_format("%s", time);
    case FIELD_TEXT:
        return text_visible((const char *)bytes, field->size);
    case FIELD_RESERVED:
        return reserved_value(bytes, field->size, offset);
    case FIELD_BYTES:
        break;
    }
    text = text_format("%*s", (int)(2 * field->size), "");
    for (size_t i = 0; i < field->size; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return text;
}

/* `base` is where the structure stands in the file, and `bytes` the file. */
static void print_fields(const struct field *fields, size_t count, const char *prefix,
                         const unsigned char *bytes, size_t base)
{
    for (size_t i = 0; i < count; i++) {
        const struct field *field = &fields[i];
        size_t offset = base + field->offset;
        char name[48];
        cleanup_free char *value = value_of(field, bytes + offset, offset);
        snprintf(name, sizeof name, "%s%s", prefix, field->name);
        printf("%06zx  %4zu  %-22s %-25s  %s\n", offset, field->size, name, value, field->meaning);
    }
}

static void print_slice(const char *name, const unsigned char *bytes, size_t size, size_t offset,
                        size_t length)
{
    enum { SHOWN = 40 };
    if (offset > size || length > size - offset) {
        printf("%06zx  %4zu  %-22s lies outside of the file\n", offset, length, name);
        return;
    }
    bool is_long = length > SHOWN;
    cleanup_free char *value =
        text_visible((const char *)bytes + offset, is_long ? (size_t)SHOWN : length);
    printf("%06zx  %4zu  %-22s %s%s\n", offset, length, name, value, is_long ? "..." : "");
}

static void annotate_head(const unsigned char *bytes, size_t size)
{
    struct shmconf_head head;
    memcpy(&head, bytes, sizeof head);
    print_fields(head_fields, COUNT(head_fields), "", bytes, 0);
    for (size_t i = 0; i < COUNT(head.cells); i++) {
        size_t base = offsetof(struct shmconf_head, cells) + i * sizeof head.cells[0];
        const char *prefix = i ? "cells[1]." : "cells[0].";
        printf("--      cell %zu, %s\n", i, (head.seq & 1) == i ? "current" : "filled next");
        print_fields(cell_fields, COUNT(cell_fields), prefix, bytes, base);
    }
    struct field rest = FIELD(shmconf_head, FIELD_RESERVED, name, reserved);
    print_slice("name", bytes, size, rest.offset, head.name_size);
    if (head.name_size < rest.size) {
        rest.name = "behind the name";
        rest.offset += head.name_size;
        rest.size -= head.name_size;
        print_fields(&rest, 1, "", bytes, 0);
    }
}

static void annotate_version(const unsigned char *bytes, size_t size)
{
    struct shmconf_version_header header;
    memcpy(&header, bytes, sizeof header);
    print_fields(version_fields, COUNT(version_fields), "", bytes, 0);
    print_slice("text", bytes, size, header.payload_offset, header.payload_size);
    print_slice("index", bytes, size, header.index_offset, header.index_size);
    print_slice("content type", bytes, size, header.type_offset, header.type_size);
    print_slice("label", bytes, size, header.label_offset, header.label_size);
}

/* ---- Plain ---------------------------------------------------------------------------------- */

static void print_line(const unsigned char *bytes, size_t size, size_t at)
{
    printf("%06zx ", at);
    for (size_t i = at; i < at + 16; i++)
        printf(i < size ? "%s%02x" : "   ", i % 8 ? " " : "  ", i < size ? bytes[i] : 0);
    fputs("  |", stdout);
    for (size_t i = at; i < at + 16 && i < size; i++)
        putchar(bytes[i] < 0x80 && isprint(bytes[i]) ? bytes[i] : '.');
    puts("|");
}

/* A line that repeats the one before it is left out, as hexdump does. */
static void print_bytes(const unsigned char *bytes, size_t size)
{
    bool starred = false;
    for (size_t at = 0; at < size; at += 16) {
        bool repeats = at > 0 && at + 16 < size && memcmp(bytes + at, bytes + at - 16, 16) == 0;
        if (!repeats)
            print_line(bytes, size, at);
        else if (!starred)
            puts("*");
        starred = repeats;
    }
}

/* ---- The command ---------------------------------------------------------------------------- */

/* One that is too short for its fields is shown as it is: damage is what one wants to see. */
static int dump_file(struct config *config, const char *file, size_t least,
                     void (*annotate)(const unsigned char *bytes, size_t size))
{
    char *bytes = NULL;
    size_t size;
    int rc = config_file(config, file, 0, &bytes, &size);
    if (rc)
        return rc;
    cleanup_free char *path = config_path(config, file);
    cleanup_free char *visible = text_visible(path, strlen(path));
    printf("%s: %zu bytes\n", visible, size);
    if (options.annotate && size >= least)
        annotate((const unsigned char *)bytes, size);
    else
        print_bytes((const unsigned char *)bytes, size);
    free(bytes);
    return size < least ? -ENODATA : 0;
}

static int dump_head(const char *name, struct config *config)
{
    int rc = config->directory < 0 ? config->directory : 0;
    if (!rc)
        rc = dump_file(config, SHMCONF_HEAD_FILE, SHMCONF_HEAD_SIZE, annotate_head);
    if (!rc)
        rc = config->error;
    fflush(stdout); /* before what stderr says */
    return rc ? fail_config(name, config, rc) : EXIT_FINE;
}

static int dump_version(const char *name, struct config *config)
{
    char file[SHMCONF_VERSION_FILE_SIZE];
    bool is_current = options.generation == NOT_GIVEN;
    shmconf_version_file(file, is_current ? config->record.generation : options.generation);
    int rc = dump_file(config, file, SHMCONF_VERSION_HEADER_SIZE, annotate_version);
    fflush(stdout);
    if (rc == -ENOENT && !is_current)
        return fail_generation(name, config, options.generation);
    if (rc == -ENOENT && config->record.generation)
        rc = -ESTALE;
    return rc ? fail_config(name, config, rc) : EXIT_FINE;
}

static int dump_run(const struct common *common, char **arguments)
{
    const char *name = arguments[0];
    cleanup_free struct shmconf_place *place = NULL;
    struct config config;
    int status = place_make(&place, name);
    if (status)
        return status;
    if (common->json)
        return complain("dump", "has no JSON form: see shmcat cat and shmcat status"), EXIT_USAGE;
    config_open(&config, place);
    status = dump_head(name, &config);
    /* A head that is damaged does not say which version: it is shown if the caller does. */
    if (status == EXIT_FINE || (options.generation != NOT_GIVEN && config.directory >= 0))
        status |= dump_version(name, &config);
    config_close(&config);
    return status;
}

const struct command dump_command = {
    .name = "dump",
    .arguments = "NAME",
    .summary = "The bytes of its files, or all fields of them.",
    .details = "\nThe head and a version file, in hexadecimal; with --annotate a line for each\n"
               "field: offset, size, name, value, meaning. The payload is shown as well. Behind a\n"
               "damaged head a version is shown where --version says which.\n",
    .options = rows,
    .least = 1,
    .most = 1,
    .run = dump_run,
};
