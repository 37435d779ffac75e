/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The name of a configuration: application, environment and profile, names or ids as the user
 * writes them. Two spellings are understood:
 *
 *     Shop:Prod:Checkout
 *     /applications/Shop/environments/Prod/configurations/Checkout
 *
 * The second one, the path of the agent's HTTP API, is percent-encoded and so can say any name,
 * also one that holds a colon.
 */
#ifndef SHMCONF_NAME_H
#define SHMCONF_NAME_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shmconf/format.h"
#include "shmconf/hash.h"

enum { SHMCONF_APPLICATION, SHMCONF_ENVIRONMENT, SHMCONF_PROFILE, SHMCONF_PARTS };

/* Enough for shmconf_name_print: every byte escaped, and the longer spelling's words. */
#define SHMCONF_NAME_TEXT_MAX (3 * 3 * SHMCONF_PART_MAX + 64)

struct shmconf_name {
    uint32_t size;                                     /* of `text` */
    uint32_t start[SHMCONF_PARTS];                     /* of each part in `text` */
    char text[SHMCONF_PARTS * (SHMCONF_PART_MAX + 1)]; /* three NUL-terminated names */
};

SHMCONF_API const char *shmconf_name_part(const struct shmconf_name *name, int part)
{
    return name->text + name->start[part];
}

SHMCONF_API int shmconf_name_append(struct shmconf_name *name, int part, const char *text,
                                    size_t size)
{
    if (size == 0)
        return -EINVAL;
    if (size > SHMCONF_PART_MAX)
        return -ENAMETOOLONG;
    if (memchr(text, '\0', size))
        return -EINVAL;
    name->start[part] = name->size;
    memcpy(name->text + name->size, text, size);
    name->text[name->size + size] = '\0';
    name->size += SHMCONF_CAST(uint32_t, size + 1);
    return 0;
}

/* 0, -EINVAL (a part is missing or empty) or -ENAMETOOLONG (over SHMCONF_PART_MAX bytes). */
SHMCONF_API int shmconf_name_set(struct shmconf_name *name, const char *application,
                                 const char *environment, const char *profile)
{
    const char *parts[SHMCONF_PARTS];
    parts[SHMCONF_APPLICATION] = application;
    parts[SHMCONF_ENVIRONMENT] = environment;
    parts[SHMCONF_PROFILE] = profile;
    memset(name, 0, sizeof *name);
    for (int i = 0; i < SHMCONF_PARTS; i++) {
        int rc = parts[i] ? shmconf_name_append(name, i, parts[i], strlen(parts[i])) : -EINVAL;
        if (rc)
            return rc;
    }
    return 0;
}

SHMCONF_API int shmconf_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Appends the percent-encoded segment at *at and moves *at behind it. */
SHMCONF_API int shmconf_name_decode(struct shmconf_name *name, int part, const char **at)
{
    char decoded[SHMCONF_PART_MAX + 1];
    size_t size = 0;
    const char *c = *at;
    for (; *c && *c != '/'; c++) {
        char byte = *c;
        if (byte == '%') {
            int high = shmconf_hex_digit(c[1]);
            int low = high < 0 ? -1 : shmconf_hex_digit(c[2]);
            if (low < 0 || (high | low) == 0)
                return -EINVAL;
            byte = SHMCONF_CAST(char, high * 16 + low);
            c += 2;
        }
        if (size == SHMCONF_PART_MAX)
            return -ENAMETOOLONG;
        decoded[size++] = byte;
    }
    *at = c;
    return shmconf_name_append(name, part, decoded, size);
}

