/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/routes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/answer.h"
#include "agent/fetch.h"
#include "base/json.h"
#include "log/log.h"

enum { SEGMENTS_MAX = 8 };

/* The raw path, split at '/' before anything is decoded: "%2F" belongs to a name. */
struct path {
    struct http_text segments[SEGMENTS_MAX];
    size_t count;
};

typedef void route_get(struct routes *routes, struct http_exchange *exchange,
                       const struct path *path);

static void get_ping(struct routes *routes, struct http_exchange *exchange,
                     const struct path *path);
static void get_configuration(struct routes *routes, struct http_exchange *exchange,
                              const struct path *path);

/* One row each; "*" stands for any segment. All answer GET and HEAD. */
static const struct route {
    const char *segments[SEGMENTS_MAX];
    route_get *get;
} table[] = {
    {{"ping"}, get_ping},
    {{"applications", "*", "environments", "*", "configurations", "*"}, get_configuration},
};

static bool text_equals(struct http_text text, const char *other)
{
    return text.size == strlen(other) && memcmp(text.data, other, text.size) == 0;
}

/* False if there are too many segments for any route. */
static bool path_split(struct path *path, struct http_text raw)
{
    path->count = 0;
    const char *end = raw.data + raw.size;
    for (const char *at = raw.data; at < end;) {
        if (path->count == SEGMENTS_MAX)
            return false;
        const char *start = at + 1; /* behind the '/' */
        const char *slash = memchr(start, '/', (size_t)(end - start));
        at = slash ? slash : end;
        path->segments[path->count++] = (struct http_text){start, (size_t)(at - start)};
    }
    return true;
}

static bool route_matches(const struct route *route, const struct path *path)
{
    size_t i = 0;
    for (; i < path->count && route->segments[i]; i++) {
        bool any = strcmp(route->segments[i], "*") == 0;
        if (any ? path->segments[i].size == 0 : !text_equals(path->segments[i], route->segments[i]))
            return false;
    }
    return i == path->count && (i == SEGMENTS_MAX || !route->segments[i]);
}

void routes_handle(void *context, struct http_exchange *exchange)
{
    const struct http_request *request = http_exchange_request(exchange);
    const struct route *route = NULL;
    struct path path;
    if (request->method == HTTP_UNKNOWN) {
        http_respond_message(exchange, 501, NULL, "Unknown method; GET and HEAD are supported");
        return;
    }
    if (request->method == HTTP_OTHER && request->path.data[0] != '/') {
        answer_not_allowed(exchange); /* OPTIONS *, CONNECT host:port */
        return;
    }
    if (path_split(&path, request->path))
        for (size_t i = 0; i < sizeof table / sizeof table[0] && !route; i++)
            if (route_matches(&table[i], &path))
                route = &table[i];
    if (!route)
        answer_not_found(exchange, "Unrecognized or malformed path");
    else if (request->method != HTTP_GET && request->method != HTTP_HEAD)
        answer_not_allowed(exchange);
    else
        route->get(context, exchange, &path);
}

static void get_ping(struct routes *routes, struct http_exchange *exchange, const struct path *path)
{
    static const char body[] = "{\"version\":\"" SHMCONF_VERSION_TEXT "\",\"name\":\"shmconfd\"}";
    struct http_response response = {.status = 200,
                                     .content_type = "application/json",
                                     .body = body,
                                     .body_size = sizeof body - 1};
    (void)routes;
    (void)path;
    http_respond(exchange, &response);
}

/* The name in the path's segments 1, 3 and 5: 0 or -EINVAL. */
static int path_name(const struct path *path, struct shmconf_name *name)
{
    char parts[SHMCONF_PARTS][SHMCONF_PART_MAX + 1];
    for (size_t i = 0; i < SHMCONF_PARTS; i++)
        if (http_percent_decode(path->segments[2 * i + 1], parts[i], sizeof parts[i]) < 0)
            return -EINVAL;
    return shmconf_name_set(name, parts[0], parts[1], parts[2]);
}

static void get_configuration(struct routes *routes, struct http_exchange *exchange,
                              const struct path *path)
{
    struct shmconf_name name;
    if (path_name(path, &name) != 0) {
        http_respond_message(exchange, 400, NULL,
                             "A name in the path is malformed: at most 512 bytes, percent-encoded");
    } else {
        if (log_enabled(LOG_LEVEL_DEBUG)) {
            char text[SHMCONF_NAME_TEXT_MAX];
            shmconf_name_print(&name, text);
            log_subject(LOG_LEVEL_DEBUG, text, "requested over HTTP");
        }
        fetch_configuration(&routes->fetch, exchange, &name);
    }
}
