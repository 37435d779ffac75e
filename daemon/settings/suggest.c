/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean": the known name that is nearest to an unknown one. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "settings/table.h"

enum { NAME_SIZE = 64 };

static unsigned smallest(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein's distance; both are shorter than NAME_SIZE. */
static unsigned edit_distance(const char *a, const char *b)
{
    unsigned row[NAME_SIZE];
    size_t width = strlen(b);
    for (unsigned j = 0; j <= width; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1]; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= width; j++) {
            unsigned above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[width];
}

/* Lower is nearer, 0 equal; above 400 the two have little in common. */
static unsigned dissimilarity(const char *unknown, const char *name)
{
    if (!name)
        return 1000;
    size_t a = strlen(unknown);
    size_t b = strlen(name);
    size_t longer = a > b ? a : b;
    return longer == 0 ? 1000 : (unsigned)((size_t)1000 * edit_distance(unknown, name) / longer);
}

/* Divides `unknown` into a kind and the name as the table would write it. */
static bool dissect(const char *unknown, enum settings_source *source, char name[NAME_SIZE])
{
    static const struct {
        const char *prefix;
        enum settings_source source;
    } kinds[] = {
        {"--", SOURCE_OPTION},
        {SETTING_OWN_PREFIX, SOURCE_OWN},
        {SETTING_AWS_PREFIX, SOURCE_PREFIXED},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t prefix = strlen(kinds[i].prefix);
        if (strncmp(unknown, kinds[i].prefix, prefix) != 0)
            continue;
        size_t length = strcspn(unknown + prefix, "=");
        if (length >= NAME_SIZE)
            return false;
        for (size_t j = 0; j < length; j++) {
            char c = unknown[prefix + j];
            if (c == '-')
                c = '_';
            name[j] = (char)toupper((unsigned char)c);
        }
        name[length] = '\0';
        *source = kinds[i].source;
        return true;
    }
    return false;
}

static unsigned suggest_command(const char *name, unsigned best, char *out)
{
    for (size_t i = 0; i < setting_commands_count; i++) {
        char spelling[SETTING_SPELLING_SIZE];
        enum settings_source source;
        char command[NAME_SIZE];
        snprintf(spelling, sizeof spelling, "--%s", setting_commands[i].name);
        if (!dissect(spelling, &source, command))
            continue;
        unsigned distance = dissimilarity(name, command);
        if (distance < best) {
            best = distance;
            memcpy(out, spelling, sizeof spelling);
        }
    }
    return best;
}

bool setting_suggest(const char *unknown, char out[SETTING_SPELLING_SIZE])
{
    enum settings_source source;
    char name[NAME_SIZE];
    unsigned best = 401;
    if (!dissect(unknown, &source, name))
        return false;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings_table[i];
        /* A name of another family is meant for this one: POLL_INTERVAL, POLL_INTERVAL_SECONDS. */
        unsigned distance =
            smallest(dissimilarity(name, row->name), dissimilarity(name, row->prefixed),
                     dissimilarity(name, row->alias));
        if (distance < best &&
            (setting_spelling(row, source, out) ||
             (source != SOURCE_OPTION && setting_spelling(row, SOURCE_OWN, out))))
            best = distance;
    }
    if (source == SOURCE_OPTION)
        best = suggest_command(name, best, out);
    return best <= 400;
}
