/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flags.h"

#include <errno.h>
#include <string.h>

#include "shmconf/name.h"

enum { DEPTH_MAX = 1024, UTF8_MAX = 4 };

struct scanner {
    const char *at;
    const char *end;
};

static void skip_space(struct scanner *scanner)
{
    while (scanner->at < scanner->end && (*scanner->at == ' ' || *scanner->at == '\t' ||
                                          *scanner->at == '\n' || *scanner->at == '\r'))
        scanner->at++;
}

static bool skip_character(struct scanner *scanner, char c)
{
    skip_space(scanner);
    if (scanner->at == scanner->end || *scanner->at != c)
        return false;
    scanner->at++;
    return true;
}

static bool skip_string(struct scanner *scanner)
{
    if (!skip_character(scanner, '"'))
        return false;
    for (; scanner->at < scanner->end; scanner->at++) {
        if (*scanner->at == '"') {
            scanner->at++;
            return true;
        }
        if (*scanner->at == '\\' && ++scanner->at == scanner->end)
            return false;
    }
    return false;
}

/* An object or array, with all that is in it. */
static bool skip_nested(struct scanner *scanner)
{
    char closing[DEPTH_MAX];
    size_t depth = 0;
    while (scanner->at < scanner->end) {
        char c = *scanner->at;
        if (c == '"') {
            if (!skip_string(scanner))
                return false;
            continue;
        }
        scanner->at++;
        if (c == '{' || c == '[') {
            if (depth == DEPTH_MAX)
                return false;
            closing[depth++] = c == '{' ? '}' : ']';
        } else if (c == '}' || c == ']') {
            if (closing[--depth] != c)
                return false;
            if (depth == 0)
                return true;
        }
    }
    return false;
}

static bool skip_value(struct scanner *scanner)
{
    skip_space(scanner);
    if (scanner->at == scanner->end)
        return false;
    if (*scanner->at == '"')
        return skip_string(scanner);
    if (*scanner->at == '{' || *scanner->at == '[')
        return skip_nested(scanner);
    const char *start = scanner->at;
    while (scanner->at < scanner->end && *scanner->at && !strchr(",:}] \t\r\n\"{[", *scanner->at))
        scanner->at++;
    return scanner->at > start;
}

/* Four hexadecimal digits, or -1. */
static long hex4(const char *at, const char *end)
{
    long code = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = shmconf_hex_digit(at[i]);
        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

static size_t encode(char out[UTF8_MAX], unsigned long code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((0xf00u >> size & 0xf0u) | code);
    return size;
}

/* Decodes the escape behind the backslash at *at; 0 when it is none. */
static size_t unescape(char out[UTF8_MAX], const char **at, const char *end)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    const char *found = *at < end && **at ? strchr(letters, **at) : NULL;
    if (found) {
        (*at)++;
        out[0] = meanings[found - letters];
        return 1;
    }
    long code = *at < end && **at == 'u' ? hex4(*at + 1, end) : -1;
    if (code < 0)
        return 0;
    *at += 5;
    if (code >= 0xd800 && code < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        long low = hex4(*at + 2, end);
        if (low >= 0xdc00 && low < 0xe000) {
            *at += 6;
            code = 0x10000 + (code - 0xd800) * 0x400 + (low - 0xdc00);
        }
    }
    return encode(out, (unsigned long)code);
}

/* Whether a key, without its quotation marks, says the name. */
static bool key_is(struct http_text key, struct http_text name)
{
    if (!memchr(key.data, '\\', key.size))
        return key.size == name.size && memcmp(key.data, name.data, name.size) == 0;
    const char *end = key.data + key.size;
    size_t used = 0;
    for (const char *at = key.data; at < end;) {
        char bytes[UTF8_MAX] = {*at};
        size_t size = 1;
        if (*at++ == '\\')
            size = unescape(bytes, &at, end);
        if (size == 0 || name.size - used < size || memcmp(name.data + used, bytes, size) != 0)
            return false;
        used += size;
    }
    return used == name.size;
}

static void note(struct flags *flags, struct http_text key, struct http_text value)
{
    struct http_text inside = {key.data + 1, key.size - 2};
    for (size_t i = 0; i < flags->count; i++) {
        if (key_is(inside, flags->list[i].name)) {
            flags->list[i].key = key;
            flags->list[i].value = value;
        }
    }
}

int flags_find(struct flags *flags, const char *json, size_t size)
{
    struct scanner scanner = {json, json + size};
    bool is_first = true;
    for (size_t i = 0; i < flags->count; i++)
        flags->list[i].value = (struct http_text){NULL, 0};
    if (!skip_character(&scanner, '{'))
        return -EINVAL;
    while (!skip_character(&scanner, '}')) {
        if (!is_first && !skip_character(&scanner, ','))
            return -EINVAL;
        is_first = false;
        skip_space(&scanner);
        const char *key = scanner.at;
        if (!skip_string(&scanner))
            return -EINVAL;
        size_t key_size = (size_t)(scanner.at - key);
        if (!skip_character(&scanner, ':'))
            return -EINVAL;
        skip_space(&scanner);
        const char *value = scanner.at;
        if (!skip_value(&scanner))
            return -EINVAL;
        note(flags, (struct http_text){key, key_size},
             (struct http_text){value, (size_t)(scanner.at - value)});
    }
    skip_space(&scanner);
    return scanner.at == scanner.end ? 0 : -EINVAL;
}

static bool is_known(const struct flags *flags, struct http_text name)
{
    for (size_t i = 0; i < flags->count; i++)
        if (flags->list[i].name.size == name.size &&
            memcmp(flags->list[i].name.data, name.data, name.size) == 0)
            return true;
    return false;
}

/* As forms write it, with '+' for a space. There is room: a query is shorter than a line. */
static long decode(char *out, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (char)(text[i] == '+' ? ' ' : text[i]);
    return http_percent_decode((struct http_text){out, size}, out, size + 1);
}

int flags_parse(struct flags *flags, struct http_text query)
{
    static const char key[] = "flag";
    const char *end = query.data + query.size;
    char *text = flags->text;
    flags->count = 0;
    for (const char *at = query.data; at && at < end;) {
        const char *next = memchr(at, '&', (size_t)(end - at));
        const char *stop = next ? next : end;
        const char *equals = memchr(at, '=', (size_t)(stop - at));
        const char *name_end = equals ? equals : stop;
        if ((size_t)(name_end - at) == sizeof key - 1 && memcmp(at, key, sizeof key - 1) == 0) {
            const char *value = equals ? equals + 1 : stop;
            long size = decode(text, value, (size_t)(stop - value));
            if (size < 0)
                return -EINVAL;
            struct http_text name = {text, (size_t)size};
            if (!is_known(flags, name)) {
                if (flags->count == FLAGS_MAX)
                    return -E2BIG;
                flags->list[flags->count++] = (struct flag){.name = name};
                text += size + 1;
            }
        }
        at = next ? next + 1 : end;
    }
    return 0;
}
