/* SPDX-License-Identifier: Apache-2.0 */
/* bench_read: what a read costs, beside what a program could do instead. */
#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

enum { MOST_ROWS = 24 };

static char directory[512];

static void usage(FILE *out)
{
    fputs("Usage: bench_read [--json] [--quick] [--dir DIR] [--http PORT PATH]\n"
          "Measures reads; tools/bench/read starts the daemon for it as well.\n"
          "  --json       print JSON\n"
          "  --quick      less than 3 s: to see that it works, not to compare\n"
          "  --dir DIR    make region and files there ($TMPDIR, else /tmp)\n"
          "  --http PORT PATH   a daemon's port, and the path to get from it\n",
          out);
}

static struct options parse(int count, char **arguments)
{
    struct options options = {0};
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--json") == 0) {
            options.is_json = true;
        } else if (strcmp(arguments[i], "--quick") == 0) {
            options.is_quick = true;
        } else if (strcmp(arguments[i], "--dir") == 0 && i + 1 < count) {
            options.directory = arguments[++i];
        } else if (strcmp(arguments[i], "--http") == 0 && i + 2 < count) {
            options.http_port = (unsigned)strtoul(arguments[++i], NULL, 10);
            options.http_path = arguments[++i];
        } else if (strcmp(arguments[i], "--help") == 0) {
            usage(stdout);
            exit(0);
        } else {
            fprintf(stderr, "bench_read: unknown or incomplete argument %s\n", arguments[i]);
            usage(stderr);
            exit(2);
        }
    }
    return options;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status, (void)type, (void)where;
    return remove(path);
}

static void remove_directory(void)
{
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_directory(struct options *options)
{
    const char *temporary = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/shmconf-bench-XXXXXX",
             options->directory ? options->directory
             : temporary        ? temporary
                                : "/tmp");
    if (!mkdtemp(directory))
        bench_fail("cannot make %s: %s", directory, strerror(errno));
    options->directory = directory;
}

/* The reader gets the last CPU that we may use, the writer the first. */
static void choose_cpus(int *reader, int *writer)
{
    cpu_set_t set;
    *reader = *writer = -1;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &set))
            continue;
        *writer = *writer < 0 ? cpu : *writer;
        *reader = cpu;
    }
}

static int pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (cpu < 0)
        return -1;
    CPU_SET((size_t)cpu, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0 ? cpu : -1;
}

int main(int count, char **arguments)
{
    struct options options = parse(count, arguments);
    struct machine machine = {.reader_cpu = -1};
    struct row rows[MOST_ROWS];
    struct writer writer;
    char root[600];
    int reader_cpu, writer_cpu;
    choose_cpus(&reader_cpu, &writer_cpu);
    make_directory(&options);
    snprintf(root, sizeof root, "%s/region", directory);
    setenv("SHMCONF_DIR", root, 1);
    unsetenv("SHMCONF_OWNER");
    writer_start(&writer, root, writer_cpu);
    atexit(remove_directory);
    writer_publish(&writer);
    machine.reader_cpu = pin(reader_cpu);
    machine_look(&machine, root);

    size_t used = rows_read(rows);
    struct row *switches = rows + used;
    used += rows_switch(switches, &writer, options.is_quick ? 20 : 401);
    writer_publish(&writer);
    used += rows_other(rows + used, &options);
    used += rows_http(rows + used, &options);
    measure(rows, used, options.is_quick ? 5 : 61, options.is_quick ? 100000 : 1000000);
    rows_other_end();
    if (options.is_json)
        report_json(&machine, rows, used);
    else
        report_text(&machine, rows, used);
    writer_end(&writer);
    return 0;
}
