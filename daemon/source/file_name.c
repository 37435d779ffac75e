/* SPDX-License-Identifier: Apache-2.0 */
#include "source/file_name.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Extensions that say a content type by themselves; any other type is written "type%subtype". */
static const struct {
    const char *extension;
    const char *content_type;
} types[] = {
    {"json", "application/json"}, {"yaml", "application/x-yaml"}, {"yml", "application/x-yaml"},
    {"txt", "text/plain"},        {"xml", "application/xml"},     {"toml", "application/toml"},
};

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name);
    size_t end_size = strlen(end);
    return size >= end_size && strcmp(name + size - end_size, end) == 0;
}

/* What editors, file managers and sync tools leave beside a file. */
static bool is_others(const char *name)
{
    static const char *const ends[] = {"~",    ".swp",  ".swx",  ".swo", ".tmp", ".temp",
                                       ".bak", ".orig", ".part", ".new", ".old", "#"};
    if (name[0] == '.' || name[0] == '#' || !strchr(name, ':'))
        return true;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (ends_with(name, ends[i]))
            return true;
    return false;
}

/* "application%ion%type=X" is "application/ion;type=X". */
static int decode_type(char *out, size_t size, const char *extension)
{
    const char *separators = "/;;;;;;;";
    if (strlen(extension) >= size)
        return -1;
    memcpy(out, extension, strlen(extension) + 1);
    for (char *at = strchr(out, '%'); at && *separators; at = strchr(at, '%'))
        *at = *separators++;
    /* It will stand in a header. */
    for (const char *at = out; *at; at++)
        if ((unsigned char)*at <= ' ' || *at == 0x7f || strchr("%\"\\", *at))
            return -1;
    return out[0] == '/' || ends_with(out, "/") ? -1 : 0;
}

static const char *find_type(const char *extension)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].extension, extension) == 0)
            return types[i].content_type;
    return NULL;
}

enum file_name_kind file_name_parse(struct file_name *parsed, const char *name, const char **why)
{
    char stem[SHMCONF_PARTS * (SHMCONF_PART_MAX + 1)];
    if (is_others(name))
        return FILE_NAME_OTHER;
    const char *profile = strrchr(name, ':') + 1;
    /* The extension that says a type may hold dots: "x.application%vnd.api+json". */
    const char *percent = strchr(profile, '%');
    const char *dot = strrchr(profile, '.');
    while (percent && dot && dot > percent) {
        const char *before = NULL;
        for (const char *at = strchr(profile, '.'); at && at < dot; at = strchr(at + 1, '.'))
            before = at;
        dot = before;
    }
    if (percent && !dot) {
        *why = "'%' belongs into an extension: application:environment:profile.type%subtype";
        return FILE_NAME_MISTAKE;
    }
    snprintf(stem, sizeof stem, "%.*s", dot ? (int)(dot - name) : (int)strlen(name), name);
    snprintf(parsed->content_type, sizeof parsed->content_type, "application/octet-stream");
    if (dot && percent && decode_type(parsed->content_type, sizeof parsed->content_type, dot + 1)) {
        *why = "the extension is no content type: write type%subtype";
        return FILE_NAME_MISTAKE;
    }
    if (dot && !percent) {
        const char *type = find_type(dot + 1);
        if (!type) {
            *why = "unknown extension; use .json, .yaml, .txt, .xml, .toml, none, or .type%subtype";
            return FILE_NAME_MISTAKE;
        }
        snprintf(parsed->content_type, sizeof parsed->content_type, "%s", type);
    }
    parsed->is_json = strcmp(parsed->content_type, "application/json") == 0;
    if (stem[0] == '/' || shmconf_name_parse(&parsed->name, stem) != 0) {
        *why = "not of the form application:environment:profile";
        return FILE_NAME_MISTAKE;
    }
    return FILE_NAME_CONFIGURATION;
}
