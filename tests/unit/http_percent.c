/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "check.h"
#include "http/request.h"

static void percent_escapes_are_decoded(void)
{
    static const struct {
        const char *text;
        size_t room;
        long result;
        const char *decoded;
    } rows[] = {
        {"", 1, 0, ""},
        {"abc", 4, 3, "abc"},
        {"abc", 3, -ENAMETOOLONG, NULL},
        {"", 0, -ENAMETOOLONG, NULL},
        {"my%20app", 16, 6, "my app"},
        {"my%2Fapp%2f", 16, 7, "my/app/"},
        {"a+b", 16, 3, "a+b"},
        {"%C3%a9", 16, 2, "\xc3\xa9"},
        {"%25%", 16, -EILSEQ, NULL},
        {"%2", 16, -EILSEQ, NULL},
        {"%2g", 16, -EILSEQ, NULL},
        {"%g2", 16, -EILSEQ, NULL},
        {"%%20", 16, -EILSEQ, NULL},
        {"a%00b", 16, -EILSEQ, NULL},
        {"%41%42", 3, 2, "AB"},
        {"%41%42%43", 3, -ENAMETOOLONG, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[16];
        struct http_text text = {rows[i].text, strlen(rows[i].text)};
        CHECK_INT(rows[i].result, http_percent_decode(text, out, rows[i].room));
        if (rows[i].result >= 0)
            CHECK_STRING(rows[i].decoded, out);
    }
}

int main(void)
{
    percent_escapes_are_decoded();
    return 0;
}
