/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fill(struct error *error, int code, const char *subject, const char *format,
                 va_list arguments)
{
    error->code = code;
    snprintf(error->subject, sizeof error->subject, "%s", subject ? subject : "");
    vsnprintf(error->message, sizeof error->message, format, arguments);
}

int error_set(struct error *error, int code, const char *subject, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        fill(error, code, subject, format, arguments);
        va_end(arguments);
    }
    return -code;
}

int error_system(struct error *error, int code, const char *subject, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        fill(error, code, subject, format, arguments);
        va_end(arguments);
        size_t used = strlen(error->message);
        snprintf(error->message + used, sizeof error->message - used, ": %s", strerror(code));
    }
    return -code;
}
