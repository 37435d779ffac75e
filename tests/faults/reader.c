/* SPDX-License-Identifier: Apache-2.0 */
/* What readers do besides returning the pointer that they have. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "stage.h"

enum { SOON_MS = 5, LATER_MS = 250, PATIENCE_MS = 10000 };

/* ---- Before ---------------------------------------------------------------------------------- */

static void a_version_is_there(struct stage *stage)
{
    stage_begin(stage, "second");
    stage->next = stage->text;
}

static void the_machine_was_booted_since(struct stage *stage)
{
    a_version_is_there(stage);
    stage_patch(stage, "A/B/C/head", offsetof(struct shmconf_head, boot_id), "another boot id", 16);
}

static void attached(struct stage *stage, unsigned flags)
{
    a_version_is_there(stage);
    CHECK_INT(0, shmconf_open(&stage->reader, STAGE_NAME, flags));
    stage_expect(&stage->reader, stage->text);
}

static void it_is_attached(struct stage *stage)
{
    attached(stage, 0);
}

static void news(struct stage *stage, unsigned flags)
{
    attached(stage, flags);
    stage->next = "third";
    CHECK_INT(1, stage_publish(stage, stage->next));
}

static void there_are_news(struct stage *stage)
{
    news(stage, 0);
}

static void there_are_news_for_a_private_one(struct stage *stage)
{
    news(stage, SHMCONF_PRIVATE);
}

static void the_head_is_another_one(struct stage *stage)
{
    attached(stage, 0);
    stage->reader.looked_ns = 0;
    CHECK_INT(0, unlink(stage_path(stage, "A/B/C/head").text));
    CHECK_INT(1, region_entry_check(stage->entry, &stage->error));
}

static void the_last_check_is_long_ago(struct stage *stage)
{
    it_is_attached(stage);
    struct shmconf_record status = *region_entry_record(stage->entry);
    status.checked_ns -= UINT64_C(3600) * 1000000000;
    CHECK_INT(0, region_entry_status(stage->entry, &status, &stage->error));
}

/* The daemon's stand-in, which ends with this process. */
static void answer_all(int listening)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\n\r\n";
    char request[1024];
    CHECK_INT(0, prctl(PR_SET_PDEATHSIG, SIGKILL));
    for (;;) {
        int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        if (recv(fd, request, sizeof request, 0) > 0)
            send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
        close(fd);
    }
}

static void somebody_answers(struct stage *stage)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    char port[8];
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(listening >= 0);
    CHECK_INT(0, bind(listening, (struct sockaddr *)&address, sizeof address));
    CHECK_INT(0, listen(listening, 8));
    CHECK_INT(0, getsockname(listening, (struct sockaddr *)&address, &size));
    snprintf(port, sizeof port, "%u", ntohs(address.sin_port));
    CHECK_INT(0, setenv("SHMCONF_HTTP_PORT", port, 1));
    pid_t peer = fork();
    CHECK(peer >= 0);
    if (peer == 0)
        answer_all(listening);
    close(listening);
    there_are_news(stage); /* after the fork: the region's lock would be the child's as well */
}

/* ---- Meanwhile ------------------------------------------------------------------------------- */

static void attach(struct stage *stage)
{
    stage->rc = shmconf_open(&stage->reader, STAGE_NAME, 0);
    if (stage->rc)
        return;
    shmconf_enter(&stage->reader);
    shmconf_leave(&stage->reader);
}

static void attach_private(struct stage *stage)
{
    stage->rc = shmconf_open(&stage->reader, STAGE_NAME, SHMCONF_PRIVATE);
    if (stage->rc)
        return;
    shmconf_enter(&stage->reader);
    shmconf_leave(&stage->reader);
}

/* The version that was entered stays while the other ones come and go. */
static void enter(struct stage *stage)
{
    const struct shmconf_version *version = shmconf_enter(&stage->reader);
    const char *text = shmconf_text(version).data;
    if (strcmp(text, stage->text) != 0 && strcmp(text, stage->next) != 0)
        stage->rc = -EILSEQ;
    shmconf_leave(&stage->reader);
}

static void wait_for_the_first(struct stage *stage)
{
    stage->rc = shmconf_open(&stage->reader, STAGE_NAME, 0);
    if (stage->rc == 0)
        stage->rc = shmconf_wait(&stage->reader, PATIENCE_MS);
}

static void wait_with_news(struct stage *stage)
{
    stage->rc = shmconf_wait(&stage->reader, PATIENCE_MS);
}

static void wait_in_vain(struct stage *stage)
{
    stage->rc = shmconf_wait(&stage->reader, LATER_MS);
}

static void ask_status(struct stage *stage)
{
    struct shmconf_health health;
    stage->rc = shmconf_status(&stage->reader, &health);
}

static void ask_for_fresh(struct stage *stage)
{
    stage->rc = shmconf_fresh(&stage->reader, 60000, PATIENCE_MS);
}

