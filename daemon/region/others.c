/* SPDX-License-Identifier: Apache-2.0 */
#include "region/others.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"
#include "region/file_names.h"

bool region_is_of_others(int directory)
{
    struct stat status;
    bool is_empty = true;
    if (fstatat(directory, REGION_SOURCE_FILE, &status, AT_SYMLINK_NOFOLLOW) == 0)
        return false;
    DIR *stream = list_directory(directory);
    for (struct dirent *entry; stream && is_empty && (entry = readdir(stream));)
        is_empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                   strcmp(entry->d_name, "lost+found") == 0; /* of a new volume */
    if (stream)
        closedir(stream);
    return !is_empty;
}
