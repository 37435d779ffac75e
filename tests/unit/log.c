/* SPDX-License-Identifier: Apache-2.0 */
/* The log's lines, and that nothing that happens to its output harms the daemon. */
#include "log/log.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static char directory[] = "/tmp/shmconf-log-XXXXXX";
static char path[64];
static char text[1 << 18];

static const char *contents(const char *file)
{
    int fd = open(file, O_RDONLY);
    CHECK(fd >= 0);
    ssize_t size = read(fd, text, sizeof text - 1);
    CHECK(size >= 0);
    text[size] = '\0';
    close(fd);
    return text;
}

static void open_log(enum log_level level, enum log_format format)
{
    struct error error;
    unlink(path);
    CHECK_INT(0, log_open(level, format, path, &error));
}

static bool matches(const char *line, const char *pattern)
{
    regex_t regex;
    CHECK(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) == 0);
    bool result = regexec(&regex, line, 0, NULL, 0) == 0;
    regfree(&regex);
    return result;
}

static size_t count_lines(const char *lines)
{
    size_t count = 0;
    for (; *lines; lines++)
        count += *lines == '\n';
    return count;
}

static void text_lines_have_the_documented_form(void)
{
    open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_info("serving on %s:%d", "localhost", 2772);
    CHECK(matches(contents(path), "^\\[shmconfd\\] [0-9]{4}/[0-9]{2}/[0-9]{2} "
                                  "[0-9]{2}:[0-9]{2}:[0-9]{2} INFO serving on localhost:2772\n$"));
    struct stat status;
    CHECK(stat(path, &status) == 0);
    CHECK_INT(0640, status.st_mode & 0777);
}

static void levels_below_the_threshold_are_not_written(void)
{
    static const char *const names[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
    for (int threshold = LOG_LEVEL_TRACE; threshold <= LOG_LEVEL_NONE; threshold++) {
        open_log((enum log_level)threshold, LOG_FORMAT_TEXT);
        log_trace("x");
        log_debug("x");
        log_info("x");
        log_warn("x");
        log_error("x");
        log_fatal("x");
        log_subject(LOG_LEVEL_NONE, "never", "x");
        const char *lines = contents(path);
        CHECK_INT(LOG_LEVEL_NONE - threshold, count_lines(lines));
        for (int level = LOG_LEVEL_TRACE; level < LOG_LEVEL_NONE; level++) {
            CHECK_INT(level >= threshold, strstr(lines, names[level]) != NULL);
            CHECK_INT(level >= threshold, log_enabled((enum log_level)level));
        }
    }
}

static void hostile_text_cannot_forge_a_line(void)
{
    open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_info("no '%s'", "a\n[shmconfd] forged\r\t\x1b[2J\x7f\xff\xc2\x85\xe2\x80\xa8\xc3\xbc");
    const char *line = contents(path);
    CHECK_INT(1, count_lines(line));
    CHECK(strstr(line, "'a\\n[shmconfd] forged\\r\\t\\x1b[2J\\x7f\\xff\\u0085\\u2028\xc3\xbc'\n"));

    open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_subject(LOG_LEVEL_WARN, "A:B\nC", "%s", "gone");
    line = contents(path);
    CHECK(strstr(line, "WARN A:B\\nC: gone\n"));
    CHECK_INT(1, count_lines(line));
}

static void check_member(const cJSON *object, const char *name, const char *expected)
{
    CHECK_STRING(expected, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name)));
}

static void json_lines_are_json(void)
{
    struct error error = {.code = EACCES, .subject = "a\"b\n\xff", .message = "is\tgone"};
    open_log(LOG_LEVEL_TRACE, LOG_FORMAT_JSON);
    log_error_object(LOG_LEVEL_ERROR, &error);
    cJSON *object = cJSON_ParseWithOpts(contents(path), NULL, true);
    CHECK(object);
    check_member(object, "level", "ERROR");
    check_member(object, "subject", "a\"b\n\xef\xbf\xbd");
    check_member(object, "message", "is\tgone");
    CHECK(matches(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "time")),
                  "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$"));
    cJSON_Delete(object);

    open_log(LOG_LEVEL_TRACE, LOG_FORMAT_JSON);
    log_debug("plain");
    object = cJSON_ParseWithOpts(contents(path), NULL, true);
    check_member(object, "message", "plain");
    CHECK(!cJSON_HasObjectItem(object, "subject"));
    CHECK_INT(1, count_lines(text));
    cJSON_Delete(object);
}

static void long_messages_are_cut_and_stay_whole_lines(void)
{
    static const char *const units[] = {"x", "\n", "\x01", "\xff", "\xe2\x82\xac", "\""};
    for (size_t i = 0; i < 2 * sizeof units / sizeof *units; i++) {
        enum log_format format = i % 2 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
        static char longest[3 * LOG_LINE_MAX];
        size_t unit = strlen(units[i / 2]);
        for (size_t used = 0; used + 4 < sizeof longest; used += unit)
            memcpy(longest + used, units[i / 2], unit + 1);
        open_log(LOG_LEVEL_INFO, format);
        log_info("%s", longest);
        log_subject(LOG_LEVEL_INFO, longest, "%s", longest);
        char *line = text;
        CHECK_INT(2, count_lines(contents(path)));
        for (int j = 0; j < 2; j++) {
            char *end = strchr(line, '\n');
            CHECK(end - line < LOG_LINE_MAX);
            CHECK(end - line > LOG_LINE_MAX / 2);
            *end = '\0';
            CHECK(strstr(line, format == LOG_FORMAT_JSON ? "...\"}" : "..."));
            if (format == LOG_FORMAT_JSON) {
                cJSON *object = cJSON_ParseWithOpts(line, NULL, true);
                CHECK(object);
                CHECK_INT(2 + 1 + j, cJSON_GetArraySize(object));
                cJSON_Delete(object);
            }
            line = end + 1;
        }
    }
}

