/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people and JSON for programs, from bytes that nobody has vouched for. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "shmcat/shmcat.h"

char *text_format(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int rc = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (rc < 0) {
        fputs("shmcat: out of memory\n", stderr);
        exit(EXIT_FAILED);
    }
    return text;
}

int complain(const char *subject, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cleanup_free char *visible = text_visible(subject, strlen(subject));
    fprintf(stderr, "shmcat: %s: %s\n", visible, text);
    return EXIT_FAILED;
}

/* Longer labels come from nobody who means well. */
enum { VISIBLE_MAX = 8192 };

/* The first character's visible form in `unit`; returns the bytes it took. */
static size_t visible_one(char unit[16], const char *data, size_t size)
{
    uint32_t code = 0;
    size_t length = json_character(data, size, &code);
    if (length == 0 || (length == 1 && (code < 0x20 || code == 0x7f)))
        snprintf(unit, 16, "\\x%02x", (unsigned)(unsigned char)data[0]);
    else if (code == '\\')
        snprintf(unit, 16, "\\\\");
    else if (wcwidth((wchar_t)code) <= 0)
        snprintf(unit, 16, code > 0xffff ? "\\U%08" PRIx32 : "\\u%04" PRIx32, code);
    else
        snprintf(unit, 16, "%.*s", (int)length, data);
    return length ? length : 1;
}

char *text_visible(const char *data, size_t size)
{
    size_t most = size < VISIBLE_MAX ? size : VISIBLE_MAX;
    char *out = text_format("%*s", (int)(4 * most + 16), ""); /* no byte becomes more than four */
    size_t at = 0;
    for (size_t i = 0; i < most;) {
        char unit[16];
        i += visible_one(unit, data + i, size - i);
        size_t length = strlen(unit);
        memcpy(out + at, unit, length);
        at += length;
    }
    out[at] = '\0';
    return out;
}

/* The bytes of `text` that fit `columns`, which becomes what they take. */
static size_t text_fit(const char *text, unsigned *columns)
{
    unsigned used = 0;
    size_t at = 0;
    size_t size = strlen(text);
    while (at < size) {
        uint32_t code = 0;
        size_t length = json_character(text + at, size - at, &code);
        int width = wcwidth((wchar_t)code);
        unsigned more = width > 0 ? (unsigned)width : 0;
        if (length == 0 || used + more > *columns)
            break;
        used += more;
        at += length;
    }
    *columns = used;
    return at;
}

unsigned text_width(const char *text)
{
    unsigned columns = UINT32_MAX;
    text_fit(text, &columns);
    return columns;
}

void text_cut(char *text, unsigned columns)
{
    text[text_fit(text, &columns)] = '\0';
}

void text_time(char out[TIME_SIZE], uint64_t ns)
{
    struct tm utc;
    time_t seconds = (time_t)(ns / NS_PER_S);
    char date[TIME_SIZE];
    if (ns == 0 || !gmtime_r(&seconds, &utc) ||
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        snprintf(out, TIME_SIZE, "-");
    else
        snprintf(out, TIME_SIZE, "%.24s.%03uZ", date, (unsigned)(ns % NS_PER_S / NS_PER_MS));
}

void text_span(char out[AGE_SIZE], uint64_t ns)
{
    static const struct {
        uint64_t unit;
        uint64_t below; /* in units */
        const char *name;
    } table[] = {{NS_PER_MS, 1000, "ms"},
                 {NS_PER_S, 120, "s"},
                 {60 * NS_PER_S, 120, "m"},
                 {3600 * NS_PER_S, 48, "h"},
                 {86400 * NS_PER_S, UINT64_MAX, "d"}};
    size_t i = 0;
    while (ns / table[i].unit >= table[i].below)
        i++;
    snprintf(out, AGE_SIZE, "%" PRIu64 "%s", ns / table[i].unit, table[i].name);
}

void text_age(char out[AGE_SIZE], uint64_t now, uint64_t then)
{
    char span[AGE_SIZE];
    text_span(span, now >= then ? now - then : then - now);
    if (then == 0)
        snprintf(out, AGE_SIZE, "-");
    else
        snprintf(out, AGE_SIZE, "%s%.20s", now >= then ? "" : "in ", span);
}

void json_string(FILE *out, const char *lead, const char *data, size_t size)
{
    fprintf(out, "%s\"", lead);
    for (size_t i = 0; i < size;) {
        char unit[16];
        size_t length = json_character(data + i, size - i, NULL);
        length = length ? length : 1;
        fwrite(unit, 1, json_escape(unit, sizeof unit, data + i, length), out);
        i += length;
    }
    putc('"', out);
}

void json_time(FILE *out, const char *lead, uint64_t ns)
{
    char text[TIME_SIZE];
    text_time(text, ns);
    if (ns == 0)
        fprintf(out, "%snull", lead);
    else
        fprintf(out, "%s\"%s\"", lead, text);
}

static void json_base64(FILE *out, const char *lead, const char *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    fprintf(out, "%s\"", lead);
    for (size_t i = 0; i < size; i += 3) {
        uint32_t group = 0;
        for (size_t j = 0; j < 3; j++)
            group = group << 8 | (i + j < size ? (unsigned char)data[i + j] : 0U);
        for (size_t j = 0; j < 4; j++)
            putc(i + j > size ? '=' : digits[group >> (18 - 6 * j) & 63], out);
    }
    putc('"', out);
}

void json_payload(FILE *out, const struct shmconf_slice *text)
{
    size_t length = 1;
    for (size_t i = 0; i < text->size && length; i += length)
        length = json_character(text->data + i, text->size - i, NULL);
    if (length)
        json_string(out, ",\"text\":", text->data, text->size);
    else
        json_base64(out, ",\"base64\":", text->data, text->size);
}

void json_version(FILE *out, const char *name, const struct shmconf_version *version)
{
    json_string(out, "\"name\":", name, strlen(name));
    fprintf(out, ",\"generation\":%" PRIu64 ",\"instance\":\"%016" PRIx64 "\",\"size\":%zu",
            version->generation, version->instance, version->text.size);
    json_string(out, ",\"content_type\":", version->content_type.data, version->content_type.size);
    json_string(out, ",\"label\":", version->label.data, version->label.size);
    json_time(out, ",\"updated\":", version->fetched_ns);
}
