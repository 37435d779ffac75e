/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream/http_date.h"

#include <string.h>

time_t http_date_parse(const char *text)
{
    struct tm date = {0};
    /* The daemon stays in the C locale, whose names these are. */
    const char *rest = strptime(text, "%a, %d %b %Y %H:%M:%S", &date);
    if (!rest || strcmp(rest, " GMT") != 0)
        return -1;
    time_t seconds = timegm(&date);
    return seconds < 0 ? -1 : seconds;
}
