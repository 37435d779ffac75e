/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as the name of a configuration, of a file in the local directory, and as a list of
 * names. What is understood is printed so that it is understood again, also as names of files.
 */
#include <stdio.h>

#include "require.h"
#include "shmconf/name.h"
#include "source/file_name.h"
#include "source/name_list.h"

static bool is_same(const struct shmconf_name *a, const struct shmconf_name *b)
{
    for (int i = 0; i < SHMCONF_PARTS; i++)
        if (strcmp(shmconf_name_part(a, i), shmconf_name_part(b, i)) != 0)
            return false;
    return a->size == b->size;
}

static void check_name(const struct shmconf_name *name)
{
    char *text = malloc(SHMCONF_NAME_TEXT_MAX);
    struct shmconf_name again;
    require(text);
    shmconf_name_print(name, text);
    require(shmconf_name_parse(&again, text) == 0 && is_same(name, &again));
    free(text);
    for (int i = 0; i < SHMCONF_PARTS; i++) {
        char segment[SHMCONF_SEGMENT_MAX + 1];
        size_t size = strlen(shmconf_name_part(name, i));
        require(size > 0 && size <= SHMCONF_PART_MAX);
        shmconf_name_segment(name, i, segment);
        require(segment[0] && segment[0] != '.' && !strchr(segment, '/') && is_clean(segment));
    }
}

/* With colons a name says itself: nothing is decoded. */
static void check_plain(const struct shmconf_name *name, const char *text)
{
    char expected[SHMCONF_PARTS * (SHMCONF_PART_MAX + 1)];
    if (strncmp(text, "/applications/", strlen("/applications/")) == 0)
        return;
    snprintf(expected, sizeof expected, "%s:%s:%s", shmconf_name_part(name, SHMCONF_APPLICATION),
             shmconf_name_part(name, SHMCONF_ENVIRONMENT),
             shmconf_name_part(name, SHMCONF_PROFILE));
    require(strcmp(expected, text) == 0);
}

static void check_file(const char *text)
{
    struct file_name parsed;
    const char *why = NULL;
    enum file_name_kind kind = file_name_parse(&parsed, text, &why);
    require((kind == FILE_NAME_MISTAKE) == (why != NULL));
    if (kind != FILE_NAME_CONFIGURATION)
        return;
    check_name(&parsed.name);
    /* It goes into a header as it is. */
    size_t size = strnlen(parsed.content_type, sizeof parsed.content_type);
    require(size > 0 && size < sizeof parsed.content_type && is_one_line(parsed.content_type));
    require(strchr(parsed.content_type, '/') && !strpbrk(parsed.content_type, " \t"));
    require(!parsed.is_json == (strcmp(parsed.content_type, "application/json") != 0));
    /* The name of the file begins with that of the configuration. */
    for (int i = 0; i < SHMCONF_PARTS; i++) {
        const char *part = shmconf_name_part(&parsed.name, i);
        require(strncmp(text, part, strlen(part)) == 0);
        text += strlen(part);
        require(i == SHMCONF_PROFILE ? *text == '.' || !*text : *text == ':');
        text++;
    }
}

static void check_list(const char *list)
{
    char *text;
    char **names;
    size_t count;
    size_t total = 0;
    require(name_list_split(list, &text, &names, &count) == 0);
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(names[i]);
        require(size > 0 && !strchr(names[i], ',') && names[i][0] != ' ');
        require(names[i][size - 1] != ' ' && strstr(list, names[i]));
        total += size + 1;
    }
    require(total <= strlen(list) + 1);
    free(names);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shmconf_name name;
    char *text = copy_text(data, size);
    /* The text ends at a NUL, and so does what may be read of it. */
    text = realloc(text, strlen(text) + 1);
    require(text);
    if (shmconf_name_parse(&name, text) == 0) {
        check_name(&name);
        check_plain(&name, text);
    }
    check_file(text);
    check_list(text);
    free(text);
    return 0;
}
