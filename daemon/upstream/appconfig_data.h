/* SPDX-License-Identifier: Apache-2.0 */
/* The two calls of AppConfig Data, signed and sent. */
#ifndef SHMCONFD_APPCONFIG_DATA_H
#define SHMCONFD_APPCONFIG_DATA_H

#include "credentials/credentials.h"
#include "shmconf/name.h"
#include "upstream/appconfig_answer.h"
#include "upstream/endpoint.h"
#include "upstream/transfers.h"

struct appconfig_data;
struct appconfig_call;

/* Called once, never from inside the functions below. The result is valid during the call only. */
typedef void appconfig_done(void *owner, const struct appconfig_result *result);

/* The transfers and the provider stay the caller's and must live longer. */
int appconfig_data_open(struct appconfig_data **data, struct transfers *transfers,
                        const struct endpoint *endpoint, struct credentials_provider *credentials,
                        struct error *error);
void appconfig_data_close(struct appconfig_data *data);

/* After a restored snapshot: credentials are fetched anew, where that is possible. */
void appconfig_data_drop_credentials(struct appconfig_data *data);

/*
 * Both return NULL when the request cannot be made: no memory, no credentials. Urgent is, as in
 * struct transfer_request, every call with a token, since that means an answer for somebody, and of
 * the sessions those that the caller says.
 */
struct appconfig_call *appconfig_start_session(struct appconfig_data *data,
                                               const struct shmconf_name *name, unsigned interval_s,
                                               bool is_urgent, appconfig_done *done, void *owner,
                                               struct error *error);
struct appconfig_call *appconfig_get_latest(struct appconfig_data *data, const char *token,
                                            appconfig_done *done, void *owner, struct error *error);

/* Ends a call without its `done`. */
void appconfig_call_cancel(struct appconfig_call *call);

/* When its request began, monotonic; 0: it waits for others, or for credentials. */
uint64_t appconfig_call_began_ns(const struct appconfig_call *call);

/* Seconds that the service's clock is ahead of ours; 0 up to 30. For tests and the log. */
long appconfig_data_skew(const struct appconfig_data *data);

#endif
