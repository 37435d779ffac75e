/* SPDX-License-Identifier: Apache-2.0 */
#include "source/files.h"

#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "log/log.h"

static int compare_files(const void *a, const void *b)
{
    const struct source_file *x = a;
    const struct source_file *y = b;
    return strcmp(x->name, y->name);
}

struct source_file *source_files_find(struct source_files *files, char *name)
{
    struct source_file key = {.name = name};
    struct source_file **found = tfind(&key, &files->tree, compare_files);
    return found ? *found : NULL;
}

static bool exists(const struct source_files *files, const char *name)
{
    struct stat status;
    return files->directory >= 0 && fstatat(files->directory, name, &status, 0) == 0;
}

/* Logs why a file is ignored, the first time. */
static void ignore(struct source_file *file, const char *why, const char *other)
{
    if (!file->is_told)
        log_subject(LOG_LEVEL_WARN, file->name, "ignored: %s%s", why, other);
    file->is_told = true;
}

/*
 * Takes the configuration that the file's name says. Two files can say the same one: the first has
 * it for as long as it is there.
 */
static void claim(struct source_files *files, struct source_file *file)
{
    struct error error = {0};
    struct configuration *configuration =
        configurations_find(files->configurations, &file->parsed.name);
    for (struct source_file *other = configuration ? files->first : NULL; other;
         other = other->next) {
        if (other->configuration != configuration)
            continue;
        if (exists(files, other->name)) {
            ignore(file, "the same configuration stands in ", other->name);
            return;
        }
        other->configuration = NULL;
        other->due = 0;
    }
    if (!configuration && configurations_add(files->configurations, &file->parsed.name,
                                             SOURCE_FILE_INTERVAL_S, &configuration, &error) != 0)
        ignore(file, error.message, "");
    file->configuration = configuration;
}

struct source_file *source_files_add(struct source_files *files, const char *name)
{
    struct file_name parsed;
    const char *why = "";
    enum file_name_kind kind = file_name_parse(&parsed, name, &why);
    if (kind == FILE_NAME_OTHER)
        return NULL;
    struct source_file *file = calloc(1, sizeof *file);
    char *copy = strdup(name);
    if (file)
        file->name = copy;
    if (!file || !copy || !tsearch(file, &files->tree, compare_files)) {
        free(file);
        free(copy);
        return NULL;
    }
    file->next = files->first;
    files->first = file;
    file->parsed = parsed;
    file->is_mistake = kind == FILE_NAME_MISTAKE;
    if (file->is_mistake)
        ignore(file, why, "");
    else
        claim(files, file);
    return file;
}

void source_files_review(struct source_files *files)
{
    for (struct source_file **at = &files->first; *at;) {
        struct source_file *file = *at;
        if (!file->configuration && !exists(files, file->name)) {
            *at = file->next;
            tdelete(file, &files->tree, compare_files);
            free(file->name);
            free(file);
            continue;
        }
        if (!file->configuration && !file->is_mistake)
            claim(files, file);
        at = &file->next;
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void source_files_add_new(struct source_files *files)
{
    char **names = NULL;
    size_t count = 0;
    DIR *stream = list_directory(files->directory);
    if (!stream)
        return;
    for (struct dirent *entry; (entry = readdir(stream));) {
        if (!strchr(entry->d_name, ':') || source_files_find(files, entry->d_name))
            continue;
        char **more = realloc(names, (count + 1) * sizeof *names);
        char *name = more ? strdup(entry->d_name) : NULL;
        names = more ? more : names;
        if (!name)
            break;
        names[count++] = name;
    }
    closedir(stream);
    if (count)
        qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        source_files_add(files, names[i]);
        free(names[i]);
    }
    free(names);
}

void source_files_explain(struct source_files *files)
{
    char first[NAME_MAX + 1] = "";
    size_t count = 0;
    DIR *stream = list_directory(files->directory);
    if (!stream)
        return;
    for (struct dirent *entry; (entry = readdir(stream));) {
        if (entry->d_name[0] == '.' || strchr(entry->d_name, ':'))
            continue;
        /* The first by name, so that the line does not depend on the file system's order. */
        if (count++ == 0 || strcmp(entry->d_name, first) < 0)
            snprintf(first, sizeof first, "%s", entry->d_name);
    }
    closedir(stream);
    if (count)
        log_subject(LOG_LEVEL_WARN, first,
                    "ignored, and %zu more like it: a file is named "
                    "application:environment:profile[.ext]",
                    count - 1);
}

void source_files_free(struct source_files *files)
{
    while (files->first) {
        struct source_file *file = files->first;
        files->first = file->next;
        tdelete(file, &files->tree, compare_files);
        free(file->name);
        free(file);
    }
}
