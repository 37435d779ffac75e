/* SPDX-License-Identifier: Apache-2.0 */
/* The whole test framework: a failed CHECK names its place and ends the program. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define CHECK_INT(expected, actual)                                                                \
    do {                                                                                           \
        long long check_expected = (long long)(expected);                                          \
        long long check_actual = (long long)(actual);                                              \
        if (check_expected != check_actual) {                                                      \
            fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #actual,          \
                    check_actual, check_expected);                                                 \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define CHECK_STRING(expected, actual)                                                             \
    do {                                                                                           \
        const char *check_expected = (expected);                                                   \
        const char *check_actual = (actual);                                                       \
        if (!check_actual || strcmp(check_expected, check_actual) != 0) {                          \
            fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #actual,      \
                    check_actual ? check_actual : "(null)", check_expected);                       \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* Ends the program as skipped; ctest and tests/run count it. */
#define SKIP(reason)                                                                               \
    do {                                                                                           \
        printf("SKIP %s\n", reason);                                                               \
        exit(77);                                                                                  \
    } while (0)

#endif
