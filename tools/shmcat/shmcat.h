/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shmcat shows what is in the region; it never writes there.
 *
 * A command is one file: its options, a table of them, and one function; main.c lists the commands,
 * usage.c makes help, man page and completions from these tables. config.c walks the region, row.c
 * says of each configuration what ls, status and watch show, table.c lays that out, text.c makes
 * everything harmless to a terminal.
 */
#ifndef SHMCAT_H
#define SHMCAT_H

#include <shmconf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum exit_code { EXIT_FINE, EXIT_FAILED, EXIT_USAGE, EXIT_STALE, EXIT_TIMEOUT };

#define NOT_GIVEN UINT64_MAX /* an option that is a number or a duration */

/* ---- Commands (main.c, options.c) ---- */

enum option_kind {
    OPTION_FLAG,
    OPTION_TEXT,
    OPTION_DIRECTORY,
    OPTION_WHEN, /* auto, always or never */
    OPTION_DURATION,
    OPTION_NUMBER,
};

struct option_row {
    char letter; /* '\0': none */
    enum option_kind kind;
    const char *name;
    const char *argument; /* what help calls it; NULL for a flag */
    const char *help;
    void *value; /* bool, const char *, uint64_t in nanoseconds, uint64_t from 1 */
};

/* The options of every command. */
struct common {
    bool json;
    bool color;
    bool screen; /* stdout is a terminal that understands cursor movements */
};

struct command {
    const char *name;
    const char *arguments; /* for the usage line */
    const char *summary;
    const char *details;
    const struct option_row *options; /* up to a row without a name; NULL: none */
    int least;                        /* arguments */
    int most;
    int (*run)(const struct common *common, char **arguments);
};

extern const struct command ls_command, cat_command, status_command, follow_command, watch_command,
    verify_command, dump_command, readers_command, bench_command, doctor_command;

/*
 * Takes the options of both tables (NULL is allowed) out of argv[1...]; with `stop` those before
 * the first argument only. Returns the index of the first argument, or -1 after it reported a
 * mistake.
 */
int options_parse(const struct option_row *first, const struct option_row *second, bool stop,
                  int argc, char **argv);
void options_help(const struct option_row *rows);

/* ---- What it says of itself (usage.c) ---- */

struct usage {
    const struct command *const *commands; /* up to NULL */
    const struct option_row *common;       /* of every command */
    const struct option_row *alone;        /* without a command */
};

void usage_overall(const struct usage *usage);
void usage_command(const struct usage *usage, const struct command *command);
void usage_man_page(const struct usage *usage);
void usage_bash_completion(const struct usage *usage);
void usage_zsh_completion(const struct usage *usage);

/* Edits that make one word the other; large when either is long. */
unsigned edit_distance(const char *a, const char *b);

/* ---- The region (config.c) ---- */

/* One configuration's directory with its head, open while it is looked at. */
struct config {
    const struct shmconf_place *place;    /* whom to trust */
    char path[SHMCONF_PARTS * 256];       /* of the directory, below the root */
    char file[SHMCONF_VERSION_FILE_SIZE]; /* opened last; "": the directory is where it ended */
    int error;                            /* 0, or -errno: no record */
    struct shmconf_name name;             /* as the head has it; size 0: not trusted */
    int directory;
    const struct shmconf_head *head;
    uint64_t instance;
    struct shmconf_record record;
};

/* Where a configuration is, by SHMCONF_DIR, and whom to trust there. Freed with free. An exit code.
 */
int place_make(struct shmconf_place **place, const char *name);

/* A name for a place that is only scanned. */
#define ANY_NAME "-:-:-"

/*
 * Opens the place's configuration: 0 or config->error. To be closed either way. Where a level above
 * it is refused config->path ends with that one; "": the root is.
 */
int config_open(struct config *config, const struct shmconf_place *place);
void config_close(struct config *config);

/* Loads what the directory has now. Whether a version was published meanwhile, by the same head or
 * by another one. */
bool config_reload(struct config *config);

/* The root's own, which no configuration can be looked for in. */
struct config config_of_root(const struct shmconf_place *place);

/* What has this name in the directory, or the directory itself: "". False: nothing. */
bool config_look(const struct config *config, const char *file, struct stat *status);

/* A file of the directory, or the directory itself: "", below the root. To be freed. */
char *config_path(const struct config *config, const char *file);

/* A version, read into memory and checked; released with shmconf_version_release. */
int config_version(struct config *config, uint64_t generation, struct shmconf_version **version);

/* The first `count` bytes of such a file, and its size. 0, or -errno: it may be shorter. */
int config_file_begin(struct config *config, const char *file, void *bytes, size_t count,
                      size_t *size);

/*
 * A whole file of the configuration's directory as it is, at least `least` bytes. 0 with `bytes` to
 * be freed, or -errno.
 */
int config_file(struct config *config, const char *file, long least, char **bytes, size_t *size);

/* The current version; takes a newer record when the writer was faster. */
int config_current(struct config *config, struct shmconf_version **version);

/* Calls `visit` for every entry and for whatever stands in the place of one, until it returns
 * false. 0, or -errno when there is no root that can be read. */
int region_scan(const struct shmconf_place *place, bool (*visit)(struct config *, void *),
                void *context);

