/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shmcat/shmcat.h"

static const struct command *const commands[] = {
    &ls_command,
    &cat_command,
    &status_command,
    &follow_command,
    &watch_command,
    &verify_command,
    &dump_command,
    &readers_command,
    &bench_command,
    &doctor_command,
    NULL,
};

static struct common common;
static struct {
    const char *directory;
    const char *color;
    bool help;
    bool version;
    bool man_page;
    bool bash_completion;
    bool zsh_completion;
} options = {.color = "auto"};

static const struct option_row common_rows[] = {
    {0, OPTION_DIRECTORY, "dir", "PATH", "the region, instead of SHMCONF_DIR or /tmp/shmconf",
     &options.directory},
    {0, OPTION_FLAG, "json", NULL, "JSON instead of text for people", &common.json},
    {0, OPTION_WHEN, "color", "WHEN", "auto (a terminal, without NO_COLOR), always or never",
     &options.color},
    {'h', OPTION_FLAG, "help", NULL, "help, also for each command", &options.help},
    {0},
};
static const struct option_row alone_rows[] = {
    {0, OPTION_FLAG, "version", NULL, "the version of shmcat", &options.version},
    {0, OPTION_FLAG, "print-man-page", NULL, "the man page, for man -l", &options.man_page},
    {0, OPTION_FLAG, "print-bash-completion", NULL, "to be sourced by bash",
     &options.bash_completion},
    {0, OPTION_FLAG, "print-zsh-completion", NULL, "the file _shmcat for a folder of zsh's fpath",
     &options.zsh_completion},
    {0},
};

static const struct usage usage = {commands, common_rows, alone_rows};

static const struct command *find(const char *word)
{
    const struct command *nearest = NULL;
    unsigned best = 3; /* edits, and fewer than the word has letters */
    for (const struct command *const *row = commands; *row; row++) {
        unsigned distance = edit_distance(word, (*row)->name);
        if (distance == 0)
            return *row;
        if (distance < best && distance < strlen(word)) {
            best = distance;
            nearest = *row;
        }
    }
    if (strchr(word, ':') || *word == '/')
        complain(word, "is no command: did you mean shmcat cat NAME?");
    else if (nearest)
        complain(word, "is no command: did you mean %s?", nearest->name);
    else
        complain(word, "is no command: see shmcat --help");
    return NULL;
}

/* What the common options say about the output. */
static int prepare(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    common.screen = isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
    common.color = common.screen && !(no_color && *no_color);
    if (strcmp(options.color, "auto") != 0) {
        common.color = strcmp(options.color, "always") == 0;
        if (!common.color && strcmp(options.color, "never") != 0) {
            complain("--color", "\"%.40s\" is none of auto, always and never", options.color);
            return EXIT_USAGE;
        }
    }
    /* The reader takes the directory from there. */
    if (options.directory && setenv("SHMCONF_DIR", options.directory, 1) != 0)
        return fail(options.directory, -errno);
    return EXIT_FINE;
}

/* argv[0] is the command's name. */
static int run(const struct command *command, int argc, char **argv)
{
    int first = options_parse(common_rows, command->options, false, argc, argv);
    if (first < 0)
        return EXIT_USAGE;
    if (options.help) {
        usage_command(&usage, command);
        return EXIT_FINE;
    }
    if (argc - first < command->least || argc - first > command->most) {
        complain(command->name, "takes %s: see shmcat %s --help",
                 *command->arguments ? command->arguments : "no arguments", command->name);
        return EXIT_USAGE;
    }
    int rc = prepare();
    return rc ? rc : command->run(&common, argv + first);
}

/* What an option that stands alone asks for; false: none does. */
static bool print_of_itself(void)
{
    if (options.version)
        puts("shmcat " SHMCONF_VERSION);
    else if (options.man_page)
        usage_man_page(&usage);
    else if (options.bash_completion)
        usage_bash_completion(&usage);
    else if (options.zsh_completion)
        usage_zsh_completion(&usage);
    else
        return false;
    return true;
}

static int dispatch(int argc, char **argv)
{
    char *only_ls[] = {"ls", NULL};
    int first = options_parse(common_rows, alone_rows, true, argc, argv);
    if (first < 0)
        return EXIT_USAGE;
    argc -= first;
    argv += first;
    bool help = options.help || (argc > 0 && strcmp(argv[0], "help") == 0);
    if (print_of_itself())
        return EXIT_FINE;
    while (argc > 0 && strcmp(argv[0], "help") == 0) { /* also of help */
        argc--;
        argv++;
    }
    if (argc == 0 && help) {
        usage_overall(&usage);
        return EXIT_FINE;
    }
    if (argc == 0)
        return run(commands[0], 1, only_ls);
    const struct command *command = find(argv[0]);
    if (!command)
        return EXIT_USAGE;
    options.help = help;
    return run(command, argc, argv);
}

/* Output that cannot be written is a failure; that nobody reads it any more is none of our news. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    return errno == EPIPE ? EXIT_FAILED
                          : complain("stdout", "cannot be written: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        setlocale(LC_CTYPE, "");
    guard_install();
    return finish(dispatch(argc, argv));
}
