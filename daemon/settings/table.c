/* SPDX-License-Identifier: Apache-2.0 */
/* Every setting. A new one is a row here and, unless it is refused, a member of struct settings. */
#include "settings/table.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* The enumerations are stored through `unsigned`. */
_Static_assert(sizeof(enum log_level) == sizeof(unsigned), "");
_Static_assert(sizeof(enum settings_access) == sizeof(unsigned), "");

#define MEMBER(name) .member = offsetof(struct settings, name)
#define AWS(text)    .prefixed = (text), .unprefixed = (text)

/* clang-format off */
const struct setting settings_table[] = {
    {"HTTP_PORT", AWS("HTTP_PORT"), .type = SETTING_NUMBER, .min = 0, .max = 65535,
     .topic = TOPIC_HTTP, .argument = "PORT", .preset = "2772", MEMBER(http_port),
     .meaning = "Port of the HTTP server; 0 takes any free one."},
    {"HTTP_HOST", AWS("HTTP_HOST"), .type = SETTING_HOST,
     .topic = TOPIC_HTTP, .argument = "HOST", .preset = "localhost", MEMBER(http_host),
     .meaning = "Address that the HTTP server listens on; localhost is 127.0.0.1 and ::1."},
    {"CLIENT_TIMEOUT_MS", .type = SETTING_MILLISECONDS, .min = 1, .max = 3600000,
     .topic = TOPIC_HTTP, .argument = "TIME", .preset = "10000ms", MEMBER(client_timeout_ns),
     .meaning = "Time that an HTTP client has to send a request, or to read on in an answer."},
    {"MAX_CLIENTS", .type = SETTING_NUMBER, .min = 1, .max = 65535,
     .topic = TOPIC_HTTP, .argument = "COUNT", .preset = "1024", MEMBER(max_clients),
     .meaning = "Most HTTP connections at a time."},
    {"ACCESS_TOKEN", AWS("ACCESS_TOKEN"), .type = SETTING_TEXT, .state = SETTING_REFUSED,
     .topic = TOPIC_HTTP, .argument = "TOKEN", .secret = true, .member = SETTING_NO_MEMBER,
     .meaning = "Token that HTTP clients must send.",
     .harm = "anyone who reaches the port could read the configurations without the token"},

    {"DIR", .type = SETTING_PATH,
     .topic = TOPIC_REGION, .argument = "PATH", .preset = "/tmp/shmconf", MEMBER(dir),
     .meaning = "Root of the shared-memory region; its readers use the same variable."},
    {"ACCESS", .type = SETTING_CHOICE, .choices = "owner|group|all",
     .topic = TOPIC_REGION, .argument = "WHO", .preset = "owner", MEMBER(access),
     .meaning = "Who may read the region: the daemon's user, a group as well, or everybody."},
    {"GROUP", .type = SETTING_GROUP,
     .topic = TOPIC_REGION, .argument = "GROUP", MEMBER(group), .absence = "the daemon's group",
     .meaning = "Group that the region's files belong to."},
    {"MAX_CONFIGURATIONS", .type = SETTING_NUMBER, .min = 1, .max = 1000000,
     .topic = TOPIC_REGION, .argument = "COUNT", .preset = "1000", MEMBER(max_configurations),
     .meaning = "Most configurations that the daemon holds."},
    {"OWNER", .type = SETTING_OWNER, .state = SETTING_READERS,
     .topic = TOPIC_REGION, .argument = "WHO", .member = SETTING_NO_MEMBER,
     .absence = "the reader's own user, or root",
     .meaning = "Whose region a reader accepts; read by the readers, not by the daemon."},

    {"LOG_LEVEL", AWS("LOG_LEVEL"), .type = SETTING_CHOICE,
     .choices = "trace|debug|info|warn|error|fatal|none",
     .topic = TOPIC_LOG, .argument = "LEVEL", .preset = "info", MEMBER(log_level),
     .meaning = "Least severe level that is logged."},
    {"LOG_FORMAT", .type = SETTING_CHOICE, .choices = "text|json",
     .topic = TOPIC_LOG, .argument = "FORMAT", .preset = "text", MEMBER(log_format),
     .meaning = "Form of the log's lines."},
    {"LOG_PATH", AWS("LOG_PATH"), .type = SETTING_PATH,
     .topic = TOPIC_LOG, .argument = "PATH", MEMBER(log_path), .absence = "standard error",
     .meaning = "File that the log is appended to; SIGHUP opens it again."},

    {"LOCAL_DEVELOPMENT_DIRECTORY", AWS("LOCAL_DEVELOPMENT_DIRECTORY"), .type = SETTING_PATH,
     .topic = TOPIC_SOURCE, .argument = "PATH", MEMBER(local_development_directory),
     .meaning = "Take configurations from the files of this directory and never call AWS."},
    {"PREFETCH_LIST", AWS("PREFETCH_LIST"), .type = SETTING_CONFIGURATIONS,
     .topic = TOPIC_SOURCE, .argument = "LIST", MEMBER(prefetch_list),
     .meaning = "Configurations to fetch at the start."},
    {"POLL_INTERVAL", "POLL_INTERVAL_SECONDS", "POLL_INTERVAL", .type = SETTING_SECONDS,
     .min = 1, .max = 86400, .topic = TOPIC_SOURCE, .argument = "TIME",
     .preset = "45s", MEMBER(poll_interval_ns),
     .meaning = "Time between two looks for a newer version."},
    {"REQUEST_TIMEOUT", "POLL_TIMEOUT_MILLIS", "REQUEST_TIMEOUT", .type = SETTING_MILLISECONDS,
     .min = 1, .max = 3600000, .topic = TOPIC_SOURCE, .argument = "TIME",
     .preset = "3000ms", MEMBER(request_timeout_ns),
     .meaning = "Time that a request to AWS may take."},
    {"MAX_CONNECTIONS", AWS("MAX_CONNECTIONS"), .type = SETTING_NUMBER, .min = 1, .max = 1000,
     .topic = TOPIC_SOURCE, .argument = "COUNT", .preset = "3",
     MEMBER(max_connections), .meaning = "Most connections to AWS at a time."},
    {"SERVICE_REGION", AWS("SERVICE_REGION"), .type = SETTING_REGION,
     .topic = TOPIC_SOURCE, .argument = "REGION", MEMBER(service_region),
     .absence = "AWS_REGION, or AWS_DEFAULT_REGION",
     .meaning = "AWS region that AppConfig is called in."},
    {"FRESH_WAIT_MS", .type = SETTING_MILLISECONDS, .min = 0, .max = 60000,
     .topic = TOPIC_SOURCE, .argument = "TIME", .preset = "100ms", MEMBER(fresh_wait_ns),
     .meaning = "Longest time that an HTTP request waits for the running look at a configuration "
                "that is overdue, as after a freeze; 0 never waits."},
    {"INVOKE_POLL", .type = SETTING_CHOICE, .choices = "wait|background",
     .topic = TOPIC_SOURCE, .argument = "HOW", .preset = "wait", MEMBER(invoke_poll),
     .meaning = "In Lambda: whether an invocation ends only when the polls that were due at its "
                "start have ended, or leaves them to a sandbox that may be frozen."},
    {"BACKUP_DIRECTORY", AWS("BACKUP_DIRECTORY"), .type = SETTING_PATH, .state = SETTING_IGNORED,
     .topic = TOPIC_SOURCE, .argument = "PATH", MEMBER(backup_directory),
     .absence = "no backups", .meaning = "Directory for backups of what was fetched."},
    {"PRELOAD_BACKUPS", AWS("PRELOAD_BACKUPS"), "PRELOAD_BACKUP", .type = SETTING_BOOLEAN,
     .state = SETTING_IGNORED, .topic = TOPIC_SOURCE, .argument = "BOOL", .preset = "true",
     MEMBER(preload_backups),
     .meaning = "Load backups at the start, not only when AWS cannot be reached."},
    {"ROLE_ARN", AWS("ROLE_ARN"), .type = SETTING_TEXT, .state = SETTING_REFUSED,
     .topic = TOPIC_SOURCE, .argument = "ARN", .member = SETTING_NO_MEMBER,
     .meaning = "IAM role to fetch with.",
     .harm = "configurations would be fetched with the wrong permissions"},
    {"ROLE_EXTERNAL_ID", AWS("ROLE_EXTERNAL_ID"), .type = SETTING_TEXT, .state = SETTING_REFUSED,
     .topic = TOPIC_SOURCE, .argument = "ID", .member = SETTING_NO_MEMBER, .secret = true,
     .meaning = "External id for assuming the role.", .lead = "ROLE_ARN"},
    {"ROLE_SESSION_NAME", AWS("ROLE_SESSION_NAME"), .type = SETTING_TEXT, .state = SETTING_REFUSED,
     .topic = TOPIC_SOURCE, .argument = "NAME", .member = SETTING_NO_MEMBER,
     .meaning = "Session name for assuming the role.", .lead = "ROLE_ARN"},
    {"PROXY_URL", AWS("PROXY_URL"), .type = SETTING_TEXT, .state = SETTING_REFUSED,
     .topic = TOPIC_SOURCE, .argument = "URL", .member = SETTING_NO_MEMBER, .secret = true,
     .meaning = "Proxy for connections to AWS.",
     .harm = "connections would go around the proxy"},
    {"PROXY_HEADERS", AWS("PROXY_HEADERS"), .type = SETTING_TEXT, .state = SETTING_REFUSED,
     .topic = TOPIC_SOURCE, .argument = "HEADERS", .member = SETTING_NO_MEMBER, .secret = true,
     .meaning = "Headers for the proxy.", .lead = "PROXY_URL"},
    {"MANIFEST", AWS("MANIFEST"), .type = SETTING_TEXT, .state = SETTING_REFUSED,
     .topic = TOPIC_SOURCE, .argument = "MANIFEST", .member = SETTING_NO_MEMBER,
     .meaning = "Credentials and copies for single configurations.",
     .harm = "the credentials and copies that it asks for would be missing"},
    {"WAIT_ON_MANIFEST", AWS("WAIT_ON_MANIFEST"), .type = SETTING_BOOLEAN,
     .state = SETTING_IGNORED, .topic = TOPIC_SOURCE, .argument = "BOOL", .preset = "true",
     MEMBER(wait_on_manifest), .meaning = "Be ready only when the manifest was processed."},
    {"EXPERIMENT_ASSIGNMENT_LOG_DESTINATION", AWS("EXPERIMENT_ASSIGNMENT_LOG_DESTINATION"),
     .type = SETTING_DESTINATION, .state = SETTING_IGNORED, .topic = TOPIC_SOURCE,
     .argument = "WHERE", MEMBER(experiment_assignment_log_destination),
     .absence = "no records", .meaning = "Where experiment assignments are recorded."},

    {"LOOP", .type = SETTING_CHOICE, .choices = "auto|epoll|io_uring",
     .topic = TOPIC_PROCESS, .argument = "LOOP", .preset = "auto", MEMBER(loop),
     .meaning = "Event loop; auto takes io_uring where the kernel allows it."},
};
/* clang-format on */

