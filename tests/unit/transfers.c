/* SPDX-License-Identifier: Apache-2.0 */
/* Requests through libcurl on our loop, against our own server in another thread. */
#include <unistd.h>

#include "http_fixture.h"
#include "upstream/transfers.h"

enum { CONNECTIONS = 2, BODY_MAX = 5 << 20, TIMEOUT_MS = 400 };

static struct fixture fixture;
static struct loop *loop;
static struct transfers *transfers;
static char url[64];

struct outcome {
    unsigned calls;
    enum transfer_result result;
    int status;
    size_t size;
    char text[64];
    char header[31];
    char sign; /* in the order of ends; '\0': not wanted */
};

static char order[32];

static unsigned pending; /* the loop stops when it is 0 */

static void on_done(void *owner, const struct transfer_answer *answer)
{
    struct outcome *outcome = owner;
    const char *header = transfer_header(answer->transfer, "x-test");
    outcome->calls++;
    outcome->result = answer->result;
    outcome->status = answer->status;
    outcome->size = answer->body_size;
    snprintf(outcome->text, sizeof outcome->text, "%s", answer->body);
    snprintf(outcome->header, sizeof outcome->header, "%s", header ? header : "");
    if (answer->result != TRANSFER_ANSWERED)
        CHECK(answer->problem && answer->problem[0]);
    order[strlen(order)] = outcome->sign;
    if (--pending == 0)
        loop_stop(loop);
}

static struct transfer *start_as(char sign, const char *base, const char *path,
                                 struct outcome *outcome)
{
    char whole[128];
    const char *headers[] = {"X-One: 1", NULL};
    snprintf(whole, sizeof whole, "%s%s", base, path);
    struct transfer_request request = {
        .method = "GET", .url = whole, .headers = headers, .is_urgent = sign == 'u'};
    *outcome = (struct outcome){.sign = sign};
    pending++;
    struct transfer *transfer = transfer_start(transfers, &request, on_done, outcome);
    CHECK(transfer && outcome->calls == 0);
    return transfer;
}

static struct transfer *start_at(const char *base, const char *path, struct outcome *outcome)
{
    return start_as('\0', base, path, outcome);
}

static struct transfer *start(const char *path, struct outcome *outcome)
{
    return start_at(url, path, outcome);
}

static void run(void)
{
    struct error error;
    CHECK_INT(0, loop_run(loop, &error));
}

static void check_answer(const struct outcome *outcome, const char *text)
{
    CHECK_INT(1, outcome->calls);
    CHECK_INT(TRANSFER_ANSWERED, outcome->result);
    CHECK_STRING(text, outcome->text);
}

static void answers_come_whole_with_headers_and_any_status(void)
{
    struct outcome one, two, three;
    start("/hello", &one);
    start("/none", &two);
    start("/big", &three); /* waits: two run at a time */
    run();
    check_answer(&one, "hello");
    CHECK_STRING("1", one.header);
    CHECK_INT(404, two.status);
    CHECK_STRING("2", two.header);
    CHECK_INT(BIG_SIZE, three.size);
}

static void what_is_posted_arrives(void)
{
    struct outcome outcome = {0};
    char whole[96];
    const char *headers[] = {"Content-Type: text/plain", NULL};
    snprintf(whole, sizeof whole, "%s/hello", url);
    struct transfer_request request = {
        .method = "POST", .url = whole, .headers = headers, .body = "abc", .body_size = 3};
    pending++;
    CHECK(transfer_start(transfers, &request, on_done, &outcome));
    run();
    check_answer(&outcome, "hello");
}

static void a_late_answer_times_out(void)
{
    struct outcome outcome;
    start("/hold", &outcome);
    run();
    CHECK_INT(TRANSFER_TIMED_OUT, outcome.result);
}

static void nobody_there_is_told_from_a_broken_answer(void)
{
    struct outcome outcome;
    start_at("http://127.0.0.1:1", "/", &outcome);
    run();
    CHECK_INT(TRANSFER_REFUSED, outcome.result);
    start_at("file:///etc/hostname", "", &outcome);
    run();
    CHECK_INT(TRANSFER_REFUSED, outcome.result);
}

