/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the AWS source share. */
#ifndef SHMCONFD_SOURCE_AWS_INTERNAL_H
#define SHMCONFD_SOURCE_AWS_INTERNAL_H

#include "source/aws.h"
#include "source/schedule.h"
#include "source/thaw.h"
#include "upstream/appconfig_data.h"

/* One configuration that is followed. */
struct follow {
    struct shmconf_name name; /* first: the source's tree compares names */
    struct aws_source *source;
    struct follow *next;
    struct configuration *configuration;
    struct schedule schedule;
    struct loop_timer timer;
    uint64_t armed_ns;           /* what the timer was set to */
    uint64_t not_before_ns;      /* the timer is not set to an earlier time; 0: to any */
    struct appconfig_call *call; /* of the check that runs, or NULL */
    char *token;                 /* of the session, or NULL: there is none */
    uint64_t token_boot_ns;      /* when it came, by CLOCK_BOOTTIME */
    uint64_t started_ns;         /* when the check began, monotonic */
    uint64_t missed_ns;          /* since then, by the wall clock alone, which may have been set */
    bool is_kept;                /* named by the prefetch list */
    bool is_left;                /* by a predecessor, and nobody has asked for it since */
    bool is_transient;           /* the last failure may pass without anybody's doing */
    bool has_new_session;        /* in this check */
    bool was_lost;               /* a call of this check, with its connection */
    bool is_interrupted;         /* the check, by a thaw, and is not begun anew */
    unsigned begun_anew;         /* how often, this check */
    unsigned too_early;          /* answers in a row */
    struct source_waiter *waiters;
};

/* Of Lambda's SnapStart: the process is started once, and copies go on from where it was parked. */
enum snapshot_state {
    SNAPSHOT_NONE, /* this is none, or a restored copy that has had its first event */
    SNAPSHOT_STARTING,
    SNAPSHOT_PARKED, /* ready for the first event: a snapshot may be taken, or this is a copy */
};

struct aws_source {
    struct source base;
    struct loop *loop;
    struct configurations *configurations;
    struct transfers *transfers;
    struct appconfig_data *data;
    struct credentials_provider *credentials;
    void (*closed)(void *context); /* what stop() was called with */
    void *context;
    bool has_no_copies; /* see struct aws_source_options */
    uint64_t poll_interval_ns;
    uint64_t request_timeout_ns;
    uint64_t late_max_ns;        /* see struct aws_source_options */
    unsigned session_interval_s; /* what sessions promise */
    struct thaw thaw;
    struct loop_timer beat;
    uint64_t beat_ns;    /* when the next one is due, monotonic; 0: there is none */
    uint64_t stopped_ns; /* the last one that came far too late, when it was due */
    void *tree;          /* of search.h, by name */
    struct follow *first;
    struct source_waiter *settled; /* who waits until no check runs */
    enum snapshot_state snapshot;
    uint64_t restored_ns; /* monotonic, when a restore was noticed last; 0: never */
    bool is_waited_for;   /* see struct aws_source_options */
    bool has_started;     /* somebody has asked once whether all is settled */
    bool is_starting;     /* and not again since: what a predecessor left is not waited for */
    bool is_stopping;
};

/* aws_follow.c: one configuration's check, from the call to what comes of it. */

/* Is what is fetched now wanted by requests alone, and for the first time? */
bool follow_is_first(const struct follow *follow);

/* Begins the check if it is due and none runs; waiters are called when it has ended. */
void follow_go(struct follow *follow);

/* Whether a call that began then, by the monotonic clock, has taken longer than it may: the process
 * was stopped meanwhile. 0: it has not begun. */
bool follow_is_held_up(const struct follow *follow, uint64_t began_ns);

/* Sets the timer to the next check, if there is to be one. */
void follow_arm(struct follow *follow);

/* Begins a check anew that was interrupted; false: that was too often, and it is to be given up. */
bool follow_begin_anew(struct follow *follow);

/* Ends such a check as failed. */
void follow_give_up(struct follow *follow);

/* Ends the running check as if it had not begun; the answer is lost and so is the token. */
void follow_interrupt(struct follow *follow);
void follow_drop_token(struct follow *follow);

/* aws.c: NULL if it is not followed. */
struct follow *aws_source_find(struct aws_source *source, const struct shmconf_name *name);

/* Begins to follow it, its check being due. NULL: the error says why. */
struct follow *aws_source_add(struct aws_source *source, const struct shmconf_name *name,
                              struct error *error);

/* aws_recovered.c: for how long what a predecessor recorded is as good as checked. */
uint64_t aws_source_wait_of(const struct aws_source *source, const struct shmconf_record *record);

/* Goes on with these, as far as there is room. */
void aws_source_resume(struct aws_source *source, const struct recovered *recovered);

/* aws_thaw.c: to be called first in every turn that something happens in; `late_ns`: of a timer. */
void aws_source_look_for_thaw(struct aws_source *source, uint64_t late_ns);

/* aws_pulse.c: to be called when a call begins. */
void aws_source_beat(struct aws_source *source);

/* Whether the process has stood still for some time since then, while calls ran. 0: it has not. */
bool aws_source_has_stopped(struct aws_source *source, uint64_t since_ns);

/* Looks for a thaw, the beat being the timer that is late. */
void aws_source_look_at_beat(struct aws_source *source);

/* aws_thaw.c: at the end of the start, and at each event of Lambda. */
void aws_source_look_for_event(struct aws_source *source);

/* Whether its timer checks nothing now: a token is good for one call, and all copies have it. */
bool aws_source_holds_back(struct aws_source *source, const struct follow *follow);

/* A check begins: whoever asked for it, it uses nothing that copies of a snapshot share. */
void aws_source_share_nothing(struct follow *follow);

/* aws_settle.c: the `settle` of this source; and what is to be called last when a check has ended.
 */
bool aws_source_settle(struct source *base, struct source_waiter *waiter);
void aws_source_end_check(struct aws_source *source);

/* Whether a check runs. */
bool aws_source_is_busy(const struct aws_source *source);

/* Whether none runs that anybody waits for: at the start, of what was listed. */
bool aws_source_is_settled(const struct aws_source *source);

#endif
