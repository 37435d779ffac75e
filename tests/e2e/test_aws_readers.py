# SPDX-License-Identifier: Apache-2.0
"""Handlers in C on AppConfig: asking for a configuration, waiting for it, and what rest costs."""
import errno
import shutil
import socket
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import TIMEOUT_S, Reader, url, wait_until  # noqa: E402
from fake_daemon import NAME, aws, get_all  # noqa: E402,F401

ONE = '{"limit": 1}'
TWO = '{"limit": 2}'


def reader_of(daemon, name=NAME):
    return Reader(daemon.root, name, env={"SHMCONF_HTTP_PORT": str(daemon.port)})


def free_port():
    """Of the loopback; somebody else may take it before we do."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Listener:
    """In a daemon's place; `requests` are what came, with the end of each connection."""

    def __init__(self, port=0, backlog=10):
        self.socket = socket.create_server(("127.0.0.1", port), backlog=backlog)
        self.port = self.socket.getsockname()[1]
        self.requests = []

    def accept(self, timeout):
        """One request, or None; it gets no answer."""
        self.socket.settimeout(timeout)
        try:
            connection, _ = self.socket.accept()
        except (TimeoutError, BlockingIOError):
            return None
        with connection:
            connection.settimeout(TIMEOUT_S)
            parts = iter(lambda: connection.recv(4096), b"")
            self.requests.append(b"".join(parts).decode())
        return self.requests[-1]


def test_opening_and_waiting_is_enough(aws):
    aws.fake.put(NAME, ONE, label="first")
    with aws.daemon() as daemon, reader_of(daemon) as reader, reader_of(daemon) as another:
        another.send("wait", 20000)
        assert reader("wait", 20000)["rc"] == 0
        answer = reader("enter")
        assert (answer["text"], answer["label"], answer["generation"]) == (ONE, "first", 1)
        assert another.receive()["rc"] == 0
        assert another("enter")["text"] == ONE
    calls = aws.fake.calls()
    assert (calls.starts, calls.gets, calls.received) == (1, 1, 1)


def test_the_daemon_may_come_later(aws):
    aws.fake.put(NAME, ONE)
    port = free_port()
    with Reader(aws.path / "region", NAME, env={"SHMCONF_HTTP_PORT": str(port)}) as reader:
        assert reader("wait", 150)["rc"] == -errno.ETIMEDOUT
        reader.send("wait", 20000)
        with aws.daemon(SHMCONF_HTTP_PORT=str(port)):
            assert reader.receive()["rc"] == 0
            assert reader("enter")["text"] == ONE


def test_who_waits_asks_again_after_a_while_and_hangs_up_at_once(aws):
    """Five seconds: a reader that waits for less at a time asks no more often."""
    listener = Listener()
    with Reader(aws.path / "region", NAME, env={"SHMCONF_HTTP_PORT": listener.port}) as reader:
        began = time.monotonic()
        reader.send("wait", 10)
        assert reader.receive()["rc"] == -errno.ETIMEDOUT
        assert listener.accept(TIMEOUT_S).startswith(f"HEAD {url(NAME)} HTTP/1.0\r\nHost: ")
        while not (again := listener.accept(0)) and time.monotonic() < began + TIMEOUT_S:
            assert reader("wait", 20)["rc"] == -errno.ETIMEDOUT
        assert again and time.monotonic() - began > 4.9


def test_nobody_is_asked_for_a_newer_version_nor_by_a_silent_reader(aws):
    aws.fake.put(NAME, ONE)
    listener = Listener()
    environment = {"SHMCONF_HTTP_PORT": listener.port}
    region = aws.path / "region"
    with Reader(region, NAME, env=environment, flags=["--silent"]) as silent:
        assert silent("wait", 100)["rc"] == -errno.ETIMEDOUT
    with aws.daemon(SHMCONF_PREFETCH_LIST=NAME) as daemon, \
            Reader(region, NAME, env=environment) as reader:
        daemon.wait_body(NAME, ONE)
        assert reader("wait", 20000)["rc"] == 0
        assert reader("enter")["text"] == ONE
        assert reader("wait", 100)["rc"] == -errno.ETIMEDOUT
        shutil.rmtree(region)
        assert reader("wait", 100)["rc"] in (0, -errno.ETIMEDOUT)
    assert listener.accept(0) is None


