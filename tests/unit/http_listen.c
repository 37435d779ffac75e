/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses a server can be reached at, and what is said when it cannot listen. */
#include "http_fixture.h"

static bool has_ipv6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool usable = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return usable;
}

static void expect_reached(const struct fixture *fixture, const char *address)
{
    static struct client client;
    client_make(&client, strchr(address, ':') ? AF_INET6 : AF_INET);
    client_connect(&client, address, fixture->port);
    client_send(&client, GET("/hello"));
    client_expect(&client, 200, "hello");
    client_close(&client);
}

static void hosts_stand_for_addresses(enum loop_backend backend)
{
    static const struct {
        const char *host;
        bool ipv4;
        bool ipv6;
    } rows[] = {
        {"localhost", true, true},   {"all", true, true},  {"127.0.0.1", true, false},
        {"0.0.0.0", true, false},    {"::1", false, true}, {"::", true, true},
        {"127.0.0.2", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture fixture;
        if (strchr(rows[i].host, ':') && !has_ipv6())
            continue;
        fixture_start(&fixture, backend, rows[i].host, 10000, 10);
        CHECK(fixture.port > 0);
        if (rows[i].ipv4)
            expect_reached(&fixture, "127.0.0.1");
        if (rows[i].ipv6 && has_ipv6())
            expect_reached(&fixture, "::1");
        if (!rows[i].ipv4 && !rows[i].ipv6)
            expect_reached(&fixture, rows[i].host);
        static struct client client;
        const char *address = rows[i].ipv4 ? "127.0.0.1" : rows[i].ipv6 ? "::1" : rows[i].host;
        client_make(&client, strchr(address, ':') ? AF_INET6 : AF_INET);
        client_connect(&client, address, fixture.port);
        client_send(&client, GET("/drain?1000"));
        client_expect(&client, 200, "draining");
        client_close(&client);
        fixture_join(&fixture);
    }
}

static int open_on(struct loop *loop, const char *host, unsigned port, struct http_server **server,
                   struct error *error)
{
    struct http_options options = {
        .host = host,
        .may_ask = true,
        .port = port,
        .client_timeout_ns = NS_PER_S,
        .connections_max = 10,
        .handle = fixture_handle,
    };
    memset(error, 0, sizeof *error);
    return http_server_open(server, loop, &options, error);
}

static void taken_port_is_an_error_with_advice(struct loop *loop)
{
    static const struct {
        const char *first;
        const char *second;
        const char *address;
    } rows[] = {
        {"localhost", "localhost", "127.0.0.1"}, {"localhost", "all", NULL},
        {"all", "localhost", "127.0.0.1"},       {"127.0.0.1", "localhost", "127.0.0.1"},
        {"::1", "localhost", "[::1]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct http_server *first = NULL;
        struct http_server *second = NULL;
        struct error error;
        if (strchr(rows[i].first, ':') && !has_ipv6())
            continue;
        CHECK_INT(0, open_on(loop, rows[i].first, 0, &first, &error));
        CHECK_INT(0, error.code);
        unsigned port = http_server_port(first);
        CHECK_INT(-EADDRINUSE, open_on(loop, rows[i].second, port, &second, &error));
        CHECK(!second);
        CHECK_INT(EADDRINUSE, error.code);
        CHECK(strstr(error.message, "HTTP_PORT"));
        if (rows[i].address) {
            char subject[64];
            snprintf(subject, sizeof subject, "%s:%u", rows[i].address, port);
            CHECK_STRING(subject, error.subject);
        }
        http_server_close(first);
    }
}

static void bad_hosts_are_errors(struct loop *loop)
{
    static const char *const hosts[] = {"256.1.1.1", "no.such.host.invalid", "192.0.2.1", ""};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct http_server *server = NULL;
        struct error error;
        CHECK_INT(-EADDRNOTAVAIL, open_on(loop, hosts[i], 0, &server, &error));
        CHECK(strstr(error.message, "HTTP_HOST"));
        CHECK(!server);
    }
}

/* The tests run on each backend; the server is never started on this loop. */
static void listen_tests(enum loop_backend backend)
{
    struct loop *loop;
    struct error error;
    CHECK_INT(0, loop_open(&loop, backend, &error));
    taken_port_is_an_error_with_advice(loop);
    bad_hosts_are_errors(loop);
    loop_close(loop);
    hosts_stand_for_addresses(backend);
}

int main(void)
{
    run_on_backends(listen_tests);
    return 0;
}
