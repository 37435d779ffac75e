/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When is a file complete? A rename puts it there whole. A program that writes in place closes it
 * in the end, but may do so several times (shells do, once per line): so a file is read when its
 * signature has not changed for a while after a close. Where a write was seen and no close, the
 * program has it open and may just be slow: that takes longer. Where nothing was seen (a file
 * system without inotify) only the look each second decides.
 *
 * Nothing is read before all events have been taken in: one of them may tell of a write that has
 * begun since.
 */
#include "source/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "log/log.h"
#include "source/files.h"

static const uint64_t quiet_after_close = 100 * NS_PER_MS;
static const uint64_t quiet_unseen = NS_PER_S;
static const uint64_t quiet_while_open = 5 * NS_PER_S;

static const uint32_t watched = IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM |
                                IN_CREATE | IN_DELETE | IN_ATTRIB | IN_ONLYDIR;

struct directory_source {
    struct source base;
    struct loop *loop;
    struct source_files files;
    char *path;
    dev_t device;
    ino_t inode;
    int inotify; /* -1: not available, the look each second does alone */
    int watch;
    struct loop_op events;
    struct loop_timer tick;   /* each second */
    struct loop_timer settle; /* the earliest `due` */
    char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool has_lost_events; /* its queue was full */
    unsigned busy_turns;  /* in a row, in which there were more events than one takes in */
    bool is_stopping;
    void (*closed)(void *context);
    void *context;
};

static void on_settled(struct loop *loop, struct loop_timer *timer);

/* Sets the timer to the file that is due first. */
static void arm_settle(struct directory_source *source)
{
    uint64_t first = 0;
    for (struct source_file *file = source->files.first; file; file = file->next)
        if (file->due && (!first || file->due < first))
            first = file->due;
    if (first && !source->is_stopping)
        loop_timer_start(source->loop, &source->settle, first, on_settled);
    else
        loop_timer_stop(source->loop, &source->settle);
}

static struct file_signature look(const struct directory_source *source, const char *name)
{
    struct stat status;
    if (source->files.directory < 0 || fstatat(source->files.directory, name, &status, 0) != 0)
        return (struct file_signature){0};
    return file_signature_of(&status);
}

/* Was it written so short a time ago that its writer may still be at it? */
static bool is_recent(const struct file_signature *signature)
{
    uint64_t modified =
        (uint64_t)signature->modified.tv_sec * NS_PER_S + (uint64_t)signature->modified.tv_nsec;
    uint64_t now = clock_realtime_ns();
    return now >= modified && now - modified < quiet_after_close;
}

/* Reads the file once its signature has stayed as it is now for `quiet`. */
static void read_later(struct directory_source *source, struct source_file *file, uint64_t quiet)
{
    file->pending = look(source, file->name);
    file->due = clock_monotonic_ns() + quiet;
}

static bool drain_events(struct directory_source *source);

/* Reads the files that are due and that have stayed as they were when that was set. */
static void read_due(struct directory_source *source)
{
    /* A writer that never pauses must not keep every other file from being read. */
    enum { BUSY_TURNS_MAX = 64 };
    if (drain_events(source) || ++source->busy_turns > BUSY_TURNS_MAX)
        source->busy_turns = 0;
    else
        return;
    uint64_t now = clock_monotonic_ns();
    for (struct source_file *file = source->files.first; file; file = file->next) {
        if (!file->due || file->due > now)
            continue;
        struct file_signature signature = look(source, file->name);
        file->due = 0;
        if (!file_signature_equal(&signature, &file->pending) ||
            !source_file_read(file, source->files.directory))
            read_later(source, file, quiet_after_close);
    }
    arm_settle(source);
}

static void on_settled(struct loop *loop, struct loop_timer *timer)
{
    (void)loop;
    read_due(
        (struct directory_source *)((char *)timer - offsetof(struct directory_source, settle)));
}

/* A look at one file: has it changed since it was read? */
static void check_file(struct directory_source *source, struct source_file *file, uint64_t quiet)
{
    if (!file->configuration || file->due)
        return;
    struct file_signature signature = look(source, file->name);
    if (!file->is_read || !file_signature_equal(&signature, &file->current))
        read_later(source, file, quiet == 0 && is_recent(&signature) ? quiet_after_close : quiet);
    else if (file->is_bad)
        configuration_fail(file->configuration, &file->error, NULL);
    else
        configuration_unchanged(file->configuration);
}

