/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator can do about a file that readers refuse, and the complaints that say so. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "shmcat/shmcat.h"

const char *const remedy_republish =
    "restart shmconfd: it publishes it anew as soon as its source has it";
const char *const remedy_make_anew = "remove it; shmconfd then makes it anew";

/* What helps whichever file it is. */
static const char *advice_on(int error, const char *otherwise)
{
    static const struct {
        int code;
        const char *advice;
    } table[] = {
        {EINVAL, "or /applications/A/environments/E/configurations/P"},
        {ENAMETOOLONG, "shorten it"},
        {ENOENT, "see shmcat ls for what is there, or ask shmconfd for it once over HTTP"},
        {ETIMEDOUT, "wait longer, or look into shmconfd's log"},
        {EACCES, "look as its owner or as root, or let shmconfd share it"},
        {EPROTONOSUPPORT, "use the shmcat that came with the shmconfd that wrote it"},
        {EAGAIN, "look again"},
        {EMFILE, "raise ulimit -n"},
        {ENFILE, "look again when there is enough"},
        {ENOMEM, "look again when there is enough"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].code == -error)
            return table[i].advice;
    return otherwise;
}

static bool is_directory(const struct config *config)
{
    struct stat status;
    return config_look(config, config->file, &status) && S_ISDIR(status.st_mode);
}

/* Of something that readers do not trust; without a file the level at which they stopped. */
static const char *remedy_of_stranger(const struct config *config)
{
    struct stat status;
    if (config_look(config, config->file, &status) && (status.st_mode & 022))
        return "take the right to write from others, or restart shmconfd, which does that";
    return "set SHMCONF_OWNER to the uid that shmconfd runs as; or remove it, or give it back "
           "to its owner";
}

const char *problem_of(int error)
{
    return error == -ESTALE ? "the current version was removed" : shmconf_strerror(error);
}

const char *remedy_of(int error, const struct config *config)
{
    bool is_root = config->path[0] == '\0';
    switch (error) {
    case -EPERM:
        return remedy_of_stranger(config);
    case -ESTALE:
        return remedy_republish;
    case -EBADMSG:
    case -ENODATA:
        return is_directory(config) ? remedy_make_anew : remedy_republish;
    case -ELOOP:
        return is_root ? "name the real directory" : remedy_make_anew;
    case -ENOTDIR:
        return is_root ? "set SHMCONF_DIR (or --dir) to the region"
                       : "remove it, or set SHMCONF_DIR (or --dir) to the region";
    default:
        return advice_on(error, remedy_make_anew);
    }
}

int fail(const char *subject, int rc)
{
    return complain(subject, "%s: %s", shmconf_strerror(rc),
                    advice_on(rc, "shmcat verify says which file it is, and what to do"));
}

int fail_config(const char *name, const struct config *config, int rc)
{
    if (rc == -ENOENT)
        return fail(name, rc);
    cleanup_free char *path =
        *config->path ? config_path(config, config->file) : text_format("%s", config->place->root);
    return complain(path, "%s: %s", problem_of(rc), remedy_of(rc, config));
}

int fail_generation(const char *name, struct config *config, uint64_t generation)
{
    char there[64] = "";
    uint64_t current = config->record.generation;
    for (uint64_t back = 0; back < 2 && back < current; back++) {
        struct shmconf_version *version = NULL;
        size_t used = strlen(there);
        if (config_version(config, current - back, &version) == 0)
            snprintf(there + used, sizeof there - used, "%s%" PRIu64, used ? " and " : "",
                     current - back);
        shmconf_version_release(version);
    }
    if (!*there)
        return complain(name,
                        "generation %" PRIu64 " is not there, nor what the head names: see shmcat "
                        "verify",
                        generation);
    return complain(name,
                    "generation %" PRIu64 " is not there: use %s; only the current one and its "
                    "predecessor are kept",
                    generation, there);
}

int fail_region(const struct shmconf_place *place, int rc)
{
    struct config root = config_of_root(place);
    if (rc && rc != -ENOENT)
        return fail_config(place->root, &root, rc);
    if (!rc && region_is_held(place))
        return complain(place->root,
                        "nothing is published: ask shmconfd, which runs, for a configuration over "
                        "HTTP, or give it a prefetch list or a local directory");
    return complain(
        place->root,
        "%s: start shmconfd, or set SHMCONF_DIR (or --dir) to the directory that it uses",
        rc ? "there is no region" : "nothing is published");
}
