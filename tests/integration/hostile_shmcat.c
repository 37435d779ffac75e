/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shmcat on spoilt files: whatever stands there, each command ends with one of its exit statuses.
 * All of it is linked in, so that each image can be looked at by each command.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>

#include "hostile.h"
#include "region_fixture.h"
#include "shmcat/shmcat.h"

enum { DEFAULT_IMAGES = 20000, CONFIGURATIONS = 500, MOST_WORDS = 8 };

static uint64_t seed;
static unsigned long images;

int shmcat_main(int argc, char **argv);

/* verify looks twice, some time apart, for a daemon that writes meanwhile: here there is none. */
int __wrap_nanosleep(const struct timespec *span, struct timespec *left);
int __wrap_nanosleep(const struct timespec *span, struct timespec *left)
{
    (void)span, (void)left;
    return 0;
}

/* follow has looked at all and would wait for more. */
static jmp_buf has_looked;

int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *span,
                 const sigset_t *mask);
int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *span,
                 const sigset_t *mask)
{
    (void)fds, (void)count, (void)span, (void)mask;
    longjmp(has_looked, 1);
}

/* watch draws into a window of that width. */
static unsigned short columns;

int __wrap_isatty(int fd);
int __wrap_isatty(int fd)
{
    (void)fd;
    return 1;
}

int __wrap_ioctl(int fd, unsigned long request, struct winsize *window);
int __wrap_ioctl(int fd, unsigned long request, struct winsize *window)
{
    CHECK(request == TIOCGWINSZ);
    (void)fd;
    *window = (struct winsize){.ws_row = CONFIGURATIONS + 10, .ws_col = columns};
    return 0;
}

static void shmcat(const char *command)
{
    char line[128];
    char *words[MOST_WORDS] = {"shmcat"};
    int count = 1;
    char *rest;
    snprintf(line, sizeof line, "%s", command);
    for (char *word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    int status = shmcat_main(count, words);
    if (status < 0 || status > EXIT_TIMEOUT || status == EXIT_USAGE) {
        fprintf(stderr, "shmcat %s: exit status %d\n", command, status);
        _exit(1);
    }
}

static void shmcat_each(const char *command)
{
    char line[100];
    for (unsigned i = 0; i < CONFIGURATIONS; i++) {
        snprintf(line, sizeof line, "%s A:B:c%u", command, i);
        shmcat(line);
    }
}

static void follow(void)
{
    if (setjmp(has_looked) == 0)
        shmcat("follow");
}

/*
 * Every other look is one for JSON, which like other options stays set from one call of main to the
 * next. bench takes as long for one good configuration as all the rest does: so there is one a
 * look.
 */
static void look_at_all(unsigned number)
{
    static const char *const commands[] = {"verify", "ls", "watch -n 1", "readers"};
    char bench[100];
    bool is_json = number % 2;
    columns = (unsigned short)(1 + number * 37 % 200);
    CHECK_INT(0, setenv("TERM", "xterm", 1));
    snprintf(bench, sizeof bench, "bench A:B:c%u", number % CONFIGURATIONS);
    shmcat(bench);
    shmcat_each(is_json ? "dump" : "dump --annotate");
    shmcat_each(is_json ? "cat --json" : "cat");
    shmcat_each("status");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        shmcat(commands[i]);
    follow();
}

static void show(const char *path)
{
    char line[1000];
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "shmcat: ", 8) != 0) /* what it says about a file is no finding */
            fputs(line, stderr);
}

/* In a process of its own, which a finding ends. */
static void look(struct fixture *f, unsigned number)
{
    char log[400];
    int status;
    snprintf(log, sizeof log, "%s/log", f->base);
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        int file = open(log, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
        CHECK(null >= 0 && file >= 0);
        CHECK(dup2(null, STDOUT_FILENO) >= 0 && dup2(file, STDERR_FILENO) >= 0);
        look_at_all(number);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    if (status != 0) {
        show(log);
        fprintf(stderr, "hostile_shmcat: it ended with status %x, seed %llu\n", (unsigned)status,
                (unsigned long long)seed);
        exit(1);
    }
    CHECK_INT(0, unlink(log));
}

static void spoil_one(struct fixture *f, unsigned number, const char *file, uint64_t *random)
{
    char path[500];
    struct hostile_image image;
    snprintf(path, sizeof path, "%s/A/B/c%u/%s", f->root, number, file);
    hostile_take(path, &image);
    hostile_spoil(&image, random);
    CHECK_INT(0, chmod(path, 0600));
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    hostile_put(fd, &image);
    close(fd);
}

/* All configurations are spoilt at once, every other one in its head. */
static void shmcat_survives(struct fixture *f)
{
    char name[64];
    char text[32];
    uint64_t random = seed;
    unsigned long looked = 0;
    while (looked < images) {
        snprintf(text, sizeof text, "text %lu", looked); /* equal bytes would be no new version */
        for (unsigned i = 0; i < CONFIGURATIONS; i++) {
            snprintf(name, sizeof name, "A:B:c%u", i);
            struct region_entry *entry = fixture_entry(f, name);
            fixture_publish(entry, text, "text/plain", "blue");
            uint64_t generation = region_entry_record(entry)->generation;
            char file[SHMCONF_VERSION_FILE_SIZE];
            shmconf_version_file(file, generation);
            region_entry_close(entry);
            spoil_one(f, i, i % 2 ? file : "head", &random);
        }
        look(f, (unsigned)(looked / CONFIGURATIONS));
        looked += CONFIGURATIONS;
    }
    printf("hostile_shmcat: seed %llu: %lu images\n", (unsigned long long)seed, looked);
}

int main(int count, char **arguments)
{
    images = count > 1 ? strtoul(arguments[1], NULL, 10) : DEFAULT_IMAGES;
    seed = count > 2 ? strtoull(arguments[2], NULL, 10) : (unsigned)getpid();
    if (images == 0 || count > 3) {
        fputs("Usage: hostile_shmcat [IMAGES [SEED]]\n"
              "shmcat on IMAGES spoilt files (20000).\n",
              stderr);
        return 2;
    }
    printf("hostile_shmcat: seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    fixture_run(shmcat_survives);
    return 0;
}
