/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text: escaping strings for output, and checking that input is one document. */
#ifndef SHMCONFD_JSON_H
#define SHMCONFD_JSON_H

#include <stddef.h>
#include <stdint.h>

/*
 * The length in bytes of the UTF-8 character at `text`, 0 when it is malformed (cut off, overlong,
 * a surrogate, beyond U+10FFFF) or `size` is 0. `code` (NULL is allowed) receives the code point.
 */
size_t json_character(const char *text, size_t size, uint32_t *code);

/*
 * Writes `text` as the inside of a JSON string, without the quotation marks. Control characters,
 * DEL, U+0080..U+009F, U+2028 and U+2029 are escaped too, so the result is one line and harmless to
 * a terminal; each byte that is not UTF-8 becomes \ufffd. The result is NUL-terminated whenever
 * `out_size` is not 0, and what does not fit is left out at a whole character or escape.
 * Returns the length of the complete result without its NUL: it was cut when that is >= out_size.
 */
size_t json_escape(char *out, size_t out_size, const char *text, size_t size);

/* Where the first error is. At the end of the input `byte` is the input's size. */
struct json_position {
    size_t line;         /* from 1 */
    size_t column;       /* from 1, in characters */
    size_t byte;         /* from 0 */
    const char *problem; /* what is wrong there; a constant */
};

/* As cJSON has it; other parsers have their limits as well. */
enum { JSON_NESTING_MAX = 1000 };

/*
 * Is the whole input exactly one JSON document? Returns 0, or -EINVAL with `where` (NULL is
 * allowed) filled in.
 *
 * RFC 8259 decides. Also refused: empty input, NUL bytes, a byte order mark (at 1:1), since these
 * bytes are served as they are and most parsers do not skip it, and what is nested more deeply.
 */
int json_check(const char *text, size_t size, struct json_position *where);

#endif
