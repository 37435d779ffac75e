/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line with a query, and any bytes as the document that it asks: is it JSON, which bytes is each
 * flag, and how does it look inside of a string? A second reading of RFC 8259 must say the same.
 */
#include <cjson/cJSON.h>
#include <errno.h>

#include "agent/flags.h"
#include "json_reference.h"

/* cJSON takes numbers of up to 62 characters. */
enum { CJSON_NUMBER_MAX = 62 };

static struct reference reference;

static bool has_long_number(const char *text, size_t size)
{
    size_t run = 0;
    for (size_t i = 0; i < size; i++) {
        run = text[i] && strchr("0123456789+-.eE", text[i]) ? run + 1 : 0;
        if (run > CJSON_NUMBER_MAX)
            return true;
    }
    return false;
}

/* Up to 1.7.17 it reads beyond the end of input that has no NUL within the given length. */
static bool is_taken_by_cjson(const char *text, size_t size)
{
    char *copy = calloc(1, size + 1);
    require(copy);
    memcpy(copy, text, size);
    cJSON *document = cJSON_ParseWithLengthOpts(copy, size + 1, NULL, true);
    cJSON_Delete(document);
    free(copy);
    return document;
}

static void check_position(const struct json_position *where, const char *text, size_t size)
{
    size_t lines = 1;
    require(where->byte <= size && where->problem && where->problem[0]);
    for (size_t i = 0; i < where->byte; i++)
        lines += text[i] == '\n';
    require(where->line == lines && where->column >= 1 && where->column <= where->byte + 1);
}

/* Is it one document? */
static bool check_document(const char *text, size_t size)
{
    struct json_position where;
    bool expected = reference_check(&reference, text, size);
    int rc = json_check(text, size, &where);
    require(rc == 0 || rc == -EINVAL);
    if (rc)
        check_position(&where, text, size);
    require(expected == (rc == 0));
    /* A parser that handlers may have takes more, but for those numbers. */
    require(rc || has_long_number(text, size) || is_taken_by_cjson(text, size));
    return rc == 0;
}

/* Whether a key of the document, with its quotation marks, says the name. */
static bool says(struct span key, struct http_text name)
{
    cJSON *parsed = cJSON_ParseWithLength(key.data, key.size);
    const char *text = cJSON_GetStringValue(parsed);
    require(text);
    bool result = strlen(text) == name.size && memcmp(text, name.data, name.size) == 0;
    cJSON_Delete(parsed);
    return result;
}

/* The last member of that name is the one that counts. */
static void check_flag(const struct flag *flag)
{
    size_t found = reference.count;
    for (size_t i = 0; i < reference.count; i++)
        if (says(reference.keys[i], flag->name))
            found = i;
    require((found < reference.count) == (flag->value.data != NULL));
    if (!flag->value.data)
        return;
    require(flag->key.data == reference.keys[found].data &&
            flag->key.size == reference.keys[found].size);
    require(flag->value.data == reference.values[found].data &&
            flag->value.size == reference.values[found].size);
    require(json_check(flag->key.data, flag->key.size, NULL) == 0);
    require(json_check(flag->value.data, flag->value.size, NULL) == 0);
}

static void check_inside(struct http_text text, const char *document, size_t size)
{
    require(text.size <= size && text.data >= document &&
            (size_t)(text.data - document) <= size - text.size);
}

static void check_flags(struct flags *flags, const char *text, size_t size, bool is_json)
{
    int rc = flags_find(flags, text, size);
    require(rc == 0 || rc == -EINVAL);
    for (size_t i = 0; rc == 0 && i < flags->count; i++) {
        if (!flags->list[i].value.data)
            continue;
        check_inside(flags->list[i].key, text, size);
        check_inside(flags->list[i].value, text, size);
    }
    if (!is_json)
        return;
    size_t start = 0;
    while (strchr(" \t\r\n", text[start]))
        start++;
    require((rc == 0) == (text[start] == '{'));
    /* To cJSON an escaped NUL ends the name. */
    if (rc == 0 && reference.count <= REFERENCE_MEMBERS_MAX && !memmem(text, size, "\\u0000", 6))
        for (size_t i = 0; i < flags->count; i++)
            check_flag(&flags->list[i]);
}

static bool check_query(struct flags *flags, const char *query, size_t size)
{
    int rc = flags_parse(flags, (struct http_text){query, size});
    require(rc == 0 || rc == -EINVAL || rc == -E2BIG);
    if (rc)
        return false;
    require(flags->count <= FLAGS_MAX);
    for (size_t i = 0; i < flags->count; i++) {
        struct http_text name = flags->list[i].name;
        check_inside(name, flags->text, sizeof flags->text - 1);
        require(strlen(name.data) == name.size);
        for (size_t j = 0; j < i; j++)
            require(strcmp(flags->list[j].name.data, name.data) != 0);
    }
    return true;
}

/* Inside of quotation marks it is JSON, on one line, and a shorter one is its beginning. */
static void check_escape(const char *text, size_t size)
{
    size_t whole = json_escape(NULL, 0, text, size);
    char *out = copy_text("", 0);
    size_t room = whole + 3;
    out = realloc(out, room);
    require(out);
    out[0] = '"';
    require(json_escape(out + 1, room - 2, text, size) == whole);
    require(strlen(out) == whole + 1 && is_clean(out));
    memcpy(out + 1 + whole, "\"", 2);
    require(json_check(out, whole + 2, NULL) == 0);
    size_t less = whole ? 1 + size * 7 % whole : 0;
    if (less) {
        char *cut = malloc(less);
        require(cut);
        require(json_escape(cut, less, text, size) == whole);
        size_t kept = strlen(cut);
        require(kept < less && memcmp(cut, out + 1, kept) == 0 && is_clean(cut));
        memcpy(out + 1 + kept, "\"", 2);
        require(json_check(out, kept + 2, NULL) == 0);
        free(cut);
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct flags flags;
    if (size == 0)
        return 0;
    const uint8_t *end = memchr(data, '\n', size);
    size_t query_size = end ? (size_t)(end - data) : 0;
    size_t skipped = end ? query_size + 1 : 0;
    /* A query has come in a request line. */
    if (query_size > HTTP_LINE_MAX - strlen("GET /? HTTP/1.1"))
        return 0;
    char *query = copy_bytes(data, query_size);
    char *text = copy_bytes(data + skipped, size - skipped);
    bool is_json = check_document(text, size - skipped);
    if (check_query(&flags, query, query_size))
        check_flags(&flags, text, size - skipped, is_json);
    check_escape(text, size - skipped);
    free(query);
    free(text);
    return 0;
}
