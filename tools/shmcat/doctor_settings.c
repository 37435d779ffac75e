/* SPDX-License-Identifier: Apache-2.0 */
/* What shmconfd would think of this environment. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "credentials/container_host.h"
#include "shmcat/doctor.h"
#include "upstream/endpoint.h"

static void say_refused(struct diagnosis *diagnosis, const struct error *error)
{
    say(diagnosis, BAD, "settings", "shmconfd does not start with them: %s%s%s", error->subject,
        error->subject[0] ? ": " : "", error->message);
}

/* As the daemon does before it starts. */
static int check_directory(const struct settings *settings, struct error *error)
{
    const char *directory = settings->local_development_directory;
    cleanup_close int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (directory && fd < 0)
        return error_system(error, errno, directory, "cannot open the local directory");
    return 0;
}

/* By the daemon's own code, so that both say the same. */
void doctor_load_settings(struct diagnosis *diagnosis, struct settings *settings)
{
    char name[] = "shmconfd";
    char *arguments[] = {name, NULL};
    struct error error;
    if (settings_load(settings, 1, arguments, environ, &error) != 0) {
        say_refused(diagnosis, &error);
        return;
    }
    diagnosis->settings = settings;
    for (size_t i = 0; i < settings->warning_count; i++)
        say(diagnosis, NOTE, "settings", "%s", settings->warnings[i]);
    if (check_directory(settings, &error) != 0)
        say_refused(diagnosis, &error);
    else if (settings->warning_count == 0)
        say(diagnosis, GOOD, "settings", "shmconfd takes those of this environment");
}

/*
 * As the daemon has it, which lets libcurl take the URL apart: what is malformed in a way that is
 * not seen here, it refuses all the same.
 */
static bool is_endpoint(const char *url)
{
    static const char http[] = "http://";
    static const char https[] = "https://";
    char host[256];
    if (strncasecmp(url, https, sizeof https - 1) == 0)
        return true;
    if (strncasecmp(url, http, sizeof http - 1) != 0)
        return false;
    url += sizeof http - 1;
    size_t authority = strcspn(url, "/?#");
    size_t size = *url == '[' ? strcspn(url, "]") + 1 : strcspn(url, ":/?#");
    snprintf(host, sizeof host, "%.*s", (int)size, url);
    return !memchr(url, '@', authority) && container_host_is_near(host);
}

static void check_container(struct diagnosis *diagnosis, const char *relative, const char *full)
{
    const char *variable =
        relative ? "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" : "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    if (relative ? relative[0] == '/' : is_endpoint(full))
        say(diagnosis, GOOD, "credentials", "%s names a container's endpoint, which is not asked",
            variable);
    else
        say(diagnosis, BAD, "credentials", "%s: keys are not fetched from there; allowed: %s",
            variable, relative ? "/path" : CONTAINER_HOSTS_ALLOWED);
}

static void check_credentials(struct diagnosis *diagnosis)
{
    bool has_key = variable("AWS_ACCESS_KEY_ID") != NULL;
    bool has_secret = variable("AWS_SECRET_ACCESS_KEY") != NULL;
    const char *relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (has_key && has_secret)
        say(diagnosis, GOOD, "credentials", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are set");
    else if (has_key || has_secret)
        say(diagnosis, BAD, "credentials",
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go "
            "together: set %s as well",
            has_key ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    else if (relative || full)
        check_container(diagnosis, relative, full);
    else
        say(diagnosis, NOTE, "credentials",
            "none in this environment; AppConfig needs them where shmconfd runs");
}

/* Without a region the environment may be another one than the daemon's. */
static void check_endpoint(struct diagnosis *diagnosis)
{
    const struct settings *settings = diagnosis->settings;
    struct endpoint_inputs inputs =
        endpoint_inputs_read(settings ? settings->service_region : NULL);
    struct endpoint endpoint;
    struct error error;
    if (!endpoint_has_region(&inputs))
        say(diagnosis, NOTE, "AWS region",
            "AWS_REGION is not set in this environment; without it shmconfd starts with a local "
            "directory only");
    else if (endpoint_resolve(&endpoint, &inputs, &error) != 0)
        say(diagnosis, BAD, "AWS endpoint", "shmconfd does not start with it: %s: %s",
            error.subject, error.message);
    else
        say(diagnosis, GOOD, "AWS region", "%s", endpoint.region);
}

void doctor_check_aws(struct diagnosis *diagnosis)
{
    const struct settings *settings = diagnosis->settings;
    if (settings && settings->local_development_directory) {
        say(diagnosis, GOOD, "credentials", "not needed: configurations come from %s",
            settings->local_development_directory);
        return;
    }
    check_credentials(diagnosis);
    check_endpoint(diagnosis);
}
