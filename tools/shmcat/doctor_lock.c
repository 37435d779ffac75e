/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of the daemon that holds the region, and where none does. */
#include <string.h>

#include "base/cleanup.h"
#include "shmcat/doctor.h"

void doctor_check_daemon(struct diagnosis *diagnosis)
{
    const char *root = diagnosis->place->root;
    cleanup_close int fd =
        shmconf_descend(diagnosis->place, SHMCONF_AT_FDCWD, root, diagnosis->place->root_is_given);
    if (fd < 0)
        return; /* doctor_check_root says why */
    int is_held = root_is_held(fd);
    if (is_held == 0) {
        say(diagnosis, NOTE, "daemon", "nobody holds the region: start shmconfd");
        return;
    }
    if (is_held < 0) {
        say(diagnosis, NOTE, "daemon", "%s: who holds the region cannot be told: %s", root,
            strerror(-is_held));
        return;
    }
    long pid = root_holder(fd);
    if (!pid)
        say(diagnosis, GOOD, "daemon",
            "a process holds the region; from here its pid cannot be seen");
    else if (process_is_stopped(pid))
        say(diagnosis, BAD, "daemon", "process %ld holds the region and is stopped: kill -CONT %ld",
            pid, pid);
    else
        say(diagnosis, GOOD, "daemon", "process %ld holds the region", pid);
}
