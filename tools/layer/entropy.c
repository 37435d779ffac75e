/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where Mbed TLS gets its randomness: from the kernel, by system call, so that it needs no /dev.
 *
 * PSA, which makes the keys of TLS 1.3, takes every byte from there and has no generator of its
 * own: that one's state would be in each copy of a snapshot, and they would make the same keys.
 */
#include <errno.h>
#include <psa/crypto.h>
#include <sys/random.h>

int mbedtls_hardware_poll(void *context, unsigned char *output, size_t size, size_t *written);

int mbedtls_hardware_poll(void *context, unsigned char *output, size_t size, size_t *written)
{
    (void)context;
    ssize_t got = getrandom(output, size, 0);
    *written = got > 0 ? (size_t)got : 0;
    return got > 0 ? 0 : -1;
}

psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *context,
                                             uint8_t *output, size_t size, size_t *written)
{
    (void)context;
    *written = 0;
    while (*written < size) {
        ssize_t got = getrandom(output + *written, size - *written, 0);
        if (got < 0 && errno != EINTR)
            return PSA_ERROR_INSUFFICIENT_ENTROPY;
        *written += got > 0 ? (size_t)got : 0;
    }
    return PSA_SUCCESS;
}
