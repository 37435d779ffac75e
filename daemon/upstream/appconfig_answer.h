/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer of AppConfig Data means: a pure function from bytes to one typed result. */
#ifndef SHMCONFD_APPCONFIG_ANSWER_H
#define SHMCONFD_APPCONFIG_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/error.h"
#include "upstream/transfers.h"

enum { APPCONFIG_TOKEN_MAX = 8192, APPCONFIG_RESOURCE_MAX = 32 };

enum appconfig_call_kind { APPCONFIG_START_SESSION, APPCONFIG_GET_LATEST };

enum appconfig_outcome {
    APPCONFIG_ANSWERED,
    APPCONFIG_TOO_EARLY,    /* wait; the token is good */
    APPCONFIG_TOKEN_BAD,    /* expired or corrupted: start a session */
    APPCONFIG_BAD_REQUEST,  /* anything else with 400 */
    APPCONFIG_NOT_FOUND,    /* `resource` says what */
    APPCONFIG_DENIED,       /* permissions or signature */
    APPCONFIG_THROTTLED,    /* the token is good, as with SERVER_ERROR */
    APPCONFIG_SERVER_ERROR, /* 5xx, and statuses that the service never sends */
    APPCONFIG_NOT_SENT,     /* the request surely did not reach the service */
    APPCONFIG_AMBIGUOUS, /* it may have, and the token may be used up: broken, timed out, garbled */
    APPCONFIG_LOST, /* likewise, since a kept connection ended: start a session, as for TOKEN_BAD */
};

/* Texts are borrowed from the answer. */
struct appconfig_result {
    enum appconfig_outcome outcome;
    int status;          /* 0: no answer */
    uint64_t began_ns;   /* when its turn came, monotonic; 0: never */
    bool is_clock_error; /* denied, perhaps since the clocks differ */
    bool is_key_error;   /* denied, since the credentials have expired or never were any */
    const char *token;   /* answered: the next one; of `token_size` bytes, NUL-terminated */
    size_t token_size;
    unsigned interval_s; /* answered to GET_LATEST: until the next call; 0: not said */
    const char *content_type;
    const char *label; /* "": none */
    const char *body;
    size_t body_size;                      /* 0: unchanged */
    char *allocated;                       /* what the result owns; appconfig_result_free */
    char resource[APPCONFIG_RESOURCE_MAX]; /* not found: the ResourceType; "": not said */
    struct error error;                    /* unless answered; the subject is empty */
};

/* The answer as the transfer has it, and how to look up its headers. */
struct appconfig_raw {
    enum transfer_result result;
    const char *problem;
    int status;
    const char *body;
    size_t body_size;
    const char *(*header)(const void *context, const char *name);
    const void *context;
    const char *const *secrets; /* that were sent: no text of the result shows them; see redact() */
};

/* Always fills in `result`, whatever the service has sent. */
void appconfig_parse(struct appconfig_result *result, enum appconfig_call_kind kind,
                     const struct appconfig_raw *raw);
void appconfig_result_free(struct appconfig_result *result);

#endif
