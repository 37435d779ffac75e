/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzzers share: how they object, and copies whose ends AddressSanitizer watches. */
#ifndef TESTS_FUZZ_REQUIRE_H
#define TESTS_FUZZ_REQUIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A finding: libFuzzer prints the stack and keeps the input. */
static inline void require(bool holds)
{
    if (!holds)
        abort();
}

/* Of exactly `size` bytes, so that a read behind the end is seen. */
static inline char *copy_bytes(const void *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    require(copy);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

/* The same with a NUL behind the end. */
static inline char *copy_text(const void *data, size_t size)
{
    char *copy = malloc(size + 1);
    require(copy);
    if (size)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

/* Could be the value of a header: nothing that ends the line, no control character but the tab. */
static inline bool is_one_line(const char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
            return false;
    return true;
}

/* Could stand in a log: UTF-8 without any control character. */
static inline bool is_clean(const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        uint32_t code;
        size_t size = json_character(text, left, &code);
        if (size == 0 || code < ' ' || (code >= 0x7f && code < 0xa0))
            return false;
        text += size;
        left -= size;
    }
    return true;
}

#endif
