/* SPDX-License-Identifier: Apache-2.0 */
/* Checks everything that is in the region, as fsck does for a disk, and repairs nothing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/list.h"
#include "region/file_names.h"
#include "region/others.h"
#include "shmcat/shmcat.h"
#include "shmcat/verify.h"

struct finding {
    char *path; /* below the root */
    const char *problem;
    const char *remedy;
};

struct verification {
    struct finding *found;
    size_t count;
    unsigned configurations;
    unsigned files;
    unsigned heads; /* readable or not */
    bool has_paused;
};

enum { TURNS_MAX = 16 }; /* of one configuration, while the daemon publishes */

/* Daemons write and remove files at any time, so what is not in its place is looked at again. */
static const struct timespec pause_before_judging = {0, 100 * (long)NS_PER_MS};

/* Unless nothing has happened in the directory for so long. */
static const time_t quiet_s = 3;

static const char *const does_not_belong = "it does not belong into the region";

static const char *const of_dead_writer =
    "a writer that died left it: shmconfd removes it when it starts";

/* It may be anything: nobody shall lose a file on this advice. */
static const char *const move_away = "move it away, or give shmconfd a directory of its own";

/* `file` may be "". */
static void add(struct verification *verification, const struct config *config, const char *file,
                const char *problem, const char *remedy)
{
    size_t count = verification->count;
    struct finding *grown = reallocarray(verification->found, count + 1, sizeof *grown);
    if (!grown) {
        complain("verify", "out of memory");
        exit(EXIT_FAILED);
    }
    verification->found = grown;
    grown[verification->count++] = (struct finding){config_path(config, file), problem, remedy};
}

/* Forgets the findings from `count` on. */
static void take_back(struct verification *verification, size_t count)
{
    while (verification->count > count)
        free(verification->found[--verification->count].path);
}

/* ---- A version ------------------------------------------------------------------------------ */

/* What is as large as a disk, and no version, is not read whole. */
static int read_version(struct config *config, const char *file, uint64_t generation, char **bytes,
                        size_t *size)
{
    struct shmconf_version_header header;
    int rc = config_file_begin(config, file, &header, sizeof header, size);
    if (!rc)
        rc = shmconf_version_header_check(&header, *size, config->instance, generation);
    if (!rc)
        rc = config_file(config, file, SHMCONF_VERSION_HEADER_SIZE, bytes, size);
    return rc;
}

static void verify_version(struct verification *verification, struct config *config,
                           uint64_t generation)
{
    char file[SHMCONF_VERSION_FILE_SIZE];
    cleanup_free char *bytes = NULL;
    size_t size;
    shmconf_version_file(file, generation);
    bool is_current = generation == config->record.generation;
    int rc = read_version(config, file, generation, &bytes, &size);
    if (rc == -ENOENT && !is_current)
        return;
    verification->files++;
    rc = rc == -ENOENT ? -ESTALE : rc;
    const char *problem =
        rc ? problem_of(rc) : verify_version_bytes(bytes, size, config, generation);
    if (!problem)
        return;
    const char *remedy = "no new reader uses it; it goes with the next version, or remove it now";
    if (is_current)
        remedy = rc ? remedy_of(rc, config) : remedy_republish;
    add(verification, config, file, problem, remedy);
}

/* ---- The directory -------------------------------------------------------------------------- */

/* Whether the file belongs there. Without a head that can be read any version may. */
static bool is_wanted(const char *file, const struct config *config)
{
    char keep[SHMCONF_VERSION_FILE_SIZE];
    if (strcmp(file, SHMCONF_HEAD_FILE) == 0)
        return true;
    if (config->error && config->error != -ENOENT)
        return region_file_is_version(file);
    uint64_t generation = config->record.generation;
    for (uint64_t back = 0; back < 2 && back < generation; back++) {
        shmconf_version_file(keep, generation - back);
        if (strcmp(file, keep) == 0)
            return true;
    }
    return false;
}

/* A file name that is not in its place, and those found before it. */
struct suspect {
    struct suspect *next;
    char name[];
};

static void suspect_add(struct suspect **list, const char *name)
{
    size_t size = strlen(name) + 1;
    struct suspect *suspect = malloc(sizeof *suspect + size);
    if (!suspect) {
        complain("verify", "out of memory");
        exit(EXIT_FAILED);
    }
    memcpy(suspect->name, name, size);
    suspect->next = *list;
    *list = suspect;
}

