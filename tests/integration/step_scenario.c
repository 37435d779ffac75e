/* SPDX-License-Identifier: Apache-2.0 */
/* What the writer does while it is stepped: the daemon's own code. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc.h"
#include "step.h"

/* ---- The writer's calls ------------------------------------------------------------------------
 */

void step_open(struct step_writer *writer)
{
    struct shmconf_name name;
    uint64_t since_ns;
    struct error error = {0};
    struct region_options options = {.path = writer->root, .path_is_given = true};
    proc_is_there = !writer->scenario->has_no_tmpfile;
    if (region_open(&writer->region, &options, &error) != 0)
        step_fail("%s: %s", error.subject, error.message);
    region_recover(writer->region);
    if (region_set_source(writer->region, "directory", &since_ns) != 0)
        step_fail("cannot note the source");
    if (shmconf_name_parse(&name, STEP_NAME) != 0 ||
        region_entry_open(&writer->entry, writer->region, &name, &error) != 0)
        step_fail("cannot open the entry");
}

void step_close(struct step_writer *writer)
{
    region_entry_close(writer->entry);
    region_close(writer->region);
}

void step_publish(struct step_writer *writer, unsigned number)
{
    struct error error = {0};
    struct region_content content = step_content(number);
    struct shmconf_record status = step_status(number, number);
    if (region_entry_publish(writer->entry, &content, &status, &error) != 1)
        step_fail("%s: %s", error.subject, error.message);
}

static void update_status(struct step_writer *writer, unsigned number, unsigned content)
{
    struct error error = {0};
    struct shmconf_record status = step_status(number, content);
    if (region_entry_status(writer->entry, &status, &error) != 0)
        step_fail("%s: %s", error.subject, error.message);
}

/* Writes into the head behind the daemon's back. */
static void write_head(const char *root, size_t offset, const void *bytes, size_t size)
{
    char path[STEP_PATH_SIZE];
    snprintf(path, sizeof path, "%s/" STEP_PATH "/" SHMCONF_HEAD_FILE, root);
    int fd = open(path, O_WRONLY);
    if (fd < 0 || pwrite(fd, bytes, size, (off_t)offset) != (ssize_t)size)
        step_fail("%s: %s", path, strerror(errno));
    close(fd);
}

static void remove_file(const char *root, const char *name)
{
    char path[STEP_PATH_SIZE];
    snprintf(path, sizeof path, "%s/" STEP_PATH "/%s", root, name);
    if (unlink(path) != 0)
        step_fail("%s: %s", path, strerror(errno));
}

/* ---- Before ------------------------------------------------------------------------------------
 */

static void setup_two(struct step_writer *writer)
{
    step_open(writer);
    step_publish(writer, 1);
    step_publish(writer, 2);
}

static void setup_one(struct step_writer *writer)
{
    step_open(writer);
    step_publish(writer, 1);
}

/* A head whose sequence is the last one before it wraps; both its cells hold the record. */
static void setup_wrap(struct step_writer *writer)
{
    const uint32_t seq = UINT32_MAX;
    setup_two(writer);
    struct shmconf_record record = *region_entry_record(writer->entry);
    step_close(writer);
    write_head(writer->root, offsetof(struct shmconf_head, cells[1]), &record, sizeof record);
    write_head(writer->root, offsetof(struct shmconf_head, seq), &seq, sizeof seq);
    step_open(writer);
}

/* What is there was written before a reboot. */
static void setup_reboot(struct step_writer *writer)
{
    setup_two(writer);
    step_close(writer);
    write_head(writer->root, offsetof(struct shmconf_head, boot_id), "another boot's  ", 16);
}

/* A writer died between its last store and the rename. */
static void setup_moved(struct step_writer *writer)
{
    const uint32_t state = SHMCONF_LIVE | SHMCONF_MOVED;
    setup_two(writer);
    step_close(writer);
    write_head(writer->root,
               offsetof(struct shmconf_head, cells[0]) + offsetof(struct shmconf_record, state),
               &state, sizeof state);
}

/* A head that is not as the daemon made it, though readers do not mind. */
static void setup_mode(struct step_writer *writer)
{
    char path[STEP_PATH_SIZE];
    setup_two(writer);
    snprintf(path, sizeof path, "%s/" STEP_PATH "/" SHMCONF_HEAD_FILE, writer->root);
    if (chmod(path, 0604) != 0)
        step_fail("%s: %s", path, strerror(errno));
}

/* ---- What somebody else does --------------------------------------------------------------------
 */

static void damage_version(const char *root)
{
    remove_file(root, "v00000002");
}

static void damage_head(const char *root)
{
    remove_file(root, SHMCONF_HEAD_FILE);
}

static void damage_magic(const char *root)
{
    write_head(root, offsetof(struct shmconf_head, magic), "????????", 8);
}

/* ---- What is stepped ----------------------------------------------------------------------------
 */

static void operate_create(struct step_writer *writer)
{
    step_open(writer);
    step_publish(writer, 1);
}

static void operate_publish(struct step_writer *writer)
{
    step_publish(writer, 3);
}

static void operate_second(struct step_writer *writer)
{
    step_publish(writer, 2);
}

static void operate_status(struct step_writer *writer)
{
    update_status(writer, 9, 2);
}

/* Enough for a reader to find the file gone that its record names, and a newer one after that. */
static void operate_several(struct step_writer *writer)
{
    step_publish(writer, 3);
    update_status(writer, 9, 3);
    for (unsigned content = 4; content <= 7; content++)
        step_publish(writer, content);
}

