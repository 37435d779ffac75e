/* SPDX-License-Identifier: Apache-2.0 */
/* Where settings come from, what is refused, and what is warned of. */
#include "settings_load.h"

static void check_warning(const char *expected)
{
    CHECK_INT(1, settings.warning_count);
    CHECK_STRING(expected, settings.warnings[0]);
}

static void sources_have_their_precedence(void)
{
    static const struct {
        const char *name; /* the prefixed, the unprefixed form and the option follow */
        const char *prefixed;
        const char *unprefixed;
        const char *option;
        const uint64_t *duration;
    } rows[] = {
        {"SHMCONF_POLL_INTERVAL", "AWS_APPCONFIG_EXTENSION_POLL_INTERVAL_SECONDS", "POLL_INTERVAL",
         "--poll-interval", &settings.poll_interval_ns},
        {"SHMCONF_REQUEST_TIMEOUT", "AWS_APPCONFIG_EXTENSION_POLL_TIMEOUT_MILLIS",
         "REQUEST_TIMEOUT", "--request-timeout", &settings.request_timeout_ns},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        /* Every subset of the four sources; the first one of it decides. */
        for (unsigned subset = 1; subset < 16; subset++) {
            char options[128] = "";
            char variables[512] = "";
            size_t used = 0;
            if (subset & 1)
                snprintf(options, sizeof options, "%s\n1s", rows[i].option);
            const char *names[] = {rows[i].name, rows[i].prefixed, rows[i].unprefixed};
            for (unsigned j = 3; j-- > 0;) { /* the weakest first: order must not matter */
                if (subset & (2U << j))
                    used += (size_t)snprintf(variables + used, sizeof variables - used, "%s=%us\n",
                                             names[j], j + 2);
            }
            CHECK_INT(0, load(options, variables));
            unsigned first = (unsigned)__builtin_ctz(subset) + 1;
            CHECK_INT(first * 1000000000ULL, *rows[i].duration);
        }
    }
    CHECK_INT(0, load("", "HTTP_PORT=1\nAWS_APPCONFIG_EXTENSION_HTTP_PORT=2"));
    CHECK_INT(2, settings.http_port);
    CHECK_INT(0, load("", "SHMCONF_HTTP_PORT=3\nAWS_APPCONFIG_EXTENSION_HTTP_PORT=2"));
    CHECK_INT(3, settings.http_port);
    CHECK_INT(0, load("--http-port\n4\n--http-port=5", "SHMCONF_HTTP_PORT=3"));
    CHECK_INT(5, settings.http_port);
}

static void empty_variables_and_overridden_ones_do_not_count(void)
{
    CHECK_INT(0, load("", "SHMCONF_HTTP_PORT=\nAWS_APPCONFIG_EXTENSION_HTTP_PORT=\nHTTP_PORT=7"));
    CHECK_INT(7, settings.http_port);
    CHECK_INT(0, load("", "ACCESS_TOKEN="));
    /* As Kubernetes sets it for a service named http. */
    CHECK_INT(0, load("", "HTTP_PORT=tcp://10.0.0.1:80\nSHMCONF_HTTP_PORT=8"));
    CHECK_INT(8, settings.http_port);
    CHECK_INT(0, load("", "SHMCONF_DIR="));
    CHECK(!settings.dir_given);
}

static void lambda_reads_no_unprefixed_variables(void)
{
    const char *function = "AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001\nHTTP_PORT=x\nACCESS_TOKEN=t\n"
                           "PRELOAD_BACKUP=x\nAWS_APPCONFIG_EXTENSION_LOG_LEVEL=debug";
    CHECK_INT(0, load("", function));
    CHECK(settings.lambda);
    CHECK_INT(2772, settings.http_port);
    CHECK_INT(LOG_LEVEL_DEBUG, settings.log_level);
    CHECK_INT(0, settings.warning_count);
    CHECK_INT(-EINVAL, load("", "AWS_LAMBDA_RUNTIME_API=\nHTTP_PORT=x"));
}

static void own_settings_have_only_our_variable(void)
{
    CHECK_INT(0, load("", "DIR=/x\nACCESS=world\nGROUP=nobody\nLOOP=x\nOWNER=y\nMAX_CLIENTS=z"));
    CHECK_STRING("/tmp/shmconf", settings.dir);
    CHECK_INT(0, settings.warning_count);
    CHECK_INT(0, load("", "AWS_APPCONFIG_EXTENSION_DIR=/x"));
    CHECK_STRING("/tmp/shmconf", settings.dir);
    check_warning("AWS_APPCONFIG_EXTENSION_DIR: unknown variable, did you mean SHMCONF_DIR?");
}

