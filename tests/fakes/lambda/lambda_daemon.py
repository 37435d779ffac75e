# SPDX-License-Identifier: Apache-2.0
"""shmconfd as an extension, on fakes of Lambda and of AppConfig Data, for tests/e2e/test_lambda*.py."""
import contextlib
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "appconfig"))
from extensions import ExtensionsApi  # noqa: E402
from fake_daemon import NAME  # noqa: E402


@contextlib.contextmanager
def extension(aws, api=None, prefetch=(NAME,), start=True, wrapper=(), root=None, **environment):
    """(ExtensionsApi, Daemon): registered, and with its first event/next asked where it starts.

    Its settings have the names that count in Lambda. Ends by SHUTDOWN.
    """
    with api or ExtensionsApi() as api:
        settings = {"AWS_LAMBDA_RUNTIME_API": api.address,
                    "AWS_APPCONFIG_EXTENSION_PREFETCH_LIST": ",".join(prefetch), **environment}
        if root:
            settings["SHMCONF_DIR"] = str(root)
        daemon = aws.daemon(start=False, **settings)
        daemon.command = [*map(str, wrapper), *daemon.command]
        with daemon:
            if start:
                daemon.start()
                api.wait_parked(1)
            yield api, daemon
            if daemon.process and daemon.process.poll() is None:
                end(api, daemon)


def start_without_server(daemon):
    """As Daemon.start, which waits for the port."""
    with open(daemon.log_path, "ab") as log:
        daemon.process = subprocess.Popen(daemon.command, env=daemon.environment, stdout=log,
                                          stderr=log, stdin=subprocess.DEVNULL)


def end(api, daemon, **shutdown):
    """SHUTDOWN, and exit status 0."""
    api.shut_down(**shutdown)
    assert daemon.wait_end() == 0, daemon.log()


def quick(aws):
    """A check is due at every invocation; the daemon's own timers come too late to begin one."""
    aws.fake.poll_interval_s = 1
    return {"SHMCONF_POLL_INTERVAL": "1"}


def invoke(api, times=3):
    for _ in range(times):
        api.wait_parked()
        asked = len(api.times)
        api.invoke()
        api.wait_parked(asked + 1)


def expect_line(daemon, *words):
    """Exactly one line of ERROR has all of them."""
    lines = [line for line in daemon.log().splitlines() if " ERROR " in line]
    assert len([line for line in lines if all(word in line for word in words)]) == 1, daemon.log()
