/* SPDX-License-Identifier: Apache-2.0 */
/* The time that a service says it is. */
#include "upstream/http_date.h"
#include "check.h"

static const struct {
    const char *text;
    long long seconds;
} dates[] = {
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"Mon, 23 Nov 2026 04:54:09 GMT", 1795409649},
    {"Sat, 29 Feb 2020 23:59:59 GMT", 1583020799},
    {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
    {"Sunday, 06-Nov-94 08:49:37 GMT", -1},
    {"Sun Nov  6 08:49:37 1994", -1},
    {"Sun, 06 Nov 1994 08:49:37 CET", -1},
    {"Sun, 06 Nov 1994 08:49:37", -1},
    {"Sun, 06 Nov 1994 08:49:37 GMT, x", -1},
    {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
    {"Sun, 06 Foo 1994 08:49:37 GMT", -1},
    {"Sun, 06 Nov 1994 25:49:37 GMT", -1},
    {"1795409649", -1},
    {"", -1},
};

int main(void)
{
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++)
        CHECK_INT(dates[i].seconds, http_date_parse(dates[i].text));
    return 0;
}
