/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "region/region.h"

enum { PATIENCE_MS = 10000 };

/* ---- The writer ------------------------------------------------------------------------------ */

int stage_open(struct stage *stage)
{
    struct region_options options = {.path = stage->root,
                                     .path_is_given = true,
                                     .access = REGION_GROUP,
                                     .may_come_later = stage->may_come_later};
    /* A group that is not our own, where that can be had: then it is set on everything. */
    options.has_group = geteuid() == 0;
    options.group = 1;
    return region_open(&stage->region, &options, &stage->error);
}

void stage_open_entry(struct stage *stage)
{
    struct shmconf_name name;
    CHECK_INT(0, shmconf_name_parse(&name, STAGE_NAME));
    CHECK_INT(0, region_entry_open(&stage->entry, stage->region, &name, &stage->error));
}

void stage_close_writer(struct stage *stage)
{
    region_entry_close(stage->entry);
    region_close(stage->region);
    stage->entry = NULL;
    stage->region = NULL;
}

int stage_publish(struct stage *stage, const char *text)
{
    uint64_t now = clock_realtime_ns();
    struct shmconf_record status = {.fetched_ns = now, .checked_ns = now, .tried_ns = now};
    struct region_content content = {text, strlen(text), "text/plain", "label", SHMCONF_OPAQUE};
    return region_entry_publish(stage->entry, &content, &status, &stage->error);
}

void stage_attach(struct stage *stage)
{
    for (int i = 0; i < STAGE_READERS; i++) {
        CHECK_INT(0, shmconf_open(&stage->readers[i], STAGE_NAME, i ? SHMCONF_PRIVATE : 0));
        stage_expect(&stage->readers[i], stage->text);
    }
}

void stage_begin(struct stage *stage, const char *text)
{
    uint64_t since_ns;
    CHECK_INT(0, stage_open(stage));
    CHECK_INT(0, region_set_source(stage->region, "directory", &since_ns));
    stage_open_entry(stage);
    CHECK_INT(1, stage_publish(stage, "first"));
    CHECK_INT(1, stage_publish(stage, text));
    stage->text = text;
    stage_attach(stage);
}

/* ---- Files ----------------------------------------------------------------------------------- */

struct stage_path stage_path(const struct stage *stage, const char *path)
{
    struct stage_path whole;
    snprintf(whole.text, sizeof whole.text, "%s/%s", stage->root, path);
    return whole;
}

void stage_plant(const struct stage *stage, const char *path)
{
    int fd = open(stage_path(stage, path).text, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    close(fd);
}

void stage_patch(const struct stage *stage, const char *path, size_t at, const void *bytes,
                 size_t size)
{
    int fd = open(stage_path(stage, path).text, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_INT(size, pwrite(fd, bytes, size, (off_t)at));
    close(fd);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status, (void)type, (void)where;
    return remove(path);
}

void stage_remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* How many files of the configuration's directory have a name that begins so; "": all. */
static int count_files(const struct stage *stage, const char *prefix)
{
    int count = 0;
    DIR *stream = opendir(stage_path(stage, "A/B/C").text);
    CHECK(stream != NULL);
    for (struct dirent *entry; (entry = readdir(stream));)
        count += entry->d_type == DT_REG && strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    closedir(stream);
    return count;
}

/* ---- Readers --------------------------------------------------------------------------------- */

const char *stage_text(struct shmconf_reader *reader, char text[64])
{
    reader->looked_ns = 0; /* as if the time between two looks at the path were over */
    const struct shmconf_version *version = shmconf_enter(reader);
    snprintf(text, 64, "%s", shmconf_text(version).data);
    shmconf_leave(reader);
    return version ? text : NULL;
}

void stage_expect(struct shmconf_reader *reader, const char *text)
{
    char now[64];
    if (text)
        CHECK_STRING(text, stage_text(reader, now));
    else
        CHECK(stage_text(reader, now) == NULL);
}

void stage_reach(struct shmconf_reader *reader, const char *before, const char *text)
{
    char buffer[64];
    uint64_t end = clock_monotonic_ns() + PATIENCE_MS * NS_PER_MS;
    for (;;) {
        const char *now = stage_text(reader, buffer);
        if (now && strcmp(now, text) == 0)
            return;
        if (now || before)
            CHECK_STRING(before ? before : "(nothing)", now);
        CHECK(clock_monotonic_ns() < end);
        poll(NULL, 0, 1);
    }
}

void stage_newcomer(const char *text)
{
    struct shmconf_reader reader;
    CHECK_INT(0, shmconf_open(&reader, STAGE_NAME, 0));
    stage_expect(&reader, text);
    CHECK_INT(0, shmconf_close(&reader));
}

/* ---- Afterwards ------------------------------------------------------------------------------ */

static void restart(struct stage *stage)
{
    stage_close_writer(stage);
    CHECK_INT(0, stage_open(stage));
    CHECK_INT(1, region_recover(stage->region));
    stage_open_entry(stage);
}

void stage_go_on(struct stage *stage)
{
    if (!stage->region)
        CHECK_INT(0, stage_open(stage));
    if (!stage->entry)
        stage_open_entry(stage);
    CHECK_INT(1, stage_publish(stage, "later"));
    for (int i = 0; i < STAGE_READERS; i++)
        stage_reach(&stage->readers[i], stage->text, "later");
    stage_newcomer("later");
    /* Only what could not be removed may still be there. */
    if (stage->failing != SYS_unlinkat)
        CHECK_INT(0, count_files(stage, ".t"));
    CHECK_INT(0, region_entry_check(stage->entry, &stage->error));
    restart(stage);
    CHECK_STRING("later", region_entry_version(stage->entry)->payload);
    CHECK(count_files(stage, "v") <= 2);
    CHECK_INT(1, count_files(stage, "head"));
    CHECK_INT(1 + count_files(stage, "v"), count_files(stage, ""));
    for (int i = 0; i < STAGE_READERS; i++)
        stage_expect(&stage->readers[i], "later");
}
