/* SPDX-License-Identifier: Apache-2.0 */
#include "log/limit.h"

#include <stdio.h>

#include "base/clock.h"
#include "log/log.h"

static const uint64_t period = 60 * NS_PER_S;

void log_limit_tell(struct log_limit *limit, uint64_t now_ns)
{
    if (limit->left_out == 0 || now_ns - limit->began_ns < period)
        return;
    log_error("... and %lu more %s; the last: %s", limit->left_out, limit->what, limit->last);
    limit->left_out = 0;
}

bool log_limit_allows(struct log_limit *limit, const char *subject, uint64_t now_ns)
{
    log_limit_tell(limit, now_ns);
    if (limit->written == 0 || now_ns - limit->began_ns >= period) {
        limit->began_ns = now_ns;
        limit->written = 0;
    }
    if (limit->written < LOG_LIMIT_LINES) {
        limit->written++;
        return true;
    }
    if (limit->left_out++ == 0)
        log_error("%d %s within a minute: the others are counted", LOG_LIMIT_LINES, limit->what);
    snprintf(limit->last, sizeof limit->last, "%s", subject);
    return false;
}
