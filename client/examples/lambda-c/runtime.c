/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"

#define RUNTIME "/2018-06-01/runtime"

static const char *lambda_address(void)
{
    const char *address = getenv("AWS_LAMBDA_RUNTIME_API");
    if (!address)
        fprintf(stderr, "AWS_LAMBDA_RUNTIME_API is not set: this program runs in AWS Lambda\n");
    signal(SIGPIPE, SIG_IGN); /* a connection that is gone is an error like others */
    return address;
}

/* Posts and looks only at the status: Lambda says 202. */
static int post(const char *address, const char *path, const char *headers, const char *body,
                size_t size)
{
    struct http_answer answer;
    if (http_call(address, "POST", path, headers, body, size, &answer) != 0) {
        fprintf(stderr, "POST %s: %s\n", path, strerror(errno));
        return -1;
    }
    int status = answer.status;
    if (status != 202)
        fprintf(stderr, "POST %s: %d %s\n", path, status, answer.body);
    http_free(&answer);
    return status == 202 || status == 413 ? 0 : -1; /* 413: too large, and the invocation failed */
}

static void write_json_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if ((unsigned char)*c < 0x20)
            fprintf(out, "\\u%04x", *c);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}

static int post_error(const char *address, const char *path, const char *type, const char *message)
{
    char *body = NULL, headers[128];
    size_t size = 0;
    FILE *out = open_memstream(&body, &size);
    if (!out)
        return -1;
    fprintf(out, "{\"errorType\": \"%s\", \"errorMessage\": ", type);
    write_json_string(out, message);
    fprintf(out, ", \"stackTrace\": []}");
    fclose(out);
    snprintf(headers, sizeof headers,
             "Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: %s\r\n", type);
    int rc = post(address, path, headers, body, size);
    free(body);
    return rc;
}

static int invoke(const char *address, runtime_handler *handler, void *context,
                  const struct http_answer *next)
{
    char id[128], deadline[32], path[256], *text = NULL;
    size_t size = 0;
    http_header(next, "Lambda-Runtime-Aws-Request-Id", id, sizeof id);
    http_header(next, "Lambda-Runtime-Deadline-Ms", deadline, sizeof deadline);
    struct runtime_event event = {.request_id = id,
                                  .deadline_ms = strtoull(deadline, NULL, 10),
                                  .json = next->body,
                                  .size = next->size};
    FILE *answer = open_memstream(&text, &size);
    if (!answer)
        return -1;
    int failed = handler(context, &event, answer);
    if (fclose(answer) != 0)
        return -1;
    snprintf(path, sizeof path, RUNTIME "/invocation/%s/%s", id, failed ? "error" : "response");
    int rc = failed ? post_error(address, path, "Function.Failed", text)
                    : post(address, path, "Content-Type: application/json\r\n", text, size);
    free(text);
    return rc;
}

int runtime_run(runtime_handler *handler, void *context)
{
    const char *address = lambda_address();
    int rc = address ? 0 : -1;
    while (rc == 0) {
        struct http_answer next;
        rc = http_call(address, "GET", RUNTIME "/invocation/next", "", "", 0, &next);
        if (rc != 0) {
            fprintf(stderr, "no next invocation: %s\n", strerror(errno));
        } else if (next.status != 200) {
            fprintf(stderr, "no next invocation: %d %s\n", next.status, next.body);
            rc = -1;
        } else {
            rc = invoke(address, handler, context, &next);
        }
        http_free(&next);
    }
    return -1;
}

int runtime_init_failed(const char *reason)
{
    const char *address = lambda_address();
    fprintf(stderr, "%s\n", reason);
    if (address)
        post_error(address, RUNTIME "/init/error", "Function.Init", reason);
    return EXIT_FAILURE;
}