/* Looks at every file that is there or was. */
static void scan(struct directory_source *source, uint64_t quiet)
{
    drain_events(source);
    if (source->files.directory >= 0)
        source_files_add_new(&source->files);
    source_files_review(&source->files);
    for (struct source_file *file = source->files.first; file; file = file->next)
        check_file(source, file, quiet);
    read_due(source);
}

/* Opens the directory at the path, if it is another one than before, and watches it. */
static int follow_path(struct directory_source *source, struct error *error)
{
    struct stat status;
    cleanup_close int fd = open(source->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        int code = errno;
        /* That says nothing of the path: the directory that we have is as good as before. */
        bool is_shortage = code == EMFILE || code == ENFILE || code == ENOMEM;
        if (source->files.directory >= 0 && is_shortage)
            return 0;
        if (source->files.directory >= 0)
            close(steal_fd(&source->files.directory));
        return error_system(error, code, source->path, "cannot open the local directory");
    }
    if (source->files.directory >= 0 && status.st_dev == source->device &&
        status.st_ino == source->inode)
        return 0;
    if (source->files.directory >= 0)
        close(source->files.directory);
    source->files.directory = steal_fd(&fd);
    source->device = status.st_dev;
    source->inode = status.st_ino;
    if (source->inotify >= 0) {
        if (source->watch >= 0)
            inotify_rm_watch(source->inotify, source->watch);
        source->watch = inotify_add_watch(source->inotify, source->path, watched);
        if (source->watch < 0)
            log_warn("no inotify for %s (%s): looking at it each second", source->path,
                     strerror(errno));
    }
    return 1;
}

/* Looks at the path and at every file; says so when the directory went or came. */
static void check_all(struct directory_source *source, uint64_t quiet)
{
    bool was_there = source->files.directory >= 0;
    struct error error = {0};
    int rc = follow_path(source, &error);
    if (rc < 0 && was_there)
        log_error_object(LOG_LEVEL_ERROR, &error);
    if (rc == 1)
        log_info("following the directory %s", source->path);
    configurations_check_root(source->files.configurations);
    scan(source, quiet);
}

static void on_tick(struct loop *loop, struct loop_timer *timer)
{
    struct directory_source *source =
        (struct directory_source *)((char *)timer - offsetof(struct directory_source, tick));
    check_all(source, quiet_unseen);
    if (!source->is_stopping)
        loop_timer_start(loop, timer, loop_now(loop) + SOURCE_FILE_INTERVAL_S * NS_PER_S, on_tick);
}

static void on_event(struct directory_source *source, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW) {
        source->has_lost_events = true;
        return;
    }
    if (event->wd != source->watch || event->len == 0 || !strchr(event->name, ':'))
        return;
    char name[NAME_MAX + 1];
    snprintf(name, sizeof name, "%s", event->name);
    log_subject(LOG_LEVEL_TRACE, name, "file event 0x%x", (unsigned)event->mask);
    struct source_file *file = source_files_find(&source->files, name);
    if (!file && !(event->mask & (IN_DELETE | IN_MOVED_FROM)))
        file = source_files_add(&source->files, name);
    if (!file || !file->configuration)
        return;
    file->is_touched = true;
    if (event->mask & IN_MOVED_TO)
        file->quiet = 0;
    else if (event->mask & IN_MODIFY)
        file->quiet = quiet_while_open;
    else if (event->mask & IN_CREATE)
        file->quiet = quiet_unseen; /* a link or a directory brings nothing else */
    else
        file->quiet = quiet_after_close;
}

/*
 * Takes in what has happened, but no more than some buffers of it, so that a busy writer does not
 * hold up everything else. True when there is no more.
 */
