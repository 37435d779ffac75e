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
    char *name; /* as its head has it; NULL: not known */
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
    unsigned hidden;     /* processes that may not be looked at */
    bool has_writer;     /* of any configuration */
    bool is_held_unseen; /* by a process that is not among those of /proc */
    bool is_there;       /* a configuration that could be read, or is damaged */
    bool is_refused;     /* a directory that readers do not go into */
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
    survey->has_writer |= permissions[1] == 'w';
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

/* Whether a daemon has the region that is not seen, as one of another container's. */
static bool is_held_unseen(const struct survey *survey, const struct shmconf_place *place)
{
    if (survey->has_writer)
        return false;
    cleanup_close int fd =
        shmconf_descend(place, SHMCONF_AT_FDCWD, place->root, place->root_is_given);
    return fd >= 0 && root_is_held(fd) == 1 && !root_holder(fd);
}

/* ---- The region ----------------------------------------------------------------------------- */

/* A row with `newest`, the current generation, for each configuration. */
static bool note_current(struct config *config, void *context)
{
    struct survey *region = context;
    struct reader_row *row = row_add(region, 0, config->path, strlen(config->path));
    char name[SHMCONF_NAME_TEXT_MAX];
    region->is_there |= config->directory >= 0 && config->error != -ENOENT;
    region->is_refused |=
        config->directory < 0 && config->error != -ENOENT && config->error != -ENOTDIR;
    if (config->error)
        return true;
    row->newest = config->record.generation;
    shmconf_name_print(&config->name, name);
    row->name = text_format("%s", name);
    return true;
}

static int compare_paths(const void *a, const void *b)
{
    const struct reader_row *left = a;
    const struct reader_row *right = b;
    return strcmp(left->path, right->path);
}

/* What the region has of that name, or of any: 0 or -errno. */
static int look(struct survey *region, const struct shmconf_place *place, const char *name)
{
    struct config config;
    if (!name) {
        int rc = region_scan(place, note_current, region);
        if (region->count)
            qsort(region->at, region->count, sizeof *region->at, compare_paths);
        return rc;
    }
    int rc = config_open(&config, place);
    note_current(&config, region);
    config_close(&config);
    return rc;
}

/* Nobody has it: it is refused, or not there, which may be a mistake in the name. */
static int fail_absent(const struct survey *region, const struct shmconf_place *place,
                       const char *name, int rc)
{
    struct config config;
    if (!name && region->is_refused)
        return complain(place->root,
                        "readers refuse what is there: shmcat verify says why, and what to do");
    if (!name)
        return fail_region(place, rc);
    config_open(&config, place);
    int status = fail_config(name, &config, rc);
    config_close(&config);
    return status;
}

/* ---- What is shown -------------------------------------------------------------------------- */

/* What is current, with the name; NULL: it is not there. */
static const struct reader_row *current_of(const struct survey *region,
                                           const struct reader_row *row)
{
    return region->count
               ? bsearch(row, region->at, region->count, sizeof *region->at, compare_paths)
               : NULL;
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

static void print_json_row(const struct reader_row *row, const char *name, uint64_t current,
                           const char *lead)
{
    const char *state = state_of(row, current);
    printf("%s{\"pid\":%ld,\"uid\":%lu", lead, row->pid, row->uid);
    json_string(stdout, ",\"command\":", row->command, strlen(row->command));
    if (name)
        json_string(stdout, ",\"name\":", name, strlen(name));
    else
        fputs(",\"name\":null", stdout);
    json_string(stdout, ",\"path\":", row->path, strlen(row->path));
    printf(",\"versions\":%u,\"removed\":%u,\"oldest\":%" PRIu64 ",\"newest\":%" PRIu64
           ",\"current\":%" PRIu64,
           row->versions, row->removed, row->oldest, row->newest, current);
    json_string(stdout, ",\"state\":", state, strlen(state));
    putchar('}');
}

static void print_row(const struct reader_row *row, const char *name, uint64_t current)
{
    const char *shown = name ? name : row->path;
    cleanup_free char *command = text_visible(row->command, strlen(row->command));
    cleanup_free char *visible = text_visible(shown, strlen(shown));
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
    printf("%-8ld %-6lu %-16s %-12s %s  %s%s\n", row->pid, row->uid, command, versions, visible,
           state_of(row, current), removed);
}

static void print_survey(const struct survey *survey, const struct survey *region, bool json)
{
    if (json)
        printf("{\"hidden\":%u,\"held_unseen\":%s,\"readers\":[", survey->hidden,
               survey->is_held_unseen ? "true" : "false");
    else if (survey->count)
        printf("%-8s %-6s %-16s %-12s %s\n", "PID", "UID", "COMMAND", "GENERATION", "NAME, STATE");
    for (size_t i = 0; i < survey->count; i++) {
        const struct reader_row *row = &survey->at[i];
        const struct reader_row *found = current_of(region, row);
        const char *name = found ? found->name : NULL;
        uint64_t current = found ? found->newest : 0;
        if (json)
            print_json_row(row, name, current, i ? "," : "");
        else
            print_row(row, name, current);
    }
    if (json)
        puts("]}");
    fflush(stdout);
}

/* Who may have it mapped all the same. */
static void print_unseen(const struct survey *survey)
{
    if (survey->hidden)
        complain("readers", "%u process%s could not be looked at: %s", survey->hidden,
                 survey->hidden == 1 ? "" : "es",
                 geteuid() == 0 ? "it takes CAP_SYS_PTRACE" : "root may look at most");
    if (survey->is_held_unseen)
        complain("readers", "shmconfd holds the region and is not seen here, as in another "
                            "container: look where it runs");
}

static void survey_free(struct survey *survey)
{
    for (size_t i = 0; i < survey->count; i++) {
        free(survey->at[i].path);
        free(survey->at[i].name);
    }
    free(survey->at);
}

/* Shows what was found; EXIT_FAILED where there is nothing that could have been. */
static int report(struct survey *survey, const struct shmconf_place *place, const char *name,
                  bool json)
{
    struct survey region = {0};
    int rc = look(&region, place, name);
    bool is_absent = survey->count == 0 && !region.is_there;
    survey->is_held_unseen = is_held_unseen(survey, place);
    print_survey(survey, &region, json);
    survey_free(&region);
    if (is_absent)
        return fail_absent(&region, place, name, rc);
    if (survey->count == 0 && !json)
        puts(survey->hidden || survey->is_held_unseen
                 ? "nobody who could be looked at has it mapped"
                 : "nobody has it mapped");
    fflush(stdout);
    if (!json)
        print_unseen(survey);
    return EXIT_FINE;
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
    status = survey_all(&survey);
    if (!status)
        status = report(&survey, place, name, common->json);
    survey_free(&survey);
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
        "/proc/PID/maps may be read (as root: all) and that see the region under the same path; "
        "none\n"
        "of another container, unless it shares this one's PID namespace.\n",
    .least = 0,
    .most = 1,
    .run = readers_run,
};
