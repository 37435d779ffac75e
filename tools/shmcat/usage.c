/* SPDX-License-Identifier: Apache-2.0 */
/* Help, the man page and completions, all from the tables of commands and options. */
#include <string.h>

#include "base/roff.h"
#include "shmcat/shmcat.h"

struct item {
    const char *name;
    const char *meaning;
};

static const struct item statuses[] = {
    {"0", "done"},
    {"1", "failure; nothing is published under that name; or what was looked for is wrong"},
    {"2", "wrong usage, or a malformed name"},
    {"3", "of status: the last good check is too old, or the region was removed"},
    {"4", "waited in vain"},
    {"130", "interrupted"},
};

static const struct item variables[] = {
    {"SHMCONF_DIR", "the region; /tmp/shmconf when not set"},
    {"SHMCONF_OWNER", "the uid of a further user whose files are trusted, or \"any\""},
    {"SHMCONF_HTTP_PORT", "where bench and doctor look for the daemon; 2772 when not set"},
    {"NO_COLOR, TERM", "see --color"},
};

static const struct item examples[] = {
    {"shmcat", "What is there."},
    {"shmcat cat Shop:Prod:Checkout --wait 10s | jq .", "A configuration, once it is there."},
    {"shmcat status Shop:Prod:Checkout --max-age 5m || page somebody", "Is it up to date?"},
    {"shmcat follow Shop:Prod:Checkout --exec 'cat >/etc/shop.json && kill -HUP $(pidof shop)'",
     "Hands every version to a program that only reads files."},
    {"shmcat ls --json | jq -r '.configurations[] | select(.state != \"ok\") | .path'",
     "What is not well."},
    {"shmcat verify && shmcat readers && shmcat doctor", "What to look at when something is odd."},
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const char about_names[] =
    "NAME is Application:Environment:Profile or the path of the HTTP API,\n"
    "/applications/A/environments/E/configurations/P. A duration is 500ms, 5s, 2m or 1h.\n";

/* ---- Help ----------------------------------------------------------------------------------- */

static void help_tail(void)
{
    printf("\n%s\nEnvironment:\n", about_names);
    for (size_t i = 0; i < COUNT(variables); i++)
        printf("  %-18s %s\n", variables[i].name, variables[i].meaning);
    puts("\nExit status:");
    for (size_t i = 0; i < COUNT(statuses); i++)
        printf("  %-4s %s\n", statuses[i].name, statuses[i].meaning);
}

void usage_command(const struct usage *usage, const struct command *command)
{
    printf("Usage: shmcat %s%s%s [OPTION...]\n%s\n%s\n", command->name,
           *command->arguments ? " " : "", command->arguments, command->summary, command->details);
    options_help(command->options);
    options_help(usage->common);
    help_tail();
}

void usage_overall(const struct usage *usage)
{
    puts("Usage: shmcat [COMMAND] [OPTION...]\n"
         "Shows what shmconfd has published in shared memory. Without a command: ls.\n");
    for (const struct command *const *row = usage->commands; *row; row++)
        printf("  %-8s %-8s  %s\n", (*row)->name, (*row)->arguments, (*row)->summary);
    puts("  help     [COMMAND] What a command does, and its options.\n");
    options_help(usage->alone);
    options_help(usage->common);
    help_tail();
}

/* ---- The man page --------------------------------------------------------------------------- */

static void man_options(const struct option_row *rows)
{
    for (const struct option_row *row = rows; row && row->name; row++) {
        char term[64];
        char letter[] = {'-', row->letter, ',', ' ', '\0'};
        snprintf(term, sizeof term, "%s--%s", row->letter ? letter : "", row->name);
        roff_item(stdout, term, row->argument, row->help);
    }
}

static void man_command(const struct command *command)
{
    fputs(".SS ", stdout);
    roff_put(stdout, command->name);
    putchar(' ');
    roff_put(stdout, command->arguments);
    putchar('\n');
    roff_put(stdout, command->summary);
    roff_put(stdout, command->details);
    man_options(command->options);
}

static void man_items(const char *title, const struct item *items, size_t count)
{
    printf(".SH %s\n", title);
    for (size_t i = 0; i < count; i++)
        roff_item(stdout, items[i].name, NULL, items[i].meaning);
}

void usage_man_page(const struct usage *usage)
{
    fputs(".\\\" SPDX-License-Identifier: Apache-2.0\n"
          ".\\\" Made by shmcat --print-man-page.\n"
          ".TH SHMCAT 1 \"\" \"shmconf " SHMCONF_VERSION "\" \"User Commands\"\n"
          ".SH NAME\nshmcat \\- show the configurations that shmconfd keeps in shared memory\n"
          ".SH SYNOPSIS\n\\fBshmcat\\fR [\\fICOMMAND\\fR] [\\fIOPTION\\fR...]\n"
          ".SH DESCRIPTION\n",
          stdout);
    roff_put(stdout,
             "shmcat reads the region of shmconfd by the same rules of trust as every reader, and\n"
             "never writes there. Whatever stands in the region, it is reported and not believed:\n"
             "control characters and bytes that are not UTF-8 are escaped in all output but the\n"
             "text that cat writes. With --json generations are numbers, instances hexadecimal\n"
             "strings, and times RFC 3339 strings in UTC or null.\n\n");
    putchar('\n');
    roff_put(stdout, about_names);
    puts(".SH COMMANDS");
    for (const struct command *const *row = usage->commands; *row; row++)
        man_command(*row);
    puts(".SH OPTIONS");
    man_options(usage->common);
    man_options(usage->alone);
    man_items("EXIT STATUS", statuses, COUNT(statuses));
    man_items("ENVIRONMENT", variables, COUNT(variables));
    man_items("EXAMPLES", examples, COUNT(examples));
    fputs(".SH SEE ALSO\n.BR shmconfd (8)\n", stdout);
}

/* ---- Completions ---------------------------------------------------------------------------- */

/* The names of all options, or of those that have a value. */
static void complete_options(const struct option_row *rows, bool with_value)
{
    for (const struct option_row *row = rows; row && row->name; row++)
        if (!with_value || row->argument)
            printf(" --%s", row->name);
}

/* Branches of a shell's `case` for each command: its options, and "names" where it takes one. */
static void complete_commands(const struct usage *usage)
{
    for (const struct command *const *row = usage->commands; *row; row++) {
        printf("    %s) options=\"", (*row)->name);
        complete_options((*row)->options, false);
        fputs("\" values=\"", stdout);
        complete_options((*row)->options, true);
        printf("\" names=%s ;;\n", strstr((*row)->arguments, "NAME") ? "yes" : "");
    }
}

static void complete_words(const struct usage *usage)
{
    fputs("help", stdout);
    for (const struct command *const *row = usage->commands; *row; row++)
        printf(" %s", (*row)->name);
}

/*
 * Finds the command in words[first] and after, before words[end]: what follows an option with a
 * value is none. `previous` is the option whose value is to be completed; `root` says where the
 * names are, as it was typed.
 */
static void complete_scan(const struct usage *usage, const char *first, const char *end)
{
    printf("    for ((i = %s; i < %s; i++)); do\n"
           "        previous=${words[i]}\n"
           "        case $previous in\n",
           first, end);
    for (const struct option_row *row = usage->common; row->name; row++) {
        if (!row->argument)
            continue;
        printf("        --%s)\n"
               "            [[ ${words[i + 1]} != \"=\" ]] || ((i++))\n",
               row->name);
        if (row->kind == OPTION_DIRECTORY)
            printf("            root=(--%s \"${words[i + 1]}\")\n", row->name);
        printf("            ((++i == %s)) || previous=\"\"\n"
               "            ;;\n",
               end);
        if (row->kind == OPTION_DIRECTORY)
            printf("        --%s=*) root=(--%s \"${previous#*=}\") ;;\n", row->name, row->name);
    }
    puts("        -*) ;;\n"
         "        *) [[ -n $command ]] || command=$previous ;;\n"
         "        esac\n"
         "    done");
}

/* What may stand there, by the command and by the option before it. */
static void complete_cases(const struct usage *usage)
{
    puts("    case $command in");
    complete_commands(usage);
    fputs("    \"\" | help) options=\"", stdout);
    complete_words(usage);
    complete_options(usage->alone, false);
    fputs("\" ;;\n    esac\n    options+=\"", stdout);
    complete_options(usage->common, false);
    puts("\"\n"
         "    [[ -z $previous || \"$values \" != *\" $previous \"* ]] || options=\"\" names=\"\"\n"
         "    case $previous in");
    for (const struct option_row *row = usage->common; row->name; row++)
        if (row->kind == OPTION_DIRECTORY)
            printf("    --%s) directories=yes ;;\n", row->name);
        else if (row->kind == OPTION_WHEN)
            printf("    --%s) options=\"auto always never\" names=\"\" ;;\n", row->name);
    puts("    esac");
}

static const char locals[] = "    local command=\"\" options=\"\" values=\"\" names=\"\" "
                             "directories=\"\" previous=\"\" root=() i\n";

void usage_bash_completion(const struct usage *usage)
{
    printf("# SPDX-License-Identifier: Apache-2.0\n"
           "# Made by shmcat --print-bash-completion.\n"
           "_shmcat() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]}\n"
           "%s"
           "    if declare -F _get_comp_words_by_ref >/dev/null; then\n"
           "        local cur words cword\n"
           "        _get_comp_words_by_ref -n : cur words cword\n"
           "        word=$cur\n"
           "    else\n"
           "        local words=(\"${COMP_WORDS[@]}\") cword=$COMP_CWORD\n"
           "    fi\n",
           locals);
    complete_scan(usage, "1", "cword");
    puts("    # Words come as they were typed: of what the shell makes of them only what runs "
         "nothing.\n"
         "    case ${root[1]} in\n"
         "    \\'*\\' | \\\"*\\\") root[1]=${root[1]:1:-1} ;;\n"
         "    \\~/*) root[1]=$HOME/${root[1]:2} ;;&\n"
         "    *\\\\*) root[1]=${root[1]//\\\\/} ;;\n"
         "    esac");
    complete_cases(usage);
    puts("    local IFS=' ' name\n"
         "    if [[ $directories ]]; then\n"
         "        compopt -o filenames 2>/dev/null\n"
         "        mapfile -t COMPREPLY < <(compgen -d -- \"$word\")\n"
         "    elif [[ $names && $word != -* ]]; then\n"
         "        # Names are anybody's: compgen -W would run what is in them.\n"
         "        COMPREPLY=()\n"
         "        while IFS= read -r name; do\n"
         "            printf -v name %q \"$name\"\n"
         "            [[ $name != \"$word\"* ]] || COMPREPLY+=(\"$name\")\n"
         "        done < <(shmcat \"${root[@]}\" ls --names 2>/dev/null)\n"
         "    else\n"
         "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")\n"
         "    fi\n"
         "    ! declare -F __ltrim_colon_completions >/dev/null || __ltrim_colon_completions "
         "\"$word\"\n"
         "}\n"
         "complete -F _shmcat shmcat");
}

void usage_zsh_completion(const struct usage *usage)
{
    printf("#compdef shmcat\n"
           "# SPDX-License-Identifier: Apache-2.0\n"
           "# Made by shmcat --print-zsh-completion.\n"
           "_shmcat() {\n"
           "%s",
           locals);
    complete_scan(usage, "2", "CURRENT");
    puts("    # Words come as they were typed: of what the shell makes of them only what runs "
         "nothing.\n"
         "    case ${root[2]} in\n"
         "    \\~/*) root[2]=$HOME/${(Q)root[2]#\\~/} ;;\n"
         "    ?*) root[2]=${(Q)root[2]} ;;\n"
         "    esac");
    complete_cases(usage);
    puts("    if [[ -n $directories ]]; then\n"
         "        _files -/\n"
         "    elif [[ -n $names && ${words[CURRENT]} != -* ]]; then\n"
         "        compadd -- ${(f)\"$(shmcat \"${root[@]}\" ls --names 2>/dev/null)\"}\n"
         "    else\n"
         "        compadd -- ${=options}\n"
         "    fi\n"
         "}\n"
         "_shmcat \"$@\"");
}
