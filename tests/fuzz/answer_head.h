/* SPDX-License-Identifier: Apache-2.0 */
/* An answer as it goes over the wire, and a second opinion of what its head says. */
#ifndef TESTS_FUZZ_ANSWER_HEAD_H
#define TESTS_FUZZ_ANSWER_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <strings.h>

#include "require.h"

struct wire {
    const char *text;
    size_t size;
    size_t head_size; /* with the empty line behind it; all when there is none */
    long status;      /* of the last status line; 0: none */
};

static inline size_t line_size(const struct wire *wire, size_t at)
{
    const char *end = memchr(wire->text + at, '\n', wire->size - at);
    return end ? (size_t)(end - wire->text) - at + 1 : wire->size - at;
}

static inline bool is_status_line(const char *line, size_t size)
{
    return size >= 12 && memcmp(line, "HTTP/1.", 7) == 0 && line[8] == ' ';
}

static inline struct wire wire_read(const char *text, size_t size)
{
    struct wire wire = {text, size, size, 0};
    for (size_t at = 0; at < size;) {
        size_t length = line_size(&wire, at);
        const char *line = text + at;
        if (is_status_line(line, length)) {
            wire.status = 0;
            for (int i = 9; i < 12 && line[i] >= '0' && line[i] <= '9'; i++)
                wire.status = wire.status * 10 + line[i] - '0';
        }
        at += length;
        /* A second head follows that of a 100 Continue. */
        bool is_empty = length == 1 || (length == 2 && line[0] == '\r');
        if (is_empty && wire.status / 100 != 1) {
            wire.head_size = at;
            break;
        }
    }
    return wire;
}

/* The value in memory of its own, without what surrounds it; NULL: there is no such header. */
static inline char *wire_header(const struct wire *wire, const char *name)
{
    size_t name_size = strlen(name);
    char *value = NULL;
    for (size_t at = 0, size; at < wire->head_size; at += size) {
        const char *line = wire->text + at;
        size = line_size(wire, at);
        if (size >= 5 && memcmp(line, "HTTP/", 5) == 0) {
            free(value);
            value = NULL;
        }
        if (value || size <= name_size || line[name_size] != ':' ||
            strncasecmp(line, name, name_size) != 0)
            continue;
        size_t start = name_size + 1;
        size_t end = size;
        while (end > start && (line[end - 1] == '\n' || line[end - 1] == '\r'))
            end--;
        while (start < end && (line[start] == ' ' || line[start] == '\t'))
            start++;
        value = copy_text(line + start, end - start);
    }
    return value;
}

#endif
