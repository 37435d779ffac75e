/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials of a container, of an EKS pod, or of a Lambda function that starts from a snapshot:
 * an endpoint next to us gives temporary ones. They are fetched when somebody needs them, and again
 * some time before they expire, while the old ones go on being used.
 *
 * Ages are taken by CLOCK_BOOTTIME and by what the endpoint says the time is, so neither a freeze
 * nor a clock that is wrong makes them look older or younger than they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "credentials/container_endpoint.h"
#include "credentials/credentials.h"
#include "log/log.h"
#include "upstream/http_date.h"
#include "upstream/transfers.h"

enum { ANSWER_MAX = 64 * 1024, TOKEN_MAX = 32 * 1024 };

static const uint64_t timeout_ns = 2 * NS_PER_S;

/* Between two requests, whatever the answers. A configuration's first back-off is longer. */
static const uint64_t pause_ns = NS_PER_S / 2;

/* Renewed so long before they expire, or in the last quarter of a shorter life. */
static const uint64_t early_ns = UINT64_C(900) * NS_PER_S;

/* When the endpoint does not say how long they live. */
static const uint64_t life_unsaid_ns = 3600 * NS_PER_S;

struct container {
    struct credentials_provider base;
    struct container_endpoint endpoint;
    struct transfers *transfers;
    struct transfer *fetch; /* that runs, or NULL */
    uint64_t began_ns;      /* it, by CLOCK_BOOTTIME as all below */
    uint64_t next_ns;       /* earliest time of another */
    struct container_keys keys;
    uint64_t renew_ns;   /* when to fetch the next ones */
    uint64_t end_ns;     /* 0: there are none */
    bool is_stale;       /* what the one that runs brings is of no use */
    bool is_second;      /* it repeats one that was frozen */
    bool has_complained; /* that the present ones cannot be renewed */
    bool is_stopping;
    struct error error; /* of the last request, if there are none */
    struct credentials_waiter *waiters;
};

static void on_answer(void *owner, const struct transfer_answer *answer);

static uint64_t now_ns(void)
{
    return clock_ns(CLOCK_BOOTTIME);
}

static struct container *container_of(struct credentials_provider *provider)
{
    return (struct container *)provider;
}

/* A whole header into `header`; "" when there is none to send. The file is read each time. */
static int make_authorization(char **header, struct error *error)
{
    const char *path = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *token = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    const char *variable = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
    char read_token[TOKEN_MAX + 1];
    if (path && *path) {
        variable = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
        cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        ssize_t size = fd < 0 ? -1 : read(fd, read_token, sizeof read_token);
        if (size < 0)
            return error_system(error, errno, "", "%s: %s cannot be read", variable, path);
        if (size > TOKEN_MAX)
            return error_set(error, EFBIG, "", "%s: %s is too long", variable, path);
        while (size > 0 && (read_token[size - 1] == '\n' || read_token[size - 1] == '\r'))
            size--;
        read_token[size] = '\0';
        token = read_token;
    }
    if (token && strpbrk(token, "\r\n"))
        return error_set(error, EACCES, "", "%s: the token holds a line break", variable);
    if (asprintf(header, "%s%s", token && *token ? "Authorization: " : "", token ? token : "") <
        0) {
        *header = NULL;
        return error_system(error, ENOMEM, "", "cannot fetch credentials");
    }
    return 0;
}

/* Leaves `fetch` NULL and an error when it cannot be made. */
static void begin(struct container *container)
{
    cleanup_free char *authorization = NULL;
    container->began_ns = now_ns();
    container->next_ns = container->began_ns + pause_ns;
    if (make_authorization(&authorization, &container->error) != 0 || !authorization)
        return;
    const char *headers[] = {"Accept: application/json", *authorization ? authorization : NULL,
                             NULL};
    struct transfer_request request = {
        .method = "GET", .url = container->endpoint.url, .headers = headers};
    container->fetch = transfer_start(container->transfers, &request, on_answer, container);
    if (!container->fetch)
        error_system(&container->error, ENOMEM, "", "cannot fetch credentials");
}

static int understand(struct container *container, struct container_keys *keys,
                      const struct transfer_answer *answer)
{
    struct error reason;
    struct error *error = &container->error;
    const char *variable = container->endpoint.variable;
    if (answer->result != TRANSFER_ANSWERED)
        return error_set(error,
                         answer->result == TRANSFER_TIMED_OUT ||
                                 answer->result == TRANSFER_UNCONNECTED
                             ? ETIMEDOUT
                             : ECONNREFUSED,
                         "", "no credentials: the endpoint of %s cannot be reached: %s", variable,
                         answer->problem);
    if (answer->status != 200)
        return error_set(error, EACCES, "", "no credentials: the endpoint of %s answered %d",
                         variable, answer->status);
    if (container_keys_parse(keys, answer->body, answer->body_size, &reason) != 0)
        return error_set(error, reason.code, "", "no credentials from the endpoint of %s: %s",
                         variable, reason.message);
    return 0;
}

