/* SPDX-License-Identifier: Apache-2.0 */
/* From texts to values, one function for each type. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/json.h"
#include "settings/table.h"
#include "shmconf/name.h"

/* Longest value that a message repeats. */
enum { QUOTED_SIZE = 120 };

/* Digits only: no sign, no space, no overflow. */
static bool parse_digits(const char *text, size_t length, uint64_t max, uint64_t *value)
{
    uint64_t result = 0;
    if (length == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        unsigned digit = (unsigned)(text[i] - '0');
        if (result > (max - digit) / 10)
            return false;
        result = result * 10 + digit;
    }
    *value = result;
    return true;
}

static bool parse_text(const struct setting *row, const char *text, void *member)
{
    (void)row;
    memcpy(member, &text, sizeof text);
    return true;
}

static bool parse_number(const struct setting *row, const char *text, void *member)
{
    uint64_t value;
    if (!parse_digits(text, strlen(text), UINT_MAX, &value) || value < row->min || value > row->max)
        return false;
    unsigned number = (unsigned)value;
    memcpy(member, &number, sizeof number);
    return true;
}

/* The position of `text` in a list divided by |, whatever its case; -1 when it is not there. */
static int find_choice(const char *choices, const char *text)
{
    size_t length = strlen(text);
    for (int i = 0;; i++) {
        size_t end = strcspn(choices, "|");
        if (end == length && strncasecmp(choices, text, length) == 0)
            return i;
        if (!choices[end])
            return -1;
        choices += end + 1;
    }
}

static bool parse_choice(const struct setting *row, const char *text, void *member)
{
    int found = find_choice(row->choices, text);
    if (found < 0)
        return false;
    unsigned choice = (unsigned)found;
    memcpy(member, &choice, sizeof choice);
    return true;
}

static bool parse_boolean(const struct setting *row, const char *text, void *member)
{
    (void)row;
    int found = find_choice("false|true|0|1", text);
    if (found < 0)
        return false;
    bool value = found % 2 == 1;
    memcpy(member, &value, sizeof value);
    return true;
}

/* The nanoseconds of a unit, 0 when the type does not know it. */
static uint64_t unit_ns(enum setting_type type, const char *unit)
{
    static const struct {
        enum setting_type type;
        const char *unit;
        uint64_t ns;
    } units[] = {
        {SETTING_SECONDS, "", NS_PER_S},       {SETTING_SECONDS, "s", NS_PER_S},
        {SETTING_SECONDS, "m", NS_PER_S * 60}, {SETTING_SECONDS, "h", NS_PER_S * 3600},
        {SETTING_MILLISECONDS, "", NS_PER_MS}, {SETTING_MILLISECONDS, "ms", NS_PER_MS},
        {SETTING_MILLISECONDS, "s", NS_PER_S},
    };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (units[i].type == type && strcmp(units[i].unit, unit) == 0)
            return units[i].ns;
    }
    return 0;
}

/* A whole number, or with a unit also a fraction of up to three digits: 45, 45s, 1.5m. */
static bool parse_duration(const struct setting *row, const char *text, void *member)
{
    size_t whole = strspn(text, "0123456789");
    size_t fraction = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;
    const char *unit = text + whole + (text[whole] == '.' ? fraction + 1 : 0);
    uint64_t ns = unit_ns(row->type, unit);
    uint64_t base = unit_ns(row->type, "");
    uint64_t units;
    uint64_t part = 0;
    if (ns == 0 || !parse_digits(text, whole, UINT_MAX, &units))
        return false;
    /* Before it is multiplied: 64 bits of nanoseconds hold fewer hours than that. */
    if (units > row->max * base / ns)
        return false;
    if (text[whole] == '.' &&
        (*unit == '\0' || fraction > 3 || !parse_digits(text + whole + 1, fraction, 999, &part)))
        return false;
    for (size_t i = fraction; i < 3; i++)
        part *= 10;
    uint64_t value = units * ns + part * (ns / 1000);
    if (value < row->min * base || value > row->max * base)
        return false;
    memcpy(member, &value, sizeof value);
    return true;
}

static bool parse_path(const struct setting *row, const char *text, void *member)
{
    return strlen(text) < PATH_MAX && parse_text(row, text, member);
}

static bool parse_host(const struct setting *row, const char *text, void *member)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789.-_";
    struct in6_addr address;
    size_t length = strlen(text);
    if (strchr(text, ':')) {
        if (inet_pton(AF_INET6, text, &address) != 1)
            return false;
    } else if (strspn(text, "0123456789.") == length) {
        if (inet_pton(AF_INET, text, &address) != 1)
            return false;
    } else if (length > 253 || strspn(text, letters) != length) {
        return false;
    }
    return parse_text(row, text, member);
}