static bool drain_events(struct directory_source *source)
{
    enum { BUFFERS_MAX = 4 };
    ssize_t got = 0;
    for (int i = 0; source->inotify >= 0 && i < BUFFERS_MAX; i++) {
        got = read(source->inotify, source->buffer, sizeof source->buffer);
        for (char *at = source->buffer; at < source->buffer + got;) {
            const struct inotify_event *event = (const struct inotify_event *)(void *)at;
            on_event(source, event);
            at += sizeof *event + event->len;
        }
        if (got <= 0)
            break;
    }
    for (struct source_file *file = source->files.first; file; file = file->next) {
        if (file->is_touched)
            read_later(source, file, file->quiet);
        file->is_touched = false;
    }
    return got <= 0;
}

static void on_readable(struct loop *loop, struct loop_op *op, int result)
{
    struct directory_source *source =
        (struct directory_source *)((char *)op - offsetof(struct directory_source, events));
    if (source->is_stopping) {
        source->closed(source->context);
        return;
    }
    read_due(source);
    if (source->has_lost_events && source->busy_turns == 0) {
        source->has_lost_events = false;
        log_info("the kernel lost file events: looking at every file");
        scan(source, quiet_after_close);
    }
    arm_settle(source);
    if (result >= 0)
        loop_poll(loop, op, source->inotify, POLLIN, on_readable);
}

/* At the start everything is read before anybody is served; a file just written takes 100 ms. */
static void settle_now(struct directory_source *source)
{
    for (int turn = 0; turn < 10 && source->settle.position; turn++) {
        uint64_t now = clock_monotonic_ns();
        if (source->settle.deadline > now)
            poll(NULL, 0, (int)((source->settle.deadline - now) / NS_PER_MS) + 1);
        read_due(source);
    }
}

static enum source_wanted want(struct source *base, const struct shmconf_name *name,
                               struct source_waiter *waiter, struct error *error)
{
    const struct directory_source *source = (struct directory_source *)base;
    (void)waiter;
    (void)error;
    return configurations_find(source->files.configurations, name) ? SOURCE_KNOWN : SOURCE_UNKNOWN;
}

static void check(struct source *base)
{
    check_all((struct directory_source *)base, quiet_after_close);
}

/* What changes is read at once, and nothing waits for an answer. */
static bool settle(struct source *base, struct source_waiter *waiter)
{
    (void)base;
    (void)waiter;
    return false;
}

static void stop(struct source *base, void (*closed)(void *context), void *context)
{
    struct directory_source *source = (struct directory_source *)base;
    source->is_stopping = true;
    source->closed = closed;
    source->context = context;
    loop_timer_stop(source->loop, &source->tick);
    loop_timer_stop(source->loop, &source->settle);
    if (source->events.active)
        loop_cancel(source->loop, &source->events);
    else
        closed(context);
}

static void close_source(struct source *base)
{
    struct directory_source *source = (struct directory_source *)base;
    source_files_free(&source->files);
    if (source->inotify >= 0) {
        loop_forget(source->loop, source->inotify);
        close(source->inotify);
    }
    if (source->files.directory >= 0)
        close(source->files.directory);
    free(source->path);
    free(source);
}

int directory_source_open(struct source **out, struct loop *loop,
                          struct configurations *configurations, const char *path,
                          struct error *error)
{
    static const struct source_kind kind = {want, check, settle, stop, close_source};
    struct directory_source *source = calloc(1, sizeof *source);
    char *copy = strdup(path);
    if (!source || !copy) {
        free(source);
        free(copy);
        return error_system(error, ENOMEM, path, "cannot follow the local directory");
    }
    source->base.kind = &kind;
    source->loop = loop;
    source->files.configurations = configurations;
    source->path = copy;
    source->files.directory = -1;
    source->watch = -1;
    source->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (source->inotify < 0)
        log_warn("no inotify (%s): looking at the local directory each second", strerror(errno));
    int rc = follow_path(source, error);
    if (rc < 0) {
        close_source(&source->base);
        return rc;
    }
    scan(source, 0);
    settle_now(source);
    log_info("following the directory %s: %zu configurations", path,
             configurations_count(configurations));
    source_files_explain(&source->files);
    if (source->inotify >= 0)
        loop_poll(loop, &source->events, source->inotify, POLLIN, on_readable);
    loop_timer_start(loop, &source->tick, clock_monotonic_ns() + SOURCE_FILE_INTERVAL_S * NS_PER_S,
                     on_tick);
    *out = &source->base;
    return 0;
}
