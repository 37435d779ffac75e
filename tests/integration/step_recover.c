/* SPDX-License-Identifier: Apache-2.0 */
/* What a successor makes of the tree that a writer left that died in this very state. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "step.h"

enum { SUCCESSOR = 50 }; /* the number of its content */

/* ---- Trees -------------------------------------------------------------------------------------
 */

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status, (void)type, (void)where;
    return remove(path);
}

void step_remove_tree(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        step_fail("%s: %s", path, strerror(errno));
}

static void copy_file(int from, int to, const char *name, mode_t mode)
{
    char bytes[4096];
    ssize_t size;
    int in = openat(from, name, O_RDONLY | O_NOFOLLOW);
    int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (in < 0 || out < 0)
        step_fail("copy of %s: %s", name, strerror(errno));
    while ((size = read(in, bytes, sizeof bytes)) > 0)
        if (write(out, bytes, (size_t)size) != size)
            step_fail("copy of %s: %s", name, strerror(errno));
    if (size < 0 || fchmod(out, mode & 07777) != 0)
        step_fail("copy of %s: %s", name, strerror(errno));
    close(in);
    close(out);
}

/* All that is in `from`; takes both descriptors over. */
static void copy_level(int from, int to)
{
    struct stat status;
    DIR *stream = fdopendir(from);
    if (!stream || to < 0)
        step_fail("copy of a directory: %s", strerror(errno));
    for (struct dirent *entry; (entry = readdir(stream));) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
            step_fail("copy of %s: %s", name, strerror(errno));
        if (!S_ISDIR(status.st_mode)) {
            copy_file(from, to, name, status.st_mode);
            continue;
        }
        if (mkdirat(to, name, 0700) != 0 || fchmodat(to, name, status.st_mode & 07777, 0) != 0)
            step_fail("copy of %s: %s", name, strerror(errno));
        copy_level(openat(from, name, O_RDONLY | O_DIRECTORY),
                   openat(to, name, O_RDONLY | O_DIRECTORY));
    }
    closedir(stream);
    close(to);
}

void step_copy_tree(const char *from, const char *to)
{
    step_remove_tree(to);
    int in = open(from, O_RDONLY | O_DIRECTORY);
    if (in < 0)
        return; /* not made yet */
    if (mkdir(to, 0700) != 0)
        step_fail("%s: %s", to, strerror(errno));
    copy_level(in, open(to, O_RDONLY | O_DIRECTORY));
}

/* ---- The successor -----------------------------------------------------------------------------
 */

/* One enter of a reader that may look at the path. */
static struct step_view look(struct shmconf_reader *reader)
{
    struct step_view view = {0};
    reader->looked_ns = 0;
    const struct shmconf_version *version = shmconf_enter(reader);
    if (version) {
        view.generation = version->generation;
        view.content = step_verify(version);
    }
    shmconf_leave(reader);
    return view;
}

static void expect(const char *who, struct step_view seen, struct step_view expected)
{
    if (seen.generation != expected.generation || seen.content != expected.content)
        step_fail("%s got generation %llu with content %u, not %llu with %u", who,
                  (unsigned long long)seen.generation, seen.content,
                  (unsigned long long)expected.generation, expected.content);
}

/* The files that belong to this generation: its own, and the predecessor's if `is_complete`. */
static void check_files(const char *root, uint64_t generation, bool is_complete, const char *when)
{
    struct step_files files = step_list(root);
    uint64_t own = generation ? UINT64_C(1) << generation : 0;
    uint64_t allowed = generation > 1 ? own | own >> 1 : own;
    uint64_t needed = is_complete ? allowed : 0;
    if (files.temporary || files.others || (files.versions & ~allowed))
        step_fail(
            "%s there are %u temporary names, %u others and versions %llx; the head names %llu",
            when, files.temporary, files.others, (unsigned long long)files.versions,
            (unsigned long long)generation);
    if ((files.versions & needed) != needed || files.has_head != (generation > 0))
        step_fail("%s generation %llu misses a file: %llx", when, (unsigned long long)generation,
                  (unsigned long long)files.versions);
}

