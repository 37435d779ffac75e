/* SPDX-License-Identifier: Apache-2.0 */
#include "proc.h"

#include <string.h>

bool proc_is_there = true;

int __real_access(const char *path, int mode);
int __wrap_access(const char *path, int mode);

int __wrap_access(const char *path, int mode)
{
    if (!proc_is_there && strcmp(path, "/proc/self/fd") == 0)
        return -1;
    return __real_access(path, mode);
}
