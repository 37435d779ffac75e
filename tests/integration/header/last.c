/* SPDX-License-Identifier: Apache-2.0 */
/* shmconf.h behind the headers whose names it may collide with. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#ifdef __cplusplus
#include <atomic>
#include <iostream>
#include <memory>
#include <string>
#include <vector>
#endif

#include <shmconf.h>

int main(void)
{
    return printf("%s\n", shmconf_strerror(0)) > 0 ? 0 : 1;
}