/* The same with what begins with a dot, which no configuration does: visited with -ENOTDIR. Not the
 * daemon's own file in the root. */
int region_scan_all(const struct shmconf_place *place, bool (*visit)(struct config *, void *),
                    void *context);

/* ---- Who holds the region (lock.c) ---- */

/*
 * Whether a daemon holds the region, by its root's descriptor: 1, 0, or -errno where that cannot be
 * told. Also one in another PID namespace, which /proc does not show. Who asks holds the lock for
 * an instant itself; a daemon that starts meanwhile tries for 200 ms, and one that comes back to
 * its root once, and again at its next check.
 */
int root_is_held(int root);

/* The same by the place; false also where that cannot be told. */
bool region_is_held(const struct shmconf_place *place);

/* The process that holds it; 0: none that is seen here. */
long root_holder(int root);

/* By a signal or a debugger. */
bool process_is_stopped(long pid);

/* ---- What to do about what readers refuse (remedy.c) ---- */

extern const char *const remedy_republish;
extern const char *const remedy_make_anew;

/* What a -errno means for config->file, and what to do: clauses, not to be freed. */
const char *problem_of(int error);
const char *remedy_of(int error, const struct config *config);

/* Each of these reports in one line and returns EXIT_FAILED. */

/* A value of the reader, where no file of the region is known to be at fault. */
int fail(const char *subject, int rc);
/* The same of config->file; of a configuration that is not there by its name. */
int fail_config(const char *name, const struct config *config, int rc);
/* That generation of an open configuration is not kept, or is still to come. */
int fail_generation(const char *name, struct config *config, uint64_t generation);
/* The region as a whole. -ENOENT: there is none; 0: nothing is published in it. */
int fail_region(const struct shmconf_place *place, int rc);

/* ---- What is shown of an entry (row.c) ---- */

enum row_state { ROW_OK, ROW_FAILING, ROW_STALE, ROW_EMPTY, ROW_MOVED, ROW_DAMAGED };

struct row {
    char *name; /* as shmconf_open takes it; NULL: not known */
    char *path;
    char *type;
    char *label;
    uint64_t instance;
    struct shmconf_record record; /* generation 0: not known */
    enum row_state state;
    char reason[128]; /* of the state */
    int error;        /* why there is no current version; 0: there is */
};

struct rows {
    struct row *at; /* sorted by path */
    size_t count;
};

void row_fill(struct row *row, struct config *config);
void row_free(struct row *row);
void row_state_text(const struct row *row, char *out, size_t size);
void row_last_error(const struct shmconf_record *record, char *out, size_t size);
void row_json(FILE *out, const struct row *row);

/* Fills `rows`, also on failure; 0 or -errno of the root. */
int rows_scan(struct rows *rows, const struct shmconf_place *place);
void rows_free(struct rows *rows);
const struct row *rows_find(const struct rows *rows, const struct row *of_path);
void rows_json(FILE *out, const struct rows *rows, const struct shmconf_place *place);

/* ---- The table (table.c) ---- */

struct view {
    bool color;
    unsigned columns;          /* lines are cut there; 0: never */
    unsigned lines;            /* rows that fit; 0: all */
    const char *end;           /* of a line */
    const struct rows *before; /* rows that changed since are highlighted; NULL: none */
};

void table_print(FILE *out, const struct rows *rows, const struct view *view);

/* ---- Text (text.c) ---- */

enum { TIME_SIZE = 32, AGE_SIZE = 24 };

/* Reports "shmcat: subject: text" in one line; returns EXIT_FAILED. */
int complain(const char *subject, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* asprintf that ends the program when memory runs out. */
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * A copy that is one line of visible characters: control characters, bytes that are not UTF-8 and
 * whatever takes no column of its own (direction marks, joiners) are escaped. Freed with free.
 */
char *text_visible(const char *data, size_t size);

/* The columns that visible text takes; and cut behind as many of them. */
unsigned text_width(const char *text);
void text_cut(char *text, unsigned columns);

void text_time(char out[TIME_SIZE], uint64_t ns); /* RFC 3339 with ms; "-": not known */
void text_span(char out[AGE_SIZE], uint64_t ns);  /* "345ms", "12s", "5m", "7h", "3d" */
void text_age(char out[AGE_SIZE], uint64_t now, uint64_t then); /* a span, "in " one, or "-" */

/* `lead` is what stands before the value, for example ",\"label\":". */
void json_string(FILE *out, const char *lead, const char *data, size_t size);
void json_time(FILE *out, const char *lead, uint64_t ns); /* a string or null */

/* The members that describe a version, without braces. */
void json_version(FILE *out, const char *name, const struct shmconf_version *version);

/* "text", or "base64" where it is not UTF-8. */
void json_payload(FILE *out, const struct shmconf_slice *text);

/* ---- Signals (guard.c) ---- */

/*
 * From here on a file that is truncated while it is mapped reads as zeros, which the reader takes
 * for damage, and an interrupt exits with 130.
 */
void guard_install(void);

/* From here on an interrupt leaves colours plain, and a resized window ends the sleep. */
void guard_screen(void);
void guard_sleep(uint64_t ns);

/* Ends by SIGPIPE, as the next line would, when nobody reads stdout any more. */
void guard_output(void);

#endif
