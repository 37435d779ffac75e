# SPDX-License-Identifier: Apache-2.0
"""A name server that does not answer holds up the fetches, and nothing else."""
import contextlib
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import url  # noqa: E402
from fake_daemon import NAME, aws  # noqa: E402,F401


@contextlib.contextmanager
def silent_name_server(path):
    """What runs a program whose names are looked up where nobody answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.77", 53))
        (path / "resolv.conf").write_text("nameserver 127.0.0.77\n")
        (path / "hosts").write_text("127.0.0.1 localhost\n")
        script = (f'mount --bind "{path}/resolv.conf" /etc/resolv.conf && '
                  f'mount --bind "{path}/hosts" /etc/hosts && exec "$@"')
        yield ["unshare", "-m", "sh", "-c", script, "sh"]


@pytest.fixture
def deaf(aws, tmp_path, need_mounts):
    with silent_name_server(tmp_path) as wrapper:
        daemon = aws.daemon(start=False, SHMCONF_PREFETCH_LIST=NAME, SHMCONF_REQUEST_TIMEOUT="1s",
                            AWS_ENDPOINT_URL_APPCONFIGDATA="http://appconfigdata.example.com:1")
        daemon.command = [*wrapper, *daemon.command]
        with daemon:
            yield daemon.start()


def test_requests_are_answered_while_a_name_is_given_up(deaf):
    """Resolving gives up after 10 s; the first fetches are given up after 1 s."""
    end = time.monotonic() + 12
    while time.monotonic() < end:
        assert deaf.get("/ping", timeout=3).status == 200
        time.sleep(0.05)
    assert deaf.get(url(NAME)).status in (502, 504)
    assert deaf.count_log(f"ERROR {NAME}") >= 1


def test_it_ends_while_a_name_is_looked_up(deaf):
    began = time.monotonic()
    deaf.send(signal.SIGTERM)
    assert deaf.wait_end() == 0
    assert time.monotonic() - began < 4
