/* SPDX-License-Identifier: Apache-2.0 */
/* Escaping, and the verdicts and error positions of json_check. */
#include "base/json.h"

#include <cjson/cJSON.h>
#include <errno.h>

#include "check.h"

static void escaping_makes_one_harmless_line(void)
{
    static const struct {
        const char *text;
        size_t size; /* 0: strlen */
        const char *escaped;
    } rows[] = {
        {"", 0, ""},
        {"plain", 0, "plain"},
        {"\"\\/", 0, "\\\"\\\\/"},
        {"a\nb\r\t\b\f", 0, "a\\nb\\r\\t\\b\\f"},
        {"\x1b[31m\x7f", 0, "\\u001b[31m\\u007f"},
        {"a\0b", 3, "a\\u0000b"},
        {"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", 0, "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\xc2\x85\xe2\x80\xa8\xe2\x80\xa9", 0, "\\u0085\\u2028\\u2029"},
        {"\xff", 0, "\\ufffd"},
        {"\xc3", 0, "\\ufffd"},
        {"\xe2\x82", 0, "\\ufffd\\ufffd"},
        {"\xc0\x80", 0, "\\ufffd\\ufffd"},
        {"\xed\xa0\x80", 0, "\\ufffd\\ufffd\\ufffd"},
        {"\xf4\x90\x80\x80", 0, "\\ufffd\\ufffd\\ufffd\\ufffd"},
        {"\x80x", 0, "\\ufffdx"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[64];
        size_t size = rows[i].size ? rows[i].size : strlen(rows[i].text);
        CHECK_INT(strlen(rows[i].escaped), json_escape(out, sizeof out, rows[i].text, size));
        CHECK_STRING(rows[i].escaped, out);
    }
}

static void escaping_keeps_to_its_bounds(void)
{
    const char text[] = "a\n\x01\xe2\x82\xac"
                        "b";
    const char whole[] = "a\\n\\u0001\xe2\x82\xac"
                         "b";
    const size_t cuts[] = {0, 1, 3, 9, 12, 13}; /* between characters and escapes */
    for (size_t size = 0; size <= sizeof whole; size++) {
        char *out = malloc(size + 1); /* on the heap for the sanitizer */
        CHECK(out);
        out[size] = '#';
        CHECK_INT(strlen(whole), json_escape(out, size, text, strlen(text)));
        CHECK(out[size] == '#');
        if (size > 0) {
            size_t expected = 0;
            for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
                if (cuts[i] < size)
                    expected = cuts[i];
            }
            CHECK_INT(expected, strlen(out));
            CHECK(memcmp(out, whole, expected) == 0);
        }
        free(out);
    }
}

#define DOCUMENT(text) text, sizeof(text) - 1
#define GOOD(text)                                                                                 \
    {                                                                                              \
        DOCUMENT(text), 0, 0, 0                                                                    \
    }
#define BAD(text, l, c, position)                                                                  \
    {                                                                                              \
        DOCUMENT(text), l, c, position                                                             \
    }

