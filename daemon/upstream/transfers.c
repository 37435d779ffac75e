/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/transfers.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "upstream/transfers_internal.h"

static void start_waiting(struct transfers *transfers);

static void transfer_free(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->header_list);
    free(transfer->headers.data);
    free(transfer->body.data);
    free(transfer);
}

/* Takes it out of the list that it is in. */
static void unlink_from(struct transfer **list, const struct transfer *transfer)
{
    while (*list != transfer)
        list = &(*list)->next;
    *list = transfer->next;
}

static void leave_running(struct transfer *transfer)
{
    struct transfers *transfers = transfer->transfers;
    unlink_from(&transfers->running, transfer);
    transfers->running_count--;
    loop_timer_stop(transfers->loop, &transfers->alone);
}

static bool is_distrust(CURLcode code)
{
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE;
}

/* Failures before the request is sent, while nothing of it was. */
static bool is_refusal(CURLcode code)
{
    return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
           code == CURLE_COULDNT_CONNECT || code == CURLE_SSL_CONNECT_ERROR ||
           code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL || is_distrust(code);
}

static long sent_of(const struct transfer *transfer)
{
    long sent = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent);
    return sent;
}

/* libcurl repeats a request on a new connection when a kept one ends without an answer. */
static int before_sending(void *context, char *peer, char *own, int peer_port, int own_port)
{
    struct transfer *transfer = context;
    (void)peer, (void)own, (void)peer_port, (void)own_port;
    transfer->is_lost = sent_of(transfer) > 0;
    return transfer->is_lost ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* What was sent before counts as well: only the repetition may have been refused. */
static enum transfer_result result_of(const struct transfer *transfer, CURLcode code)
{
    long sent = sent_of(transfer);
    if (code == CURLE_OK)
        return TRANSFER_ANSWERED;
    if (transfer->is_lost)
        return TRANSFER_LOST;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return sent > 0 ? TRANSFER_TIMED_OUT : TRANSFER_UNCONNECTED;
    if (sent > 0 || !is_refusal(code))
        return TRANSFER_BROKEN;
    return is_distrust(code) ? TRANSFER_UNTRUSTED : TRANSFER_REFUSED;
}

/* Mbed TLS has a line for each thing that is wrong with a certificate. */
static void make_one_line(char *text)
{
    size_t size = strlen(text);
    while (size > 0 && isspace((unsigned char)text[size - 1]))
        text[--size] = '\0';
    for (; *text; text++)
        if (*text == '\n')
            *text = ' ';
}

static const char *problem_of(struct transfer *transfer, CURLcode code)
{
    if (transfer->error)
        return transfer->error == -ENOMEM ? "no memory for the answer" : "the answer is too long";
    if (transfer->is_lost)
        return "the connection ended without an answer";
    make_one_line(transfer->problem);
    return transfer->problem[0] ? transfer->problem : curl_easy_strerror(code);
}

/* After a handshake that failed, which comes before the request, it is made again. */
static bool try_other_roots(struct transfer *transfer, CURLcode code)
{
    struct transfers *transfers = transfer->transfers;
    if (code != CURLE_PEER_FAILED_VERIFICATION || transfer->has_other_roots ||
        !transfers_distrust_built_in(transfers))
        return false;
    transfer->has_other_roots = true;
    curl_multi_remove_handle(transfers->multi, transfer->easy);
    transfers_set_roots(transfers, transfer->easy);
    curl_multi_add_handle(transfers->multi, transfer->easy);
    return true;
}

static void finish(struct transfer *transfer, CURLcode code)
{
    struct transfers *transfers = transfer->transfers;
    long status = 0;
    if (try_other_roots(transfer, code))
        return;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(transfers->multi, transfer->easy);
    leave_running(transfer);
    struct transfer_answer answer = {.result = result_of(transfer, code),
                                     .problem = problem_of(transfer, code),
                                     .status = (int)status,
                                     .body = transfer->body.data ? transfer->body.data : "",
                                     .body_size = transfer->body.size,
                                     .transfer = transfer};
    transfer->done(transfer->owner, &answer);
    transfer_free(transfer);
}

void transfers_collect(struct transfers *transfers)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(transfers->multi, &left));) {
        struct transfer *transfer = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        finish(transfer, code);
        if (!transfers->multi)
            return; /* `done` has stopped everything */
    }
    start_waiting(transfers);
}

