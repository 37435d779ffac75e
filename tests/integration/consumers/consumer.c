/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody's handler does first: opens a name and says why there is nothing yet. */
#include <shmconf.h>

#include <stdio.h>

int main(void)
{
    struct shmconf_reader reader;
    int rc = shmconf_open(&reader, "Shop:Prod:Checkout", 0);
    if (rc) {
        printf("open: %s\n", shmconf_strerror(rc));
        return 1;
    }
    if (!shmconf_enter(&reader))
        printf("enter: %s\n", shmconf_strerror(shmconf_error(&reader)));
    shmconf_leave(&reader);
    return shmconf_close(&reader) ? 1 : 0;
}
