/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of libcurl that daemon/upstream/ calls, without a network: it takes a request, and the
 * fuzzer says what libcurl would hand over of the answer. One request at a time.
 */
#ifndef TESTS_FUZZ_FAKE_CURL_H
#define TESTS_FUZZ_FAKE_CURL_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

/* Whether a request waits for its answer. */
bool fake_curl_is_running(void);

/* The value of a header of that request, or NULL; its URL. */
const char *fake_curl_sent(const char *name);
const char *fake_curl_url(void);

/* Hands over a line of the head or a piece of the body; false when the daemon wants no more. */
bool fake_curl_header(const char *line, size_t size);
bool fake_curl_body(const char *data, size_t size);

/* Ends the request; the next transfers_collect sees that. `problem` is copied. */
void fake_curl_end(CURLcode code, long status, const char *problem);

#endif
