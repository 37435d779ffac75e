/* SPDX-License-Identifier: Apache-2.0 */
#include <shmconf.h>

const char *text_of_b(int error);

const char *text_of_b(int error)
{
    return shmconf_strerror(error);
}
