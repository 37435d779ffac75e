/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "http/request.h"

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

long http_percent_decode(struct http_text text, char *out, size_t out_size)
{
    size_t length = 0;
    for (size_t i = 0; i < text.size; i++) {
        int byte = (unsigned char)text.data[i];
        if (byte == '%') {
            int high = i + 2 < text.size ? hex_value(text.data[i + 1]) : -1;
            int low = high >= 0 ? hex_value(text.data[i + 2]) : -1;
            byte = low >= 0 ? high * 16 + low : 0;
            i += 2;
        }
        if (byte == 0)
            return -EILSEQ;
        if (length + 1 >= out_size)
            return -ENAMETOOLONG;
        out[length++] = (char)byte;
    }
    if (out_size == 0)
        return -ENAMETOOLONG;
    out[length] = '\0';
    return (long)length;
}