static const struct {
    const char *text;
    size_t size;
    size_t line; /* 0: good */
    size_t column;
    size_t byte;
} documents[] = {
    GOOD("{}"),
    GOOD("[]"),
    GOOD(" \r\n\t{ } \r\n"),
    GOOD("null"),
    GOOD("true"),
    GOOD("-1.5e+3"),
    GOOD("\"text\""),
    GOOD("\"\\ud83d\\ude00\\n\\\"\\/\""),
    GOOD("{\"a\":[1,2,{\"b\":null}],\"c\":\"\xc3\xbc\"}"),
    GOOD("[[[[[[]]]]]]"),
    GOOD("{\"a\":1,\"a\":2}"),

    /* What cJSON alone takes, and other parsers refuse. */
    BAD("01", 1, 1, 0),
    BAD("1.", 1, 3, 2),
    BAD("1e", 1, 3, 2),
    BAD("\"raw\nnewline\"", 1, 5, 4),
    BAD("\"\\uZZZZ\"", 1, 2, 1),
    BAD("\"\xff\"", 1, 2, 1),
    BAD("\"\xed\xa0\x80\"", 1, 2, 1),
    BAD("\x01[]", 1, 1, 0),

    BAD("", 1, 1, 0),
    BAD(" \n", 2, 1, 2),
    BAD("\xef\xbb\xbf{}", 1, 1, 0),
    BAD("{}\0", 1, 3, 2),
    BAD("{\"a\":\n\0}", 2, 1, 6),
    BAD("{} x", 1, 4, 3),
    BAD("{}\n{}", 2, 1, 3),
    BAD("{}}", 1, 3, 2),
    BAD("{", 1, 2, 1),
    BAD("{\n", 2, 1, 2),
    BAD("[", 1, 2, 1),
    BAD("[1", 1, 3, 2),
    BAD("[1,", 1, 4, 3),
    BAD("[1,]", 1, 4, 3),
    BAD("[1 2]", 1, 4, 3),
    BAD("[,1]", 1, 2, 1),
    BAD("]", 1, 1, 0),
    BAD("{\"a\":1,}", 1, 8, 7),
    BAD("{\"a\":1 \"b\":2}", 1, 8, 7),
    BAD("{\"a\" 1}", 1, 6, 5),
    BAD("{\"a\":}", 1, 6, 5),
    BAD("{a:1}", 1, 2, 1),
    BAD("{'a':1}", 1, 2, 1),
    BAD("{\n  \"a\": 1,\n  \"b\": tru\n}", 3, 8, 19),
    BAD("{\n  \"\xc3\xbc\": \"\xe2\x82\xac\", x\n}", 2, 13, 17),
    BAD("{\r\n\"a\": 1,\r\n}", 3, 1, 12),
    BAD("{\"a\": 1,\n \"b\": \"open", 2, 12, 20),
    BAD("{\"a\": 1,\n \"b\": 2\n", 3, 1, 17),
    BAD("\"", 1, 2, 1),
    BAD("\"a\\", 1, 4, 3),
    BAD("\"a\\\"", 1, 5, 4),
    BAD("\"ab\\x\"", 1, 4, 3),
    BAD("\"\\ud800\"", 1, 2, 1),
    BAD("\"\\udc00\"", 1, 2, 1),
    BAD("\"\\ud800\\u0041\"", 1, 2, 1),
    BAD("\"\\u12\"", 1, 2, 1),
    BAD("-", 1, 2, 1),
    BAD("[1,-]", 1, 5, 4),
    BAD("1-2", 1, 2, 1),
    BAD("+1", 1, 1, 0),
    BAD(".5", 1, 1, 0),
    BAD("NaN", 1, 1, 0),
    BAD("True", 1, 1, 0),
    BAD("nul", 1, 1, 0),
    BAD("nulll", 1, 5, 4),
    BAD("// no\n{}", 1, 1, 0),
    BAD("{} // no", 1, 4, 3),
    BAD("[1}", 1, 3, 2),
    BAD("{\"a\":[1,2}", 1, 10, 9),
};

static void verdicts_and_positions(void)
{
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
        struct json_position where = {0};
        /* Exactly its size, so that the sanitizer sees a read beyond. */
        char *text = malloc(documents[i].size + (documents[i].size == 0));
        CHECK(text);
        memcpy(text, documents[i].text, documents[i].size);
        int result = json_check(text, documents[i].size, &where);
        fprintf(stderr, "document %zu: %s (%s)\n", i, documents[i].text,
                where.problem ? where.problem : "good");
        CHECK_INT(documents[i].line ? -EINVAL : 0, result);
        CHECK_INT(documents[i].line, where.line);
        CHECK_INT(documents[i].column, where.column);
        CHECK_INT(documents[i].byte, where.byte);
        CHECK(result == 0 || where.problem);
        CHECK_INT(result, json_check(text, documents[i].size, NULL));
        free(text);
    }
}

static void nesting_ends_at_a_limit(void)
{
    enum { LIMIT = JSON_NESTING_MAX };
    static char text[2 * LIMIT + 2];
    struct json_position where;
    memset(text, '[', LIMIT);
    memset(text + LIMIT, ']', LIMIT);
    CHECK_INT(0, json_check(text, (size_t)2 * LIMIT, &where));
    memset(text, '[', LIMIT + 1);
    memset(text + LIMIT + 1, ']', LIMIT + 1);
    CHECK_INT(-EINVAL, json_check(text, sizeof text, &where));
    CHECK_INT(LIMIT, where.byte);
    CHECK_STRING("nested more than 1000 levels deep", where.problem);
}

int main(void)
{
    escaping_makes_one_harmless_line();
    escaping_keeps_to_its_bounds();
    verdicts_and_positions();
    nesting_ends_at_a_limit();
    return 0;
}
