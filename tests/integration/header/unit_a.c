/* SPDX-License-Identifier: Apache-2.0 */
/* With unit_b.c: the header in two units of one program gives no symbol twice. */
#include <shmconf.h>

const char *text_of_b(int error);

int main(void)
{
    return strcmp(shmconf_strerror(ENOENT), text_of_b(ENOENT)) == 0 ? 0 : 1;
}
