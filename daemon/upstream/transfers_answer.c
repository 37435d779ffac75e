/* SPDX-License-Identifier: Apache-2.0 */
/* What libcurl receives for a request: headers and body, as far as they are allowed to go. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "upstream/transfers_internal.h"

enum { HEADERS_MAX = 64 * 1024 };

static int append(struct bytes *bytes, const char *data, size_t size, size_t max)
{
    if (size > max || bytes->size > max - size)
        return -EFBIG;
    if (bytes->size + size + 1 > bytes->room) {
        size_t room = (bytes->size + size + 1) * 2;
        char *larger = realloc(bytes->data, room);
        if (!larger)
            return -ENOMEM;
        bytes->data = larger;
        bytes->room = room;
    }
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
    bytes->data[bytes->size] = '\0';
    return 0;
}

size_t transfer_on_body(char *data, size_t one, size_t size, void *context)
{
    struct transfer *transfer = context;
    (void)one;
    transfer->error = append(&transfer->body, data, size, transfer->transfers->options.body_max);
    return transfer->error ? 0 : size; /* 0: libcurl ends the transfer */
}

size_t transfer_on_header(char *data, size_t one, size_t size, void *context)
{
    struct transfer *transfer = context;
    size_t text = one * size;
    if (text >= 5 && memcmp(data, "HTTP/", 5) == 0)
        transfer->headers.size = 0; /* of a 100 Continue */
    while (text > 0 && (data[text - 1] == '\n' || data[text - 1] == '\r'))
        text--;
    transfer->error = append(&transfer->headers, data, text, HEADERS_MAX);
    if (!transfer->error)
        transfer->error = append(&transfer->headers, "", 1, HEADERS_MAX);
    return transfer->error ? 0 : one * size;
}

const char *transfer_header(const struct transfer *transfer, const char *name)
{
    size_t size = strlen(name);
    const char *line;
    for (size_t at = 0; at < transfer->headers.size; at += strlen(line) + 1) {
        line = transfer->headers.data + at;
        if (strncasecmp(line, name, size) == 0 && line[size] == ':')
            return line + size + 1 + strspn(line + size + 1, " \t");
    }
    return NULL;
}