static void ask_for_fresh_in_vain(struct stage *stage)
{
    stage->rc = shmconf_fresh(&stage->reader, 60000, SOON_MS);
}

static void ask_the_daemon(struct stage *stage)
{
    stage->rc = shmconf_request(&stage->reader, PATIENCE_MS);
}

/* ---- Afterwards ------------------------------------------------------------------------------ */

/* A version that could not be opened is tried again at the daemon's next status update. */
static void judge(struct stage *stage)
{
    struct shmconf_record status = *region_entry_record(stage->entry);
    CHECK(stage->rc != -EILSEQ);
    if (stage->failing == SYS_read && stage->way == EINTR) /* a signal is no failure */
        CHECK_INT(0, shmconf_error(&stage->reader));
    if (!stage->reader.place)
        CHECK_INT(0, shmconf_open(&stage->reader, STAGE_NAME, 0));
    CHECK_INT(0, region_entry_status(stage->entry, &status, &stage->error));
    bool has_none = !stage->reader.version;
    stage_reach(&stage->reader, has_none ? NULL : stage->text, stage->next);
    CHECK_INT(0, shmconf_error(&stage->reader));
    for (int i = 0; i < STAGE_READERS; i++)
        stage_reach(&stage->readers[i], stage->text, stage->next);
    stage->text = stage->next;
    stage_go_on(stage);
    stage_reach(&stage->reader, stage->text, "later");
    CHECK_INT(0, shmconf_close(&stage->reader));
}

/* Who waited with success gets what it waited for at the first look. */
static void judge_waiting(struct stage *stage)
{
    if (!stage->reader.place)
        CHECK_INT(0, shmconf_open(&stage->reader, STAGE_NAME, 0));
    if (stage->rc)
        CHECK_INT(0, shmconf_wait(&stage->reader, PATIENCE_MS));
    stage_expect(&stage->reader, stage->next);
    judge(stage);
}

/* And whoever waited in vain, to nothing's coming. */
static void judge_waiting_in_vain(struct stage *stage)
{
    CHECK_INT(-ETIMEDOUT, stage->rc);
    CHECK_INT(1, stage_publish(stage, "third"));
    stage->next = "third";
    CHECK_INT(0, shmconf_wait(&stage->reader, PATIENCE_MS));
    stage_expect(&stage->reader, stage->next);
    judge(stage);
}

static void judge_health(struct stage *stage)
{
    struct shmconf_health health;
    CHECK_INT(0, shmconf_status(&stage->reader, &health));
    CHECK_INT(2, health.generation);
    CHECK_INT(0, shmconf_fresh(&stage->reader, 7200000, PATIENCE_MS));
    judge(stage);
}

/* Half a request is none: then nobody has answered. */
static void judge_the_answer(struct stage *stage)
{
    if (stage->failing == SYS_recvfrom && stage->way == EINTR)
        CHECK_INT(0, stage->rc); /* a signal is no answer */
    CHECK_INT(0, shmconf_request(&stage->reader, PATIENCE_MS));
    judge(stage);
}

static void judge_asking_in_vain(struct stage *stage)
{
    CHECK(stage->rc < 0);
    judge_health(stage);
}

const struct operation reader_operations[] = {
    {"attaching", "allocation openat stat mmap read close", a_version_is_there, attach, judge,
     false, false},
    {"attaching, private", "allocation openat stat mmap read close", a_version_is_there,
     attach_private, judge, false, false},
    {"attaching after a boot", "allocation openat stat mmap read close",
     the_machine_was_booted_since, attach, judge, false, false},
    {"entering with news", "allocation openat stat mmap close", there_are_news, enter, judge, false,
     false},
    {"entering with news, private", "allocation openat stat read close",
     there_are_news_for_a_private_one, enter, judge, false, false},
    {"entering, the head replaced", "allocation openat stat mmap read close",
     the_head_is_another_one, enter, judge, false, true},
    {"waiting for the first", "allocation openat stat mmap read close", a_version_is_there,
     wait_for_the_first, judge_waiting, false, false},
    {"waiting with news", "", there_are_news, wait_with_news, judge_waiting, false, false},
    {"waiting, the head replaced", "openat stat mmap read close", the_head_is_another_one,
     wait_with_news, judge_waiting, false, true},
    {"waiting in vain", "futex", it_is_attached, wait_in_vain, judge_waiting_in_vain, false, false},
    {"status", "openat stat close", it_is_attached, ask_status, judge_health, false, false},
    {"status, the head replaced", "openat stat mmap read close", the_head_is_another_one,
     ask_status, judge, false, true},
    {"fresh", "openat stat close", it_is_attached, ask_for_fresh, judge_health, false, false},
    {"fresh in vain", "openat stat close", the_last_check_is_long_ago, ask_for_fresh_in_vain,
     judge_asking_in_vain, false, false},
    {"asking the daemon", "socket setsockopt connect send recv close", somebody_answers,
     ask_the_daemon, judge_the_answer, false, false},
};
const size_t reader_operation_count = sizeof reader_operations / sizeof reader_operations[0];
