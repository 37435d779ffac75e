/* SPDX-License-Identifier: Apache-2.0 */
/* Defaults, and good and bad values of every type. */
#include "settings_load.h"

static void defaults(void)
{
    CHECK_INT(0, load("", ""));
    CHECK_INT(SETTINGS_RUN, settings.action);
    CHECK_INT(EXIT_STATUS_OK, settings.exit_status);
    CHECK_INT(0, settings.warning_count);
    CHECK(!settings.lambda);
    CHECK_INT(2772, settings.http_port);
    CHECK_STRING("localhost", settings.http_host);
    CHECK_INT(10000000000, settings.client_timeout_ns);
    CHECK_INT(1024, settings.max_clients);
    CHECK_STRING("/tmp/shmconf", settings.dir);
    CHECK(!settings.dir_given);
    CHECK_INT(SETTINGS_ACCESS_OWNER, settings.access);
    CHECK(settings.group == SETTINGS_NO_GROUP);
    CHECK_INT(1000, settings.max_configurations);
    CHECK_INT(LOG_LEVEL_INFO, settings.log_level);
    CHECK_INT(LOG_FORMAT_TEXT, settings.log_format);
    CHECK(!settings.log_path);
    CHECK(!settings.local_development_directory);
    CHECK_INT(SETTINGS_LOOP_AUTO, settings.loop);
    CHECK_INT(3, settings.max_connections);
    CHECK_INT(45000000000, settings.poll_interval_ns);
    CHECK_INT(3000000000, settings.request_timeout_ns);
    CHECK(!settings.prefetch_list && !settings.service_region && !settings.backup_directory);
    CHECK(settings.wait_on_manifest && settings.preload_backups);
    CHECK(!settings.experiment_assignment_log_destination);
}

static const struct {
    const char *name;
    const char *value;
    const void *member;
    long long expected;
} good[] = {
    {"HTTP_PORT", "0", &settings.http_port, 0},
    {"HTTP_PORT", "65535", &settings.http_port, 65535},
    {"HTTP_PORT", "08080", &settings.http_port, 8080},
    {"MAX_CLIENTS", "1", &settings.max_clients, 1},
    {"MAX_CONFIGURATIONS", "5", &settings.max_configurations, 5},
    {"MAX_CONNECTIONS", "9", &settings.max_connections, 9},
    {"LOG_LEVEL", "trace", &settings.log_level, LOG_LEVEL_TRACE},
    {"LOG_LEVEL", "DEBUG", &settings.log_level, LOG_LEVEL_DEBUG},
    {"LOG_LEVEL", "Warn", &settings.log_level, LOG_LEVEL_WARN},
    {"LOG_LEVEL", "error", &settings.log_level, LOG_LEVEL_ERROR},
    {"LOG_LEVEL", "fatal", &settings.log_level, LOG_LEVEL_FATAL},
    {"LOG_LEVEL", "none", &settings.log_level, LOG_LEVEL_NONE},
    {"LOG_FORMAT", "json", &settings.log_format, LOG_FORMAT_JSON},
    {"ACCESS", "group", &settings.access, SETTINGS_ACCESS_GROUP},
    {"ACCESS", "all", &settings.access, SETTINGS_ACCESS_ALL},
    {"LOOP", "epoll", &settings.loop, SETTINGS_LOOP_EPOLL},
    {"LOOP", "io_uring", &settings.loop, SETTINGS_LOOP_IO_URING},
    {"GROUP", "0", &settings.group, 0},
    {"GROUP", "4294967294", &settings.group, 4294967294},
    {"GROUP", "root", &settings.group, 0},
};

