/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `shmcat doctor` share: each check says what it found, a line each. */
#ifndef SHMCAT_DOCTOR_H
#define SHMCAT_DOCTOR_H

#include "shmcat/shmcat.h"

enum severity { GOOD, NOTE, BAD };

struct diagnosis {
    const struct shmconf_place *place;
    bool json;
    unsigned count;
    unsigned bad;
};

void say(struct diagnosis *diagnosis, enum severity severity, const char *subject,
         const char *format, ...) __attribute__((format(printf, 4, 5)));

/* doctor_port.c: who answers on the HTTP port of this machine. */
void doctor_check_port(struct diagnosis *diagnosis);

#endif
