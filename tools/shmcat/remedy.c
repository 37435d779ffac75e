/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator can do about a file that readers refuse. */
#include <errno.h>
#include <sys/stat.h>

#include "shmcat/shmcat.h"

const char *const remedy_republish =
    "restart shmconfd: it publishes it anew as soon as its source has it";
const char *const remedy_make_anew = "remove it; shmconfd then makes it anew";

static bool is_directory(const struct config *config, const char *file)
{
    struct stat status;
    return config_look(config, file, &status) && S_ISDIR(status.st_mode);
}

/* Of something that readers do not trust; without a file the level at which they stopped. */
static const char *remedy_of_stranger(const struct config *config, const char *file)
{
    struct stat status;
    if (config_look(config, file, &status) && (status.st_mode & 022))
        return "take the right to write from others, or restart shmconfd, which does that";
    return "set SHMCONF_OWNER to the uid that shmconfd runs as; or remove it, or give it back "
           "to its owner";
}

const char *remedy_of(int error, const struct config *config, const char *file)
{
    switch (error) {
    case -EACCES:
        return "look as its owner or as root";
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
        return "look again when there is enough";
    case -EPROTONOSUPPORT:
        return "use the shmcat that came with the shmconfd that wrote it";
    case -EPERM:
        return remedy_of_stranger(config, file);
    case -EBADMSG:
    case -ENODATA:
        return is_directory(config, file) ? remedy_make_anew : remedy_republish;
    default:
        return remedy_make_anew;
    }
}
