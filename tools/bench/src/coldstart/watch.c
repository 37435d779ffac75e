/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints CLOCK_MONOTONIC in nanoseconds when the first version of the last one of these
 * configurations can be read:
 *
 *     bench_watch NAME...
 *
 * It opens the region anew every 50 us, since a reader that waits looks less often where there is
 * nothing yet.
 */
#include <inttypes.h>
#include <shmconf.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>

static int is_readable(const char *name)
{
    struct shmconf_reader reader;
    if (shmconf_open(&reader, name, 0) != 0)
        return 0;
    int found = shmconf_enter(&reader) != NULL;
    shmconf_leave(&reader);
    shmconf_close(&reader);
    return found;
}

int main(int argc, char **argv)
{
    static const struct timespec pause = {.tv_nsec = 50000};
    struct timespec now;
    prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
    for (int i = 1; i < argc; i++)
        while (!is_readable(argv[i]))
            nanosleep(&pause, NULL);
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("%" PRIu64 "\n", (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec);
    return 0;
}
