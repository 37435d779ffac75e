# SPDX-License-Identifier: Apache-2.0
"""libfaketime, which gives an ordinary program other clocks."""
import glob

import pytest


def library():
    found = [path for folder in ("/usr/lib/*", "/usr/lib", "/usr/lib64")
             for path in glob.glob(f"{folder}/faketime/libfaketime.so.1")]
    if not found:
        pytest.skip("libfaketime is not installed; tests/deps --all does it")
    return found[0]


def faketime(**how):
    """The variables of a program whose clocks FAKETIME... of these tell."""
    # AddressSanitizer insists on being the first library, and does without.
    return {"LD_PRELOAD": library(), "NO_FAKE_STAT": "1", "TZ": "UTC",
            "ASAN_OPTIONS": "verify_asan_link_order=0", **how}