static bool parse_group(const struct setting *row, const char *text, void *member)
{
    (void)row;
    uint64_t number;
    gid_t gid;
    if (parse_digits(text, strlen(text), UINT_MAX - 1, &number)) {
        gid = (gid_t)number;
    } else {
        const struct group *group = getgrnam(text);
        if (!group)
            return false;
        gid = group->gr_gid;
    }
    memcpy(member, &gid, sizeof gid);
    return true;
}

static bool parse_region(const struct setting *row, const char *text, void *member)
{
    size_t length = strlen(text);
    return length <= 64 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == length &&
           parse_text(row, text, member);
}

/* As the source will read it, so that nothing is taken here that is dropped there. */
static bool is_configuration(const char *at, const char *end)
{
    char text[SHMCONF_NAME_TEXT_MAX];
    struct shmconf_name name;
    size_t length = (size_t)(end - at);
    if (length >= sizeof text)
        return false;
    memcpy(text, at, length);
    text[length] = '\0';
    return shmconf_name_parse(&name, text) == 0;
}

static bool parse_configurations(const struct setting *row, const char *text, void *member)
{
    const char *at = text;
    for (;;) {
        const char *end = at + strcspn(at, ",");
        const char *first = at + strspn(at, SETTINGS_LIST_BLANKS);
        const char *last = end;
        while (last > first && strchr(SETTINGS_LIST_BLANKS, last[-1]))
            last--;
        if (!is_configuration(first, last))
            return false;
        if (!*end)
            return parse_text(row, text, member);
        at = end + 1;
    }
}

static bool parse_destination(const struct setting *row, const char *text, void *member)
{
    return (strcmp(text, "stderr") == 0 || strncmp(text, "file:/", strlen("file:/")) == 0) &&
           parse_text(row, text, member);
}

/* Only checked: the readers read it themselves. */
static bool parse_owner(const struct setting *row, const char *text, void *member)
{
    (void)row, (void)member;
    uint64_t uid;
    return strcmp(text, "any") == 0 || parse_digits(text, strlen(text), UINT_MAX - 1, &uid);
}

static const struct {
    bool (*parse)(const struct setting *row, const char *text, void *member);
    const char *allowed; /* NULL: setting_allowed makes it from the row */
} types[] = {
    [SETTING_TEXT] = {parse_text, "any text"},
    [SETTING_NUMBER] = {parse_number, NULL},
    [SETTING_CHOICE] = {parse_choice, NULL},
    [SETTING_BOOLEAN] = {parse_boolean, "true, false, 1 or 0"},
    [SETTING_SECONDS] = {parse_duration, NULL},
    [SETTING_MILLISECONDS] = {parse_duration, NULL},
    [SETTING_PATH] = {parse_path, "a path"},
    [SETTING_HOST] = {parse_host, "localhost, all, an IP address or a host name"},
    [SETTING_GROUP] = {parse_group, "a group id or the name of a group of this system"},
    [SETTING_REGION] = {parse_region, "a region code such as eu-west-1"},
    [SETTING_CONFIGURATIONS] = {parse_configurations,
                                "Application:Environment:Profile or the path of the HTTP API, "
                                "several divided by commas"},
    [SETTING_DESTINATION] = {parse_destination, "stderr or file:/directory/"},
    [SETTING_OWNER] = {parse_owner, "a user id or any"},
};

static void list_choices(const char *choices, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "one of ");
    for (; *choices && used + 2 < size; choices++) {
        char c = *choices;
        if (c == '|') {
            out[used++] = ',';
            c = ' ';
        }
        out[used++] = c;
    }
    out[used] = '\0';
}

void setting_allowed(const struct setting *row, char *out, size_t size)
{
    if (types[row->type].allowed)
        snprintf(out, size, "%s", types[row->type].allowed);
    else if (row->type == SETTING_NUMBER)
        snprintf(out, size, "a whole number from %u to %u", row->min, row->max);
    else if (row->type == SETTING_SECONDS)
        snprintf(out, size, "%u to %u seconds; also with a unit: 90s, 1.5m, 1h", row->min,
                 row->max);
    else if (row->type == SETTING_MILLISECONDS)
        snprintf(out, size, "%u to %u milliseconds; also with a unit: 500ms, 1.5s", row->min,
                 row->max);
    else
        list_choices(row->choices, out, size);
}

int setting_parse(struct settings *settings, const struct setting *row, const char *spelling,
                  const char *text, struct error *error)
{
    void *member =
        row->member == SETTING_NO_MEMBER ? (void *)&text : (char *)settings + row->member;
    if (*text && types[row->type].parse(row, text, member))
        return 0;
    char allowed[160];
    setting_allowed(row, allowed, sizeof allowed);
    if (row->secret)
        return error_set(error, EINVAL, spelling, "its value is not allowed; allowed: %s", allowed);
    char quoted[QUOTED_SIZE];
    size_t length = json_escape(quoted, sizeof quoted, text, strlen(text));
    return error_set(error, EINVAL, spelling, "\"%s%s\" is not allowed; allowed: %s", quoted,
                     length >= sizeof quoted ? "..." : "", allowed);
}
