/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the settings, for the files of this folder. */
#ifndef SHMCONFD_SETTINGS_TABLE_H
#define SHMCONFD_SETTINGS_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "settings/settings.h"

/* How a text becomes a member of struct settings; parse.c has a row for each. */
enum setting_type {
    SETTING_TEXT,
    SETTING_NUMBER,
    SETTING_CHOICE,
    SETTING_BOOLEAN,
    SETTING_SECONDS,      /* a duration; its unit, and that of its range, is the second */
    SETTING_MILLISECONDS, /* the same in milliseconds */
    SETTING_PATH,
    SETTING_HOST,
    SETTING_GROUP,
    SETTING_REGION,
    SETTING_CONFIGURATIONS,
    SETTING_DESTINATION,
    SETTING_OWNER,
};

enum setting_state {
    SETTING_IMPLEMENTED,
    SETTING_IGNORED, /* until implemented: checked, and a warning when given */
    SETTING_REFUSED, /* until implemented: an error when given, as ignoring it would do harm */
    SETTING_READERS, /* for the readers of the region; the daemon takes no option for it */
};

enum setting_topic { TOPIC_HTTP, TOPIC_REGION, TOPIC_LOG, TOPIC_SOURCE, TOPIC_PROCESS };

#define SETTING_NO_MEMBER ((size_t)-1)

struct setting {
    const char *name;       /* makes the option --like-this and the variable SHMCONF_LIKE_THIS */
    const char *prefixed;   /* after AWS_APPCONFIG_EXTENSION_; NULL: a setting of ours alone */
    const char *unprefixed; /* NULL likewise */
    const char *alias;      /* one more name for both, or NULL */
    enum setting_type type;
    enum setting_state state;
    enum setting_topic topic;
    unsigned min;
    unsigned max;
    bool secret;          /* its value is never shown */
    const char *argument; /* what the option's value is called in --help */
    const char *choices;  /* for SETTING_CHOICE, divided by |, in the order of the enum */
    const char *preset;   /* the default, NULL: none */
    const char *absence;  /* what it means when there is no default, or NULL */
    const char *meaning;  /* one line */
    const char *harm;     /* what ignoring it would do */
    const char *lead;     /* the setting without which this one means nothing, or NULL */
    size_t member;        /* offset in struct settings */
};

extern const struct setting settings_table[];
extern const size_t settings_count;

/* Where a value may come from; after the first, in the order of precedence. */
enum settings_source {
    SOURCE_DEFAULT,
    SOURCE_OPTION,
    SOURCE_OWN,
    SOURCE_PREFIXED,
    SOURCE_PREFIXED_ALIAS,
    SOURCE_UNPREFIXED,
    SOURCE_UNPREFIXED_ALIAS,
    SOURCE_COUNT,
};

struct settings_value {
    char *text; /* NULL: not given */
    enum settings_source source;
};

#define SETTING_OWN_PREFIX "SHMCONF_"
#define SETTING_AWS_PREFIX "AWS_APPCONFIG_EXTENSION_"

enum { SETTING_SPELLING_SIZE = 96 };

/* The option's or variable's full name; false when the setting has none there. */
bool setting_spelling(const struct setting *row, enum settings_source source,
                      char out[SETTING_SPELLING_SIZE]);

/*
 * The name nearest to `unknown`, an option with its dashes or a variable; false when none is near.
 */
bool setting_suggest(const char *unknown, char out[SETTING_SPELLING_SIZE]);

/* Options that are not settings. */
struct setting_command {
    const char *name;
    enum settings_action action;
    const char *meaning;
};

extern const struct setting_command setting_commands[];
extern const size_t setting_commands_count;

struct setting_status {
    enum exit_status status;
    const char *meaning;
};

extern const struct setting_status setting_statuses[];
extern const size_t setting_statuses_count;

/* AWS's standard variables that are read where they are used, and have no other spelling. */
struct setting_standard {
    const char *name;
    const char *meaning;
};

extern const struct setting_standard setting_standards[];
extern const size_t setting_standards_count;

/* Fills settings->values and settings->action from the command line. */
int settings_read_options(struct settings *settings, int argc, char **argv, struct error *error);

/*
 * Parses `text` into the row's member. The error's subject is `spelling`; with EINVAL its message
 * names the value, unless it is secret, and what is allowed.
 */
int setting_parse(struct settings *settings, const struct setting *row, const char *spelling,
                  const char *text, struct error *error);

/* What is allowed, as a phrase: "a whole number from 0 to 65535". */
void setting_allowed(const struct setting *row, char *out, size_t size);

#endif
