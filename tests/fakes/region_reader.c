/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that reads the region through the header, driven by lines on stdin: each command is
 * answered with one line of JSON. "rc" is what the function returned, 0 or -errno.
 *
 *     region_reader [--private | --silent] NAME
 *
 *     enter           the version: rc (of shmconf_error), text, size, type, generation, instance
 *     wait MS         shmconf_wait
 *     status          shmconf_status
 *     fresh AGE MS    shmconf_fresh
 *     request MS      shmconf_request
 *     verify MS       enters again and again, for that long or (0) until the next line, and counts
 *                     the versions seen and those whose text is not "<size> <crc32> <rest>" with
 *                     the size of the whole text and the CRC-32, 8 hexadecimal digits, of the rest
 *     close           shmconf_close; the next command opens the reader again
 */
#include <inttypes.h>
#include <poll.h>
#include <shmconf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct shmconf_reader reader;

static void print_string(const char *key, const char *data, size_t size)
{
    printf(", \"%s\": \"", key);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)data[i];
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void print_result(int rc)
{
    printf("{\"rc\": %d", rc);
    print_string("what", shmconf_strerror(rc), strlen(shmconf_strerror(rc)));
}

static void print_version(void)
{
    enum { TEXT_MAX = 1 << 16 };
    const struct shmconf_version *version = shmconf_enter(&reader);
    print_result(shmconf_error(&reader));
    if (version) {
        size_t size = version->text.size;
        print_string("text", version->text.data, size < TEXT_MAX ? size : TEXT_MAX);
        print_string("type", version->content_type.data, version->content_type.size);
        print_string("label", version->label.data, version->label.size);
        printf(", \"size\": %zu, \"generation\": %" PRIu64 ", \"instance\": \"%016" PRIx64 "\"",
               size, version->generation, version->instance);
        printf(", \"kind\": %u, \"fetched_ns\": %" PRIu64, (unsigned)version->kind,
               version->fetched_ns);
    }
    puts("}");
    shmconf_leave(&reader);
}

static void print_health(void)
{
    struct shmconf_health health;
    print_result(shmconf_status(&reader, &health));
    printf(", \"generation\": %" PRIu64 ", \"instance\": \"%016" PRIx64 "\"", health.generation,
           health.instance);
    printf(", \"fetched_ns\": %" PRIu64 ", \"checked_ns\": %" PRIu64 ", \"tried_ns\": %" PRIu64,
           health.fetched_ns, health.checked_ns, health.tried_ns);
    printf(", \"next_ns\": %" PRIu64 ", \"age_ns\": %" PRIu64, health.next_ns, health.age_ns);
    printf(", \"failures\": %u, \"error\": %u, \"http_status\": %u, \"interval_s\": %u",
           (unsigned)health.failures, (unsigned)health.error, (unsigned)health.http_status,
           (unsigned)health.interval_s);
    printf(", \"size\": %u}\n", (unsigned)health.size);
}

static int is_whole(struct shmconf_slice text)
{
    char *end;
    unsigned long size = strtoul(text.data, &end, 10);
    if (size != text.size || *end != ' ')
        return 0;
    unsigned long crc = strtoul(end + 1, &end, 16);
    return *end == ' ' &&
           shmconf_crc32(0, end + 1, text.size - (size_t)(end + 1 - text.data)) == crc;
}

static int line_is_there(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, 0) != 0;
}

static void print_verification(long limit_ms)
{
    uint64_t deadline = shmconf_deadline(limit_ms ? limit_ms : -1);
    uint64_t generation = 0;
    uint64_t instance = 0;
    unsigned long loops = 0;
    unsigned long versions = 0;
    unsigned long bad = 0;
    unsigned long back = 0; /* generations of one instance that went backwards */
    char first_bad[64] = "";
    while (shmconf_rest(deadline, 1) && (limit_ms || !line_is_there())) {
        const struct shmconf_version *version = shmconf_enter(&reader);
        loops++;
        if (version && (version->generation != generation || version->instance != instance)) {
            back += version->instance == instance && version->generation < generation;
            generation = version->generation;
            instance = version->instance;
            versions++;
            if (!is_whole(version->text) && bad++ == 0)
                snprintf(first_bad, sizeof first_bad, "%s", version->text.data);
        }
        shmconf_leave(&reader);
        usleep(5000); /* many of these run beside the daemon on few cores */
    }
    print_result(shmconf_error(&reader));
    printf(", \"loops\": %lu, \"versions\": %lu, \"bad\": %lu, \"back\": %lu", loops, versions, bad,
           back);
    print_string("first_bad", first_bad, strlen(first_bad));
    puts("}");
}

static void answer(const char *command, long first, long second)
{
    if (strcmp(command, "enter") == 0) {
        print_version();
    } else if (strcmp(command, "status") == 0) {
        print_health();
    } else if (strcmp(command, "verify") == 0) {
        print_verification(first);
    } else {
        int rc = -ENOSYS;
        if (strcmp(command, "wait") == 0)
            rc = shmconf_wait(&reader, first);
        else if (strcmp(command, "fresh") == 0)
            rc = shmconf_fresh(&reader, (unsigned long)first, second);
        else if (strcmp(command, "request") == 0)
            rc = shmconf_request(&reader, first);
        else if (strcmp(command, "close") == 0)
            rc = shmconf_close(&reader);
        print_result(rc);
        puts("}");
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[256];
    unsigned flags = argc != 3                           ? 0
                     : strcmp(argv[1], "--private") == 0 ? SHMCONF_PRIVATE
                     : strcmp(argv[1], "--silent") == 0  ? SHMCONF_SILENT
                                                         : 0;
    if (argc != (flags ? 3 : 2)) {
        fputs("Usage: region_reader [--private | --silent] NAME\n", stderr);
        return 2;
    }
    setvbuf(stdin, NULL, _IONBF, 0); /* verify polls the descriptor */
    while (fgets(line, sizeof line, stdin)) {
        char *rest = line + strcspn(line, " \n");
        char command[32];
        snprintf(command, sizeof command, "%.*s", (int)(rest - line), line);
        long numbers[2];
        for (int i = 0; i < 2; i++)
            numbers[i] = strtol(rest, &rest, 10);
        int rc = reader.place ? 0 : shmconf_open(&reader, argv[argc - 1], flags);
        if (rc) {
            print_result(rc);
            puts("}");
            fflush(stdout);
        } else {
            answer(command, numbers[0], numbers[1]);
        }
    }
    return 0;
}
