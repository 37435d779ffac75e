/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What can be wrong with a region, as negative errno values. Whatever it is: a reader that has
 * returned a version once goes on returning its last good one.
 */
#ifndef SHMCONF_ERROR_H
#define SHMCONF_ERROR_H

#include <errno.h>

#include "shmconf/order.h"

/* The text of a value that a function of this header returned: constant, for any value. */
SHMCONF_API const char *shmconf_strerror(int error)
{
    static const struct {
        int code;
        const char *text;
    } table[] = {
        {0, "no error"},
        {ENOENT, "nothing was published yet under this name"},
        {ESTALE, "the region was removed; a running daemon makes a new one"},
        {EINVAL, "the name is malformed; Application:Environment:Profile is expected"},
        {ENAMETOOLONG, "a part of the name is longer than 512 bytes"},
        {EPERM, "a directory or file belongs to another user, or others may write it"},
        {EACCES,
         "no permission: of this user to read the region (see the daemon's SHMCONF_ACCESS), "
         "or, told by the daemon, of its role to read AppConfig"},
        {ELOOP, "a directory or file of the region is a symbolic link"},
        {ENOTDIR, "a directory of the region is something else"},
        {EPROTONOSUPPORT, "the region has another major version of the format"},
        {ENOEXEC, "the region was written by a machine of the other byte order"},
        {ENODATA, "a file of the region is shorter than it must be"},
        {EBADMSG, "a file of the region is damaged"},
        {ENOTUNIQ, "the region's head is that of another configuration"},
        {EAGAIN, "the writer was faster than the reader; try again"},
        {EBADF, "the reader is closed"},
        {EBUSY, "the reader is in use: leave before closing"},
        {ETIMEDOUT, "the time was over first"},
        {ECONNREFUSED, "no daemon answers on the HTTP port"},
        {ENOTSUP, "shared memory is for Linux; use HTTP"},
        {EMFILE, "too many open files"},
        {ENFILE, "too many open files in the system"},
        {ENOMEM, "out of memory"},
        {EIO, "a file could not be read, or the daemon could not fetch it (its log tells why)"},
    };
    unsigned code = SHMCONF_CAST(unsigned, error);
    if (error < 0)
        code = 0u - code;
    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++)
        if (SHMCONF_CAST(unsigned, table[i].code) == code)
            return table[i].text;
    return "a system call failed";
}

#endif