static void judge(struct verification *verification, const struct config *config, const char *file)
{
    struct stat status;
    if (!config_look(config, file, &status))
        return;
    verification->files++;
    bool is_file = !S_ISDIR(status.st_mode);
    bool is_ours = region_file_is_version(file) &&
                   region_file_begins_with(config->directory, file, SHMCONF_VERSION_MAGIC) > 0;
    if (is_file && is_ours && config->error == -ENOENT)
        add(verification, config, file, "nothing refers to it, since there is no head",
            "a daemon that follows it publishes it anew with its next check; else the next one "
            "that "
            "starts removes it");
    else if (is_file && (region_file_is_temporary(file) ||
                         (region_file_is_version(file) && config->error != -ENOENT)))
        add(verification, config, file, "nothing refers to it", of_dead_writer);
    else
        add(verification, config, file, does_not_belong, move_away);
}

/* A publication begins with a file that gets its name there. A clock that was set back tells
 * nothing.
 */
static bool may_be_in_progress(int directory)
{
    struct stat status;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return fstat(directory, &status) != 0 || status.st_mtim.tv_sec > now.tv_sec ||
           now.tv_sec - status.st_mtim.tv_sec < quiet_s;
}

static void verify_listing(struct verification *verification, const struct config *config)
{
    struct suspect *suspects = NULL;
    DIR *stream = list_directory(config->directory);
    if (!stream)
        return;
    for (struct dirent *entry; (entry = readdir(stream));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!is_wanted(entry->d_name, config))
            suspect_add(&suspects, entry->d_name);
        else if (config->error)
            verification->files++; /* nobody else counts it */
    }
    closedir(stream);
    if (suspects && may_be_in_progress(config->directory))
        nanosleep(&pause_before_judging, NULL);
    for (struct suspect *suspect; (suspect = suspects);) {
        suspects = suspect->next;
        judge(verification, config, suspect->name);
        free(suspect);
    }
}

static void verify_once(struct verification *verification, struct config *config)
{
    const struct shmconf_record *record = &config->record;
    if (config->error && config->error != -ENOENT)
        add(verification, config, config->file, problem_of(config->error),
            remedy_of(config->error, config));
    if (!config->error) {
        const char *problem = verify_head(config);
        verification->files++;
        if (problem)
            add(verification, config, SHMCONF_HEAD_FILE, problem, remedy_make_anew);
        for (uint64_t back = 0; back < 2 && back < record->generation; back++)
            verify_version(verification, config, record->generation - back);
    }
    if (config->directory >= 0)
        verify_listing(verification, config);
}

/* What stands in the place of a directory. The daemon's own temporary files soon have another name.
 */
static void judge_stray(struct verification *verification, const struct config *config)
{
    struct stat status;
    cleanup_free char *path = text_format("%s/%s", config->place->root, config->path);
    if (!verification->has_paused)
        nanosleep(&pause_before_judging, NULL);
    verification->has_paused = true;
    if (lstat(path, &status) != 0)
        return;
    verification->files++;
    if (region_file_is_temporary(config->path))
        add(verification, config, "", "nothing refers to it", of_dead_writer);
    else
        add(verification, config, "", does_not_belong, move_away);
}

static bool verify_config(struct config *config, void *context)
{
    struct verification *verification = context;
    size_t count = verification->count;
    unsigned files = verification->files;
    if (config->error == -ENOTDIR) {
        judge_stray(verification, config);
        return true;
    }
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        verify_once(verification, config);
        /* What the daemon publishes meanwhile may be all that was found. */
        if (verification->count == count || !config_reload(config))
            break;
        take_back(verification, count);
        verification->files = files;
    }
    verification->configurations += config->error != -ENOENT;
    verification->heads += config->directory >= 0 && config->error != -ENOENT;
    return true;
}

/* ---- The root ------------------------------------------------------------------------------- */

