/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of the service's without the secrets that we sent: an error about a signature, for one,
 * repeats the whole request.
 */
#ifndef SHMCONFD_REDACT_H
#define SHMCONFD_REDACT_H

#include <stddef.h>

/* A part of a secret that is this long is hidden as well; shorter ones tell nothing. */
enum { REDACT_PART = 12, REDACT_TEXT = 4096 };

/*
 * Copies as much of `text` as fits, at most of its first REDACT_TEXT bytes, NUL-terminated, with
 * "[hidden]" for every part of a secret, percent-escaped or not. `secrets` ends with NULL, or is
 * NULL: none.
 */
void redact(char *out, size_t out_size, const char *text, const char *const *secrets);

#endif
