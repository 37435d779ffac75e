/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "shmcat/shmcat.h"

static struct {
    uint64_t interval_ns;
    uint64_t count;
} options = {NS_PER_S, NOT_GIVEN};

static const struct option_row rows[] = {
    {0, OPTION_DURATION, "interval", "DURATION", "between two looks; 1s when not given",
     &options.interval_ns},
    {'n', OPTION_NUMBER, "count", "N", "end after N looks", &options.count},
    {0},
};

/* A title, the table and nothing below it; one line stays free, so that nothing scrolls. */
static void draw(const struct rows *now, struct view *view, const struct shmconf_place *place,
                 const char *trouble)
{
    struct winsize window = {0};
    cleanup_free char *root = text_visible(place->root, strlen(place->root));
    char time[TIME_SIZE];
    text_time(time, clock_realtime_ns());
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_row) {
        view->columns = window.ws_col;
        view->lines = window.ws_row > 5 ? window.ws_row - 4U : 1;
    }
    cleanup_free char *title = text_format("%s  %s  %s", time, root, trouble);
    if (view->columns)
        text_cut(title, view->columns);
    printf("\033[H%s%s", title, view->end);
    table_print(stdout, now, view);
    fputs("\033[J", stdout);
}

/* One round in the form that the output asks for. */
static void show(const struct common *common, const struct rows *now, struct view *view,
                 const struct shmconf_place *place, const char *trouble)
{
    if (common->json) {
        rows_json(stdout, now, place);
    } else if (common->screen) {
        draw(now, view, place, trouble);
    } else {
        fputs(view->before ? "\n" : "", stdout);
        if (*trouble)
            printf("%s\n", trouble);
        else
            table_print(stdout, now, view);
    }
}

static const char *trouble_of(const struct rows *now, int rc)
{
    if (rc && rc != -ENOENT)
        return shmconf_strerror(rc);
    return rc ? "there is no region" : now->count ? "" : "nothing is published";
}

/* JSON has no room for it: it is told when it begins. `told` becomes what was. */
static void complain_once(const struct shmconf_place *place, const char *trouble, int rc,
                          const char **told)
{
    if (*trouble && trouble != *told)
        fail_region(place, rc);
    *told = trouble;
}

static int watch_run(const struct common *common, char **arguments)
{
    cleanup_free struct shmconf_place *place = NULL;
    struct rows before = {0};
    const char *told = "";
    bool is_drawing = common->screen && !common->json;
    struct view view = {.color = common->color, .end = is_drawing ? "\033[K\n" : "\n"};
    (void)arguments;
    int status = place_make(&place, ANY_NAME);
    if (status)
        return status;
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    if (is_drawing) {
        guard_screen();
        fputs("\033[2J", stdout);
    }
    for (uint64_t round = 0; round < options.count; round++) {
        struct rows now;
        if (round)
            guard_sleep(options.interval_ns);
        guard_output();
        int rc = rows_scan(&now, place);
        const char *trouble = trouble_of(&now, rc);
        show(common, &now, &view, place, trouble);
        if (common->json)
            complain_once(place, trouble, rc, &told);
        status = *trouble ? EXIT_FAILED : EXIT_FINE;
        rows_free(&before);
        before = now;
        view.before = &before;
        if (fflush(stdout) != 0 || ferror(stdout))
            break;
    }
    rows_free(&before);
    return status;
}

const struct command watch_command = {
    .name = "watch",
    .arguments = "",
    .summary = "The table of ls, again and again.",
    .details =
        "\nOn a terminal it is redrawn in place and rows that changed are bold; else an empty\n"
        "line separates the tables. With --json: an object a line. The exit status is 1 where the\n"
        "last look found no configuration.\n",
    .options = rows,
    .run = watch_run,
};
