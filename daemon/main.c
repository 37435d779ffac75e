/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "base/exit_status.h"
#include "daemon.h"
#include "lambda/idle.h"
#include "log/log.h"
#include "once.h"
#include "parts.h"
#include "settings/settings.h"

static enum exit_status report(enum exit_status status, const struct error *error)
{
    fprintf(stderr, "shmconfd: %s%s%s\n", error->subject, error->subject[0] ? ": " : "",
            error->message);
    return status;
}

/*
 * glibc maps large blocks one by one and gives them back when they are freed, but after each it
 * takes that size for a usual one: a single answer of 16 MB would keep as much in the process for
 * ever. A limit that was set stays.
 */
static void give_large_blocks_back(void)
{
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
#endif
}

/* In Lambda to standard error where the file cannot be had. */
static enum exit_status open_log(const struct settings *settings)
{
    struct error error;
    if (log_open(settings->log_level, settings->log_format, settings->log_path, &error) != 0) {
        report(EXIT_STATUS_SETTINGS, &error);
        if (!settings->lambda)
            return EXIT_STATUS_SETTINGS;
        log_open(settings->log_level, settings->log_format, NULL, &error);
    }
    for (size_t i = 0; i < settings->warning_count; i++)
        log_warn("%s", settings->warnings[i]);
    return EXIT_STATUS_OK;
}

static enum exit_status run(const struct settings *settings)
{
    give_large_blocks_back();
    if (open_log(settings) != EXIT_STATUS_OK)
        return EXIT_STATUS_SETTINGS;
    bool is_once = settings->action == SETTINGS_ONCE;
    enum exit_status status = is_once ? once_run(settings) : daemon_run(settings);
    log_close();
    return status;
}

/* Also what can be found out of the source without starting it. */
static enum exit_status check(const struct settings *settings)
{
    struct error error;
    settings_print_effective(stdout, settings);
    for (size_t i = 0; i < settings->warning_count; i++)
        fprintf(stderr, "shmconfd: warning: %s\n", settings->warnings[i]);
    if (log_check(settings->log_path, &error) != 0)
        return report(EXIT_STATUS_SETTINGS, &error);
    enum exit_status status = parts_check_source(settings, &error);
    return status == EXIT_STATUS_OK ? status : report(status, &error);
}

/* A setting that cannot be ignored: nothing is served, but in Lambda the function has to run. */
static enum exit_status refuse(const struct settings *settings, const struct error *error)
{
    if (!settings->lambda || settings->action != SETTINGS_RUN)
        return report(settings->exit_status, error);
    open_log(settings);
    log_error("%s: %s; until then nothing is served, and the function runs without", error->subject,
              error->message);
    enum exit_status status = lambda_idle(settings->lambda, NULL);
    log_close();
    return status;
}

/* What an option asks for that needs no settings; false: it asks for something else. */
static bool print_of_itself(enum settings_action action)
{
    switch (action) {
    case SETTINGS_HELP:
        settings_print_help(stdout);
        return true;
    case SETTINGS_VERSION:
        puts("shmconfd " SHMCONF_VERSION_TEXT);
        return true;
    case SETTINGS_REFERENCE:
        settings_print_markdown(stdout);
        return true;
    case SETTINGS_MAN_PAGE:
        settings_print_man_page(stdout);
        return true;
    case SETTINGS_BASH_COMPLETION:
        settings_print_bash_completion(stdout);
        return true;
    case SETTINGS_ZSH_COMPLETION:
        settings_print_zsh_completion(stdout);
        return true;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    struct settings settings;
    struct error error;
    enum exit_status status = EXIT_STATUS_OK;
    if (settings_load(&settings, argc, argv, environ, &error) != 0)
        status = refuse(&settings, &error);
    else if (print_of_itself(settings.action))
        status = EXIT_STATUS_OK;
    else if (settings.action == SETTINGS_CHECK)
        status = check(&settings);
    else
        status = run(&settings);
    settings_free(&settings);
    return (int)status;
}
