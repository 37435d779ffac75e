/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static FILE *connect_to(const char *address)
{
    char host[64];
    struct sockaddr_in to = {.sin_family = AF_INET};
    const char *colon = strrchr(address, ':');
    snprintf(host, sizeof host, "%.*s", colon ? (int)(colon - address) : 0, address);
    to.sin_port = htons(colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0);
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1) {
        errno = EDESTADDRREQ;
        return NULL;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd < 0 ? NULL : fdopen(fd, "r+");
    int reason = errno;
    close(fd);
    errno = reason;
    return NULL;
}

/* Of "HTTP/1.1 200 OK"; 0: it is something else. */
static int parse_status(const char *line)
{
    long status =
        strncmp(line, "HTTP/1.", 7) == 0 && strlen(line) > 8 ? strtol(line + 8, NULL, 10) : 0;
    return status >= 100 && status <= 999 ? (int)status : 0;
}

/* The lines up to the empty one. */
static int read_head(FILE *server, struct http_answer *answer)
{
    char *line = NULL;
    size_t room = 0;
    size_t size = 0;
    bool has_ended = false;
    FILE *head = open_memstream(&answer->head, &size);
    if (!head)
        return -1;
    if (getline(&line, &room, server) > 0)
        answer->status = parse_status(line);
    while (answer->status && !has_ended && getline(&line, &room, server) > 0) {
        has_ended = strcmp(line, "\r\n") == 0;
        if (!has_ended)
            fputs(line, head);
    }
    free(line);
    return fclose(head) == 0 && has_ended ? 0 : -1;
}

static int append(FILE *server, size_t size, struct http_answer *answer)
{
    char *grown = realloc(answer->body, answer->size + size + 1);
    if (!grown)
        return -1;
    size_t got = fread(grown + answer->size, 1, size, server);
    answer->body = grown;
    answer->size += got;
    grown[answer->size] = '\0';
    return got == size ? 0 : -1;
}

static int read_body(FILE *server, struct http_answer *answer)
{
    char value[32], line[64];
    http_header(answer, "Transfer-Encoding", value, sizeof value);
    if (strcasecmp(value, "chunked") != 0) {
        http_header(answer, "Content-Length", value, sizeof value);
        return append(server, strtoul(value, NULL, 10), answer);
    }
    while (fgets(line, sizeof line, server)) {
        size_t size = strtoul(line, NULL, 16);
        if (append(server, size, answer) != 0 || !fgets(line, sizeof line, server))
            break;
        if (size == 0)
            return 0;
    }
    return -1;
}

int http_call(const char *address, const char *method, const char *path, const char *headers,
              const void *body, size_t size, struct http_answer *answer)
{
    *answer = (struct http_answer){.status = 0};
    FILE *server = connect_to(address);
    if (!server)
        return -1;
    fprintf(server,
            "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n",
            method, path, address, headers, size);
    fwrite(body, 1, size, server);
    errno = EPROTO; /* for what is cut off or not HTTP */
    int rc = fflush(server);
    if (rc == 0)
        rc = read_head(server, answer);
    if (rc == 0)
        rc = read_body(server, answer);
    int reason = errno;
    fclose(server);
    if (rc != 0)
        http_free(answer);
    errno = reason;
    return rc;
}

void http_free(struct http_answer *answer)
{
    free(answer->head);
    free(answer->body);
    *answer = (struct http_answer){.status = 0};
}

void http_header(const struct http_answer *answer, const char *name, char *out, size_t size)
{
    size_t length = strlen(name);
    out[0] = '\0';
    for (const char *line = answer->head; line && *line; line = strchr(line, '\n') + 1) {
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            line += length + 1;
            line += strspn(line, " \t");
            snprintf(out, size, "%.*s", (int)strcspn(line, "\r\n"), line);
            return;
        }
    }
}
