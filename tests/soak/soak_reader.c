/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader of the region for the soak test: every byte of every version, and never a step back.
 *
 *     soak_reader ROLE NAME...
 *
 *     mapped, private    looks at all names again and again
 *     attaching          opens, looks and closes, one name after the other
 *     waiting            sleeps until the first name has a newer version
 *
 * For each version that is new to it, it prints "version INDEX GENERATION NUMBER", the number being
 * the one that the text says of itself (content.py); for what is wrong "wrong WHAT" and ends
 * with 1. The end of its input ends it with 0.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <shmconf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAMES_MAX = 256, HELD = 4, WAIT_MS = 200 };

/* What a text begins with; 0 stands for a digit. */
#define HEAD "{\"number\":\"0000000000\",\"size\":\"000000\",\"crc\":\"00000000\",\"text\":\""
enum { NUMBER_AT = 11, SIZE_AT = 31, CRC_AT = 46, TEXT_AT = sizeof HEAD - 1 };

struct watch {
    const char *name;
    size_t index;
    struct shmconf_reader reader;
    uint64_t instance;
    uint64_t generation;
    unsigned long number;
    size_t turn;
    const struct shmconf_version *held[HELD];
};

static struct watch watches[NAMES_MAX];
static size_t count;

static void wrong(const struct watch *watch, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

static void wrong(const struct watch *watch, const char *format, ...)
{
    va_list arguments;
    printf("wrong %s generation %" PRIu64 ": ", watch->name, watch->generation);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    exit(1);
}

static bool begins_right(struct shmconf_slice text)
{
    if (text.size < TEXT_AT + 2)
        return false;
    for (size_t i = 0; i < TEXT_AT; i++)
        if (HEAD[i] == '0' ? !isxdigit((unsigned char)text.data[i]) : text.data[i] != HEAD[i])
            return false;
    return true;
}

/* The number that the text says of itself, if it is whole. */
static unsigned long verify(const struct watch *watch, const struct shmconf_version *version)
{
    char name[64];
    struct shmconf_slice text = version->text;
    const char *content = text.data + TEXT_AT;
    if (!begins_right(text))
        wrong(watch, "no such content: %.80s", text.data);
    unsigned long number = strtoul(text.data + NUMBER_AT, NULL, 10);
    size_t size = strtoul(text.data + SIZE_AT, NULL, 10);
    if (size != text.size)
        wrong(watch, "number %lu has %zu bytes and says %zu", number, text.size, size);
    if (shmconf_crc32(0, content, size - TEXT_AT - 2) != strtoul(text.data + CRC_AT, NULL, 16) ||
        memcmp(text.data + size - 2, "\"}", sizeof "\"}") != 0)
        wrong(watch, "number %lu of %zu bytes is mixed or torn", number, size);
    int length = snprintf(name, sizeof name, "%s %lu ", watch->name, number);
    if (strncmp(content, name, (size_t)length) != 0)
        wrong(watch, "number %lu is another configuration's: %.40s", number, content);
    return number;
}

/* Keeps some old versions, and looks at them once more when it lets them go. */
static void hold(struct watch *watch, const struct shmconf_version *version)
{
    const struct shmconf_version **slot = &watch->held[watch->turn++ % HELD];
    if (*slot) {
        verify(watch, *slot);
        shmconf_drop(*slot);
    }
    *slot = version ? shmconf_hold(version) : NULL;
}

static void take(struct watch *watch, const struct shmconf_version *version)
{
    if (watch->generation &&
        (version->instance != watch->instance || version->generation < watch->generation))
        wrong(watch, "is followed by generation %" PRIu64 "%s", version->generation,
              version->instance != watch->instance ? " of another instance" : "");
    bool is_new = version->generation != watch->generation;
    unsigned long number = verify(watch, version);
    if (!is_new && number != watch->number)
        wrong(watch, "was number %lu and is now %lu", watch->number, number);
    watch->instance = version->instance;
    watch->generation = version->generation;
    watch->number = number;
    if (!is_new)
        return;
    hold(watch, version);
    printf("version %zu %" PRIu64 " %lu\n", watch->index, version->generation, number);
}

static void look(struct watch *watch)
{
    const struct shmconf_version *version = shmconf_enter(&watch->reader);
    int error = shmconf_error(&watch->reader);
    if (error && error != -EAGAIN)
        wrong(watch, "%s", shmconf_strerror(error));
    if (version &&
        (version->generation != watch->generation || version->instance != watch->instance))
        take(watch, version);
    else if (!version && error != -EAGAIN)
        wrong(watch, "is followed by nothing");
    shmconf_leave(&watch->reader);
}

static void open_reader(struct watch *watch, unsigned flags)
{
    int rc = shmconf_open(&watch->reader, watch->name, flags);
    if (rc)
        wrong(watch, "open: %s", shmconf_strerror(rc));
}

static void close_reader(struct watch *watch)
{
    int rc = shmconf_close(&watch->reader);
    if (rc)
        wrong(watch, "close: %s", shmconf_strerror(rc));
}

/* One turn of a role. */
static void turn_looking(size_t turn)
{
    (void)turn;
    for (size_t i = 0; i < count; i++)
        look(&watches[i]);
    usleep(2000);
}

static void turn_attaching(size_t turn)
{
    struct watch *watch = &watches[turn % count];
    open_reader(watch, turn / count % 2 ? SHMCONF_PRIVATE : 0);
    look(watch);
    close_reader(watch);
    usleep(5000);
}

static void turn_waiting(size_t turn)
{
    struct watch *watch = &watches[0];
    (void)turn;
    int rc = shmconf_wait(&watch->reader, WAIT_MS);
    if (rc && rc != -ETIMEDOUT)
        wrong(watch, "wait: %s", shmconf_strerror(rc));
    look(watch);
}

static const struct role {
    const char *name;
    void (*turn)(size_t turn);
    unsigned flags;
    bool stays_open;
} roles[] = {
    {"mapped", turn_looking, 0, true},
    {"private", turn_looking, SHMCONF_PRIVATE, true},
    {"attaching", turn_attaching, 0, false},
    {"waiting", turn_waiting, 0, true},
};

static bool input_has_ended(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, 0) != 0;
}

static void run(const struct role *role)
{
    for (size_t i = 0; i < count && role->stays_open; i++)
        open_reader(&watches[i], role->flags);
    for (size_t turn = 0; !input_has_ended(); turn++)
        role->turn(turn);
    for (size_t i = 0; i < count; i++) {
        for (int slot = 0; slot < HELD; slot++)
            hold(&watches[i], NULL);
        if (role->stays_open)
            close_reader(&watches[i]);
    }
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 2; i < argc && count < NAMES_MAX; i++, count++)
        watches[count] = (struct watch){.name = argv[i], .index = count};
    for (size_t i = 0; i < sizeof roles / sizeof *roles && count > 0; i++) {
        if (strcmp(argv[1], roles[i].name) != 0)
            continue;
        run(&roles[i]);
        return 0;
    }
    fputs("Usage: soak_reader mapped|private|attaching|waiting NAME...\n", stderr);
    return 2;
}
