# SPDX-License-Identifier: Apache-2.0
"""What ./tests/run needs from pytest: the reason of every skipped case."""
import os


def pytest_runtest_logreport(report):
    """ctest sees only the whole file; so each skip goes into a file that tests/run counts."""
    log = os.environ.get("SHMCONF_SKIP_LOG")
    if not log or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = " ".join(reason.removeprefix("Skipped: ").split())
    backend = os.environ.get("SHMCONF_TEST_BACKEND")
    case = f"{report.nodeid} on {backend}" if backend else report.nodeid
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"{case}: {reason}\n")
