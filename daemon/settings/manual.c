/* SPDX-License-Identifier: Apache-2.0 */
/* The man page and the completions, made from the table. */
#include <string.h>

#include "base/roff.h"
#include "settings/table.h"

static bool is_option(const struct setting *row, char spelling[SETTING_SPELLING_SIZE])
{
    return setting_spelling(row, SOURCE_OPTION, spelling);
}

static void man_setting(FILE *out, const struct setting *row)
{
    char option[SETTING_SPELLING_SIZE];
    char allowed[160];
    char meaning[640];
    if (!is_option(row, option))
        return;
    setting_allowed(row, allowed, sizeof allowed);
    snprintf(meaning, sizeof meaning, "%s\nAllowed: %s. Default: %s.%s", row->meaning, allowed,
             row->preset    ? row->preset
             : row->absence ? row->absence
                            : "none",
             row->state == SETTING_IGNORED || row->state == SETTING_REFUSED
                 ? "\nNot implemented yet: see docs/configuration.md."
                 : "");
    roff_item(out, option, row->argument, meaning);
}

void settings_print_man_page(FILE *out)
{
    fputs(".\\\" SPDX-License-Identifier: Apache-2.0\n"
          ".\\\" Made by shmconfd --print-man-page.\n"
          ".TH SHMCONFD 8 \"\" \"shmconf " SHMCONF_VERSION_TEXT "\" \"System Administration\"\n"
          ".SH NAME\n"
          "shmconfd \\- AWS AppConfig over HTTP on localhost and in shared memory\n"
          ".SH SYNOPSIS\n"
          "\\fBshmconfd\\fR [\\fIOPTION VALUE\\fR]...\n.br\n"
          "\\fBshmconfd\\fR [\\fIOPTION VALUE\\fR]... \\fB\\-\\-once\\fR [\\fINAME\\fR]...\n"
          ".SH DESCRIPTION\n",
          out);
    roff_put(out,
             "shmconfd takes the place of the AWS AppConfig Agent: it fetches configurations from\n"
             "AppConfig, or follows a local directory, serves them over HTTP on localhost like\n"
             "the agent, and publishes each version in shared memory, where readers need no\n"
             "request.\n\n"
             "It stays in the foreground. SIGTERM and SIGINT end it once the requests in progress\n"
             "are answered; SIGHUP checks everything now and opens the log file anew. What it has\n"
             "published stays when it ends, and its successor takes that over.\n\n"
             "Every option is a variable too: --log-level is SHMCONF_LOG_LEVEL, and the variables\n"
             "of AWS's agent are understood.\n");
    fputs(".SH OPTIONS\n", out);
    for (size_t i = 0; i < settings_count; i++)
        man_setting(out, &settings_table[i]);
    for (size_t i = 0; i < setting_commands_count; i++) {
        char option[SETTING_SPELLING_SIZE];
        snprintf(option, sizeof option, "--%s", setting_commands[i].name);
        roff_item(out, option, NULL, setting_commands[i].meaning);
    }
    fputs(".SH ENVIRONMENT\n", out);
    for (size_t i = 0; i < setting_standards_count; i++)
        roff_item(out, setting_standards[i].name, NULL, setting_standards[i].meaning);
    fputs(".SH EXIT STATUS\n", out);
    for (size_t i = 0; i < setting_statuses_count; i++) {
        char number[12];
        snprintf(number, sizeof number, "%d", (int)setting_statuses[i].status);
        roff_item(out, number, NULL, setting_statuses[i].meaning);
    }
    fputs(".SH SEE ALSO\n.BR shmcat (1)\n", out);
}

/* ---- Completions ---------------------------------------------------------------------------- */

static void complete_options(FILE *out)
{
    char option[SETTING_SPELLING_SIZE];
    for (size_t i = 0; i < settings_count; i++)
        if (is_option(&settings_table[i], option))
            fprintf(out, " %s", option);
    for (size_t i = 0; i < setting_commands_count; i++)
        fprintf(out, " --%s", setting_commands[i].name);
}

/* A branch of a shell's `case` for each option whose values are words, and one for paths. */
static void complete_values(FILE *out)
{
    char option[SETTING_SPELLING_SIZE];
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        if (!is_option(row, option) || (row->type != SETTING_CHOICE && row->type != SETTING_PATH &&
                                        row->type != SETTING_BOOLEAN))
            continue;
        fprintf(out, "    %s) ", option);
        if (row->type == SETTING_PATH) {
            fputs("files=yes ;;\n", out);
            continue;
        }
        fputs("options=\"", out);
        for (const char *c = row->choices ? row->choices : "true|false"; *c; c++)
            fputc(*c == '|' ? ' ' : *c, out);
        fputs("\" ;;\n", out);
    }
}

void settings_print_bash_completion(FILE *out)
{
    fputs("# SPDX-License-Identifier: Apache-2.0\n"
          "# Made by shmconfd --print-bash-completion.\n"
          "_shmconfd() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} files=\"\" options=\"",
          out);
    complete_options(out);
    fputs("\"\n    case ${COMP_WORDS[COMP_CWORD - 1]} in\n", out);
    complete_values(out);
    fputs("    esac\n"
          "    if [[ $files ]]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
          "    else\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")\n"
          "    fi\n"
          "}\n"
          "complete -o filenames -F _shmconfd shmconfd\n",
          out);
}

void settings_print_zsh_completion(FILE *out)
{
    fputs("#compdef shmconfd\n"
          "# SPDX-License-Identifier: Apache-2.0\n"
          "# Made by shmconfd --print-zsh-completion.\n"
          "_shmconfd() {\n"
          "    local files=\"\" options=\"",
          out);
    complete_options(out);
    fputs("\"\n    case ${words[CURRENT - 1]} in\n", out);
    complete_values(out);
    fputs("    esac\n"
          "    if [[ -n $files ]]; then _files; else compadd -- ${=options}; fi\n"
          "}\n"
          "_shmconfd \"$@\"\n",
          out);
}
