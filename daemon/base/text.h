/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text put together for every request, where snprintf would be a good part of the work. Each
 * returns the end of what it wrote; the caller has made the room.
 */
#ifndef SHMCONFD_TEXT_H
#define SHMCONFD_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { TEXT_NUMBER_MAX = 20, TEXT_HEX_SIZE = 16 };

static inline char *text_put(char *out, const char *text, size_t size)
{
    memcpy(out, text, size);
    return out + size;
}

static inline char *text_put_string(char *out, const char *string)
{
    return text_put(out, string, strlen(string));
}

/* Decimal: at most TEXT_NUMBER_MAX digits. */
static inline char *text_put_number(char *out, uint64_t number)
{
    char digits[TEXT_NUMBER_MAX];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return text_put(out, digits + at, sizeof digits - at);
}

/* Always TEXT_HEX_SIZE digits. */
static inline char *text_put_hex(char *out, uint64_t number)
{
    for (unsigned i = 0; i < TEXT_HEX_SIZE; i++)
        out[i] = "0123456789abcdef"[number >> (60 - 4 * i) & 15];
    return out + TEXT_HEX_SIZE;
}

#endif
