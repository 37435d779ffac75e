/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second opinion of what is JSON: RFC 8259 read once more, as a table of what may come next and a
 * stack of brackets, where the daemon's scanner descends. It also notes the members of the
 * outermost object.
 */
#ifndef TESTS_FUZZ_JSON_REFERENCE_H
#define TESTS_FUZZ_JSON_REFERENCE_H

#include "require.h"

enum { REFERENCE_DEPTH_MAX = 1000, REFERENCE_MEMBERS_MAX = 1024 };

struct span {
    const char *data;
    size_t size;
};

struct reference {
    struct span keys[REFERENCE_MEMBERS_MAX];
    struct span values[REFERENCE_MEMBERS_MAX];
    size_t count; /* of all members, also of those that are not noted */
};

/* The code of \uXXXX, or -1. */
static inline long reference_unicode(const char *text, size_t size)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    long code = 0;
    if (size < 6)
        return -1;
    for (size_t i = 2; i < 6; i++) {
        const char *digit = memchr(digits, text[i], 32);
        if (!digit)
            return -1;
        code = code * 16 + (digit - digits) % 16;
    }
    return code;
}

/* The length of a string with its quotation marks, or 0. */
static inline size_t reference_string(const char *text, size_t size)
{
    size_t at = 1;
    bool wants_low = false; /* half a surrogate pair came */
    while (at < size && text[at] != '"') {
        uint32_t plain;
        bool is_escape = text[at] == '\\';
        bool is_unicode = is_escape && size - at >= 2 && text[at + 1] == 'u';
        long code = is_unicode ? reference_unicode(text + at, size - at) : 0;
        size_t length = is_unicode  ? 6
                        : is_escape ? 2
                                    : json_character(text + at, size - at, &plain);
        if (code < 0 || length == 0 || length > size - at)
            return 0;
        if (is_escape && !is_unicode && !memchr("\"\\/bfnrt", text[at + 1], 8))
            return 0;
        if (!is_escape && plain < ' ')
            return 0;
        if ((code >= 0xdc00 && code <= 0xdfff) != wants_low)
            return 0;
        wants_low = code >= 0xd800 && code <= 0xdbff;
        at += length;
    }
    return at < size && !wants_low ? at + 1 : 0;
}

static inline size_t reference_digits(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size && text[at] >= '0' && text[at] <= '9')
        at++;
    return at;
}

/* The length of a number, or 0. */
static inline size_t reference_number(const char *text, size_t size)
{
    size_t at = text[0] == '-';
    size_t whole = reference_digits(text + at, size - at);
    if (whole == 0 || (whole > 1 && text[at] == '0'))
        return 0;
    at += whole;
    if (at < size && text[at] == '.') {
        size_t fraction = reference_digits(text + at + 1, size - at - 1);
        if (fraction == 0)
            return 0;
        at += 1 + fraction;
    }
    if (at < size && (text[at] | 0x20) == 'e') {
        at++;
        if (at < size && (text[at] == '+' || text[at] == '-'))
            at++;
        size_t exponent = reference_digits(text + at, size - at);
        if (exponent == 0)
            return 0;
        at += exponent;
    }
    return at;
}

/* The length of what is no object and no array, or 0. */
static inline size_t reference_scalar(const char *text, size_t size)
{
    static const char *const words[] = {"true", "false", "null"};
    if (text[0] == '"')
        return reference_string(text, size);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (size >= strlen(words[i]) && memcmp(text, words[i], strlen(words[i])) == 0)
            return strlen(words[i]);
    return reference_number(text, size);
}

/* What may come next: an element, a name, what ends either, or nothing. */
enum reference_state { VALUE, FIRST_VALUE, NAME, FIRST_NAME, COLON, AFTER, END };

struct reading {
    struct reference *found;
    const char *at;
    const char *end;
    enum reference_state state;
    size_t depth;
    char closing[REFERENCE_DEPTH_MAX];
};

/* Is what begins or ends here a member of the outermost object? */
static inline bool is_member(const struct reading *reading)
{
    return reading->depth == 1 && reading->closing[0] == '}' &&
           reading->found->count < REFERENCE_MEMBERS_MAX;
}

static inline void end_value(struct reading *reading)
{
    if (is_member(reading)) {
        struct span *value = &reading->found->values[reading->found->count];
        value->size = (size_t)(reading->at - value->data);
    }
    reading->found->count += reading->depth == 1 && reading->closing[0] == '}';
    reading->state = reading->depth ? AFTER : END;
}

static inline bool read_name(struct reading *reading)
{
    size_t size = (size_t)(reading->end - reading->at);
    size_t length = *reading->at == '"' ? reference_string(reading->at, size) : 0;
    if (is_member(reading))
        reading->found->keys[reading->found->count] = (struct span){reading->at, length};
    reading->at += length;
    reading->state = COLON;
    return length > 0;
}

static inline bool read_value(struct reading *reading)
{
    char c = *reading->at;
    if (is_member(reading))
        reading->found->values[reading->found->count].data = reading->at;
    if (c == '{' || c == '[') {
        if (reading->depth == REFERENCE_DEPTH_MAX)
            return false;
        reading->closing[reading->depth++] = c == '{' ? '}' : ']';
        reading->state = c == '{' ? FIRST_NAME : FIRST_VALUE;
        reading->at++;
        return true;
    }
    size_t length = reference_scalar(reading->at, (size_t)(reading->end - reading->at));
    reading->at += length;
    end_value(reading);
    return length > 0;
}

static inline bool read_sign(struct reading *reading, char expected, enum reference_state next)
{
    reading->state = next;
    return *reading->at++ == expected;
}

/* At something that is no white space. */
static inline bool read_one(struct reading *reading)
{
    enum reference_state state = reading->state;
    char closing = reading->depth ? reading->closing[reading->depth - 1] : '\0';
    bool may_close = state == AFTER || state == FIRST_VALUE || state == FIRST_NAME;
    if (state == END)
        return false;
    if (may_close && *reading->at == closing && closing) {
        reading->at++;
        reading->depth--;
        end_value(reading);
        return true;
    }
    if (state == AFTER)
        return read_sign(reading, ',', closing == '}' ? NAME : VALUE);
    if (state == COLON)
        return read_sign(reading, ':', VALUE);
    return state == NAME || state == FIRST_NAME ? read_name(reading) : read_value(reading);
}

/* Whether all of it is one document. */
static inline bool reference_check(struct reference *found, const char *text, size_t size)
{
    static struct reading reading;
    reading.found = found;
    reading.at = text;
    reading.end = text + size;
    reading.state = VALUE;
    reading.depth = 0;
    found->count = 0;
    while (reading.at < reading.end) {
        char c = *reading.at;
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
            reading.at++;
        else if (!read_one(&reading))
            return false;
    }
    return reading.state == END;
}

#endif
