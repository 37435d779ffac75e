/* SPDX-License-Identifier: Apache-2.0 */
/* A region in a directory of its own, written by the daemon's own code. */
#ifndef TESTS_REGION_FIXTURE_H
#define TESTS_REGION_FIXTURE_H

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "region/region.h"

struct fixture {
    char base[256]; /* holds the root, so that the root itself can be removed */
    char root[300];
    enum region_access access;
    gid_t group; /* 0: none is set */
    struct region *region;
};

static inline void fixture_start(struct fixture *f)
{
    struct region_options options = {.path = f->root,
                                     .path_is_given = true,
                                     .access = f->access,
                                     .has_group = f->group != 0,
                                     .group = f->group};
    struct error error = {0};
    if (region_open(&f->region, &options, &error) != 0) {
        fprintf(stderr, "%s: %s\n", error.subject, error.message);
        exit(1);
    }
}

static inline void fixture_restart(struct fixture *f)
{
    region_close(f->region);
    fixture_start(f);
}

static inline int fixture_remove_one(const char *path, const struct stat *status, int type,
                                     struct FTW *where)
{
    (void)status, (void)type, (void)where;
    return remove(path);
}

static inline void fixture_remove_tree(struct fixture *f)
{
    nftw(f->root, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void fixture_run(void (*test)(struct fixture *))
{
    struct fixture f = {.access = REGION_OWNER};
    const char *temporary = getenv("TMPDIR");
    snprintf(f.base, sizeof f.base, "%s/shmconf-test-XXXXXX", temporary ? temporary : "/tmp");
    CHECK(mkdtemp(f.base) != NULL);
    snprintf(f.root, sizeof f.root, "%s/root", f.base);
    setenv("SHMCONF_DIR", f.root, 1);
    setenv("SHMCONF_HTTP_PORT", "1", 1); /* no daemon listens on a privileged port */
    fixture_start(&f);
    test(&f);
    region_close(f.region);
    fixture_remove_tree(&f);
    rmdir(f.base);
}

static inline struct region_entry *fixture_entry(struct fixture *f, const char *text)
{
    struct shmconf_name name;
    struct region_entry *entry;
    CHECK_INT(0, shmconf_name_parse(&name, text));
    CHECK_INT(0, region_entry_open(&entry, f->region, &name, NULL));
    return entry;
}

static inline void fixture_publish(struct region_entry *entry, const char *payload,
                                   const char *type, const char *label)
{
    struct shmconf_record status = {.fetched_ns = 1000, .checked_ns = 1000};
    struct region_content content = {payload, strlen(payload), type, label, SHMCONF_OPAQUE};
    struct error error = {0};
    if (region_entry_publish(entry, &content, &status, &error) != 1) {
        fprintf(stderr, "%s: %s\n", error.subject, error.message);
        exit(1);
    }
}

struct whole_path {
    char text[700];
};

static inline struct whole_path in_root(const struct fixture *f, const char *path)
{
    struct whole_path whole;
    snprintf(whole.text, sizeof whole.text, "%s%s%s", f->root, *path ? "/" : "", path);
    return whole;
}

static int fixture_files;

static inline int fixture_count_one(const char *path, const struct stat *status, int type,
                                    struct FTW *where)
{
    (void)path, (void)status, (void)where;
    fixture_files += type == FTW_F;
    return 0;
}

static inline int fixture_count_files(struct fixture *f)
{
    fixture_files = 0;
    nftw(f->root, fixture_count_one, 16, FTW_PHYS);
    return fixture_files;
}

static inline void fixture_touch(struct fixture *f, const char *path)
{
    int fd = open(in_root(f, path).text, O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0);
    close(fd);
}

static inline void fixture_remove(struct fixture *f, const char *path)
{
    CHECK_INT(0, unlink(in_root(f, path).text));
}

/* As on a full disk: files of more than `bytes` cannot be written. SIGXFSZ has to be ignored. */
static inline void fixture_allow_bytes(rlim_t bytes)
{
    struct rlimit limit = {bytes, RLIM_INFINITY};
    CHECK_INT(0, setrlimit(RLIMIT_FSIZE, &limit));
}

static inline unsigned fixture_mode(struct fixture *f, const char *path)
{
    struct stat status;
    CHECK_INT(0, stat(in_root(f, path).text, &status));
    return status.st_mode & 07777;
}

/* Changes bytes of a file in place, which keeps its inode, whatever its mode. */
static inline void fixture_overwrite(struct fixture *f, const char *path, long at,
                                     const void *bytes, size_t size)
{
    struct whole_path whole = in_root(f, path);
    unsigned mode = fixture_mode(f, path);
    CHECK_INT(0, chmod(whole.text, 0600));
    int fd = open(whole.text, O_WRONLY);
    CHECK(fd >= 0);
    CHECK_INT(size, pwrite(fd, bytes, size, at));
    CHECK_INT(0, fchmod(fd, mode));
    close(fd);
}

static inline struct shmconf_head fixture_head(struct fixture *f, const char *path)
{
    struct shmconf_head head;
    int fd = open(in_root(f, path).text, O_RDONLY);
    CHECK(fd >= 0);
    CHECK_INT(sizeof head, read(fd, &head, sizeof head));
    close(fd);
    return head;
}

static inline void fixture_write_head(struct fixture *f, const char *path,
                                      const struct shmconf_head *head)
{
    fixture_overwrite(f, path, 0, head, sizeof *head);
}

#endif
