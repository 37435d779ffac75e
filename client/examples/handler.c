/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A handler that reads its configuration from shared memory: it waits for the first version, prints
 * each version once, and says what one of its reads costs.
 *
 *     handler Shop:Prod:Checkout          until it is stopped
 *     handler Shop:Prod:Checkout 2        until it has seen two versions
 */
#include <shmconf.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What a request handler does, a million times; the best of ten rounds, since others use the
 * machine. */
static double ns_per_read(struct shmconf_reader *config)
{
    enum { READS = 1000 * 1000, ROUNDS = 10 };
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        size_t bytes = 0;
        double start = seconds();
        for (int i = 0; i < READS; i++) {
            const struct shmconf_version *version = shmconf_enter(config);
            bytes += shmconf_text(version).size;
            shmconf_leave(config);
            __asm__ volatile("" : "+r"(bytes) : : "memory"); /* each read shall really happen */
        }
        double each = (seconds() - start) / READS * 1e9;
        best = round == 0 || each < best ? each : best;
    }
    return best;
}

static void print(const struct shmconf_version *version)
{
    struct shmconf_slice text = shmconf_text(version);
    printf("generation %" PRIu64 ": %.*s\n", version->generation, (int)text.size, text.data);
}

static int fail(const char *name, int error)
{
    fprintf(stderr, "handler: %s: %s\n", name, shmconf_strerror(error));
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct shmconf_reader config;
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: handler APPLICATION:ENVIRONMENT:PROFILE [VERSIONS]\n");
        return 2;
    }
    long versions = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    int rc = shmconf_open(&config, argv[1], 0);
    if (rc)
        return fail(argv[1], rc);
    setvbuf(stdout, NULL, _IOLBF, 0);

    for (long seen = 1; versions <= 0 || seen <= versions; seen++) {
        rc = shmconf_wait(&config, seen == 1 ? 10000 : -1);
        if (rc) {
            shmconf_close(&config);
            return fail(argv[1], rc);
        }
        const struct shmconf_version *version = shmconf_enter(&config);
        if (version)
            print(version);
        shmconf_leave(&config);
        if (seen == 1)
            printf("one read: %.2f ns (enter, text, leave)\n", ns_per_read(&config));
    }
    shmconf_close(&config);
    return EXIT_SUCCESS;
}
