/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shmconf/name.h"

size_t json_character(const char *text, size_t size, uint32_t *code)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (size == 0)
        return 0;
    unsigned char first = (unsigned char)text[0];
    size_t length = first < 0x80             ? 1
                    : (first & 0xe0) == 0xc0 ? 2
                    : (first & 0xf0) == 0xe0 ? 3
                    : (first & 0xf8) == 0xf0 ? 4
                                             : 0;
    if (length == 0 || length > size)
        return 0;
    uint32_t value = length == 1 ? first : first & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        unsigned char next = (unsigned char)text[i];
        if ((next & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (next & 0x3f);
    }
    if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    if (code)
        *code = value;
    return length;
}

/* Escapes the first character of `text` into `unit`; `taken` bytes of the text were used. */
static size_t escape_one(char unit[8], const char *text, size_t size, size_t *taken)
{
    static const char plain[] = "\b\f\n\r\t\"\\";
    static const char letters[] = "bfnrt\"\\";
    uint32_t code = 0xfffd;
    size_t length = json_character(text, size, &code);
    *taken = length ? length : 1;
    const char *found = code != 0 && code < 0x80 ? strchr(plain, (int)code) : NULL;
    if (found) {
        unit[0] = '\\';
        unit[1] = letters[found - plain];
        return 2;
    }
    if (length == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 ||
        code == 0x2029)
        return (size_t)snprintf(unit, 8, "\\u%04x", (unsigned)(code & 0xffff));
    memcpy(unit, text, length);
    return length;
}

size_t json_escape(char *out, size_t out_size, const char *text, size_t size)
{
    size_t needed = 0;
    size_t written = 0;
    for (size_t i = 0; i < size;) {
        char unit[8];
        size_t taken;
        size_t length = escape_one(unit, text + i, size - i, &taken);
        /* Once something was left out, nothing shorter may slip in behind it. */
        if (written == needed && written + length < out_size) {
            memcpy(out + written, unit, length);
            written += length;
        }
        needed += length;
        i += taken;
    }
    if (out_size > 0)
        out[written] = '\0';
    return needed;
}

/*
 * RFC 8259 to the letter, in no memory. cJSON will not do: it takes 01, raw control characters,
 * \uZZZZ and bytes that are not UTF-8, which the parsers of other languages refuse, only hints at
 * where it stopped, and makes a tree of up to 45 times the text's size.
 */
struct scan {
    const char *text;
    size_t size;
    size_t at;
    int depth;
    const char *problem; /* set by the first failure, which is at `at` */
};

static bool refuse(struct scan *scan, size_t at, const char *problem)
{
    scan->at = at;
    scan->problem = problem;
    return false;
}

/* The next byte, or 0 at the end: NUL bytes were refused before. */
static char peek(const struct scan *scan)
{
    if (scan->at == scan->size)
        return '\0';
    return scan->text[scan->at];
}

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->size && strchr(" \t\n\r", scan->text[scan->at]))
        scan->at++;
}

