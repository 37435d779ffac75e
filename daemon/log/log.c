/* SPDX-License-Identifier: Apache-2.0 */
#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"

/* How long the first line that finds its pipe full waits for the reader; the following do not. */
enum { PATIENCE_MS = 50 };

static struct {
    enum log_level level;
    enum log_format format;
    int fd;
    char *path; /* NULL: stderr */
    unsigned long lost;
    bool torn; /* the last line was written in part, without its newline */
} sink = {.level = LOG_LEVEL_INFO, .format = LOG_FORMAT_TEXT, .fd = STDERR_FILENO};

static const char *const level_names[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};

/* Non-blocking, so that neither a FIFO without a reader nor a full one holds the daemon up. */
static int open_file(const char *path, struct error *error)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd < 0)
        return error_system(error, errno, path, "the log file cannot be opened");
    return fd;
}

int log_check(const char *path, struct error *error)
{
    char directory[4096];
    if (!path || access(path, W_OK) == 0)
        return 0;
    int code = errno;
    snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash)
        slash[slash == directory] = '\0';
    if (code == ENOENT && access(slash ? directory : ".", W_OK | X_OK) == 0)
        return 0;
    return error_system(error, code, path, "the log file cannot be opened");
}

static void use(int fd, char *path)
{
    if (sink.path)
        close(sink.fd);
    if (sink.path != path)
        free(sink.path);
    sink.fd = fd;
    sink.path = path;
    sink.torn = false;
}

