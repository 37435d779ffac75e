/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's settings, from the command line and the environment.
 *
 * table.c lists them, one row each; parser, --help and docs/configuration.md are made from it.
 * For each setting the first of these counts: the option, the variable SHMCONF_*, the variable
 * AWS_APPCONFIG_EXTENSION_*, and the variable without prefix, which is not read in Lambda. Only the
 * value that counts is checked. An empty variable counts as not set.
 */
#ifndef SHMCONFD_SETTINGS_H
#define SHMCONFD_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/exit_status.h"
#include "log/log.h"

/* What the command line asks for. */
enum settings_action {
    SETTINGS_RUN,
    SETTINGS_CHECK,     /* --check: settings_print_effective, then end */
    SETTINGS_ONCE,      /* --once: fetch and publish settings->names, then end */
    SETTINGS_HELP,      /* --help: settings_print_help; the environment was not read */
    SETTINGS_VERSION,   /* --version: likewise */
    SETTINGS_REFERENCE, /* --print-configuration-reference: settings_print_markdown; likewise */
    SETTINGS_MAN_PAGE,  /* --print-man-page and so on: likewise */
    SETTINGS_BASH_COMPLETION,
    SETTINGS_ZSH_COMPLETION,
};

/* Around the elements of a list; line feeds come from lists in YAML. */
#define SETTINGS_LIST_BLANKS " \t\r\n"

enum settings_access { SETTINGS_ACCESS_OWNER, SETTINGS_ACCESS_GROUP, SETTINGS_ACCESS_ALL };
enum settings_invoke_poll { SETTINGS_INVOKE_WAIT, SETTINGS_INVOKE_BACKGROUND };
enum settings_loop { SETTINGS_LOOP_AUTO, SETTINGS_LOOP_EPOLL, SETTINGS_LOOP_IO_URING };

#define SETTINGS_NO_GROUP ((gid_t)-1)

struct settings_value;

/* Texts belong to the struct. A text that is not given and has no default is NULL. */
struct settings {
    enum settings_action action;
    char *lambda; /* AWS_LAMBDA_RUNTIME_API; NULL: this is not Lambda */
    char **names; /* for --once, of argv; none: prefetch_list says them */
    size_t name_count;

    const char *http_host;      /* "localhost", "all", an address or a host name */
    uint64_t client_timeout_ns; /* for a request to arrive, for an answer to be read on */
    unsigned http_port;         /* 0: any free one */
    unsigned max_clients;       /* HTTP connections */

    const char *dir; /* root of the region */
    bool dir_given;  /* and not the default */
    enum settings_access access;
    gid_t group; /* SETTINGS_NO_GROUP: not given */
    unsigned max_configurations;

    const char *log_path; /* NULL: stderr */
    enum log_level log_level;
    enum log_format log_format;

    const char *local_development_directory; /* NULL: configurations come from AWS */
    unsigned max_connections;                /* to AWS */
    uint64_t poll_interval_ns;
    uint64_t request_timeout_ns;
    uint64_t fresh_wait_ns;     /* 0: a request never waits for a late check */
    const char *prefetch_list;  /* NULL: nothing */
    const char *service_region; /* NULL: as AWS's standard variables say */
    enum settings_invoke_poll invoke_poll;
    enum settings_loop loop;

    /* From here on checked but not yet used: settings_load warns when one is given. */
    const char *backup_directory;
    const char *experiment_assignment_log_destination;
    bool wait_on_manifest;
    bool preload_backups;

    enum exit_status exit_status; /* why settings_load failed */
    char **warnings;              /* one line each, to be logged as soon as there is a log */
    size_t warning_count;
    struct settings_value *values; /* text and origin of each row of the table */
};

/*
 * Reads the command line and `environment` (as environ). On failure settings->exit_status tells a
 * wrong command line (EXIT_STATUS_USAGE, code EINVAL) from a wrong setting (EXIT_STATUS_SETTINGS,
 * code EINVAL, the option or variable as the subject) and from memory running out. Either way
 * settings_free is due afterwards. Uses getopt's global state.
 */
int settings_load(struct settings *settings, int argc, char **argv, char **environment,
                  struct error *error);

void settings_free(struct settings *settings);

/* What --help prints. */
void settings_print_help(FILE *out);

/* docs/configuration.md. */
void settings_print_markdown(FILE *out);

/* The man page, and what shells complete options by. */
void settings_print_man_page(FILE *out);
void settings_print_bash_completion(FILE *out);
void settings_print_zsh_completion(FILE *out);

/* Every setting with its value and where that came from; secrets are masked. */
void settings_print_effective(FILE *out, const struct settings *settings);

#endif