static void wait_in_queues(const char *signs)
{
    struct outcome outcomes[16];
    memset(order, 0, sizeof order);
    for (size_t i = 0; signs[i]; i++)
        start_as(signs[i], url, "/hello", &outcomes[i]);
    run();
}

/* With one connection, the order in which they end is that in which they began. */
static void urgent_ones_go_first_but_not_always(void)
{
    struct transfers *several = transfers;
    struct transfers_options options = {
        .connections_max = 1, .timeout_ns = 10 * NS_PER_S, .idle_max_s = 60, .body_max = BODY_MAX};
    struct error error;
    CHECK_INT(0, transfers_open(&transfers, loop, &options, &error));
    wait_in_queues("-----uuuuuuuuu");
    CHECK_STRING("-uuu-uuu-uuu--", order);
    wait_in_queues("uuuuu-----"); /* the first one found nobody waiting */
    CHECK_STRING("uuuu-u----", order);
    struct outcome outcomes[4];
    memset(order, 0, sizeof order);
    start_as('-', url, "/hello", &outcomes[0]);
    start_as('u', url, "/hello", &outcomes[1]);
    struct transfer *last = start_as('u', url, "/hello", &outcomes[2]);
    transfer_cancel(last);
    pending--;
    start_as('u', url, "/hello", &outcomes[3]);
    run();
    CHECK_STRING("-uu", order);
    CHECK_INT(0, outcomes[2].calls);
    transfers_close(transfers);
    transfers = several;
}

static void a_cancelled_one_is_not_heard_of(void)
{
    struct outcome running, waiting, other;
    struct transfer *first = start("/hold", &running);
    start("/hello", &other);
    struct transfer *last = start("/hello", &waiting);
    transfer_cancel(first);
    transfer_cancel(last);
    pending -= 2;
    run();
    check_answer(&other, "hello");
    CHECK_INT(0, running.calls + waiting.calls);
}

/* The server is in this process as well: it can only close, later, what we closed. */
static void idle_connections_are_dropped(void)
{
    struct outcome one, two;
    start("/hello", &one);
    run();
    size_t idle = count_descriptors();
    transfers_drop_idle(transfers, false);
    CHECK(count_descriptors() < idle);
    /* With one under way, those that come later wait until it has ended. */
    start("/hold", &one);
    transfers_drop_idle(transfers, false);
    start("/hello", &two);
    run();
    CHECK_INT(TRANSFER_TIMED_OUT, one.result);
    check_answer(&two, "hello");
}

static void on_closed(void *context)
{
    *(bool *)context = true;
    loop_stop(loop);
}

static void everything_can_be_stopped_at_once(void)
{
    struct outcome outcomes[5];
    bool is_closed = false;
    struct error error;
    for (size_t i = 0; i < 5; i++)
        start(i % 2 ? "/hello" : "/hold", &outcomes[i]);
    transfers_stop(transfers, on_closed, &is_closed);
    CHECK_INT(0, loop_run(loop, &error));
    CHECK(is_closed);
    for (size_t i = 0; i < 5; i++)
        CHECK_INT(0, outcomes[i].calls);
}

static void tests(enum loop_backend backend)
{
    struct error error;
    struct transfers_options options = {.connections_max = CONNECTIONS,
                                        .timeout_ns = TIMEOUT_MS * NS_PER_MS,
                                        .idle_max_s = 60,
                                        .body_max = BODY_MAX};
    fixture_start(&fixture, LOOP_EPOLL, "127.0.0.1", 10000, 64);
    snprintf(url, sizeof url, "http://127.0.0.1:%u", fixture.port);
    CHECK_INT(0, loop_open(&loop, backend, &error));
    CHECK_INT(0, transfers_open(&transfers, loop, &options, &error));
    pending = 0;
    answers_come_whole_with_headers_and_any_status();
    what_is_posted_arrives();
    a_late_answer_times_out();
    nobody_there_is_told_from_a_broken_answer();
    urgent_ones_go_first_but_not_always();
    a_cancelled_one_is_not_heard_of();
    idle_connections_are_dropped();
    everything_can_be_stopped_at_once();
    transfers_close(transfers);
    loop_close(loop);
    fixture_stop(&fixture);
}

int main(void)
{
    run_on_backends(tests);
    return 0;
}
