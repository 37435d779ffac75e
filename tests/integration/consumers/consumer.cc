// SPDX-License-Identifier: Apache-2.0
// The same as consumer.c in C++.
#include <shmconf.h>

#include <iostream>

int main()
{
    shmconf::reader reader("Shop:Prod:Checkout");
    if (reader.opened()) {
        std::cout << "open: " << shmconf_strerror(reader.opened()) << "\n";
        return 1;
    }
    shmconf::snapshot snapshot(reader);
    if (!snapshot)
        std::cout << "enter: " << shmconf_strerror(reader.error()) << "\n";
    return 0;
}
