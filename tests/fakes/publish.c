/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for the daemon towards readers: publishes what it is told, with the daemon's own code.
 *
 *     publish DIRECTORY < commands
 *
 * A command is a line of words with one blank between them; each word is percent-encoded, and "-"
 * is the empty word. Each is answered by a line, "ok ..." or "error MESSAGE".
 *
 *     publish NAME TYPE LABEL TEXT                      ok GENERATION; an equal one makes none
 *     status NAME FAILURES ERROR CHECKED [HTTP INTERVAL NEXT]
 *                                                       ok; errno value, unix ns, status, s, unix
 * ns check                                             ok N: puts back what was removed, N entries
 *
 * It holds the region's lock until its input ends. To begin it takes over what it finds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "region/region.h"

enum { WORDS = 8, ENTRIES = 4096 };

struct word {
    char *text;
    size_t size;
};

static struct known {
    struct shmconf_name name;
    struct region_entry *entry;
} known[ENTRIES];
static size_t known_count;

static int entry_of(struct region_entry **entry, struct region *region, const char *text,
                    struct error *error)
{
    struct shmconf_name name;
    int rc = shmconf_name_parse(&name, text);
    *entry = NULL;
    if (rc)
        return error_set(error, -rc, text, "malformed name");
    for (size_t i = 0; i < known_count; i++) {
        if (known[i].name.size != name.size ||
            memcmp(known[i].name.text, name.text, name.size) != 0)
            continue;
        *entry = known[i].entry;
        return 0;
    }
    if (known_count == ENTRIES)
        return error_set(error, ENOSPC, text, "too many configurations for this program");
    rc = region_entry_open(entry, region, &name, error);
    if (rc)
        return rc;
    known[known_count++] = (struct known){name, *entry};
    return 0;
}

/* Cuts at blanks and decodes in place; returns the number of words. */
static int words_split(char *line, size_t size, struct word words[WORDS])
{
    int count = 0;
    char *end = line + size;
    for (char *at = line; at <= end && count < WORDS; at++) {
        struct word *word = &words[count++];
        word->text = at;
        word->size = 0;
        for (; at < end && *at != ' '; at++) {
            int high = *at == '%' && end - at > 2 ? shmconf_hex_digit(at[1]) : -1;
            char byte = *at;
            if (high >= 0) {
                byte = (char)(high * 16 + shmconf_hex_digit(at[2]));
                at += 2;
            }
            word->text[word->size++] = byte;
        }
        if (word->size == 1 && word->text[0] == '-')
            word->size = 0;
    }
    for (int i = 0; i < count; i++)
        words[i].text[words[i].size] = '\0';
    return count;
}

static uint64_t number(const struct word *words, int count, int i)
{
    return i < count ? strtoull(words[i].text, NULL, 10) : 0;
}

static int publish(struct region *region, const struct word *words, struct error *error)
{
    struct region_entry *entry;
    uint64_t now = clock_realtime_ns();
    struct shmconf_record status = {.fetched_ns = now, .checked_ns = now, .tried_ns = now};
    struct region_content content = {.payload = words[4].text,
                                     .size = words[4].size,
                                     .content_type = words[2].text,
                                     .label = words[3].text};
    int rc = entry_of(&entry, region, words[1].text, error);
    if (!rc)
        rc = region_entry_publish(entry, &content, &status, error);
    if (rc < 0)
        return rc;
    printf("ok %llu\n", (unsigned long long)region_entry_record(entry)->generation);
    return 0;
}

static int set_status(struct region *region, const struct word *words, int count,
                      struct error *error)
{
    struct region_entry *entry;
    int rc = entry_of(&entry, region, words[1].text, error);
    if (rc)
        return rc;
    struct shmconf_record status = *region_entry_record(entry);
    status.failures = (uint32_t)number(words, count, 2);
    status.error = (uint32_t)number(words, count, 3);
    status.checked_ns = number(words, count, 4);
    status.http_status = (uint32_t)number(words, count, 5);
    status.interval_s = (uint32_t)number(words, count, 6);
    status.next_ns = number(words, count, 7);
    status.tried_ns = clock_realtime_ns();
    rc = region_entry_status(entry, &status, error);
    if (!rc)
        puts("ok");
    return rc;
}

static int check(struct region *region, struct error *error)
{
    int mended = region_check_root(region, error);
    for (size_t i = 0; i < known_count && mended >= 0; i++) {
        int rc = region_entry_check(known[i].entry, error);
        mended = rc < 0 ? rc : mended + rc;
    }
    if (mended >= 0)
        printf("ok %d\n", mended);
    return mended < 0 ? mended : 0;
}

static int obey(struct region *region, char *line, size_t size, struct error *error)
{
    struct word words[WORDS] = {{"", 0}};
    int count = words_split(line, size, words);
    if (count == 5 && strcmp(words[0].text, "publish") == 0)
        return publish(region, words, error);
    if (count >= 5 && strcmp(words[0].text, "status") == 0)
        return set_status(region, words, count, error);
    if (count == 1 && strcmp(words[0].text, "check") == 0)
        return check(region, error);
    return error_set(error, EINVAL, words[0].text, "unknown command or wrong number of words");
}

int main(int argc, char **argv)
{
    struct region *region;
    struct error error = {0};
    cleanup_free char *line = NULL;
    size_t room = 0;
    if (argc != 2) {
        fputs("Usage: publish DIRECTORY < commands\n", stderr);
        return 2;
    }
    struct region_options options = {.path = argv[1], .path_is_given = true};
    if (region_open(&region, &options, &error) != 0) {
        fprintf(stderr, "publish: %s: %s\n", error.subject, error.message);
        return 1;
    }
    region_recover(region);
    for (ssize_t size; (size = getline(&line, &room, stdin)) >= 0;) {
        if (size > 0 && line[size - 1] == '\n')
            line[--size] = '\0';
        if (obey(region, line, (size_t)size, &error) != 0)
            printf("error %s: %s\n", error.subject, error.message);
        fflush(stdout);
    }
    while (known_count > 0)
        region_entry_close(known[--known_count].entry);
    region_close(region);
    return 0;
}
