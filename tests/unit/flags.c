/* SPDX-License-Identifier: Apache-2.0 */
/* Single flags as the bytes that stand in the document. */
#include <errno.h>

#include "agent/flags.h"
#include "check.h"

static struct flags flags;

static void ask(const char *query)
{
    CHECK_INT(0, flags_parse(&flags, (struct http_text){query, strlen(query)}));
}

/* A copy of exactly that size, so that a sanitizer sees a read behind the end. */
static int find(const char *json, size_t size)
{
    static char *copy;
    free(copy);
    copy = malloc(size ? size : 1);
    CHECK(copy);
    memcpy(copy, json, size);
    return flags_find(&flags, copy, size);
}

static void check_value(size_t index, const char *expected)
{
    struct http_text value = flags.list[index].value;
    if (!expected) {
        CHECK(!value.data);
        return;
    }
    CHECK(value.data);
    CHECK_INT(strlen(expected), value.size);
    CHECK(memcmp(value.data, expected, value.size) == 0);
}

static const struct {
    const char *json;
    const char *query;
    const char *value; /* of the first flag; NULL: not there */
} found[] = {
    {"{\"a\":1}", "flag=a", "1"},
    {" { \"a\" : { \"x\" : [ 1 , \"}\" ] } , \"b\":2}\n", "flag=a", "{ \"x\" : [ 1 , \"}\" ] }"},
    {"{\"a\":1,\"a\":2}", "flag=a", "2"},
    {"{\"b\":{\"a\":1}}", "flag=a", NULL},
    {"{\"b\":\"\\\"a\\\":1\",\"a\":\"\\\\\"}", "flag=a", "\"\\\\\""},
    {"{\"\\u0061\":true}", "flag=a", "true"},
    {"{\"\\u00e4\\ud83d\\ude00\\n\":null}", "flag=%C3%A4%F0%9F%98%80%0a", "null"},
    {"{\"\\ud83d\":1}", "flag=a", NULL},
    {"{\"\\u00\":1,\"\\q\":2,\"a\":3}", "flag=a", "3"},
    {"{\"a b\":-1.50e3}", "flag=a+b", "-1.50e3"},
    {"{\"a+b\":[]}", "x=1&flag=a%2Bb&flag", "[]"},
    {"{\"\":0}", "flag=", "0"},
    {"{}", "flag=a", NULL},
};

static void a_flag_is_served_as_it_stands(void)
{
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        ask(found[i].query);
        CHECK_INT(0, find(found[i].json, strlen(found[i].json)));
        check_value(0, found[i].value);
    }
}

static void several_keep_their_order_and_come_once(void)
{
    ask("flag=c&flag=a&flags=b&flag=c&other&flag=%61");
    CHECK_INT(2, flags.count);
    CHECK_INT(0, find("{\"a\":1,\"b\":2,\"c\":3}", 19));
    check_value(0, "3");
    check_value(1, "1");
    CHECK(memcmp(flags.list[0].key.data, "\"c\"", 3) == 0);
    ask("");
    CHECK_INT(0, flags.count);
    ask("flagged=1");
    CHECK_INT(0, flags.count);
}

static void bad_queries_are_refused(void)
{
    static char many[8 * (FLAGS_MAX + 1) + 1];
    CHECK_INT(-EINVAL, flags_parse(&flags, (struct http_text){"flag=%zz", 8}));
    CHECK_INT(-EINVAL, flags_parse(&flags, (struct http_text){"flag=%00", 8}));
    for (int i = 0; i <= FLAGS_MAX; i++)
        sprintf(many + strlen(many), "flag=%x&", i);
    CHECK_INT(-E2BIG, flags_parse(&flags, (struct http_text){many, strlen(many)}));
}

static void what_is_no_object_is_refused(void)
{
    static const char *const bad[] = {
        "",         " ",          "[]",          "1",          "\"a\"",     "{",
        "{\"a\"",   "{\"a\":",    "{\"a\":1",    "{\"a\":1,}", "{,}",       "{\"a\":1 \"b\":2}",
        "{\"a\":}", "{\"a\":[}]", "{\"a\":{]}}", "{\"a\":\"",  "{\"a\\\"}", "{\"a\":\"\\",
        "{a:1}",    "{\"a\":1}x", "{\"a\":,}",   "{\"a\" 1}",  "{\"a\":[]", "{1:1}"};
    ask("flag=a");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_INT(-EINVAL, find(bad[i], strlen(bad[i])));
    CHECK_INT(-EINVAL, find("{\"a\":\0}", 7));
}

/* Whatever the bytes, nothing outside of them is read; the sanitizers tell. */
static void cut_and_changed_documents_are_harmless(void)
{
    static const char json[] =
        "{\"a\":{\"b\":[1,\"\\u00e4\\\"\"]},\"\\u0061\\ud83d\\ude00\":[[{}]]}";
    static char changed[sizeof json];
    ask("flag=a&flag=a%F0%9F%98%80");
    CHECK_INT(0, find(json, sizeof json - 1));
    check_value(1, "[[{}]]");
    for (size_t size = 0; size < sizeof json - 1; size++)
        CHECK_INT(-EINVAL, find(json, size));
    for (size_t at = 0; at < sizeof json - 1; at++)
        for (int byte = 0; byte < 256; byte++) {
            snprintf(changed, sizeof changed, "%s", json);
            changed[at] = (char)byte;
            find(changed, sizeof json - 1);
        }
}

static void nesting_has_a_limit(void)
{
    enum { DEPTH = 100000 };
    char *deep = malloc(DEPTH * 2 + 8);
    CHECK(deep);
    ask("flag=a");
    for (size_t depth = 1000; depth <= DEPTH; depth *= 100) {
        memcpy(deep, "{\"a\":", sizeof "{\"a\":"); /* the NUL is overwritten */
        memset(deep + 5, '[', depth);
        memset(deep + 5 + depth, ']', depth);
        deep[5 + 2 * depth] = '}';
        CHECK_INT(depth == 1000 ? 0 : -EINVAL, find(deep, 2 * depth + 6));
    }
    free(deep);
}

int main(void)
{
    a_flag_is_served_as_it_stands();
    several_keep_their_order_and_come_once();
    bad_queries_are_refused();
    what_is_no_object_is_refused();
    cut_and_changed_documents_are_harmless();
    nesting_has_a_limit();
    find("", 0);
    return 0;
}
