/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "shmcat/shmcat.h"

static struct {
    uint64_t max_age_ns;
} options = {NOT_GIVEN};

static const struct option_row rows[] = {
    {0, OPTION_DURATION, "max-age", "DURATION", "exit with 3 when the last good check is older",
     &options.max_age_ns},
    {0},
};

static void print_key(const char *key, const char *text)
{
    cleanup_free char *visible = text_visible(text, strlen(text));
    printf("%-13s %s\n", key, *visible ? visible : "-");
}

static void print_number(const char *key, uint64_t number, const char *unit)
{
    printf("%-13s %" PRIu64 "%s\n", key, number, unit);
}

static void print_time(const char *key, uint64_t now, uint64_t ns)
{
    char time[TIME_SIZE];
    char age[AGE_SIZE];
    text_time(time, ns);
    text_age(age, now, ns);
    if (ns == 0)
        print_key(key, "");
    else
        printf("%-13s %s (%s%s)\n", key, time, age, ns > now ? "" : " ago");
}

static void print_row(const struct row *row)
{
    const struct shmconf_record *record = &row->record;
    uint64_t now = clock_realtime_ns();
    char text[192];
    print_key("name", row->name);
    row_state_text(row, text, sizeof text);
    print_key("state", text);
    print_number("generation", record->generation, "");
    printf("%-13s %016" PRIx64 "\n", "instance", row->instance);
    print_number("size", record->payload_size, " bytes");
    print_key("content-type", row->type ? row->type : "");
    print_key("label", row->label ? row->label : "");
    print_time("updated", now, record->fetched_ns);
    print_time("checked", now, record->checked_ns);
    print_time("tried", now, record->tried_ns);
    print_time("next", now, record->next_ns);
    print_number("interval", record->interval_s, "s");
    print_number("failures", record->failures, "");
    row_last_error(record, text, sizeof text);
    print_key("last-error", text);
    text_age(text, now, record->checked_ns);
    print_key("age", text);
}

/* Reports why the row is no good, once it is printed; or that it is too old. */
static int verdict(const char *name, const struct config *config, const struct row *row)
{
    uint64_t now = clock_realtime_ns();
    uint64_t checked = row->record.checked_ns;
    char age[AGE_SIZE];
    char most[AGE_SIZE];
    if (row->error) {
        fail_config(name, config, row->error);
        return row->error == -ESTALE ? EXIT_STALE : EXIT_FAILED;
    }
    if (options.max_age_ns == NOT_GIVEN ||
        (checked && (now < checked ? checked - now : now - checked) <= options.max_age_ns))
        return EXIT_FINE;
    text_age(age, now, checked);
    text_span(most, options.max_age_ns);
    complain(name,
             "the last good check is %s old, more than %s: see that shmconfd runs, and its log",
             age, most);
    return EXIT_STALE;
}

static int status_run(const struct common *common, char **arguments)
{
    const char *name = arguments[0];
    cleanup_free struct shmconf_place *place = NULL;
    struct config config;
    struct row row;
    int status = place_make(&place, name);
    if (status)
        return status;
    config_open(&config, place);
    row_fill(&row, &config);
    if (common->json) {
        row_json(stdout, &row);
        putchar('\n');
    } else if (row.record.generation) {
        print_row(&row);
    }
    fflush(stdout); /* before what stderr says */
    status = verdict(name, &config, &row);
    row_free(&row);
    config_close(&config);
    return status;
}

const struct command status_command = {
    .name = "status",
    .arguments = "NAME",
    .summary = "How a configuration is kept up to date.",
    .details =
        "\nThe times are those of the version (updated), the last good check, the last check and\n"
        "the next one.\n",
    .options = rows,
    .least = 1,
    .most = 1,
    .run = status_run,
};
