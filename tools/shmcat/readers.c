/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which processes have files of the region mapped, from /proc/PID/maps. The kernel prints the path
 * that a file had, with " (deleted)" behind it once it has none: a version that was replaced twice,
 * or a head that another one took the place of.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "shmcat/shmcat.h"

/* One configuration in one process. */
struct reader_row {
    long pid;
    unsigned long uid;
    char command[32];
    char *path; /* of the configuration, below the root */
    bool is_writer;
    bool head_is_gone;
    uint64_t oldest; /* mapped generations; 0: none, as with private copies */
    uint64_t newest;
    unsigned versions;
    unsigned removed; /* of them: files that have no name any more */
};

struct survey {
    char *root; /* as the kernel prints it, with a slash behind it */
    char *only; /* this configuration's path; NULL: all */
    struct reader_row *at;
    size_t count;
    unsigned hidden; /* processes that may not be looked at */
};

static struct reader_row *row_add(struct survey *survey, long pid, const char *path, size_t size)
{
    struct reader_row *grown = reallocarray(survey->at, survey->count + 1, sizeof *grown);
    if (!grown) {
        complain("readers", "out of memory");
        exit(EXIT_FAILED);
    }
    survey->at = grown;
    grown[survey->count] =
        (struct reader_row){.pid = pid, .path = text_format("%.*s", (int)size, path)};
    return &grown[survey->count++];
}

static struct reader_row *row_of(struct survey *survey, long pid, const char *path, size_t size)
{
    for (size_t i = survey->count; i-- > 0 && survey->at[i].pid == pid;)
        if (strlen(survey->at[i].path) == size && memcmp(survey->at[i].path, path, size) == 0)
            return &survey->at[i];
    return row_add(survey, pid, path, size);
}

static void note(struct reader_row *row, const char *file, bool is_writable, bool is_gone)
{
    /* Only the daemon writes. Its head may have been made without a name, which the kernel shows.
     */
    row->is_writer |= is_writable;
    if (strcmp(file, SHMCONF_HEAD_FILE) == 0)
        row->head_is_gone |= is_gone;
    uint64_t generation = strtoull(file + 1, NULL, 16);
    if (file[0] != 'v' || generation == 0)
        return;
    row->versions++;
    row->removed += is_gone;
    if (row->oldest == 0 || generation < row->oldest)
        row->oldest = generation;
    if (generation > row->newest)
        row->newest = generation;
}

/* A line of maps: addresses, permissions, offset, device, inode, path. */
static void take_line(struct survey *survey, long pid, char *line)
{
    static const char gone[] = " (deleted)";
    char permissions[8];
    int path_at = 0;
    line[strcspn(line, "\n")] = '\0';
    if (sscanf(line, "%*s %7s %*s %*s %*s %n", permissions, &path_at) != 1 || path_at == 0)
        return;
    char *path = line + path_at;
    size_t root = strlen(survey->root);
    if (strncmp(path, survey->root, root) != 0)
        return;
    path += root;
    size_t size = strlen(path);
    bool is_gone = size > sizeof gone && strcmp(path + size - (sizeof gone - 1), gone) == 0;
    if (is_gone)
        path[size - (sizeof gone - 1)] = '\0';
    char *file = strrchr(path, '/');
    if (!file || (survey->only && (strlen(survey->only) != (size_t)(file - path) ||
                                   strncmp(path, survey->only, (size_t)(file - path)) != 0)))
        return;
    struct reader_row *row = row_of(survey, pid, path, (size_t)(file - path));
    note(row, file + 1, permissions[1] == 'w', is_gone);
}

/* Who the rows from `first` on belong to. */
static void describe(struct survey *survey, size_t first, const char *pid)
{
    char path[NAME_MAX + sizeof "/proc//maps"];
    char command[32] = "?";
    struct stat status = {0};
    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    FILE *file = fopen(path, "re");
    if (file && fgets(command, sizeof command, file))
        command[strcspn(command, "\n")] = '\0';
    if (file)
        fclose(file);
    snprintf(path, sizeof path, "/proc/%s", pid);
    stat(path, &status);
    for (size_t i = first; i < survey->count; i++) {
        survey->at[i].uid = status.st_uid;
        memcpy(survey->at[i].command, command, sizeof command);
    }
}

static void survey_process(struct survey *survey, const char *pid)
{
    char path[NAME_MAX + sizeof "/proc//maps"];
    char *line = NULL;
    size_t room = 0;
    size_t first = survey->count;
    snprintf(path, sizeof path, "/proc/%s/maps", pid);
    FILE *file = fopen(path, "re");
    if (!file) {
        survey->hidden += errno != ENOENT && errno != ESRCH;
        return;
    }
    while (getline(&line, &room, file) > 0)
        take_line(survey, strtol(pid, NULL, 10), line);
    /* Some systems open it for everybody and refuse to read. */
    survey->hidden += ferror(file) && errno != ESRCH;
    free(line);
    fclose(file);
    describe(survey, first, pid);
}

static int survey_all(struct survey *survey)
{
    DIR *stream = opendir("/proc");
    if (!stream)
        return complain("/proc", "%s: shmcat readers needs it", strerror(errno));
    unsigned processes = 0;
    for (struct dirent *entry; (entry = readdir(stream));)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') {
            survey_process(survey, entry->d_name);
            processes++;
        }
    closedir(stream);
    /* Not even this one: something else is mounted there. */
    if (processes == 0)
        return complain("/proc", "no process is shown there: shmcat readers needs it mounted");
    return EXIT_FINE;
}