/* By it a successor knows what to follow on. None is there where it could not be written. */
static void verify_source(struct verification *verification, const struct shmconf_place *place)
{
    struct config config = config_of_root(place);
    config.directory = shmconf_descend(place, SHMCONF_AT_FDCWD, place->root, place->root_is_given);
    int rc = config.directory < 0 ? -ENOENT : verify_read_source(place, config.directory);
    strcpy(config.file, REGION_SOURCE_FILE);
    verification->files += rc != -ENOENT;
    if (rc && rc != -ENOENT)
        add(verification, &config, REGION_SOURCE_FILE, problem_of(rc),
            verify_remedy_of_source(&config, rc));
    config_close(&config);
}

/* ---- The command ---------------------------------------------------------------------------- */

static void print_json(const struct verification *verification)
{
    printf("{\"configurations\":%u,\"files\":%u,\"problems\":[", verification->configurations,
           verification->files);
    for (size_t i = 0; i < verification->count; i++) {
        const struct finding *finding = &verification->found[i];
        json_string(stdout, i ? ",{\"path\":" : "{\"path\":", finding->path, strlen(finding->path));
        json_string(stdout, ",\"problem\":", finding->problem, strlen(finding->problem));
        json_string(stdout, ",\"remedy\":", finding->remedy, strlen(finding->remedy));
        putchar('}');
    }
    puts("]}");
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void print_text(const struct verification *verification)
{
    for (size_t i = 0; i < verification->count; i++) {
        const struct finding *finding = &verification->found[i];
        cleanup_free char *path = text_visible(finding->path, strlen(finding->path));
        printf("%s: %s: %s\n", path, finding->problem, finding->remedy);
    }
    printf("%u configuration%s, %u file%s, %zu problem%s\n", verification->configurations,
           plural(verification->configurations), verification->files, plural(verification->files),
           verification->count, plural(verification->count));
}

/* One configuration must be there; 0 or -errno: of it, or of the root. */
static int verify_one(struct verification *verification, const struct shmconf_place *place)
{
    struct config config;
    int rc = config_open(&config, place);
    bool is_root = config.path[0] == '\0';
    if (rc == -ENOTDIR && !is_root) {
        verification->files++;
        add(verification, &config, "", does_not_belong, remedy_of(rc, &config));
    } else if (!is_root) {
        verify_config(&config, verification);
    }
    config_close(&config);
    return is_root || (rc == -ENOENT && verification->count == 0) ? rc : 0;
}

/* A directory that is another one than was meant: nobody shall empty it on this advice. */
static const struct finding *foreign(const struct verification *verification)
{
    if (verification->heads == 0)
        for (size_t i = 0; i < verification->count; i++)
            if (verification->found[i].problem == does_not_belong)
                return &verification->found[i];
    return NULL;
}

static void complain_of_stray(const struct shmconf_place *place, const struct finding *stray)
{
    cleanup_free char *path = text_visible(stray->path, strlen(stray->path));
    complain(place->root,
             "no configuration is here, but \"%s\" is, which is not shmconf's: set SHMCONF_DIR (or "
             "--dir) to the region",
             path);
}

static int verify_run(const struct common *common, char **arguments)
{
    const char *name = arguments[0];
    cleanup_free struct shmconf_place *place = NULL;
    struct verification verification = {0};
    int status = place_make(&place, name ? name : ANY_NAME);
    if (status)
        return status;
    int rc = name ? verify_one(&verification, place)
                  : region_scan_all(place, verify_config, &verification);
    if (!name && !rc)
        verify_source(&verification, place);
    const struct finding *stray = name ? NULL : foreign(&verification);
    if (stray)
        complain_of_stray(place, stray);
    else if (common->json)
        print_json(&verification);
    else if (!rc)
        print_text(&verification);
    if (verification.count)
        status = EXIT_FAILED;
    if (rc && !stray) {
        fflush(stdout);
        status = name && rc == -ENOENT ? fail(name, rc) : fail_region(place, rc);
    }
    take_back(&verification, 0);
    free(verification.found);
    return status;
}

const struct command verify_command = {
    .name = "verify",
    .arguments = "[NAME]",
    .summary = "Checks every file of the region; repairs nothing.",
    .details =
        "\nOwner, mode, magic, version and byte order, the name in the head, offsets, CRC and\n"
        "SHA-256 of both versions that are kept, files that nothing refers to, and what tells the\n"
        "source of all; not who may write in the root itself, which a volume decides: see doctor.\n"
        "A line for each problem with what to do about it; the exit status is 1 when there is "
        "one.\n",
    .least = 0,
    .most = 1,
    .run = verify_run,
};
