/* SPDX-License-Identifier: Apache-2.0 */
/* Whom libcurl is to trust: the authorities that are built in, or those of a file. */
#include <string.h>

#include "log/log.h"
#include "upstream/transfers_internal.h"

void transfers_set_roots(const struct transfers *transfers, CURL *easy)
{
    const struct roots *roots = &transfers->options.roots;
    if (roots->built_in && !transfers->distrusts_built_in) {
        /* libcurl does not change it. */
        struct curl_blob blob = {.data = (void *)roots->built_in,
                                 .len = strlen(roots->built_in),
                                 .flags = CURL_BLOB_NOCOPY};
        curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
        return;
    }
    curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, NULL);
    if (roots->file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, roots->file);
}

/*
 * Somebody else vouches for the server than who is built in: what a company puts between, or an
 * authority that is newer than this program.
 */
bool transfers_distrust_built_in(struct transfers *transfers)
{
    const struct roots *roots = &transfers->options.roots;
    if (!roots->built_in || !roots->file)
        return false;
    if (!transfers->distrusts_built_in)
        log_warn("the server's certificate is from none of Amazon's authorities: from now on %s "
                 "decides (name it in AWS_CA_BUNDLE to save a handshake at each start)",
                 roots->file);
    transfers->distrusts_built_in = true;
    return true;
}