static void operate_wrap(struct step_writer *writer)
{
    update_status(writer, 9, 2);
    step_publish(writer, 3);
}

static void operate_check(struct step_writer *writer)
{
    struct error error = {0};
    if (region_check_root(writer->region, &error) < 0 ||
        region_entry_check(writer->entry, &error) != 1)
        step_fail("%s: %s", error.subject, error.message);
}

/* The least steps are half of what gcc 12 -O2 and glibc 2.36 make, so that a scenario in which
   nothing is stepped any more does not pass. */
const struct step_scenario step_scenarios[] = {
    {.name = "create",
     .operate = operate_create,
     .views = {{1, 1, 1}},
     .count = 1,
     .not_yet = -ENOENT,
     .least_steps = 20000,
     .least_states = 6},
    {.name = "create, temporary names",
     .operate = operate_create,
     .views = {{1, 1, 1}},
     .count = 1,
     .has_no_tmpfile = true,
     .not_yet = -ENOENT,
     .least_steps = 20000,
     .least_states = 10},
    {.name = "second version",
     .setup = setup_one,
     .operate = operate_second,
     .views = {{1, 1, 1}, {2, 2, 2}},
     .count = 2,
     .has_first = true,
     .least_steps = 8000,
     .least_states = 12},
    {.name = "publish",
     .setup = setup_two,
     .operate = operate_publish,
     .views = {{2, 2, 2}, {3, 3, 3}},
     .count = 2,
     .has_first = true,
     .least_steps = 8000,
     .least_states = 14},
    {.name = "publish, temporary names",
     .setup = setup_two,
     .operate = operate_publish,
     .views = {{2, 2, 2}, {3, 3, 3}},
     .count = 2,
     .has_first = true,
     .has_no_tmpfile = true,
     .least_steps = 8000,
     .least_states = 16},
    {.name = "status",
     .setup = setup_two,
     .operate = operate_status,
     .views = {{2, 2, 2}, {2, 2, 9}},
     .count = 2,
     .has_first = true,
     .least_steps = 200,
     .least_states = 12},
    {.name = "wrap",
     .setup = setup_wrap,
     .operate = operate_wrap,
     .views = {{2, 2, 2}, {2, 2, 9}, {3, 3, 3}},
     .count = 3,
     .has_first = true,
     .least_steps = 8000,
     .least_states = 24},
    {.name = "several",
     .setup = setup_two,
     .operate = operate_several,
     .views = {{2, 2, 2}, {3, 3, 3}, {3, 3, 9}, {4, 4, 4}, {5, 5, 5}, {6, 6, 6}, {7, 7, 7}},
     .count = 7,
     .has_first = true,
     .least_steps = 25000,
     .least_states = 80},
    {.name = "replace",
     .setup = setup_reboot,
     .operate = step_open,
     .views = {{2, 2, 2}},
     .count = 1,
     .has_first = true,
     .least_steps = 20000,
     .least_states = 14},
    {.name = "replace, temporary names",
     .setup = setup_reboot,
     .operate = step_open,
     .views = {{2, 2, 2}},
     .count = 1,
     .has_first = true,
     .has_no_tmpfile = true,
     .least_steps = 20000,
     .least_states = 16},
    {.name = "finish a replacement",
     .setup = setup_moved,
     .operate = step_open,
     .views = {{2, 2, 2}},
     .count = 1,
     .has_first = true,
     .least_steps = 20000,
     .least_states = 2},
    {.name = "replace and publish",
     .setup = setup_mode,
     .operate = operate_check,
     .views = {{2, 2, 2}, {3, 2, 2}},
     .count = 2,
     .has_first = true,
     .least_steps = 8000,
     .least_states = 16},
    {.name = "version removed",
     .setup = setup_two,
     .damage = damage_version,
     .operate = operate_check,
     .views = {{2, 2, 2}, {3, 2, 2}},
     .count = 2,
     .not_yet = -ESTALE,
     .least_steps = 8000,
     .least_states = 14},
    {.name = "head removed",
     .setup = setup_two,
     .damage = damage_head,
     .operate = operate_check,
     .views = {{2, 2, 2}, {3, 2, 2}},
     .count = 2,
     .not_yet = -ENOENT,
     .least_steps = 8000,
     .least_states = 16},
    {.name = "head overwritten",
     .setup = setup_two,
     .damage = damage_magic,
     .operate = operate_check,
     .views = {{2, 2, 2}, {3, 2, 2}},
     .count = 2,
     .not_yet = -EBADMSG,
     .least_steps = 8000,
     .least_states = 16},
    {.name = "tree removed",
     .setup = setup_two,
     .damage = step_remove_tree,
     .operate = operate_check,
     .views = {{2, 2, 2}, {3, 2, 2}},
     .count = 2,
     .not_yet = -ENOENT,
     .least_steps = 8000,
     .least_states = 18},
};
const unsigned step_scenario_count = sizeof step_scenarios / sizeof *step_scenarios;

struct step_scenario step_take_over(const struct step_scenario *crashed, struct step_view view)
{
    struct step_scenario scenario = {
        .name = crashed->name,
        .operate = step_open,
        .views = {view},
        .count = view.generation ? 1 : 0,
        .has_first = view.generation > 0,
        .has_no_tmpfile = crashed->has_no_tmpfile,
        .not_yet = -ENOENT,
        .least_steps = 10000,
    };
    return scenario;
}
