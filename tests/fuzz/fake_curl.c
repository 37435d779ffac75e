/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_curl.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "require.h"

/* curl.h has macros of the same names. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

struct fake_easy {
    curl_write_callback on_header;
    curl_write_callback on_body;
    void *header_context;
    void *body_context;
    void *private_pointer;
    char *problem;
    char *url;
    struct curl_slist *headers;
    long status;
};

static struct fake_easy *running;
static struct fake_easy *ended;
static CURLcode ended_code;

bool fake_curl_is_running(void)
{
    return running != NULL;
}

const char *fake_curl_sent(const char *name)
{
    size_t size = strlen(name);
    for (struct curl_slist *at = running->headers; at; at = at->next)
        if (strncasecmp(at->data, name, size) == 0 && strncmp(at->data + size, ": ", 2) == 0)
            return at->data + size + 2;
    return NULL;
}

const char *fake_curl_url(void)
{
    return running->url;
}

static bool hand_over(curl_write_callback take, void *context, const char *data, size_t size)
{
    char *copy = copy_bytes(data, size);
    size_t taken = take(copy, 1, size, context);
    free(copy);
    return taken == size;
}

bool fake_curl_header(const char *line, size_t size)
{
    return hand_over(running->on_header, running->header_context, line, size);
}

bool fake_curl_body(const char *data, size_t size)
{
    return hand_over(running->on_body, running->body_context, data, size);
}

void fake_curl_end(CURLcode code, long status, const char *problem)
{
    ended = running;
    running = NULL;
    ended_code = code;
    ended->status = status;
    snprintf(ended->problem, CURL_ERROR_SIZE, "%s", problem);
}

CURL *curl_easy_init(void)
{
    return calloc(1, sizeof(struct fake_easy));
}

void curl_easy_cleanup(CURL *handle)
{
    struct fake_easy *easy = handle;
    if (easy)
        free(easy->url);
    free(easy);
}

CURLcode curl_easy_setopt(CURL *handle, CURLoption option, ...)
{
    struct fake_easy *easy = handle;
    va_list arguments;
    va_start(arguments, option);
    if (option == CURLOPT_URL)
        easy->url = strdup(va_arg(arguments, const char *));
    else if (option == CURLOPT_PRIVATE)
        easy->private_pointer = va_arg(arguments, void *);
    else if (option == CURLOPT_HTTPHEADER)
        easy->headers = va_arg(arguments, struct curl_slist *);
    else if (option == CURLOPT_WRITEFUNCTION)
        easy->on_body = va_arg(arguments, curl_write_callback);
    else if (option == CURLOPT_WRITEDATA)
        easy->body_context = va_arg(arguments, void *);
    else if (option == CURLOPT_HEADERFUNCTION)
        easy->on_header = va_arg(arguments, curl_write_callback);
    else if (option == CURLOPT_HEADERDATA)
        easy->header_context = va_arg(arguments, void *);
    else if (option == CURLOPT_ERRORBUFFER)
        easy->problem = va_arg(arguments, char *);
    va_end(arguments);
    return CURLE_OK;
}

CURLcode curl_easy_getinfo(CURL *handle, CURLINFO info, ...)
{
    struct fake_easy *easy = handle;
    va_list arguments;
    va_start(arguments, info);
    if (info == CURLINFO_PRIVATE)
        *va_arg(arguments, void **) = easy->private_pointer;
    else if (info == CURLINFO_RESPONSE_CODE)
        *va_arg(arguments, long *) = easy->status;
    va_end(arguments);
    return CURLE_OK;
}

CURLM *curl_multi_init(void)
{
    return malloc(1);
}

CURLMcode curl_multi_cleanup(CURLM *multi)
{
    free(multi);
    return CURLM_OK;
}

CURLMcode curl_multi_setopt(CURLM *multi, CURLMoption option, ...)
{
    (void)multi, (void)option;
    return CURLM_OK;
}

CURLMcode curl_multi_add_handle(CURLM *multi, CURL *easy)
{
    (void)multi;
    require(!running);
    running = easy;
    return CURLM_OK;
}

CURLMcode curl_multi_remove_handle(CURLM *multi, CURL *easy)
{
    (void)multi;
    if (running == easy)
        running = NULL;
    return CURLM_OK;
}

CURLMsg *curl_multi_info_read(CURLM *multi, int *left)
{
    static CURLMsg message;
    (void)multi;
    *left = 0;
    if (!ended)
        return NULL;
    message.msg = CURLMSG_DONE;
    message.easy_handle = ended;
    message.data.result = ended_code;
    ended = NULL;
    return &message;
}

CURLMcode curl_multi_socket_action(CURLM *multi, curl_socket_t socket, int events, int *count)
{
    (void)multi, (void)socket, (void)events;
    *count = 0;
    return CURLM_OK;
}

CURLMcode curl_multi_assign(CURLM *multi, curl_socket_t socket, void *pointer)
{
    (void)multi, (void)socket, (void)pointer;
    return CURLM_OK;
}
