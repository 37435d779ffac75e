# SPDX-License-Identifier: Apache-2.0
"""When a request waits for a check: when that begins late, and at no other time."""
import concurrent.futures
import http.client
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import Reader, url, wait_until  # noqa: E402
from fake_daemon import NAME, aws  # noqa: E402,F401

ONE = '{"limit": 1}'
TWO = '{"limit": 2}'


def stop_until_late(daemon, reader, seconds):
    """SIGSTOP until the next check is late by so much."""
    daemon.send(signal.SIGSTOP)
    due_s = reader("status")["next_ns"] / 1e9
    time.sleep(max(0, due_s + seconds - time.time()))


def test_a_check_that_is_late_by_less_than_an_interval_is_waited_for(aws):
    """By all who ask before it has ended, not only by the one who had it begin."""
    aws.fake.put(NAME, ONE)
    aws.fake.poll_interval_s = 4
    with aws.daemon(SHMCONF_POLL_INTERVAL="4", SHMCONF_FRESH_WAIT_MS="20000",
                    SHMCONF_LOG_LEVEL="debug") as daemon, Reader(daemon.root, NAME) as reader, \
            concurrent.futures.ThreadPoolExecutor(2) as pool:
        daemon.wait_body(NAME, ONE)
        stop_until_late(daemon, reader, 1.2)
        aws.fake.put(NAME, TWO)
        stalled = aws.fake.fault(operation="get", stall="request")
        daemon.send(signal.SIGCONT)
        answers = []
        for asked in (2, 3):
            answers.append(pool.submit(daemon.get, url(NAME)))
            wait_until(lambda: daemon.count_log("requested over HTTP") == asked)
            wait_until(lambda: stalled.hits)
        stalled.release()
        assert [answer.result().text for answer in answers] == [TWO, TWO]
    calls = aws.fake.calls()
    assert (calls.starts, calls.gets, calls.received) == (1, 2, 2)


def test_nobody_waits_longer_than_told(aws):
    aws.fake.put(NAME, ONE)
    with aws.quick(SHMCONF_FRESH_WAIT_MS="50", SHMCONF_REQUEST_TIMEOUT="60s") as daemon, \
            Reader(daemon.root, NAME) as reader:
        daemon.wait_body(NAME, ONE)
        stop_until_late(daemon, reader, 1.2)
        stalled = aws.fake.fault(operation="get", stall="request", times=None)
        daemon.send(signal.SIGCONT)
        assert daemon.get(url(NAME)).text == ONE  # else it waits as long as the poll may take
        stalled.release()


@pytest.mark.parametrize("fault", [None, "internal"], ids=["poll", "next try"])
def test_nobody_waits_for_what_began_in_time(aws, fault):
    """However long it takes: a request would have to wait for a minute here."""
    aws.fake.put(NAME, ONE)
    with aws.quick(SHMCONF_FRESH_WAIT_MS="60000", SHMCONF_REQUEST_TIMEOUT="60s") as daemon, \
            Reader(daemon.root, NAME) as reader:
        daemon.wait_body(NAME, ONE)
        for _ in range(3):
            if fault:
                aws.fake.fault(operation="get", error=fault, times=2)
                wait_until(lambda: reader("status")["failures"] == 2)
            due_s = reader("status")["next_ns"] / 1e9
            stalled = aws.fake.fault(operation="get", stall="request")
            wait_until(lambda: stalled.hits)
            if time.time() < due_s + 0.9:
                break  # else the machine kept the daemon from being in time
            aws.fake.clear_faults()
            wait_until(lambda: reader("status")["failures"] == 0)
        time.sleep(max(0, due_s + 1.5 - time.time()))
        assert daemon.get(url(NAME), timeout=20).text == ONE
        assert not stalled.released
        stalled.release()


def test_a_check_that_was_stopped_amid_is_waited_for(aws):
    """It began in time, and its call has run for longer than it may by now."""
    aws.fake.put(NAME, ONE)
    with aws.quick(SHMCONF_FRESH_WAIT_MS="20000", SHMCONF_REQUEST_TIMEOUT="300ms") as daemon:
        daemon.wait_body(NAME, ONE)
        client = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=20)
        client.request("GET", url(NAME))
        assert client.getresponse().read() == ONE.encode()
        stalled = aws.fake.fault(operation="get", stall="request")
        wait_until(lambda: stalled.hits)
        daemon.send(signal.SIGSTOP)
        aws.fake.put(NAME, TWO)
        client.request("GET", url(NAME))
        time.sleep(1.4)
        daemon.send(signal.SIGCONT)
        assert client.getresponse().read() == TWO.encode()
        client.close()


def test_nobody_waits_for_a_check_that_has_others_before_it(aws):
    """The service takes every request and answers none; one after the other times out."""
    names = [f"Shop:Prod:C{i}" for i in range(40)]
    for name in names:
        aws.fake.put(name, ONE)
    aws.fake.connections_max = 1
    with aws.quick(SHMCONF_FRESH_WAIT_MS="60000", SHMCONF_REQUEST_TIMEOUT="1s",
                   SHMCONF_MAX_CONNECTIONS="1", SHMCONF_PREFETCH_LIST=",".join(names)) as daemon:
        for name in names:
            daemon.wait_body(name, ONE)
        stalled = aws.fake.fault(operation="get", stall="request", times=None)
        wait_until(lambda: stalled.hits >= 5, timeout=30)
        for name in reversed(names):
            assert daemon.get(url(name), timeout=10).text == ONE
        aws.fake.clear_faults()


def test_a_first_fetch_whose_client_is_gone_goes_on_after_a_thaw(aws):
    other = "Shop:Prod:Other"
    aws.fake.put(NAME, ONE)
    aws.fake.put(other, ONE)
    with aws.quick(SHMCONF_PREFETCH_LIST=other, SHMCONF_REQUEST_TIMEOUT="60s") as daemon, \
            Reader(daemon.root, NAME) as reader, Reader(daemon.root, other) as other_reader:
        daemon.wait_body(other, ONE)
        stalled = aws.fake.fault(name=NAME, operation="get", stall="request")
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=20) as client:
            client.sendall(f"GET {url(NAME)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            wait_until(lambda: stalled.hits)
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""  # the daemon has noticed
        stop_until_late(daemon, other_reader, 3)
        daemon.send(signal.SIGCONT)
        daemon.wait_log("the process was stopped")
        assert reader("wait", 20000)["rc"] == 0
        assert reader("enter")["text"] == ONE
        calls = aws.fake.calls(NAME)
        assert calls.starts == 2 and not stalled.released