const size_t settings_count = sizeof settings_table / sizeof *settings_table;

const struct setting_command setting_commands[] = {
    {"help", SETTINGS_HELP, "Print this help."},
    {"version", SETTINGS_VERSION, "Print the version."},
    {"check", SETTINGS_CHECK, "Check the settings, print each with its origin, and end."},
    {"once", SETTINGS_ONCE,
     "Fetch and publish the configurations named behind the options, or else those of "
     "PREFETCH_LIST, print a line for each, and end."},
    {"print-configuration-reference", SETTINGS_REFERENCE,
     "Print the reference of all settings as Markdown."},
    {"print-man-page", SETTINGS_MAN_PAGE, "Print the man page, for man -l."},
    {"print-bash-completion", SETTINGS_BASH_COMPLETION, "Print what bash is to source."},
    {"print-zsh-completion", SETTINGS_ZSH_COMPLETION,
     "Print the file _shmconfd for a folder of zsh's fpath."},
};

const size_t setting_commands_count = sizeof setting_commands / sizeof *setting_commands;

const struct setting_standard setting_standards[] = {
    {"AWS_REGION", "Region, unless SERVICE_REGION is given; else AWS_DEFAULT_REGION."},
    {"AWS_DEFAULT_REGION", "Region, when there is neither of the two."},
    {"AWS_ACCESS_KEY_ID",
     "Access key to sign with. Required unless a container's endpoint is set."},
    {"AWS_SECRET_ACCESS_KEY", "Its secret. Required with it."},
    {"AWS_SESSION_TOKEN", "The session token of temporary credentials."},
    {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
     "Path at 169.254.170.2 where temporary credentials are fetched when there is no access key."},
    {"AWS_CONTAINER_CREDENTIALS_FULL_URI",
     "The same as a URL: https, or http to this machine or the endpoint of ECS or EKS."},
    {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "What that endpoint is to be shown."},
    {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "File that holds it; read at each fetch."},
    {"AWS_ENDPOINT_URL_APPCONFIGDATA",
     "URL of AppConfig Data instead of the region's own: a VPC endpoint, an emulator."},
    {"AWS_ENDPOINT_URL", "The same for all services."},
    {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true: neither of those two counts."},
    {"AWS_USE_FIPS_ENDPOINT", "true: call the region's FIPS endpoint."},
    {"AWS_USE_DUALSTACK_ENDPOINT", "true: call the region's endpoint that has IPv6 as well."},
    {"AWS_CA_BUNDLE",
     "File of certificate authorities to trust; unless it is set, SSL_CERT_FILE; "
     "else, for AWS's own hosts, Amazon's, which are built in; else the system's."},
};

const size_t setting_standards_count = sizeof setting_standards / sizeof *setting_standards;

bool setting_spelling(const struct setting *row, enum settings_source source,
                      char out[SETTING_SPELLING_SIZE])
{
    const struct {
        const char *prefix;
        const char *name;
    } spellings[SOURCE_COUNT] = {
        [SOURCE_OPTION] = {"--", row->state == SETTING_READERS ? NULL : row->name},
        [SOURCE_OWN] = {SETTING_OWN_PREFIX, row->name},
        [SOURCE_PREFIXED] = {SETTING_AWS_PREFIX, row->prefixed},
        [SOURCE_PREFIXED_ALIAS] = {SETTING_AWS_PREFIX, row->alias},
        [SOURCE_UNPREFIXED] = {"", row->unprefixed},
        [SOURCE_UNPREFIXED_ALIAS] = {"", row->alias},
    };
    if (!spellings[source].name)
        return false;
    snprintf(out, SETTING_SPELLING_SIZE, "%s%s", spellings[source].prefix, spellings[source].name);
    if (source == SOURCE_OPTION) {
        for (char *c = out; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        for (char *c = strchr(out, '_'); c; c = strchr(c, '_'))
            *c = '-';
    }
    return true;
}

const struct setting_status setting_statuses[] = {
    {EXIT_STATUS_OK, "it ended as it was asked to"},
    {EXIT_STATUS_FAILURE, "anything not named below"},
    {EXIT_STATUS_USAGE, "unknown option or superfluous argument"},
    {EXIT_STATUS_SETTINGS, "a setting is malformed, missing, or not implemented and refused"},
    {EXIT_STATUS_REGION, "the region is another owner's, locked by another daemon, or unwritable"},
    {EXIT_STATUS_PORT, "the port is taken or may not be bound"},
};

const size_t setting_statuses_count = sizeof setting_statuses / sizeof *setting_statuses;
