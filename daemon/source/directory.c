/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When is a file complete? A rename puts it there whole. A program that writes in place closes it
 * in the end, but may do so several times (shells do, once per line): so a file is read when its
 * signature has not changed for a while after a close, and for longer where no close was seen
 * (a file system without inotify, a program that keeps the file open).
 */
#include "source/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "log/log.h"
#include "source/file.h"

enum { INTERVAL_S = 1 };

static const uint64_t quiet_after_close = 100 * NS_PER_MS;
static const uint64_t quiet_while_open = NS_PER_S;

static const uint32_t watched = IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM |
                                IN_CREATE | IN_DELETE | IN_ATTRIB | IN_ONLYDIR;

struct directory_source {
    struct source base;
    struct loop *loop;
    struct configurations *configurations;
    char *path;
    int directory; /* -1 while it is gone */
    dev_t device;
    ino_t inode;
    int inotify; /* -1: not available, the look each second does alone */
    int watch;
    struct source_file *first;
    void *tree; /* of search.h: the same files by name */
    struct loop_op events;
    struct loop_timer tick;   /* each second */
    struct loop_timer settle; /* the earliest `due` */
    char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool is_stopping;
    void (*closed)(void *context);
    void *context;
};

static int compare_files(const void *a, const void *b)
{
    const struct source_file *x = a;
    const struct source_file *y = b;
    return strcmp(x->name, y->name);
}

static struct source_file *find(struct directory_source *source, char *name)
{
    struct source_file key = {.name = name};
    struct source_file **found = tfind(&key, &source->tree, compare_files);
    return found ? *found : NULL;
}

static bool exists(const struct directory_source *source, const char *name)
{
    struct stat status;
    return source->directory >= 0 && fstatat(source->directory, name, &status, 0) == 0;
}

/* Logs why a file is ignored, the first time. */
static void ignore(struct source_file *file, const char *why, const char *other)
{
    if (!file->is_told)
        log_subject(LOG_LEVEL_WARN, file->name, "ignored: %s%s", why, other);
    file->is_told = true;
}

/*
 * Takes the configuration that the file's name says. Two files can say the same one: the first has
 * it for as long as it is there.
 */
static void claim(struct directory_source *source, struct source_file *file)
{
    struct error error = {0};
    struct configuration *configuration =
        configurations_find(source->configurations, &file->parsed.name);
    for (struct source_file *other = configuration ? source->first : NULL; other;
         other = other->next) {
        if (other->configuration != configuration)
            continue;
        if (exists(source, other->name)) {
            ignore(file, "the same configuration stands in ", other->name);
            return;
        }
        other->configuration = NULL;
        other->due = 0;
    }
    if (!configuration && configurations_add(source->configurations, &file->parsed.name, INTERVAL_S,
                                             &configuration, &error) != 0)
        ignore(file, error.message, "");
    file->configuration = configuration;
}

/* Takes up a new file; NULL if it is of no interest. */
static struct source_file *add(struct directory_source *source, const char *name)
{
    struct file_name parsed;
    const char *why = "";
    enum file_name_kind kind = file_name_parse(&parsed, name, &why);
    if (kind == FILE_NAME_OTHER)
        return NULL;
    struct source_file *file = calloc(1, sizeof *file);
    char *copy = strdup(name);
    if (file)
        file->name = copy;
    if (!file || !copy || !tsearch(file, &source->tree, compare_files)) {
        free(file);
        free(copy);
        return NULL;
    }
    file->next = source->first;
    source->first = file;
    file->parsed = parsed;
    file->is_mistake = kind == FILE_NAME_MISTAKE;
    if (file->is_mistake)
        ignore(file, why, "");
    else
        claim(source, file);
    return file;
}

/* Forgets files that were ignored and are gone; takes up those whose twin is gone. */
static void review_ignored(struct directory_source *source)
{
    for (struct source_file **at = &source->first; *at;) {
        struct source_file *file = *at;
        if (!file->configuration && !exists(source, file->name)) {
            *at = file->next;
            tdelete(file, &source->tree, compare_files);
            free(file->name);
            free(file);
            continue;
        }
        if (!file->configuration && !file->is_mistake)
            claim(source, file);
        at = &file->next;
    }
}

