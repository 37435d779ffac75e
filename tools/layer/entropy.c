/* SPDX-License-Identifier: Apache-2.0 */
/* Where Mbed TLS gets its randomness: by system call, so that it needs no /dev. */
#include <stddef.h>
#include <sys/random.h>

int mbedtls_hardware_poll(void *context, unsigned char *output, size_t size, size_t *written);

int mbedtls_hardware_poll(void *context, unsigned char *output, size_t size, size_t *written)
{
    (void)context;
    ssize_t got = getrandom(output, size, 0);
    *written = got > 0 ? (size_t)got : 0;
    return got > 0 ? 0 : -1;
}
