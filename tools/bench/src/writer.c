/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's process: publishes when it is told to. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench.h"
#include "region/region.h"

void bench_text(char text[BENCH_TEXT_SIZE], uint64_t number)
{
    size_t at = (size_t)snprintf(text, BENCH_TEXT_SIZE, "{\"number\": \"%016llx\"",
                                 (unsigned long long)number);
    for (unsigned flag = 0; at + 64 < BENCH_TEXT_SIZE; flag++)
        at += (size_t)snprintf(text + at, BENCH_TEXT_SIZE - at,
                               ", \"flag%03u\": {\"enabled\": %s, \"share\": %u}", flag,
                               flag % 3 ? "true" : "false", flag % 100);
    memset(text + at, ' ', BENCH_TEXT_SIZE - at);
    text[BENCH_TEXT_SIZE - 1] = '}';
}

static void publish(struct region_entry *entry, uint64_t number)
{
    char text[BENCH_TEXT_SIZE];
    struct error error = {0};
    struct shmconf_record status = {.fetched_ns = clock_realtime_ns(),
                                    .checked_ns = clock_realtime_ns()};
    struct region_content content = {text, sizeof text, "application/json", "", SHMCONF_JSON};
    bench_text(text, number);
    if (region_entry_publish(entry, &content, &status, &error) != 1)
        bench_fail("%s: %s", error.subject, error.message);
}

static void serve(const char *root, int socket)
{
    struct region *region;
    struct region_entry *entry;
    struct shmconf_name name;
    struct error error = {0};
    struct region_options options = {.path = root, .path_is_given = true};
    if (region_open(&region, &options, &error) != 0 || shmconf_name_parse(&name, BENCH_NAME) != 0 ||
        region_entry_open(&entry, region, &name, &error) != 0)
        bench_fail("%s: %s", error.subject, error.message);
    char byte;
    for (uint64_t number = 1; read(socket, &byte, 1) == 1; number++) {
        publish(entry, number);
        if (write(socket, &byte, 1) != 1)
            break;
    }
    region_entry_close(entry);
    region_close(region);
}

void writer_start(struct writer *writer, const char *root, int cpu)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        bench_fail("socketpair failed");
    writer->process = fork();
    if (writer->process < 0)
        bench_fail("fork failed");
    if (writer->process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        if (cpu >= 0) {
            cpu_set_t set;
            CPU_ZERO(&set);
            CPU_SET((size_t)cpu, &set);
            sched_setaffinity(0, sizeof set, &set);
        }
        serve(root, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    writer->socket = ends[0];
}

void writer_publish(const struct writer *writer)
{
    char byte = 'p';
    if (write(writer->socket, &byte, 1) != 1 || read(writer->socket, &byte, 1) != 1)
        bench_fail("the writer has ended");
}

void writer_end(const struct writer *writer)
{
    close(writer->socket);
    waitpid(writer->process, NULL, 0);
}
