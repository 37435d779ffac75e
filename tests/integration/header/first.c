/* SPDX-License-Identifier: Apache-2.0 */
/* shmconf.h before everything else, then others, which it must leave as they are, and once more. */
#include <shmconf.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#ifdef __cplusplus
#include <atomic>
#include <iostream>
#include <string>
#endif

#include <shmconf.h>

int main(void)
{
    return printf("%s\n", shmconf_strerror(0)) > 0 ? 0 : 1;
}