static void take(struct container *container, const struct container_keys *keys,
                 const struct transfer_answer *answer)
{
    const char *date = transfer_header(answer->transfer, "Date");
    time_t there = date ? http_date_parse(date) : -1;
    time_t now = there > 0 ? there : time(NULL);
    uint64_t life_ns = life_unsaid_ns;
    if (keys->expires)
        life_ns = keys->expires > now ? (uint64_t)(keys->expires - now) * NS_PER_S : 0;
    if (life_ns < pause_ns)
        life_ns = pause_ns; /* whatever it says: who waits now gets these */
    container_keys_free(&container->keys);
    container->keys = *keys;
    container->end_ns = now_ns() + life_ns;
    container->renew_ns = container->end_ns - (life_ns / 4 < early_ns ? life_ns / 4 : early_ns);
    container->has_complained = false;
    log_debug("credentials for %.0f s from the endpoint of %s", (double)life_ns / (double)NS_PER_S,
              container->endpoint.variable);
}

static void on_answer(void *owner, const struct transfer_answer *answer)
{
    struct container *container = owner;
    struct container_keys keys = {0};
    uint64_t now = now_ns();
    int rc = understand(container, &keys, answer);
    container->fetch = NULL;
    /* A freeze came between, and the answer was lost in it; or a restore, which makes it an old
     * one. */
    if ((rc || container->is_stale) && !container->is_second &&
        (container->is_stale || now - container->began_ns > 2 * timeout_ns)) {
        if (!rc)
            container_keys_free(&keys);
        container->is_stale = false;
        container->is_second = true;
        begin(container);
        if (container->fetch)
            return;
    } else if (rc == 0) {
        take(container, &keys, answer);
    } else if (now < container->end_ns && !container->has_complained) {
        container->has_complained = true;
        log_warn("%s; the present ones are good for %.0f s", container->error.message,
                 (double)(container->end_ns - now) / (double)NS_PER_S);
    }
    container->is_second = container->is_stale = false;
    container->next_ns = now + pause_ns; /* who is woken now gets what there is */
    credentials_waiters_wake(&container->waiters);
}

static int get(struct credentials_provider *provider, struct sigv4_credentials *credentials,
               struct error *error)
{
    struct container *container = container_of(provider);
    uint64_t now = now_ns();
    bool has_keys = now < container->end_ns;
    if (!container->fetch && !container->is_stopping && now >= container->next_ns &&
        (!has_keys || now >= container->renew_ns))
        begin(container);
    if (has_keys) {
        *credentials = (struct sigv4_credentials){container->keys.access_key_id,
                                                  container->keys.secret_access_key,
                                                  container->keys.session_token};
        return 0;
    }
    if (container->fetch)
        return -EAGAIN;
    *error = container->error;
    return -EACCES;
}

static void wait_for(struct credentials_provider *provider, struct credentials_waiter *waiter)
{
    credentials_waiter_add(&container_of(provider)->waiters, waiter);
}

/*
 * Also what is on its way may be the old ones. After a restore the pause counts for nothing: the
 * clock may stand where it stood in the snapshot. Refused keys must not become a storm.
 */
static void drop(struct credentials_provider *provider, bool is_restored)
{
    struct container *container = container_of(provider);
    container_keys_free(&container->keys);
    container->end_ns = 0;
    error_set(&container->error, EACCES, "",
              "the credentials from the endpoint of %s are of no use; they are fetched again",
              container->endpoint.variable);
    if (is_restored)
        container->next_ns = 0;
    if (container->fetch && container->waiters) {
        container->is_stale = true;
    } else if (container->fetch) {
        transfer_cancel(container->fetch);
        container->fetch = NULL;
    }
    transfers_drop_idle(container->transfers, is_restored);
}

static void stop(struct credentials_provider *provider, void (*closed)(void *context),
                 void *context)
{
    struct container *container = container_of(provider);
    container->is_stopping = true;
    container->fetch = NULL;
    transfers_stop(container->transfers, closed, context);
}

static void close_provider(struct credentials_provider *provider)
{
    struct container *container = container_of(provider);
    transfers_close(container->transfers);
    container_keys_free(&container->keys);
    free(container->endpoint.url);
    free(container);
}

int credentials_container_open(struct credentials_provider **out, struct loop *loop,
                               struct error *error)
{
    static const struct credentials_provider kind = {get, wait_for, drop, stop, close_provider};
    struct transfers_options options = {
        .connections_max = 1, .timeout_ns = timeout_ns, .idle_max_s = 1, .body_max = ANSWER_MAX};
    struct container *container = calloc(1, sizeof *container);
    if (!container)
        return error_system(error, ENOMEM, "", "cannot fetch credentials");
    container->base = kind;
    int rc = container_endpoint_find(&container->endpoint,
                                     getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
                                     getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI"), error);
    if (!rc)
        rc = roots_choose(&options.roots, container->endpoint.url, error);
    if (!rc && loop)
        rc = transfers_open(&container->transfers, loop, &options, error);
    if (rc) {
        close_provider(&container->base);
        return rc;
    }
    *out = &container->base;
    return 0;
}
