/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with the file that tells the source of a region. */
#include <errno.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "region/file_names.h"
#include "shmcat/verify.h"

int verify_read_source(const struct shmconf_place *place, int root)
{
    char text[REGION_SOURCE_MAX + 1] = "";
    struct stat status;
    uint64_t since_ns;
    cleanup_close int fd = shmconf_open_file(place, root, REGION_SOURCE_FILE, 1, &status);
    if (fd < 0)
        return fd;
    if (status.st_size > REGION_SOURCE_MAX)
        return -EBADMSG;
    int rc = shmconf_version_read(fd, text, (size_t)status.st_size);
    return rc || region_source_parse(text, &since_ns) ? rc : -EBADMSG;
}

const char *verify_remedy_of_source(const struct config *config, int rc)
{
    struct stat status;
    if (rc == -EPERM && config_look(config, REGION_SOURCE_FILE, &status) && (status.st_mode & 022))
        return "take the right to write from others; a daemon that runs does that with its next "
               "check, one that starts follows on only what it is asked for";
    if (rc == -EPERM || rc == -EACCES)
        return remedy_of(rc, config);
    return "a daemon that runs writes it anew with its next check, else remove it: the next one "
           "then follows on only what it is asked for";
}