/* Either spelling. 0, -EINVAL (malformed) or -ENAMETOOLONG. */
SHMCONF_API int shmconf_name_parse(struct shmconf_name *name, const char *text)
{
    static const char *const words[SHMCONF_PARTS] = {"/applications/", "/environments/",
                                                     "/configurations/"};
    const char *at = text;
    memset(name, 0, sizeof *name);
    if (!text)
        return -EINVAL; /* a variable that is not set, say */
    if (strncmp(at, words[0], strlen(words[0])) == 0) {
        for (int i = 0; i < SHMCONF_PARTS; i++) {
            if (strncmp(at, words[i], strlen(words[i])) != 0)
                return -EINVAL;
            at += strlen(words[i]);
            int rc = shmconf_name_decode(name, i, &at);
            if (rc)
                return rc;
        }
        return *at ? -EINVAL : 0;
    }
    for (int i = 0; i < SHMCONF_PARTS; i++) {
        size_t size = strcspn(at, ":");
        int rc = shmconf_name_append(name, i, at, size);
        if (rc)
            return rc;
        at += size;
        if (*at != (i < SHMCONF_PROFILE ? ':' : '\0'))
            return -EINVAL;
        at++;
    }
    return 0;
}

SHMCONF_API int shmconf_name_is_plain(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

/* Appends `c`, escaped when `escape` says so, to `out` of `room` bytes; returns the new length. */
SHMCONF_API size_t shmconf_name_escape(char *out, size_t at, char c, int escape)
{
    static const char digits[] = "0123456789ABCDEF";
    unsigned byte = SHMCONF_CAST(unsigned char, c);
    if (!escape) {
        out[at] = c;
        return at + 1;
    }
    out[at] = '%';
    out[at + 1] = digits[byte >> 4];
    out[at + 2] = digits[byte & 15];
    return at + 3;
}

/*
 * The file name of one part: bytes outside [A-Za-z0-9_-] become %XX, a dot only in first place.
 * What would be longer than SHMCONF_SEGMENT_MAX is cut to 160 bytes, '~' and 32 hexadecimal digits
 * of the part's SHA-256; the head holds the full name, and readers compare it.
 */
SHMCONF_API void shmconf_name_segment(const struct shmconf_name *name, int part,
                                      char segment[SHMCONF_SEGMENT_MAX + 1])
{
    enum { KEPT = 160, DIGEST = 16 };
    static const char digits[] = "0123456789abcdef";
    char encoded[3 * SHMCONF_PART_MAX];
    const char *text = shmconf_name_part(name, part);
    size_t size = 0;
    for (size_t i = 0; text[i]; i++)
        size = shmconf_name_escape(encoded, size, text[i],
                                   !shmconf_name_is_plain(text[i]) || (text[i] == '.' && i == 0));
    if (size <= SHMCONF_SEGMENT_MAX) {
        memcpy(segment, encoded, size);
        segment[size] = '\0';
        return;
    }
    uint8_t digest[32];
    shmconf_sha256(text, strlen(text), digest);
    memcpy(segment, encoded, KEPT);
    segment[KEPT] = '~';
    for (unsigned i = 0; i < DIGEST; i++) {
        segment[KEPT + 1 + 2 * i] = digits[digest[i] >> 4];
        segment[KEPT + 2 + 2 * i] = digits[digest[i] & 15];
    }
    segment[KEPT + 1 + 2 * DIGEST] = '\0';
}

/* The name for people and for shmconf_open: with colons where that says it, else as a path. */
SHMCONF_API void shmconf_name_print(const struct shmconf_name *name,
                                    char text[SHMCONF_NAME_TEXT_MAX])
{
    static const char *const words[SHMCONF_PARTS] = {"/applications/", "/environments/",
                                                     "/configurations/"};
    int plain = 1;
    for (uint32_t i = 0; i < name->size; i++)
        plain = plain && name->text[i] != ':';
    /* "/applications/..." with colons would be read as the other spelling. */
    plain = plain && strncmp(name->text, words[0], strlen(words[0])) != 0;
    size_t at = 0;
    for (int i = 0; i < SHMCONF_PARTS; i++) {
        const char *word = plain ? (i ? ":" : "") : words[i];
        memcpy(text + at, word, strlen(word));
        at += strlen(word);
        for (const char *c = shmconf_name_part(name, i); *c; c++)
            at = shmconf_name_escape(text, at, *c, !plain && !shmconf_name_is_plain(*c));
    }
    text[at] = '\0';
}

#endif