static void reopening_follows_a_rotation(void)
{
    char rotated[80];
    struct error error;
    snprintf(rotated, sizeof rotated, "%s.1", path);
    open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_info("first");
    CHECK(rename(path, rotated) == 0);
    log_info("second");
    CHECK_INT(0, log_reopen(&error));
    log_info("third");
    CHECK(strstr(contents(rotated), "second") && !strstr(text, "third"));
    CHECK(strstr(contents(path), "third") && !strstr(text, "second"));

    /* A file that is there is appended to; one that cannot be opened leaves the log as it was. */
    CHECK_INT(0, log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, path, &error));
    log_info("fourth");
    CHECK_INT(2, count_lines(contents(path)));
    CHECK(unlink(path) == 0 && mkdir(path, 0700) == 0);
    CHECK_INT(-EISDIR, log_reopen(&error));
    CHECK_STRING(path, error.subject);
    CHECK(strstr(error.message, "log file cannot be opened: Is a directory"));
    log_info("still alive");
    CHECK(rmdir(path) == 0 && unlink(rotated) == 0);
}

static void a_path_that_cannot_be_opened_is_an_error(void)
{
    struct error error;
    CHECK_INT(-ENOENT,
              log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, "/nonexistent-directory/log", &error));
    CHECK_STRING("/nonexistent-directory/log", error.subject);
    /* A FIFO that nobody reads must not hold the start up. */
    CHECK(mkfifo(path, 0600) == 0);
    CHECK_INT(-ENXIO, log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, path, &error));
    unlink(path);
}

static int pipe_as_stderr(int *saved)
{
    int ends[2];
    struct error error;
    CHECK(pipe(ends) == 0);
    *saved = dup(STDERR_FILENO);
    CHECK(dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    close(ends[1]);
    CHECK_INT(0, log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, NULL, &error));
    return ends[0];
}

static void restore_stderr(int saved)
{
    CHECK(dup2(saved, STDERR_FILENO) == STDERR_FILENO);
    close(saved);
}

static void a_full_pipe_loses_lines_and_says_how_many(void)
{
    int saved;
    int reader = pipe_as_stderr(&saved);
    int written = 2000;
    for (int i = 0; i < written; i++)
        log_info("%0100d", i);
    CHECK(fcntl(reader, F_SETFL, O_NONBLOCK) == 0);
    ssize_t size = read(reader, text, sizeof text - 1);
    CHECK(size > 0);
    text[size] = '\0';
    int lost = written - (int)count_lines(text);
    log_info("the reader is back");
    size = read(reader, text, sizeof text - 1);
    text[size > 0 ? size : 0] = '\0';
    log_close();
    restore_stderr(saved);
    close(reader);
    char expected[80];
    snprintf(expected, sizeof expected, "WARN %d lines of this log could not be written\n", lost);
    CHECK(lost > 0);
    CHECK(strstr(text, expected));
    CHECK(strstr(text, "the reader is back\n"));
    CHECK_INT(2, count_lines(text));
}

static void a_reader_that_went_away_does_not_end_the_process(void)
{
    int saved;
    signal(SIGPIPE, SIG_DFL);
    int reader = pipe_as_stderr(&saved);
    close(reader);
    errno = 4711;
    log_info("into the void");
    int kept = errno;
    log_close();
    restore_stderr(saved);
    CHECK_INT(4711, kept);
}

static void a_full_disk_is_survived(void)
{
    struct error error;
    if (access("/dev/full", W_OK) != 0)
        return;
    CHECK_INT(0, log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, "/dev/full", &error));
    log_info("no room");
    log_info("no room");
    open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_info("room");
    CHECK(strstr(contents(path), "WARN 2 lines of this log could not be written\n"));
    CHECK(strstr(text, "INFO room\n"));
}

static void a_line_that_was_cut_off_does_not_swallow_the_next(void)
{
    struct rlimit before;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    struct rlimit limit = {.rlim_cur = 60, .rlim_max = before.rlim_max};
    open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    log_info("%070d", 0);
    log_info("nothing fits now");
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK_INT(60, strlen(contents(path)));
    log_info("room again");
    CHECK(text == contents(path) && text[60] == '\n');
    CHECK(strstr(text, "WARN 2 lines of this log could not be written\n"));
    CHECK(strstr(text, "INFO room again\n"));
    CHECK_INT(3, count_lines(text));
}

int main(void)
{
    CHECK(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/log", directory);
    umask(022);
    text_lines_have_the_documented_form();
    levels_below_the_threshold_are_not_written();
    hostile_text_cannot_forge_a_line();
    json_lines_are_json();
    long_messages_are_cut_and_stay_whole_lines();
    reopening_follows_a_rotation();
    a_path_that_cannot_be_opened_is_an_error();
    a_full_pipe_loses_lines_and_says_how_many();
    a_reader_that_went_away_does_not_end_the_process();
    a_full_disk_is_survived();
    a_line_that_was_cut_off_does_not_swallow_the_next();
    unlink(path);
    log_close();
    CHECK(rmdir(directory) == 0);
    return 0;
}
