/* SPDX-License-Identifier: Apache-2.0 */
/* A machine without /proc, as far as the region's writer can tell. */
#ifndef TESTS_INTEGRATION_PROC_H
#define TESTS_INTEGRATION_PROC_H

#include <stdbool.h>

/* The program is linked with --wrap=access: without /proc the region does without unnamed files. */
extern bool proc_is_there;

#endif