static void harmful_omissions_are_refused(void)
{
    static const char *const names[] = {"ACCESS_TOKEN", "ROLE_ARN", "PROXY_URL", "MANIFEST"};
    static const char *const prefixes[] = {"SHMCONF_", "AWS_APPCONFIG_EXTENSION_", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (size_t j = 0; j < sizeof prefixes / sizeof *prefixes; j++) {
            char name[64];
            char variable[96];
            snprintf(name, sizeof name, "%s%s", prefixes[j], names[i]);
            snprintf(variable, sizeof variable, "%s=hunter2", name);
            CHECK_INT(-EINVAL, load("", variable));
            check_refused(name, "not implemented yet and cannot be ignored");
            CHECK(!strstr(error.message, "hunter2"));
        }
    }
    CHECK_INT(-EINVAL, load("--access-token\nhunter2", ""));
    check_refused("--access-token", "without the token");
    CHECK_INT(-EINVAL, load("", "ROLE_SESSION_NAME=s\nROLE_ARN=arn"));
    check_refused("ROLE_ARN", "wrong permissions");
    CHECK_INT(0, load("", "ROLE_SESSION_NAME=s"));
    check_warning("ROLE_SESSION_NAME: has no effect without ROLE_ARN");
    CHECK_INT(0, load("", "SHMCONF_ROLE_EXTERNAL_ID=s"));
    check_warning("SHMCONF_ROLE_EXTERNAL_ID: has no effect without ROLE_ARN");
    CHECK_INT(0, load("--proxy-headers\nx: y", ""));
    check_warning("--proxy-headers: has no effect without PROXY_URL");
}

static void once_takes_names(void)
{
    CHECK_INT(0, load("--log-format\njson\n--once\na:b:c\n/applications/a/environments/b/"
                      "configurations/d",
                      ""));
    CHECK_INT(SETTINGS_ONCE, settings.action);
    CHECK_INT(2, settings.name_count);
    CHECK_STRING("a:b:c", settings.names[0]);
    CHECK_INT(LOG_LEVEL_FATAL, settings.log_level);
    CHECK_INT(0, load("--once\na:b:c", "LOG_LEVEL=info"));
    CHECK_INT(LOG_LEVEL_INFO, settings.log_level);
    CHECK_INT(0, load("--once", "PREFETCH_LIST=a:b:c"));
    CHECK_INT(0, settings.name_count);
    CHECK_INT(-EINVAL, load("--once", ""));
    CHECK_INT(EXIT_STATUS_USAGE, settings.exit_status);
    CHECK_INT(-EINVAL, load("--once\na:b", ""));
    CHECK_INT(EXIT_STATUS_USAGE, settings.exit_status);
}

static void what_is_not_implemented_warns(void)
{
    CHECK_INT(0, load("", "AWS_APPCONFIG_EXTENSION_BACKUP_DIRECTORY=/b"));
    check_warning("AWS_APPCONFIG_EXTENSION_BACKUP_DIRECTORY: not implemented yet, ignored");
    CHECK_INT(0, load("", "PRELOAD_BACKUP=false"));
    check_warning("PRELOAD_BACKUP: not implemented yet, ignored");
    CHECK(!settings.preload_backups);
    CHECK_INT(0, load("", "AWS_APPCONFIG_EXTENSION_PRELOAD_BACKUP=false\nPRELOAD_BACKUPS=true"));
    check_warning("AWS_APPCONFIG_EXTENSION_PRELOAD_BACKUP: not implemented yet, ignored");
    CHECK(!settings.preload_backups);
}

static void the_readers_variable_is_known(void)
{
    CHECK_INT(0, load("", "SHMCONF_OWNER=any"));
    CHECK_INT(0, settings.warning_count);
    CHECK_INT(0, load("", "SHMCONF_OWNER=1000"));
    CHECK_INT(0, settings.warning_count);
    CHECK_INT(0, load("", "SHMCONF_OWNER=me"));
    check_warning("SHMCONF_OWNER: \"me\" is not allowed; allowed: a user id or any");
    CHECK_INT(-EINVAL, load("--owner=any", ""));
    CHECK_INT(EXIT_STATUS_USAGE, settings.exit_status);
}

static void a_group_that_gets_no_access_warns(void)
{
    CHECK_INT(0, load("", "SHMCONF_GROUP=0"));
    check_warning("SHMCONF_GROUP: gives the group no access unless SHMCONF_ACCESS is group");
    CHECK_INT(0, load("", "SHMCONF_DIR=region"));
    check_warning("SHMCONF_DIR: each program looks for a relative path from its own directory on: "
                  "begin it with /");
    CHECK_INT(0, load("", "SHMCONF_DIR=/region"));
    CHECK_INT(0, settings.warning_count);
    CHECK_INT(0, load("", "SHMCONF_GROUP=0\nSHMCONF_ACCESS=group"));
    CHECK_INT(0, settings.warning_count);
}