static const struct {
    const char *name;
    const char *value;
    const uint64_t *member;
    uint64_t ms;
} durations[] = {
    {"POLL_INTERVAL", "60", &settings.poll_interval_ns, 60000},
    {"POLL_INTERVAL", "60s", &settings.poll_interval_ns, 60000},
    {"POLL_INTERVAL", "1m", &settings.poll_interval_ns, 60000},
    {"POLL_INTERVAL", "24h", &settings.poll_interval_ns, 86400000},
    {"POLL_INTERVAL", "1.5m", &settings.poll_interval_ns, 90000},
    {"POLL_INTERVAL", "1.05s", &settings.poll_interval_ns, 1050},
    {"REQUEST_TIMEOUT", "5000", &settings.request_timeout_ns, 5000},
    {"REQUEST_TIMEOUT", "5000ms", &settings.request_timeout_ns, 5000},
    {"REQUEST_TIMEOUT", "5s", &settings.request_timeout_ns, 5000},
    {"CLIENT_TIMEOUT_MS", "1", &settings.client_timeout_ns, 1},
    {"CLIENT_TIMEOUT_MS", "0.25s", &settings.client_timeout_ns, 250},
};

static const struct {
    const char *name;
    const char *value;
} good_texts[] = {
    {"HTTP_HOST", "all"},
    {"HTTP_HOST", "127.0.0.1"},
    {"HTTP_HOST", "::1"},
    {"HTTP_HOST", "db-1.example.com"},
    {"DIR", "relative/path"},
    {"LOG_PATH", "/var/log/x y"},
    {"LOCAL_DEVELOPMENT_DIRECTORY", "."},
    {"PREFETCH_LIST", "A:E:C"},
    {"PREFETCH_LIST", "A b:E:C, /applications/A:1/environments/E/configurations/C"},
    {"SERVICE_REGION", "us-gov-west-1"},
    {"BACKUP_DIRECTORY", "/b"},
    {"WAIT_ON_MANIFEST", "False"},
    {"PRELOAD_BACKUPS", "0"},
    {"PRELOAD_BACKUPS", "TRUE"},
    {"EXPERIMENT_ASSIGNMENT_LOG_DESTINATION", "stderr"},
    {"EXPERIMENT_ASSIGNMENT_LOG_DESTINATION", "file:/dir/"},
};

static int load_one(const char *name, const char *value)
{
    char variable[512];
    snprintf(variable, sizeof variable, "SHMCONF_%s=%s", name, value);
    return load("", variable);
}

static void good_values(void)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CHECK_INT(0, load_one(good[i].name, good[i].value));
        CHECK_INT(good[i].expected, *(const unsigned *)good[i].member);
    }
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        CHECK_INT(0, load_one(durations[i].name, durations[i].value));
        CHECK_INT(durations[i].ms * 1000000, *durations[i].member);
    }
    for (size_t i = 0; i < sizeof good_texts / sizeof *good_texts; i++)
        CHECK_INT(0, load_one(good_texts[i].name, good_texts[i].value));

    CHECK_INT(0, load("", "SHMCONF_WAIT_ON_MANIFEST=False\nSHMCONF_PRELOAD_BACKUPS=0"));
    CHECK(!settings.wait_on_manifest && !settings.preload_backups);
    CHECK_INT(0, load("", "SHMCONF_DIR=/d\nHTTP_HOST=::1\nLOG_PATH=/var/log/x y\n"
                          "LOCAL_DEVELOPMENT_DIRECTORY=."));
    CHECK_STRING("/d", settings.dir);
    CHECK(settings.dir_given);
    CHECK_STRING("::1", settings.http_host);
    CHECK_STRING("/var/log/x y", settings.log_path);
    CHECK_STRING(".", settings.local_development_directory);
}

