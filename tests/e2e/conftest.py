# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests."""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from daemon import io_uring_is_allowed  # noqa: E402


@pytest.fixture
def backend():
    """The loop's backend that this run is for: None (any), "epoll" or "io_uring"."""
    name = os.environ.get("SHMCONF_TEST_BACKEND") or None
    if name == "io_uring" and not io_uring_is_allowed():
        pytest.skip("the kernel does not allow io_uring here")
    return name


@pytest.fixture
def need_root():
    if os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def need_mounts(need_root):
    """To give a daemon mounts of its own; a root that is no mount point, as in a chroot, has none."""
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"no private mounts here: {probe.stderr.strip()}")


@pytest.fixture
def open_path():
    """Like tmp_path, but other users may pass (those of pytest are 0700)."""
    path = Path(tempfile.mkdtemp(prefix="shmconf-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)