static void unknown_variables_warn_with_the_nearest_name(void)
{
    static const struct {
        const char *variable;
        const char *nearest; /* NULL: none is near */
    } rows[] = {
        {"SHMCONF_HTTP_PROT", "SHMCONF_HTTP_PORT"},
        {"SHMCONF_LOGLEVEL", "SHMCONF_LOG_LEVEL"},
        {"SHMCONF_acces", "SHMCONF_ACCESS"},
        {"SHMCONF_PRELOAD_BACKUP", "SHMCONF_PRELOAD_BACKUPS"},
        {"SHMCONF_POLL_TIMEOUT_MILLIS", "SHMCONF_REQUEST_TIMEOUT"},
        {"SHMCONF_POLL_INTERVAL_SECONDS", "SHMCONF_POLL_INTERVAL"},
        {"SHMCONF_CLIENT_TIMEOUT", "SHMCONF_CLIENT_TIMEOUT_MS"},
        {"AWS_APPCONFIG_EXTENSION_POLL_INTERVAL", "AWS_APPCONFIG_EXTENSION_POLL_INTERVAL_SECONDS"},
        {"AWS_APPCONFIG_EXTENSION_REQUEST_TIMEOUT", "AWS_APPCONFIG_EXTENSION_POLL_TIMEOUT_MILLIS"},
        {"AWS_APPCONFIG_EXTENSION_HTTP_PORTS", "AWS_APPCONFIG_EXTENSION_HTTP_PORT"},
        {"SHMCONF_TEST_SOMETHING", NULL},
        {"SHMCONF_", NULL},
        {"SHMCONF_A_NAME_LONGER_THAN_ANY_THAT_IS_KNOWN_TO_THE_TABLE_OF_THE_SETTINGS_OF_IT", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char variable[128];
        char expected[256];
        snprintf(variable, sizeof variable, "%s=x", rows[i].variable);
        if (rows[i].nearest)
            snprintf(expected, sizeof expected, "%s: unknown variable, did you mean %s?",
                     rows[i].variable, rows[i].nearest);
        else
            snprintf(expected, sizeof expected, "%s: unknown variable", rows[i].variable);
        CHECK_INT(0, load("", variable));
        check_warning(expected);
    }
    CHECK_INT(0, load("", "SHMCONF\nSHMCONFIG=1\nAWS_REGION=x\nshmconf_dir=x"));
    CHECK_INT(0, settings.warning_count);
}

static void check_usage(const char *options, const char *subject, const char *message)
{
    CHECK_INT(-EINVAL, load(options, ""));
    CHECK_INT(EXIT_STATUS_USAGE, settings.exit_status);
    CHECK_STRING(subject, error.subject);
    CHECK_STRING(message, error.message);
}

static void wrong_command_lines_are_usage_errors(void)
{
    check_usage("--http-prot\n1", "--http-prot",
                "unknown option, did you mean --http-port; try 'shmconfd --help'");
    check_usage("--verison", "--verison",
                "unknown option, did you mean --version; try 'shmconfd --help'");
    check_usage("--wrong=1", "--wrong=1", "unknown option; try 'shmconfd --help'");
    check_usage("-x", "-x", "unknown option; try 'shmconfd --help'");
    check_usage("--check\nmore", "more", "superfluous argument; try 'shmconfd --help'");
    check_usage("--log-level\ndebug\n--http-port", "--http-port",
                "the option needs a value; try 'shmconfd --help'");
    check_usage("--help=me", "--help=me", "the option takes no value; try 'shmconfd --help'");
}

static void actions(void)
{
    static const struct {
        const char *option;
        enum settings_action action;
    } rows[] = {
        {"--help", SETTINGS_HELP},
        {"--version", SETTINGS_VERSION},
        {"--print-configuration-reference", SETTINGS_REFERENCE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_INT(0, load(rows[i].option, "ACCESS_TOKEN=x\nSHMCONF_HTTP_PORT=x"));
        CHECK_INT(rows[i].action, settings.action);
    }
    CHECK_INT(0, load("--check\n--log-level=warn", ""));
    CHECK_INT(SETTINGS_CHECK, settings.action);
    CHECK_INT(LOG_LEVEL_WARN, settings.log_level);
    CHECK_INT(-EINVAL, load("--check", "SHMCONF_HTTP_PORT=x"));
    check_refused("SHMCONF_HTTP_PORT", "\"x\"");
}

int main(void)
{
    sources_have_their_precedence();
    empty_variables_and_overridden_ones_do_not_count();
    lambda_reads_no_unprefixed_variables();
    own_settings_have_only_our_variable();
    harmful_omissions_are_refused();
    once_takes_names();
    what_is_not_implemented_warns();
    the_readers_variable_is_known();
    a_group_that_gets_no_access_warns();
    unknown_variables_warn_with_the_nearest_name();
    wrong_command_lines_are_usage_errors();
    actions();
    settings_free(&settings);
    return 0;
}