/* NULL: each connection begins a session of its own. */
static CURLSH *make_sessions(void)
{
    CURLSH *sessions = curl_share_init();
    if (sessions)
        curl_share_setopt(sessions, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    return sessions;
}

int transfers_open(struct transfers **out, struct loop *loop,
                   const struct transfers_options *options, struct error *error)
{
    struct transfers *transfers = calloc(1, sizeof *transfers);
    if (!transfers || curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        goto failed;
    transfers->loop = loop;
    transfers->options = *options;
    transfers->multi = transfers_make_multi(transfers);
    if (!transfers->multi)
        goto failed;
    transfers->sessions = make_sessions();
    *out = transfers;
    return 0;
failed:
    free(transfers);
    return error_system(error, ENOMEM, "", "cannot set up libcurl");
}

static bool set_headers(struct transfer *transfer, const char *const *headers)
{
    for (; *headers; headers++) {
        struct curl_slist *longer = curl_slist_append(transfer->header_list, *headers);
        if (!longer)
            return false;
        transfer->header_list = longer;
    }
    return true;
}

static void set_options(struct transfer *transfer, const struct transfer_request *request)
{
    const struct transfers_options *options = &transfer->transfers->options;
    CURL *easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->header_list);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, transfer_on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, transfer_on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->problem);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(options->timeout_ns / NS_PER_MS));
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)options->idle_max_s);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    /* Nothing here redirects, and a redirected request would carry its signature elsewhere. */
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Or it would wait, in the loop's only thread, for a resolver that was given up. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, transfers_close_socket);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* only the daemon's own settings name a proxy */
    transfers_set_roots(transfer->transfers, easy);
    if (request->is_once) {
        curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_sending);
        curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    }
    if (strcmp(request->method, "POST") == 0) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)request->body_size);
        curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body);
    }
}

/*
 * libcurl has no call that closes idle connections, but a multi handle takes its own with it. False
 * while transfers run.
 */
static bool renew(struct transfers *transfers)
{
    if (transfers->running_count)
        return false;
    CURLM *fresh = transfers_make_multi(transfers);
    if (fresh) {
        transfers_end_multi(transfers);
        transfers->multi = fresh;
    }
    transfers->is_renewing = false;
    if (transfers->forgets_sessions) {
        curl_share_cleanup(transfers->sessions);
        transfers->sessions = make_sessions();
        transfers->forgets_sessions = false;
    }
    return true;
}

static void on_alone(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    start_waiting((struct transfers *)((char *)timer - offsetof(struct transfers, alone)));
}

static void begin_alone(struct transfers *transfers)
{
    if (!transfers->has_begun && transfers->options.alone_ns)
        loop_timer_start(transfers->loop, &transfers->alone,
                         clock_monotonic_ns() + transfers->options.alone_ns, on_alone);
    transfers->has_begun = true;
}

/* How many may run at present. */
static unsigned running_max(const struct transfers *transfers)
{
    return transfers->alone.position ? 1 : transfers->options.connections_max;
}

/* Only a timer's or a socket's turn does the work, so `done` is never called inside here. */
static void start_waiting(struct transfers *transfers)
{
    if (transfers->is_renewing && !renew(transfers))
        return;
    while (transfers->running_count < running_max(transfers)) {
        struct transfer *transfer = transfers_dequeue(transfers);
        if (!transfer)
            return;
        begin_alone(transfers);
        transfer->next = transfers->running;
        transfers->running = transfer;
        transfers->running_count++;
        transfer->is_running = true;
        transfer->began_ns = clock_monotonic_ns();
        /* A connection that goes on with a session costs its server no signature, and us no check
           of certificates. */
        curl_easy_setopt(transfer->easy, CURLOPT_SHARE, transfers->sessions);
        /* Asks for the timer, which begins the work. */
        curl_multi_add_handle(transfers->multi, transfer->easy);
    }
}

struct transfer *transfer_start(struct transfers *transfers, const struct transfer_request *request,
                                transfer_done *done, void *owner)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (!transfer)
        return NULL;
    transfer->transfers = transfers;
    transfer->done = done;
    transfer->owner = owner;
    transfer->easy = curl_easy_init();
    if (!transfer->easy || !set_headers(transfer, request->headers)) {
        transfer_free(transfer);
        return NULL;
    }
    set_options(transfer, request);
    transfer->is_urgent = request->is_urgent;
    transfers_enqueue(transfers, transfer);
    start_waiting(transfers);
    return transfer;
}

void transfer_cancel(struct transfer *transfer)
{
    struct transfers *transfers = transfer->transfers;
    if (transfer->is_running) {
        curl_multi_remove_handle(transfers->multi, transfer->easy);
        leave_running(transfer);
    } else {
        transfers_leave_queue(transfers, transfer);
    }
    transfer_free(transfer);
}

uint64_t transfer_began_ns(const struct transfer *transfer)
{
    return transfer->began_ns;
}

void transfers_drop_idle(struct transfers *transfers, bool forgets_sessions)
{
    transfers->is_renewing = true;
    transfers->forgets_sessions |= forgets_sessions;
    start_waiting(transfers);
}

void transfers_stop(struct transfers *transfers, void (*closed)(void *context), void *context)
{
    for (struct transfer *transfer; (transfer = transfers_dequeue(transfers));)
        transfer_free(transfer);
    for (struct transfer *transfer; (transfer = transfers->running);) {
        transfers->running = transfer->next;
        curl_multi_remove_handle(transfers->multi, transfer->easy);
        transfer_free(transfer);
    }
    transfers->running_count = 0;
    transfers_end_multi(transfers);
    if (!transfers->sockets) {
        closed(context);
        return;
    }
    transfers->closed = closed;
    transfers->context = context;
}

void transfers_close(struct transfers *transfers)
{
    if (!transfers)
        return;
    if (transfers->multi)
        transfers_end_multi(transfers);
    curl_share_cleanup(transfers->sessions);
    free(transfers);
    curl_global_cleanup();
}
