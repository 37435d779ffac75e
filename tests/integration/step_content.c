/* SPDX-License-Identifier: Apache-2.0 */
/* Versions and statuses of which every word follows from a small number. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "step.h"

enum { MOST = 150, NUMBERS = 100 };

enum step_checks step_checks = STEP_ALL;
struct step_where step_where = {.scenario = "start", .root = ""};

void step_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fputs("step: FAILED: ", stderr);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, " (%s, state %u, behind instruction %llu, in %s)\n", step_where.scenario,
            step_where.state, (unsigned long long)step_where.instruction, step_where.root);
    va_end(arguments);
    /* Children inherited buffers and clean-up handlers of ours; nothing of that is theirs. */
    _exit(1);
}

/* Neighbours differ in all bits, so that a record made of two shows in both halves of a word. */
static uint64_t spread(uint64_t number)
{
    uint64_t z = number * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    return z ^ (z >> 27);
}

/* The number that was spread; 0: none of ours. */
static unsigned gather(uint64_t value)
{
    for (unsigned number = 1; number < NUMBERS; number++)
        if (spread(number) == value)
            return number;
    return 0;
}

struct shmconf_record step_status(unsigned status, unsigned content)
{
    struct shmconf_record record = {
        .failures = (uint32_t)spread(status),
        .fetched_ns = spread(content),
        .checked_ns = spread(status),
        .tried_ns = spread(status) * 3,
        .next_ns = ~spread(status),
        .error = (uint32_t)spread(status) + 1,
        .http_status = (uint32_t)spread(status) + 2,
        .interval_s = (uint32_t)spread(status) + 3,
    };
    return record;
}

struct region_content step_content(unsigned content)
{
    static char payload[MOST], type[64], label[64];
    size_t size = spread(content) % MOST;
    for (size_t i = 0; i < size; i++)
        payload[i] = (char)spread((uint64_t)content * MOST + i);
    snprintf(type, sizeof type, "application/x-step-%u", content);
    snprintf(label, sizeof label, "label %llx", (unsigned long long)spread(content));
    if (content % 4 == 0)
        label[0] = '\0';
    struct region_content made = {payload, size, type, label,
                                  content % 2 ? SHMCONF_JSON : SHMCONF_OPAQUE};
    return made;
}

static void verify_slice(const struct shmconf_slice *slice, const void *expected, size_t size,
                         unsigned content, const char *what)
{
    if (slice->size != size || memcmp(slice->data, expected, size) != 0 ||
        slice->data[size] != '\0')
        step_fail("the %s of content %u has %zu bytes that were not published", what, content,
                  slice->size);
}

unsigned step_verify(const struct shmconf_version *version)
{
    unsigned number = gather(version->fetched_ns);
    if (number == 0)
        step_fail("generation %llu is of no publication", (unsigned long long)version->generation);
    struct region_content content = step_content(number);
    verify_slice(&version->text, content.payload, content.size, number, "text");
    verify_slice(&version->content_type, content.content_type, strlen(content.content_type), number,
                 "content type");
    verify_slice(&version->label, content.label, strlen(content.label), number, "label");
    if (version->kind != (uint32_t)content.kind || version->instance == 0)
        step_fail("content %u has another kind, or no instance", number);
    return number;
}

struct step_view step_verify_record(const struct shmconf_record *record)
{
    struct step_view view = {record->generation, gather(record->fetched_ns),
                             gather(record->checked_ns)};
    if (view.content == 0 || view.status == 0)
        step_fail("the status is of no check");
    struct shmconf_record expected = step_status(view.status, view.content);
    if (record->failures != expected.failures || record->tried_ns != expected.tried_ns ||
        record->next_ns != expected.next_ns || record->error != expected.error ||
        record->http_status != expected.http_status || record->interval_s != expected.interval_s)
        step_fail("status %u is made of two", view.status);
    if (record->payload_size != step_content(view.content).size)
        step_fail("status %u has the size of another version", view.status);
    return view;
}

struct step_view step_verify_health(const struct shmconf_health *health)
{
    struct shmconf_record record = {
        .generation = health->generation,
        .failures = health->failures,
        .fetched_ns = health->fetched_ns,
        .checked_ns = health->checked_ns,
        .tried_ns = health->tried_ns,
        .next_ns = health->next_ns,
        .error = health->error,
        .http_status = health->http_status,
        .interval_s = health->interval_s,
        .payload_size = health->size,
    };
    return step_verify_record(&record);
}