int log_open(enum log_level level, enum log_format format, const char *path, struct error *error)
{
    int fd = STDERR_FILENO;
    char *copy = NULL;
    if (path) {
        copy = strdup(path);
        if (!copy)
            return error_system(error, ENOMEM, path, "the log file cannot be opened");
        fd = open_file(path, error);
        if (fd < 0) {
            free(copy);
            return fd;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    tzset();
    use(fd, copy);
    sink.level = level;
    sink.format = format;
    return 0;
}

int log_reopen(struct error *error)
{
    if (!sink.path)
        return 0;
    int fd = open_file(sink.path, error);
    if (fd < 0)
        return fd;
    use(fd, sink.path);
    return 0;
}

void log_close(void)
{
    use(STDERR_FILENO, NULL);
    sink.level = LOG_LEVEL_INFO;
    sink.format = LOG_FORMAT_TEXT;
    sink.lost = 0;
}

bool log_enabled(enum log_level level)
{
    return level >= sink.level && level < LOG_LEVEL_NONE;
}

/* A line under construction, NUL-terminated. */
struct line {
    char text[LOG_LINE_MAX];
    size_t used;
};

static void add(struct line *line, const char *text)
{
    size_t length = strlen(text);
    if (length < sizeof line->text - line->used) {
        memcpy(line->text + line->used, text, length + 1);
        line->used += length;
    }
}

/*
 * A subject and a message may reach up to here: it leaves the message some room beside the subject,
 * and the line "..." for what was cut, the end of a JSON object, and the newline.
 */
enum { SUBJECT_END = 2048, MESSAGE_END = LOG_LINE_MAX - 16 };

static void add_json(struct line *line, const char *text, size_t end)
{
    size_t space = end - line->used;
    size_t needed = json_escape(line->text + line->used, space, text, strlen(text));
    line->used += needed < space ? needed : strlen(line->text + line->used);
    if (needed >= space)
        add(line, "...");
}

/* Escapes the first character of `text`; returns what it is in a text line, in `buffer` if need be.
 */
static const char *visible(char buffer[8], const char *text, size_t size, size_t *taken,
                           size_t *length)
{
    uint32_t code = 0;
    *taken = json_character(text, size, &code);
    *length = *taken;
    if (*taken == 0) {
        *taken = 1;
        *length = (size_t)snprintf(buffer, 8, "\\x%02x", (unsigned)(unsigned char)*text);
        return buffer;
    }
    if (code == '\n' || code == '\r' || code == '\t')
        *length = (size_t)snprintf(buffer, 8, "\\%c",
                                   code == '\n'   ? 'n'
                                   : code == '\r' ? 'r'
                                                  : 't');
    else if (code < 0x20 || code == 0x7f)
        *length = (size_t)snprintf(buffer, 8, "\\x%02x", (unsigned)code);
    else if ((code >= 0x80 && code < 0xa0) || code == 0x2028 || code == 0x2029)
        *length = (size_t)snprintf(buffer, 8, "\\u%04x", (unsigned)(code & 0xffff));
    else
        return text;
    return buffer;
}

static void add_visible(struct line *line, const char *text, size_t end)
{
    size_t size = strlen(text);
    for (size_t i = 0; i < size;) {
        char buffer[8];
        size_t taken;
        size_t length;
        const char *unit = visible(buffer, text + i, size - i, &taken, &length);
        if (line->used + length >= end) {
            add(line, "...");
            return;
        }
        memcpy(line->text + line->used, unit, length);
        line->used += length;
        line->text[line->used] = '\0';
        i += taken;
    }
}

static void build_text(struct line *line, enum log_level level, const char *subject,
                       const char *message)
{
    char when[32];
    struct tm now;
    time_t seconds = time(NULL);
    if (!localtime_r(&seconds, &now) || strftime(when, sizeof when, "%Y/%m/%d %H:%M:%S", &now) == 0)
        when[0] = '\0';
    add(line, "[shmconfd] ");
    add(line, when);
    add(line, " ");
    add(line, level_names[level]);
    add(line, " ");
    if (subject && *subject) {
        add_visible(line, subject, SUBJECT_END);
        add(line, ": ");
    }
    add_visible(line, message, MESSAGE_END);
    add(line, "\n");
}

static void build_json(struct line *line, enum log_level level, const char *subject,
                       const char *message)
{
    char when[32];
    char milliseconds[8];
    struct timespec precise;
    struct tm now;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (!gmtime_r(&precise.tv_sec, &now) ||
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &now) == 0)
        when[0] = '\0';
    snprintf(milliseconds, sizeof milliseconds, ".%03uZ", (unsigned)(precise.tv_nsec / 1000000));
    add(line, "{\"time\":\"");
    add(line, when);
    add(line, milliseconds);
    add(line, "\",\"level\":\"");
    add(line, level_names[level]);
    if (subject && *subject) {
        add(line, "\",\"subject\":\"");
        add_json(line, subject, SUBJECT_END);
    }
    add(line, "\",\"message\":\"");
    add_json(line, message, MESSAGE_END);
    add(line, "\"}\n");
}

/*
 * stderr is shared with others, so it cannot be made non-blocking; asking first comes to the same,
 * because a pipe that is writable takes PIPE_BUF bytes.
 */
static bool put(const char *text, size_t size)
{
    struct pollfd writable = {.fd = sink.fd, .events = POLLOUT};
    int ready;
    do
        ready = poll(&writable, 1, sink.lost > 0 ? 0 : PATIENCE_MS);
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        return false;
    ssize_t written;
    do
        written = write(sink.fd, text, size);
    while (written < 0 && errno == EINTR);
    if (written > 0)
        sink.torn = text[written - 1] != '\n';
    return written == (ssize_t)size;
}

static void emit(enum log_level level, const char *subject, const char *message)
{
    struct line line = {.used = 0};
    if (sink.torn)
        add(&line, "\n");
    if (sink.format == LOG_FORMAT_JSON)
        build_json(&line, level, subject, message);
    else
        build_text(&line, level, subject, message);
    if (!put(line.text, line.used))
        sink.lost++;
}

static void report_loss(void)
{
    unsigned long lost = sink.lost;
    char message[80];
    snprintf(message, sizeof message, "%lu lines of this log could not be written", lost);
    emit(LOG_LEVEL_WARN, NULL, message);
    /* The report itself may have been lost too; it does not count. */
    sink.lost = sink.lost == lost ? 0 : lost;
}

static void log_arguments(enum log_level level, const char *subject, const char *format,
                          va_list arguments) __attribute__((format(printf, 3, 0)));

static void log_arguments(enum log_level level, const char *subject, const char *format,
                          va_list arguments)
{
    int saved = errno;
    char message[LOG_LINE_MAX];
    if (vsnprintf(message, sizeof message, format, arguments) < 0)
        snprintf(message, sizeof message, "%s", format);
    if (sink.lost > 0)
        report_loss();
    emit(level, subject, message);
    errno = saved;
}

void log_trace(const char *format, ...)
{
    if (!log_enabled(LOG_LEVEL_TRACE))
        return;
    va_list arguments;
    va_start(arguments, format);
    log_arguments(LOG_LEVEL_TRACE, NULL, format, arguments);
    va_end(arguments);
}

void log_debug(const char *format, ...)
{
    if (!log_enabled(LOG_LEVEL_DEBUG))
        return;
    va_list arguments;
    va_start(arguments, format);
    log_arguments(LOG_LEVEL_DEBUG, NULL, format, arguments);
    va_end(arguments);
}

void log_info(const char *format, ...)
{
    if (!log_enabled(LOG_LEVEL_INFO))
        return;
    va_list arguments;
    va_start(arguments, format);
    log_arguments(LOG_LEVEL_INFO, NULL, format, arguments);
    va_end(arguments);
}

void log_warn(const char *format, ...)
{
    if (!log_enabled(LOG_LEVEL_WARN))
        return;
    va_list arguments;
    va_start(arguments, format);
    log_arguments(LOG_LEVEL_WARN, NULL, format, arguments);
    va_end(arguments);
}

void log_error(const char *format, ...)
{
    if (!log_enabled(LOG_LEVEL_ERROR))
        return;
    va_list arguments;
    va_start(arguments, format);
    log_arguments(LOG_LEVEL_ERROR, NULL, format, arguments);
    va_end(arguments);
}

void log_fatal(const char *format, ...)
{
    if (!log_enabled(LOG_LEVEL_FATAL))
        return;
    va_list arguments;
    va_start(arguments, format);
    log_arguments(LOG_LEVEL_FATAL, NULL, format, arguments);
    va_end(arguments);
}

void log_subject(enum log_level level, const char *subject, const char *format, ...)
{
    if (!log_enabled(level))
        return;
    va_list arguments;
    va_start(arguments, format);
    log_arguments(level, subject, format, arguments);
    va_end(arguments);
}

void log_error_object(enum log_level level, const struct error *error)
{
    log_subject(level, error->subject, "%s", error->message);
}
