# SPDX-License-Identifier: Apache-2.0
"""Whoever asks for names that nobody knows holds up nobody else, and fills no log."""
import concurrent.futures
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import url, wait_until  # noqa: E402
from fake_daemon import NAME, aws, get_all, message  # noqa: E402,F401

ONE = '{"limit": 1}'
REAL = "Shop:Prod:Real"
LISTED = "Shop:Prod:Listed"
FIRST_FETCHES_MAX = 256  # of unlisted names at a time, as docs/architecture.md says
LOG_LINES = 20           # about unlisted names in a minute


def unknown(count):
    return [f"Storm:Prod:N{i}" for i in range(count)]


def storm_calls_between_polls(fake, name):
    """How many calls about unknown names were answered between each two polls of this one."""
    counts = []
    for call in fake.log:
        if call.name == name and call.operation == "get":
            counts.append(0)
        elif counts and call.name.startswith("Storm:"):
            counts[-1] += 1
    return counts


def test_a_storm_of_unknown_names_starves_neither_polls_nor_real_names(aws):
    """A second has room for 3 x 20 calls of 50 ms; 240 more always wait in the daemon."""
    for name in (NAME, REAL):
        aws.fake.put(name, ONE)
    with aws.quick(SHMCONF_PREFETCH_LIST=NAME, SHMCONF_REQUEST_TIMEOUT="10s") as daemon:
        daemon.assert_backend()
        daemon.wait_body(NAME, ONE)
        aws.fake.fault(times=None, delay=0.05)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            storm = pool.submit(get_all, daemon, unknown(480), threads=240, timeout=60)
            wait_until(lambda: aws.fake.calls().starts > 60)
            response = daemon.get(url(REAL), timeout=60)
            assert (response.status, response.text) == (200, ONE)
            assert not storm.done()
            assert {one.status for one in storm.result()} == {404}
        aws.fake.clear_faults()
    assert aws.fake.calls(REAL).starts == 1 and aws.fake.calls(NAME).starts == 1
    assert max(storm_calls_between_polls(aws.fake, NAME)) <= 100


def test_polls_that_need_every_connection_leave_room_for_first_fetches(aws):
    """60 polls of 30 ms are due each second, over one connection."""
    aws.fake.connections_max = 1
    live = [f"Shop:Prod:Live{i}" for i in range(60)]
    for name in (*live, REAL):
        aws.fake.put(name, ONE)
    with aws.quick(SHMCONF_PREFETCH_LIST=",".join(live), SHMCONF_MAX_CONNECTIONS="1",
                   SHMCONF_REQUEST_TIMEOUT="10s") as daemon:
        aws.fake.wait_calls(lambda calls: calls.received == len(live))
        aws.fake.fault(times=None, delay=0.03)
        aws.fake.wait_calls(lambda calls: calls.gets >= 3 * len(live))
        before = len(aws.fake.log)
        response = daemon.get(url(REAL), timeout=60)
        assert (response.status, response.text) == (200, ONE)
        aws.fake.clear_faults()
        asked = [(call.operation, call.name) for call in aws.fake.log[before:]]
        # four by the rule, and those of the time until the daemon has the request
        assert asked.index(("start", REAL)) < len(live)


def test_beyond_256_first_fetches_a_name_is_refused_at_once(aws):
    for name in (NAME, REAL):
        aws.fake.put(name, ONE)
    count, refused = FIRST_FETCHES_MAX + 44, 44
    with aws.daemon(SHMCONF_PREFETCH_LIST=NAME, SHMCONF_REQUEST_TIMEOUT="20s") as daemon:
        daemon.wait_body(NAME, ONE)
        stalled = aws.fake.fault(operation="start", stall="request", times=None)
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            answers = [pool.submit(daemon.get, url(name), timeout=60) for name in unknown(count)]
            wait_until(lambda: sum(one.done() for one in answers) == refused)
            for response in (one.result() for one in answers if one.done()):
                assert response.status == 503 and "PREFETCH_LIST" in message(response), response
            assert daemon.get(url(REAL)).status == 503
            assert daemon.get(url(NAME)).text == ONE
            assert stalled.hits == 3
            aws.fake.clear_faults()
            statuses = [one.result().status for one in answers]
            assert (statuses.count(503), statuses.count(404)) == (refused, FIRST_FETCHES_MAX)
        assert daemon.get(url(REAL)).text == ONE
    calls = aws.fake.calls()
    assert (calls.starts, calls.received) == (1 + FIRST_FETCHES_MAX + 1, 2)


def test_a_storm_of_unknown_names_writes_few_lines(aws):
    """The names all differ, and what is listed or has a version is told of nevertheless."""
    count = 300
    aws.fake.put(NAME, ONE)
    aws.fake.put(LISTED, ONE)
    with aws.quick(SHMCONF_PREFETCH_LIST=f"{NAME},{LISTED}") as daemon:
        daemon.wait_body(NAME, ONE)
        daemon.wait_body(LISTED, ONE)
        assert {one.status for one in get_all(daemon, unknown(count))} == {404}
        aws.fake.fault(name=NAME, error="denied", times=1)
        aws.fake.remove(LISTED)
        daemon.wait_log(f"ERROR {NAME}: ")
        daemon.wait_log(f"ERROR {LISTED}: ")
        written = daemon.count_log("ERROR Storm:")
        daemon.stop()
        # two minutes may have been begun, if the machine is slow
        told = re.findall(r"ERROR \.\.\. and (\d+) more .*; the last: Storm:Prod:N\d+\n",
                          daemon.log())
        assert written + sum(map(int, told)) == count
        assert LOG_LINES * len(told) <= written <= LOG_LINES * (len(told) + 1)
        assert daemon.count_log("the others are counted") == len(told)


def test_a_listed_name_that_is_missing_is_told_of_in_a_storm(aws):
    aws.fake.put(NAME, ONE)
    with aws.quick(SHMCONF_PREFETCH_LIST=f"{NAME},{LISTED}") as daemon:
        daemon.wait_log(f"ERROR {LISTED}: .*404")
        get_all(daemon, unknown(2 * LOG_LINES))
        aws.fake.fault(name=LISTED, error="denied", times=None)
        daemon.wait_log(f"ERROR {LISTED}: .*403")