@pytest.mark.parametrize("command", ["wait", "request"])
def test_a_daemon_that_takes_no_connection_does_not_hold_up(aws, command):
    """A connection request that finds a full queue is dropped, and repeated for two minutes."""
    listener = Listener(backlog=0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", listener.port))
        fillers.append(filler)
    with Reader(aws.path / "region", NAME, env={"SHMCONF_HTTP_PORT": listener.port}) as reader:
        began = time.monotonic()
        assert reader(command, 200)["rc"] == -errno.ETIMEDOUT
        assert time.monotonic() - began < TIMEOUT_S
    for filler in fillers:
        filler.close()


def test_a_request_returns_when_the_daemon_has_answered(aws):
    aws.fake.put(NAME, ONE)
    with aws.daemon() as daemon, reader_of(daemon) as reader:
        assert reader("enter")["rc"] == -errno.ENOENT
        assert reader("request", 20000)["rc"] == 0
        assert reader("enter")["text"] == ONE
        assert reader("request", 20000)["rc"] == 0
    calls = aws.fake.calls()
    assert (calls.starts, calls.gets, calls.received) == (1, 1, 1)


@pytest.mark.parametrize("fault, code", [
    (None, errno.ENOENT), ({"error": "denied"}, errno.EACCES), ({"error": "internal"}, errno.EIO),
    ({"stall": "request"}, errno.ETIMEDOUT)], ids=["unknown", "denied", "internal", "stalled"])
def test_a_reader_learns_why_there_is_nothing(aws, fault, code):
    if fault:
        aws.fake.put(NAME, ONE)
        aws.fake.fault(operation="start", times=None, **fault)
    with aws.daemon(SHMCONF_REQUEST_TIMEOUT="500ms") as daemon, reader_of(daemon) as reader:
        assert reader("request", 20000)["rc"] == -code
        assert reader("enter")["rc"] == -errno.ENOENT
        assert reader("wait", 50)["rc"] == -errno.ETIMEDOUT
    assert aws.fake.calls().gets == 0


def test_a_request_of_a_reader_ends_when_its_time_is_over(aws):
    aws.fake.put(NAME, ONE)
    stalled = aws.fake.fault(operation="get", stall="request")
    with aws.daemon() as daemon, reader_of(daemon) as reader:
        assert reader("request", 200)["rc"] == -errno.ETIMEDOUT
        stalled.release()
        assert reader("wait", 20000)["rc"] == 0
        assert reader("enter")["text"] == ONE
    calls = aws.fake.calls()
    assert (calls.starts, calls.gets, calls.received) == (1, 1, 1)


def test_other_credentials_after_a_restart(aws):
    """Those of the environment are replaced with the process; readers and clients see no gap."""
    aws.fake.put(NAME, ONE)
    daemon = aws.quick(SHMCONF_PREFETCH_LIST=NAME)
    with daemon, reader_of(daemon) as reader:
        daemon.wait_body(NAME, ONE)
        assert reader("enter")["text"] == ONE
        aws.fake.keys.clear()
        aws.fake.keys["AKIANEXT"] = ("next/secret", "next+session/token==")
        daemon.wait_log("UnrecognizedClientException|security token")
        wait_until(lambda: reader("status")["http_status"] == 403)
        assert daemon.get(url(NAME)).text == ONE
        assert reader("enter")["text"] == ONE
        assert aws.fake.take_breaches("credentials")
        aws.fake.put(NAME, TWO)
        daemon.stop()
        assert reader("enter")["text"] == ONE
        daemon.environment |= {"AWS_ACCESS_KEY_ID": "AKIANEXT",
                               "AWS_SECRET_ACCESS_KEY": "next/secret",
                               "AWS_SESSION_TOKEN": "next+session/token=="}
        aws.fake.take_breaches("credentials")
        daemon.start()
        assert reader.wait_text(TWO)["generation"] == 2
        wait_until(lambda: reader("status")["failures"] == 0)


def test_with_nothing_due_nothing_wakes_up(aws):
    names = [f"Shop:Prod:C{i}" for i in range(10)]
    for name in names:
        aws.fake.put(name, ONE)
    with aws.daemon(SHMCONF_PREFETCH_LIST=",".join(names)) as daemon:
        assert {one.status for one in get_all(daemon, names)} == {200}

        def quiet():
            """Connections to the service and of clients are gone."""
            before = daemon.status_field("voluntary_ctxt_switches")
            time.sleep(1)
            return daemon.status_field("voluntary_ctxt_switches") == before
        wait_until(quiet)
        calls = aws.fake.calls().gets
        before = daemon.status_field("voluntary_ctxt_switches")
        began = time.monotonic()
        time.sleep(10)
        switches = daemon.status_field("voluntary_ctxt_switches") - before
        if aws.fake.calls().gets == calls:  # else this machine stood still until the polls
            assert switches == 0, f"{switches} in {time.monotonic() - began:.1f} s"
        assert daemon.status_field("Threads") == 1
