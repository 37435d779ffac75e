/* SPDX-License-Identifier: Apache-2.0 */
/* Few lines of many that somebody provokes, and the right number of the others. */
#include "log/limit.h"

#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "log/log.h"

static const uint64_t start = 1000 * NS_PER_S;

static char path[] = "/tmp/shmconf-log-limit-XXXXXX";
static char text[1 << 14];

/* The last line without its time, "" if there are none; `count` lines are expected. */
static const char *last_line(size_t count)
{
    FILE *file = fopen(path, "r");
    CHECK(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    size_t lines = 0;
    const char *last = "";
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        last = strstr(line, "ERROR ");
        CHECK(last);
        last += strlen("ERROR ");
        lines++;
    }
    CHECK_INT(count, lines);
    return last;
}

static bool try(struct log_limit *limit, uint64_t now_ns)
{
    char subject[32];
    static unsigned number;
    snprintf(subject, sizeof subject, "A:B:C%u", number++);
    return log_limit_allows(limit, subject, now_ns);
}

static void few_are_written_and_the_others_counted(void)
{
    struct log_limit limit = {.what = "things failed"};
    for (unsigned i = 0; i < LOG_LIMIT_LINES; i++)
        CHECK(try(&limit, start + i));
    CHECK_STRING("", last_line(0));
    for (unsigned i = 0; i < 412; i++)
        CHECK(!try(&limit, start + 59 * NS_PER_S));
    CHECK_STRING("20 things failed within a minute: the others are counted", last_line(1));
    log_limit_tell(&limit, start + 60 * NS_PER_S - 1);
    last_line(1);
    CHECK(try(&limit, start + 60 * NS_PER_S));
    CHECK_STRING("... and 412 more things failed; the last: A:B:C431", last_line(2));
    log_limit_tell(&limit, start + 1000 * NS_PER_S);
    last_line(2);
    for (unsigned i = 1; i < LOG_LIMIT_LINES; i++)
        CHECK(try(&limit, start + 61 * NS_PER_S));
    CHECK(!try(&limit, start + 61 * NS_PER_S));
    log_limit_tell(&limit, UINT64_MAX);
    CHECK_STRING("... and 1 more things failed; the last: A:B:C452", last_line(4));
}

int main(void)
{
    struct error error;
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    CHECK_INT(0, log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, path, &error));
    few_are_written_and_the_others_counted();
    log_close();
    unlink(path);
    return 0;
}
