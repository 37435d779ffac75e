/* SPDX-License-Identifier: Apache-2.0 */
#include "source/name_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "settings/settings.h"

int name_list_split(const char *list, char **text, char ***names, size_t *count)
{
    char *rest;
    size_t found = 0;
    *text = strdup(list ? list : "");
    *names = *text ? malloc((strlen(*text) / 2 + 1) * sizeof **names) : NULL;
    *count = 0;
    if (!*names)
        return -ENOMEM;
    for (char *one = strtok_r(*text, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        one += strspn(one, SETTINGS_LIST_BLANKS);
        size_t size = strlen(one);
        while (size > 0 && strchr(SETTINGS_LIST_BLANKS, one[size - 1]))
            one[--size] = '\0';
        if (size > 0)
            (*names)[found++] = one;
    }
    *count = found;
    return 0;
}