/* ---- What is shown -------------------------------------------------------------------------- */

/* What is current in the region: a row with `newest` for each configuration, by path. */
static bool note_current(struct config *config, void *context)
{
    struct survey *region = context;
    row_add(region, 0, config->path, strlen(config->path))->newest =
        config->error ? 0 : config->record.generation;
    return true;
}

static int compare_paths(const void *a, const void *b)
{
    const struct reader_row *left = a;
    const struct reader_row *right = b;
    return strcmp(left->path, right->path);
}

static uint64_t current_of(const struct survey *region, const struct reader_row *row)
{
    const struct reader_row *found =
        region->count ? bsearch(row, region->at, region->count, sizeof *region->at, compare_paths)
                      : NULL;
    return found ? found->newest : 0;
}

static const char *state_of(const struct reader_row *row, uint64_t current)
{
    if (row->is_writer)
        return "writes";
    if (row->head_is_gone)
        return "reads a head that was replaced";
    if (row->newest == 0)
        return "reads copies, or nothing yet";
    return row->newest < current ? "behind" : "current";
}

static void print_row(const struct survey *region, const struct reader_row *row, bool json,
                      bool is_first)
{
    uint64_t current = current_of(region, row);
    const char *state = state_of(row, current);
    if (json) {
        printf("%s{\"pid\":%ld,\"uid\":%lu", is_first ? "" : ",", row->pid, row->uid);
        json_string(stdout, ",\"command\":", row->command, strlen(row->command));
        json_string(stdout, ",\"path\":", row->path, strlen(row->path));
        printf(",\"versions\":%u,\"removed\":%u,\"oldest\":%" PRIu64 ",\"newest\":%" PRIu64
               ",\"current\":%" PRIu64,
               row->versions, row->removed, row->oldest, row->newest, current);
        json_string(stdout, ",\"state\":", state, strlen(state));
        putchar('}');
        return;
    }
    cleanup_free char *command = text_visible(row->command, strlen(row->command));
    cleanup_free char *path = text_visible(row->path, strlen(row->path));
    char versions[64] = "-";
    char removed[48] = "";
    if (row->versions == 1)
        snprintf(versions, sizeof versions, "%" PRIu64, row->newest);
    else if (row->versions > 1)
        snprintf(versions, sizeof versions, "%" PRIu64 "...%" PRIu64 " (%u)", row->oldest,
                 row->newest, row->versions);
    if (row->removed)
        snprintf(removed, sizeof removed, "; %u removed version%s", row->removed,
                 row->removed == 1 ? "" : "s");
    printf("%-8ld %-6lu %-16s %-12s %s  %s%s\n", row->pid, row->uid, command, versions, path, state,
           removed);
}

static void print_survey(const struct survey *survey, const struct survey *region, bool json)
{
    if (json)
        printf("{\"hidden\":%u,\"readers\":[", survey->hidden);
    else if (survey->count)
        printf("%-8s %-6s %-16s %-12s %s\n", "PID", "UID", "COMMAND", "GENERATION", "PATH, STATE");
    for (size_t i = 0; i < survey->count; i++)
        print_row(region, &survey->at[i], json, i == 0);
    if (json)
        puts("]}");
    if (!survey->count && !json)
        puts(survey->hidden ? "nobody who could be looked at has it mapped"
                            : "nobody has it mapped");
    fflush(stdout);
    if (survey->hidden && !json)
        fprintf(stderr,
                "shmcat: readers: %u process%s could not be looked at: root may look at most\n",
                survey->hidden, survey->hidden == 1 ? "" : "es");
}

static void survey_free(struct survey *survey)
{
    for (size_t i = 0; i < survey->count; i++)
        free(survey->at[i].path);
    free(survey->at);
}

static int readers_run(const struct common *common, char **arguments)
{
    const char *name = arguments[0];
    cleanup_free struct shmconf_place *place = NULL;
    int status = place_make(&place, name ? name : ANY_NAME);
    if (status)
        return status;
    cleanup_free char *root = realpath(place->root, NULL);
    if (!root)
        return fail_region(place, -errno);
    cleanup_free char *slashed = text_format("%s/", strcmp(root, "/") ? root : "");
    cleanup_free char *only =
        name ? text_format("%s/%s/%s", place->segments[0], place->segments[1], place->segments[2])
             : NULL;
    struct survey survey = {.root = slashed, .only = only};
    struct survey region = {0};
    status = survey_all(&survey);
    if (!status && survey.count) {
        region_scan(place, note_current, &region);
        if (region.count)
            qsort(region.at, region.count, sizeof *region.at, compare_paths);
    }
    if (!status)
        print_survey(&survey, &region, common->json);
    survey_free(&survey);
    survey_free(&region);
    return status;
}

const struct command readers_command = {
    .name = "readers",
    .arguments = "[NAME]",
    .summary = "Which processes have it mapped, and which generation.",
    .details =
        "\nA process that is behind has not read since. A removed version has no file any more, "
        "and\n"
        "takes its room as long as somebody has it mapped. Shown are processes of this machine "
        "whose\n"
        "/proc/PID/maps may be read (as root: all) and that see the region under the same path.\n",
    .least = 0,
    .most = 1,
    .run = readers_run,
};
