/* SPDX-License-Identifier: Apache-2.0 */
/* The machine, the table, the JSON. */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bench.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* The first value of `key` in /proc/cpuinfo; false: there is none. */
static bool cpu_value(const char *key, char *value, size_t size)
{
    char line[256];
    bool is_found = false;
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && !is_found && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        is_found = colon && strncmp(line, key, strlen(key)) == 0 &&
                   strspn(line + strlen(key), " \t") == (size_t)(colon - line) - strlen(key);
        if (is_found)
            snprintf(value, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
    }
    if (file)
        fclose(file);
    return is_found;
}

/* Virtual machines say "AMD EPYC" of each generation, and reads differ by it. */
static void look_at_cpu(char *cpu, size_t size)
{
    char name[64] = "unknown", family[16], model[16];
    cpu_value("model name", name, sizeof name);
    if (cpu_value("cpu family", family, sizeof family) && cpu_value("model", model, sizeof model))
        snprintf(cpu, size, "%s (family %s, model %s)", name, family, model);
    else if (cpu_value("CPU implementer", family, sizeof family) &&
             cpu_value("CPU part", model, sizeof model))
        snprintf(cpu, size, "implementer %s, part %s", family, model);
    else
        snprintf(cpu, size, "%s", name);
}

void machine_look(struct machine *machine, const char *directory)
{
    static const struct {
        unsigned long type;
        const char *name;
    } types[] = {{0xef53, "ext4"},      {0x01021994, "tmpfs"},   {0x58465342, "xfs"},
                 {0x9123683e, "btrfs"}, {0x794c7630, "overlay"}, {0x6969, "nfs"},
                 {0x2fc12fc1, "zfs"}};
    struct utsname kernel;
    struct statfs region;
    look_at_cpu(machine->cpu, sizeof machine->cpu);
    uname(&kernel);
    snprintf(machine->kernel, sizeof machine->kernel, "%.50s %.70s", kernel.release,
             kernel.machine);
    machine->compiler = COMPILER;
    unsigned long type = statfs(directory, &region) == 0 ? (unsigned long)region.f_type : 0;
    snprintf(machine->file_system, sizeof machine->file_system, "%#lx", type);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].type == type)
            snprintf(machine->file_system, sizeof machine->file_system, "%s", types[i].name);
}

/*
 * How many plain loads of the same table it takes. By the least disturbed blocks: what else runs on
 * the machine lengthens a block by more than the operations differ in.
 */
static double ratio_of(const struct row *row, const struct row *rows, size_t count, bool is_chain)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].key, "load") != 0)
            continue;
        return is_chain ? row->chain.min / rows[i].chain.min : row->result.min / rows[i].result.min;
    }
    return 0;
}

static const char *verdict_of(const struct row *row, double ratio)
{
    double value = row->budget == BUDGET_RATIO ? ratio : row->result.median;
    if (row->budget == BUDGET_NONE || !row->result.is_there)
        return "";
    return value <= row->limit ? "ok" : "MISSED";
}

/* Nanoseconds up to ten thousand, then microseconds. */
static void print_figure(const struct figure *figure)
{
    char text[2][32];
    double values[2] = {figure->min, figure->median};
    if (!figure->is_there) {
        printf("  %20s", "-");
        return;
    }
    for (int i = 0; i < 2; i++) {
        if (values[i] < 10000)
            snprintf(text[i], sizeof text[i], "%.*f", values[i] < 100 ? 2 : 0, values[i]);
        else
            snprintf(text[i], sizeof text[i], "%.1f us", values[i] / 1000);
    }
    printf("  %9s /%9s", text[0], text[1]);
}

static void print_ratio(double ratio)
{
    printf(" %8.*f", ratio < 100 ? 2 : 0, ratio);
}

static void print_row(const struct row *row, const struct row *rows, size_t count)
{
    printf("%-38s", row->title);
    if (row->missing) {
        printf("  %s\n", row->missing);
        return;
    }
    double ratio = ratio_of(row, rows, count, false);
    print_figure(&row->result);
    print_figure(&row->chain);
    print_ratio(ratio);
    if (row->chain.is_there)
        print_ratio(ratio_of(row, rows, count, true));
    else
        printf(" %8s", "-");
    if (row->budget == BUDGET_RATIO)
        printf("  <= %.1fx: %s", row->limit, verdict_of(row, ratio));
    else if (row->budget == BUDGET_NS)
        printf("  <= %.0f us: %s", row->limit / 1000, verdict_of(row, ratio));
    putchar('\n');
}

void report_text(const struct machine *machine, const struct row *rows, size_t count)
{
    printf("cpu          %s%s\n", machine->cpu,
           machine->reader_cpu < 0 ? " (the reader could not be pinned)" : "");
    printf("kernel       %s\n", machine->kernel);
    printf("compiler     %s\n", machine->compiler);
    printf("region on    %s\n\n", machine->file_system);
    printf("%-38s  %20s  %20s %17s  %s\n", "ns: min / median", "throughput", "dependent latency",
           "x load: thr, lat", "budget");
    for (size_t i = 0; i < count; i++)
        print_row(&rows[i], rows, count);
    puts("\nThe loop is in every row. Ratios are of the least figures; those of throughput (thr) "
         "are");
    puts("held to the budgets, beside those of latency (lat). A switch is held to it by its "
         "median.");
}

static void json_string(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar((unsigned char)*text < 0x20 ? ' ' : *text);
    }
    putchar('"');
}

static void json_figure(const char *key, const struct figure *figure)
{
    if (figure->is_there)
        printf(", \"%s\": {\"min\": %.4f, \"median\": %.4f}", key, figure->min, figure->median);
}

static void json_row(const struct row *row, const struct row *rows, size_t count)
{
    printf("    {\"key\": \"%s\", \"title\": ", row->key);
    json_string(row->title);
    if (row->missing) {
        printf(", \"missing\": \"%s\"}", row->missing);
        return;
    }
    double ratio = ratio_of(row, rows, count, false);
    json_figure("throughput_ns", &row->result);
    json_figure("latency_ns", &row->chain);
    printf(", \"ratio\": %.4f", ratio);
    if (row->chain.is_there)
        printf(", \"latency_ratio\": %.4f", ratio_of(row, rows, count, true));
    if (row->budget != BUDGET_NONE)
        printf(", \"budget_%s\": %.1f, \"is_met\": %s",
               row->budget == BUDGET_RATIO ? "ratio" : "ns", row->limit,
               strcmp(verdict_of(row, ratio), "ok") == 0 ? "true" : "false");
    putchar('}');
}

void report_json(const struct machine *machine, const struct row *rows, size_t count)
{
    printf("{\n  \"cpu\": ");
    json_string(machine->cpu);
    printf(",\n  \"kernel\": ");
    json_string(machine->kernel);
    printf(",\n  \"compiler\": ");
    json_string(machine->compiler);
    printf(",\n  \"file_system\": ");
    json_string(machine->file_system);
    printf(",\n  \"cores\": %ld", sysconf(_SC_NPROCESSORS_ONLN));
    printf(",\n  \"is_pinned\": %s,\n  \"rows\": [\n", machine->reader_cpu < 0 ? "false" : "true");
    for (size_t i = 0; i < count; i++) {
        json_row(&rows[i], rows, count);
        puts(i + 1 < count ? "," : "");
    }
    printf("  ]\n}\n");
}
