/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/redact.h"

#include <stdbool.h>
#include <string.h>

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

static bool is_escape_of(const char *text, char c)
{
    int high = text[0] == '%' ? hex_digit(text[1]) : -1;
    int low = high >= 0 ? hex_digit(text[2]) : -1;
    return low >= 0 && high * 16 + low == (unsigned char)c;
}

/* The length of what stands at `text` for so many bytes of the secret; 0: it is something else. */
static size_t match(const char *text, const char *secret, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[at] == secret[i])
            at++;
        else if (is_escape_of(text + at, secret[i]))
            at += strlen("%XX");
        else
            return 0;
    }
    return at;
}

/* The length of the part of any secret that begins at `text`, as far as it takes to be one. */
static size_t find_part(const char *text, const char *const *secrets)
{
    for (; secrets && *secrets; secrets++) {
        size_t left = strlen(*secrets);
        size_t part = left < REDACT_PART ? left : REDACT_PART;
        for (const char *at = *secrets; part && left >= part; at++, left--) {
            size_t size = match(text, at, part);
            if (size)
                return size;
        }
    }
    return 0;
}

/* Parts that overlap are one: every byte that belongs to any of them is hidden. */
void redact(char *out, size_t out_size, const char *text, const char *const *secrets)
{
    static const char mark[] = "[hidden]";
    const char *end = text + strnlen(text, REDACT_TEXT);
    const char *hidden_end = text;
    size_t used = 0;
    for (; text < end && used + 1 < out_size; text++) {
        size_t size = find_part(text, secrets);
        bool is_new = size && text >= hidden_end;
        if (size && text + size > hidden_end)
            hidden_end = text + size;
        if (is_new && used + sizeof mark > out_size)
            break;
        if (is_new) {
            memcpy(out + used, mark, sizeof mark - 1);
            used += sizeof mark - 1;
        } else if (text >= hidden_end) {
            out[used++] = *text;
        }
    }
    if (out_size)
        out[used] = '\0';
}
