/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "shmcat/shmcat.h"

static bool names_only;

static const struct option_row rows[] = {
    {0, OPTION_FLAG, "names", NULL, "only the names, one a line, as the other commands take them",
     &names_only},
    {0},
};

/* As the terminal may have them: a name of strange bytes is no longer one that commands take. */
static void print_names(const struct rows *found)
{
    for (size_t i = 0; i < found->count; i++) {
        const char *name = found->at[i].name;
        cleanup_free char *visible = name ? text_visible(name, strlen(name)) : NULL;
        if (visible)
            puts(visible);
    }
}

static int ls_run(const struct common *common, char **arguments)
{
    cleanup_free struct shmconf_place *place = NULL;
    struct rows found;
    (void)arguments;
    int status = place_make(&place, ANY_NAME);
    if (status)
        return status;
    int rc = rows_scan(&found, place);
    if (common->json)
        rows_json(stdout, &found, place);
    else if (names_only)
        print_names(&found);
    else if (found.count)
        table_print(stdout, &found, &(struct view){.color = common->color, .end = "\n"});
    if (rc || found.count == 0)
        status = fail_region(place, rc);
    rows_free(&found);
    return status;
}

const struct command ls_command = {
    .name = "ls",
    .arguments = "",
    .summary = "A table of all configurations.",
    .details =
        "\nSTATE is ok; failing (n, reason): the last n checks failed; stale?: the next check is\n"
        "overdue, so perhaps no daemon runs; empty: nothing was published yet; moved: the daemon\n"
        "is replacing it; damaged (reason): no reader can use it.\n",
    .options = rows,
    .run = ls_run,
};