static void malformed_values_are_refused(void)
{
    static const struct {
        const char *name;
        const char *value;
        const char *allowed;
    } rows[] = {
        {"HTTP_PORT", "65536", "a whole number from 0 to 65535"},
        {"HTTP_PORT", "-1", "a whole number from 0 to 65535"},
        {"HTTP_PORT", " 80", "a whole number"},
        {"HTTP_PORT", "80x", "a whole number"},
        {"HTTP_PORT", "18446744073709551617", "a whole number"},
        {"HTTP_PORT", "4294967297", "a whole number"},
        {"MAX_CLIENTS", "0", "a whole number from 1 to 65535"},
        {"LOG_LEVEL", "information", "one of trace, debug, info, warn, error, fatal, none"},
        {"LOG_LEVEL", "inf", "one of"},
        {"LOG_LEVEL", "info|warn", "one of"},
        {"ACCESS", "world", "one of owner, group, all"},
        {"LOOP", "uring", "one of auto, epoll, io_uring"},
        {"LOG_FORMAT", "xml", "one of text, json"},
        {"GROUP", "no such group", "the name of a group"},
        {"GROUP", "4294967295", "a group id"},
        {"HTTP_HOST", "300.1.1.1", "an IP address"},
        {"HTTP_HOST", "1:2", "an IP address"},
        {"HTTP_HOST", "a b", "a host name"},
        {"POLL_INTERVAL", "0", "1 to 86400 seconds"},
        {"POLL_INTERVAL", "0.5s", "1 to 86400 seconds"},
        {"POLL_INTERVAL", "25h", "1 to 86400 seconds"},
        {"POLL_INTERVAL", "500ms", "90s, 1.5m, 1h"},
        {"POLL_INTERVAL", "1.5", "seconds"},
        {"POLL_INTERVAL", "1.s", "seconds"},
        {"POLL_INTERVAL", "1.0000s", "seconds"},
        {"POLL_INTERVAL", ".5m", "seconds"},
        {"POLL_INTERVAL", "s", "seconds"},
        {"POLL_INTERVAL", "45 s", "seconds"},
        {"POLL_INTERVAL", "99999999999999999999h", "seconds"},
        {"POLL_INTERVAL", "5124096h", "seconds"}, /* 25 minutes, modulo 64 bits of nanoseconds */
        {"REQUEST_TIMEOUT", "1m", "500ms, 1.5s"},
        {"REQUEST_TIMEOUT", "0ms", "1 to 3600000 milliseconds"},
        {"CLIENT_TIMEOUT_MS", "3600.001s", "milliseconds"},
        {"MAX_CONNECTIONS", "many", "a whole number"},
        {"MAX_CONFIGURATIONS", "1e3", "a whole number"},
        {"PREFETCH_LIST", "A:E", "Application:Environment:Profile"},
        {"PREFETCH_LIST", "A:E:C,", "Application:Environment:Profile"},
        {"PREFETCH_LIST", "A:E:C:D", "Application:Environment:Profile"},
        {"PREFETCH_LIST", "A::C", "Application:Environment:Profile"},
        {"PREFETCH_LIST", "/applications/A/environments/E", "Application:Environment:Profile"},
        {"PREFETCH_LIST", "/applications/A%/environments/E/configurations/C",
         "Application:Environment:Profile"},
        {"SERVICE_REGION", "EU west", "a region code"},
        {"WAIT_ON_MANIFEST", "maybe", "true, false, 1 or 0"},
        {"PRELOAD_BACKUPS", "2", "true, false, 1 or 0"},
        {"EXPERIMENT_ASSIGNMENT_LOG_DESTINATION", "stdout", "stderr or file:/directory/"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char subject[64];
        char quoted[64];
        snprintf(subject, sizeof subject, "SHMCONF_%s", rows[i].name);
        snprintf(quoted, sizeof quoted, "\"%s\" is not allowed; allowed: ", rows[i].value);
        CHECK_INT(-EINVAL, load_one(rows[i].name, rows[i].value));
        check_refused(subject, quoted);
        check_refused(subject, rows[i].allowed);
    }
    CHECK_INT(-EINVAL, load("--http-port=x\x1b", ""));
    check_refused("--http-port", "\"x\\u001b\" is not allowed");
    CHECK_INT(-EINVAL, load("--http-port=", ""));
    check_refused("--http-port", "\"\" is not allowed");
    CHECK_INT(-EINVAL, load("--log-path=", ""));
    check_refused("--log-path", "\"\" is not allowed; allowed: a path");
    CHECK_INT(-EINVAL, load("", "POLL_INTERVAL=x"));
    check_refused("POLL_INTERVAL", "\"x\" is not allowed");
}

int main(void)
{
    defaults();
    good_values();
    malformed_values_are_refused();
    settings_free(&settings);
    return 0;
}
