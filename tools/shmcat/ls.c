/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/cleanup.h"
#include "shmcat/shmcat.h"

static int ls_run(const struct common *common, char **arguments)
{
    cleanup_free struct shmconf_place *place = NULL;
    struct rows rows;
    (void)arguments;
    int status = place_make(&place, ANY_NAME);
    if (status)
        return status;
    int rc = rows_scan(&rows, place);
    if (common->json)
        rows_json(stdout, &rows, place);
    else if (rows.count)
        table_print(stdout, &rows, &(struct view){.color = common->color, .end = "\n"});
    if (rc && rc != -ENOENT)
        status = fail(place->root, rc);
    else if (rows.count == 0)
        status = complain(place->root,
                          "%s: start shmconfd, or set SHMCONF_DIR (or --dir) to the "
                          "directory that it uses",
                          rc ? "there is no region" : "nothing is published");
    rows_free(&rows);
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
    .run = ls_run,
};