/* Four hexadecimal digits, or -1. */
static int hexadecimal(const char *digits)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = shmconf_hex_digit(digits[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* At the backslash of \uXXXX; `end` is the string's closing quotation mark. */
static bool scan_unicode(struct scan *scan, size_t end)
{
    size_t start = scan->at;
    if (end - start < 6)
        return refuse(scan, start, "\\u needs four hexadecimal digits");
    int high = hexadecimal(scan->text + start + 2);
    if (high < 0)
        return refuse(scan, start, "\\u needs four hexadecimal digits");
    scan->at += 6;
    if (high >= 0xdc00 && high <= 0xdfff)
        return refuse(scan, start, "half a surrogate pair");
    if (high < 0xd800 || high > 0xdbff)
        return true;
    const char *next = scan->text + scan->at;
    int low = end - scan->at >= 6 && memcmp(next, "\\u", 2) == 0 ? hexadecimal(next + 2) : 0;
    if (low < 0xdc00 || low > 0xdfff)
        return refuse(scan, start, "half a surrogate pair");
    scan->at += 6;
    return true;
}

static bool scan_string(struct scan *scan)
{
    size_t end = scan->at + 1;
    while (end < scan->size && scan->text[end] != '"')
        end += scan->text[end] == '\\' ? 2 : 1;
    if (end >= scan->size)
        return refuse(scan, scan->size, "the end of a string is missing");
    for (scan->at++; scan->at < end;) {
        if (scan->text[scan->at] != '\\') {
            size_t length = json_character(scan->text + scan->at, end - scan->at, NULL);
            if (length == 0)
                return refuse(scan, scan->at, "bytes that are not UTF-8");
            if ((unsigned char)scan->text[scan->at] < ' ')
                return refuse(scan, scan->at, "a control character that is not escaped");
            scan->at += length;
        } else if (scan->text[scan->at + 1] == 'u') {
            if (!scan_unicode(scan, end))
                return false;
        } else if (strchr("\"\\/bfnrt", scan->text[scan->at + 1]))
            scan->at += 2;
        else
            return refuse(scan, scan->at, "unknown escape");
    }
    scan->at = end + 1;
    return true;
}

static bool scan_digits(struct scan *scan)
{
    size_t start = scan->at;
    while (peek(scan) >= '0' && peek(scan) <= '9')
        scan->at++;
    return scan->at > start || refuse(scan, start, "a digit is missing");
}

static bool scan_number(struct scan *scan)
{
    if (peek(scan) == '-')
        scan->at++;
    if (peek(scan) == '0') {
        scan->at++;
        if (peek(scan) >= '0' && peek(scan) <= '9')
            return refuse(scan, scan->at - 1, "a number with a leading zero");
    } else if (!scan_digits(scan)) {
        return false;
    }
    if (peek(scan) == '.') {
        scan->at++;
        if (!scan_digits(scan))
            return false;
    }
    if (peek(scan) == 'e' || peek(scan) == 'E') {
        scan->at++;
        if (peek(scan) == '+' || peek(scan) == '-')
            scan->at++;
        return scan_digits(scan);
    }
    return true;
}

static bool scan_value(struct scan *scan);

static bool scan_member(struct scan *scan)
{
    if (peek(scan) != '"')
        return refuse(scan, scan->at, "a name in quotation marks is missing");
    if (!scan_string(scan))
        return false;
    skip_space(scan);
    if (peek(scan) != ':')
        return refuse(scan, scan->at, "a colon is missing");
    scan->at++;
    return scan_value(scan);
}

static bool scan_container(struct scan *scan, char close)
{
    if (scan->depth >= JSON_NESTING_MAX)
        return refuse(scan, scan->at, "nested more than 1000 levels deep");
    scan->depth++;
    scan->at++;
    skip_space(scan);
    if (peek(scan) != close) {
        for (;;) {
            if (close == '}' ? !scan_member(scan) : !scan_value(scan))
                return false;
            skip_space(scan);
            if (peek(scan) != ',')
                break;
            scan->at++;
            skip_space(scan);
        }
        if (peek(scan) != close)
            return refuse(scan, scan->at,
                          close == '}' ? "a comma or } is missing" : "a comma or ] is missing");
    }
    scan->at++;
    scan->depth--;
    return true;
}

static bool scan_value(struct scan *scan)
{
    static const char *const words[] = {"true", "false", "null"};
    skip_space(scan);
    char first = peek(scan);
    if (first == '{')
        return scan_container(scan, '}');
    if (first == '[')
        return scan_container(scan, ']');
    if (first == '"')
        return scan_string(scan);
    if (first == '-' || (first >= '0' && first <= '9'))
        return scan_number(scan);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i]);
        if (scan->size - scan->at >= length && !memcmp(scan->text + scan->at, words[i], length)) {
            scan->at += length;
            return true;
        }
    }
    return refuse(scan, scan->at, "a value is missing");
}

static int refused_at(const char *text, size_t at, const char *problem, struct json_position *where)
{
    if (!where)
        return -EINVAL;
    *where = (struct json_position){.line = 1, .column = 1, .byte = at, .problem = problem};
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') {
            where->line++;
            where->column = 1;
        } else if (((unsigned char)text[i] & 0xc0) != 0x80) {
            where->column++;
        }
    }
    return -EINVAL;
}

int json_check(const char *text, size_t size, struct json_position *where)
{
    if (size == 0)
        return refused_at(text, 0, "empty", where);
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        return refused_at(text, 0, "a byte order mark", where);
    const char *nul = memchr(text, '\0', size);
    if (nul)
        return refused_at(text, (size_t)(nul - text), "a NUL byte", where);

    struct scan scan = {.text = text, .size = size};
    if (!scan_value(&scan))
        return refused_at(text, scan.at, scan.problem, where);
    skip_space(&scan);
    if (scan.at < size)
        return refused_at(text, scan.at, "something follows the document", where);
    return 0;
}
