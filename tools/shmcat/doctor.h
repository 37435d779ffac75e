/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `shmcat doctor` share: each check says what it found, a line each. */
#ifndef SHMCAT_DOCTOR_H
#define SHMCAT_DOCTOR_H

#include "settings/settings.h"
#include "shmcat/shmcat.h"

enum severity { GOOD, NOTE, BAD };

struct diagnosis {
    const struct shmconf_place *place;
    const struct settings *settings; /* the daemon's in this environment; NULL: it refuses them */
    bool json;
    unsigned count;
    unsigned bad;
};

void say(struct diagnosis *diagnosis, enum severity severity, const char *subject,
         const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A variable's value; NULL when it is not set or empty. */
const char *variable(const char *name);

/* doctor_settings.c: what shmconfd thinks of them; and what AppConfig needs. */
void doctor_load_settings(struct diagnosis *diagnosis, struct settings *settings);
void doctor_check_aws(struct diagnosis *diagnosis);

/* doctor_region.c: whether the region can be had, and what fits there. */
void doctor_check_root(struct diagnosis *diagnosis);
void doctor_check_disk(struct diagnosis *diagnosis);

/* doctor_lock.c: who holds the region. */
void doctor_check_daemon(struct diagnosis *diagnosis);

/* doctor_port.c: who answers on the HTTP port of this machine. */
void doctor_check_port(struct diagnosis *diagnosis);

#endif