static void on_settled(struct loop *loop, struct loop_timer *timer);

/* Sets the timer to the file that is due first. */
static void arm_settle(struct directory_source *source)
{
    uint64_t first = 0;
    for (struct source_file *file = source->first; file; file = file->next)
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
    if (source->directory < 0 || fstatat(source->directory, name, &status, 0) != 0)
        return (struct file_signature){0};
    return file_signature_of(&status);
}

/* Reads the file once its signature has stayed as it is now for `quiet`. */
static void read_later(struct directory_source *source, struct source_file *file, uint64_t quiet)
{
    file->pending = look(source, file->name);
    file->due = clock_monotonic_ns() + quiet;
}

static void read_now(struct directory_source *source, struct source_file *file)
{
    file->due = 0;
    if (!source_file_read(file, source->directory))
        read_later(source, file, quiet_after_close);
}

static void on_settled(struct loop *loop, struct loop_timer *timer)
{
    struct directory_source *source =
        (struct directory_source *)((char *)timer - offsetof(struct directory_source, settle));
    uint64_t now = loop_now(loop);
    for (struct source_file *file = source->first; file; file = file->next) {
        if (!file->due || file->due > now)
            continue;
        struct file_signature signature = look(source, file->name);
        if (file_signature_equal(&signature, &file->pending))
            read_now(source, file);
        else
            read_later(source, file, quiet_after_close);
    }
    arm_settle(source);
}