/* Nothing is lost that a reader could see, and what is current is whole. */
static void check_taken_over(const struct step_writer *writer, struct step_view view)
{
    const struct shmconf_record *record = region_entry_record(writer->entry);
    const struct region_version *version = region_entry_version(writer->entry);
    if (view.generation == 0) {
        if (version)
            step_fail("a successor found generation %llu where readers found nothing",
                      (unsigned long long)version->generation);
        return;
    }
    if (!version || version->generation != view.generation || record->generation != view.generation)
        step_fail("a successor took generation %llu over, not %llu",
                  (unsigned long long)record->generation, (unsigned long long)view.generation);
    if (record->state != SHMCONF_LIVE)
        step_fail("a successor left the head in state %x", record->state);
    struct region_content content = step_content(view.content);
    if (version->size != content.size ||
        memcmp(version->payload, content.payload, content.size) != 0 ||
        strcmp(version->content_type, content.content_type) != 0 ||
        strcmp(version->label, content.label) != 0)
        step_fail("a successor took other bytes over");
    struct shmconf_record expected = step_status(view.status, view.content);
    if (record->checked_ns != expected.checked_ns || record->next_ns != expected.next_ns ||
        record->interval_s != expected.interval_s || record->failures != expected.failures)
        step_fail("a successor took another status over");
}

static void succeed(const char *root, const struct step_scenario *scenario, struct step_view view)
{
    struct step_writer writer = {.scenario = scenario, .root = root};
    struct shmconf_reader mapped, private;
    struct shmconf_health health;
    int error;
    bool is_readable = !scenario->damage || view.generation;
    if (setenv("SHMCONF_DIR", root, 1) != 0 || shmconf_open(&mapped, STEP_NAME, 0) != 0 ||
        shmconf_open(&private, STEP_NAME, SHMCONF_PRIVATE) != 0)
        step_fail("cannot open a reader");
    expect("a reader before the take-over", look(&mapped), view);
    expect("a private reader before the take-over", look(&private), view);

    step_open(&writer);
    if (is_readable)
        check_files(root, view.generation, !scenario->damage, "after the take-over");
    check_taken_over(&writer, view);
    expect("an attached reader after the take-over", look(&mapped), view);
    expect("an attaching reader after the take-over", step_read_anew(0, &error), view);

    step_publish(&writer, SUCCESSOR);
    struct step_view next = {region_entry_record(writer.entry)->generation, SUCCESSOR, SUCCESSOR};
    if (next.generation <= view.generation)
        step_fail("a successor published generation %llu behind %llu",
                  (unsigned long long)next.generation, (unsigned long long)view.generation);
    check_files(root, next.generation, !scenario->damage, "after the next publication");
    expect("an attached reader after the next publication", look(&mapped), next);
    expect("an attached private reader after the next publication", look(&private), next);
    expect("an attaching reader after the next publication", step_read_anew(0, &error), next);
    if (shmconf_status(&mapped, &health) != 0 || step_verify_health(&health).status != SUCCESSOR)
        step_fail("the status of the next publication is not there");
    step_close(&writer);
}

void step_recover(const char *root, const struct step_scenario *scenario, struct step_view view)
{
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        step_fail("fork: %s", strerror(errno));
    if (child == 0) {
        succeed(root, scenario, view);
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child || status != 0)
        step_fail("the successor ended with status %x", (unsigned)status);
}

struct step_view step_recovered_view(const char *root)
{
    const char *before = step_where.root;
    int error;
    setenv("SHMCONF_DIR", root, 1);
    struct step_view view = step_read_anew(0, &error);
    setenv("SHMCONF_DIR", before, 1);
    view.status = SUCCESSOR;
    return view;
}
