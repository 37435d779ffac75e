# SPDX-License-Identifier: Apache-2.0
"""Handlers in C on AppConfig: asking for a configuration, waiting for it, and what rest costs."""
import errno
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import Reader, url, wait_until  # noqa: E402
from fake_daemon import NAME, aws, get_all  # noqa: E402,F401

ONE = '{"limit": 1}'
TWO = '{"limit": 2}'


def reader_of(daemon, name=NAME):
    return Reader(daemon.root, name, env={"SHMCONF_HTTP_PORT": str(daemon.port)})


def test_a_reader_asks_for_what_nobody_fetched_yet(aws):
    aws.fake.put(NAME, ONE, label="first")
    with aws.daemon() as daemon, reader_of(daemon) as reader, reader_of(daemon) as waiting:
        assert reader("enter")["rc"] == -errno.ENOENT
        waiting.send("wait", 20000)
        assert reader("request", 20000)["rc"] == 0
        answer = reader("enter")
        assert (answer["text"], answer["label"], answer["generation"]) == (ONE, "first", 1)
        assert waiting.receive()["rc"] == 0
        assert waiting("enter")["text"] == ONE
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