/* A look at one file: has it changed since it was read? */
static void check_file(struct directory_source *source, struct source_file *file, uint64_t quiet)
{
    if (!file->configuration || file->due)
        return;
    struct file_signature signature = look(source, file->name);
    if (!file_signature_equal(&signature, &file->current)) {
        if (quiet == 0)
            read_now(source, file);
        else
            read_later(source, file, quiet);
    } else if (file->is_bad) {
        configuration_fail(file->configuration, &file->error, NULL);
    } else {
        configuration_unchanged(file->configuration);
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Takes up the files that are new, in the order of their names so that every start is the same. */
static void add_new(struct directory_source *source)
{
    char **names = NULL;
    size_t count = 0;
    cleanup_close int fd = openat(source->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (!stream)
        return;
    fd = -1; /* the stream's now */
    for (struct dirent *entry; (entry = readdir(stream));) {
        if (!strchr(entry->d_name, ':') || find(source, entry->d_name))
            continue;
        char **more = realloc(names, (count + 1) * sizeof *names);
        char *name = more ? strdup(entry->d_name) : NULL;
        names = more ? more : names;
        if (!name)
            break;
        names[count++] = name;
    }
    closedir(stream);
    if (count)
        qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        add(source, names[i]);
        free(names[i]);
    }
    free(names);
}

/* Looks at every file that is there or was. */
static void scan(struct directory_source *source, uint64_t quiet)
{
    if (source->directory >= 0)
        add_new(source);
    review_ignored(source);
    for (struct source_file *file = source->first; file; file = file->next)
        check_file(source, file, quiet);
    arm_settle(source);
}

/* Opens the directory at the path, if it is another one than before, and watches it. */
static int follow_path(struct directory_source *source, struct error *error)
{
    struct stat status;
    cleanup_close int fd = open(source->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        int code = errno;
        if (source->directory >= 0)
            close(steal_fd(&source->directory));
        return error_system(error, code, source->path, "cannot open the local directory");
    }
    if (source->directory >= 0 && status.st_dev == source->device && status.st_ino == source->inode)
        return 0;
    if (source->directory >= 0)
        close(source->directory);
    source->directory = steal_fd(&fd);
    source->device = status.st_dev;
    source->inode = status.st_ino;
    if (source->inotify >= 0) {
        if (source->watch >= 0)
            inotify_rm_watch(source->inotify, source->watch);
        source->watch = inotify_add_watch(source->inotify, source->path, watched);
    }
    return 1;
}

static void on_tick(struct loop *loop, struct loop_timer *timer)
{
    struct directory_source *source =
        (struct directory_source *)((char *)timer - offsetof(struct directory_source, tick));
    bool was_there = source->directory >= 0;
    struct error error = {0};
    int rc = follow_path(source, &error);
    if (rc < 0 && was_there)
        log_error_object(LOG_LEVEL_ERROR, &error);
    if (rc == 1)
        log_info("following the directory %s", source->path);
    configurations_check_root(source->configurations);
    scan(source, quiet_while_open);
    if (!source->is_stopping)
        loop_timer_start(loop, timer, loop_now(loop) + INTERVAL_S * NS_PER_S, on_tick);
}

static void on_event(struct directory_source *source, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW) {
        log_info("the kernel lost file events: looking at every file");
        scan(source, quiet_after_close);
        return;
    }
    if (event->wd != source->watch || event->len == 0 || !strchr(event->name, ':'))
        return;
    char name[NAME_MAX + 1];
    snprintf(name, sizeof name, "%s", event->name);
    struct source_file *file = find(source, name);
    if (!file && !(event->mask & (IN_DELETE | IN_MOVED_FROM)))
        file = add(source, name);
    if (!file || !file->configuration)
        return;
    if (event->mask & IN_MOVED_TO)
        read_now(source, file);
    else if (event->mask & (IN_MODIFY | IN_CREATE))
        read_later(source, file, quiet_while_open);
    else
        read_later(source, file, quiet_after_close);
}

static void on_readable(struct loop *loop, struct loop_op *op, int result)
{
    struct directory_source *source =
        (struct directory_source *)((char *)op - offsetof(struct directory_source, events));
    if (source->is_stopping) {
        source->closed(source->context);
        return;
    }
    ssize_t got;
    while ((got = read(source->inotify, source->buffer, sizeof source->buffer)) > 0)
        for (char *at = source->buffer; at < source->buffer + got;) {
            const struct inotify_event *event = (const struct inotify_event *)(void *)at;
            on_event(source, event);
            at += sizeof *event + event->len;
        }
    arm_settle(source);
    if (result >= 0)
        loop_poll(loop, op, source->inotify, POLLIN, on_readable);
}

static enum source_wanted want(struct source *base, const struct shmconf_name *name,
                               struct source_waiter *waiter, struct error *error)
{
    const struct directory_source *source = (struct directory_source *)base;
    (void)waiter;
    (void)error;
    return configurations_find(source->configurations, name) ? SOURCE_KNOWN : SOURCE_UNKNOWN;
}

static void check(struct source *base)
{
    struct directory_source *source = (struct directory_source *)base;
    follow_path(source, NULL);
    configurations_check_root(source->configurations);
    scan(source, quiet_after_close);
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
    while (source->first) {
        struct source_file *file = source->first;
        source->first = file->next;
        tdelete(file, &source->tree, compare_files);
        free(file->name);
        free(file);
    }
    if (source->inotify >= 0) {
        loop_forget(source->loop, source->inotify);
        close(source->inotify);
    }
    if (source->directory >= 0)
        close(source->directory);
    free(source->path);
    free(source);
}

int directory_source_open(struct source **out, struct loop *loop,
                          struct configurations *configurations, const char *path,
                          struct error *error)
{
    static const struct source_kind kind = {want, check, stop, close_source};
    struct directory_source *source = calloc(1, sizeof *source);
    char *copy = strdup(path);
    if (!source || !copy) {
        free(source);
        free(copy);
        return error_system(error, ENOMEM, path, "cannot follow the local directory");
    }
    source->base.kind = &kind;
    source->loop = loop;
    source->configurations = configurations;
    source->path = copy;
    source->directory = -1;
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
    if (source->inotify >= 0)
        loop_poll(loop, &source->events, source->inotify, POLLIN, on_readable);
    loop_timer_start(loop, &source->tick, clock_monotonic_ns() + INTERVAL_S * NS_PER_S, on_tick);
    *out = &source->base;
    return 0;
}
