# SPDX-License-Identifier: Apache-2.0
"""Hundreds of configurations, and names that nobody knows."""
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import url, wait_until  # noqa: E402
from fake_daemon import aws, get_all, message  # noqa: E402,F401


def share_three_connections(aws, count, patience_s):
    names = [f"Shop:Prod:C{i}" for i in range(count)]
    for name in names:
        aws.fake.put(name, f'"{name}"')
    aws.fake.poll_interval_s = 3
    with aws.daemon(SHMCONF_PREFETCH_LIST=",".join(names), SHMCONF_POLL_INTERVAL="3") as daemon:
        daemon.wait_body(names[-1], f'"{names[-1]}"', timeout=patience_s)
        aws.fake.wait_calls(lambda calls: calls.received == count, timeout=patience_s)
        for name, response in zip(sorted(names), sorted(get_all(daemon, names, threads=3),
                                                        key=lambda one: one.text)):
            assert response.text == f'"{name}"'
        assert aws.fake.calls().starts == count
        for name in names:
            aws.fake.put(name, f'"new {name}"')
        aws.fake.wait_calls(lambda calls: calls.received == 2 * count, timeout=patience_s)
        wait_until(lambda: all("new" in one.text for one in get_all(daemon, names, threads=3)))
    assert aws.fake.calls().starts == count
    assert 1 <= aws.fake.most_connections <= 3


def test_300_configurations_share_three_connections_without_starving(aws):
    share_three_connections(aws, 300, 30)


@pytest.mark.parametrize("allowed", [1, 2])
def test_no_more_connections_than_allowed(aws, allowed):
    aws.fake.connections_max = allowed
    names = [f"Shop:Prod:C{i}" for i in range(20)]
    for name in names:
        aws.fake.put(name, "{}")
    aws.fake.fault(times=None, delay=0.02)
    with aws.daemon(SHMCONF_MAX_CONNECTIONS=str(allowed)) as daemon:
        assert {one.status for one in get_all(daemon, names)} == {200}
    assert aws.fake.most_connections == allowed


def test_a_slow_configuration_does_not_hold_up_others(aws):
    aws.fake.put("Shop:Prod:Slow", "{}")
    aws.fake.fault(name="Shop:Prod:Slow", stall="request", times=None)
    names = [f"Shop:Prod:C{i}" for i in range(20)]
    for name in names:
        aws.fake.put(name, "{}")
    with aws.daemon(SHMCONF_PREFETCH_LIST="Shop:Prod:Slow",
                    SHMCONF_REQUEST_TIMEOUT="10s") as daemon:
        aws.fake.wait_calls(lambda calls: calls.starts == 1)
        began = time.monotonic()
        assert {one.status for one in get_all(daemon, names)} == {200}
        assert time.monotonic() - began < 5
        aws.fake.clear_faults()


def test_many_names_that_nobody_knows_stay_within_the_limit(aws):
    live = [f"Shop:Prod:Live{i}" for i in range(5)]
    for name in live:
        aws.fake.put(name, "{}")
    unknown = [f"Shop:Prod:Unknown{i}" for i in range(200)]
    with aws.daemon(SHMCONF_MAX_CONFIGURATIONS="20") as daemon:
        assert {one.status for one in get_all(daemon, live)} == {200}
        before = daemon.status_field("VmRSS")
        for one in get_all(daemon, unknown, threads=10):
            assert 400 <= one.status <= 599, one
            message(one)
        assert {one.status for one in get_all(daemon, live)} == {200}
        assert daemon.status_field("VmRSS") - before < 4 << 10
        assert daemon.get("/ping").status == 200
    calls = aws.fake.calls()
    assert calls.received == 5 and calls.starts <= 205 + 20


def test_beyond_the_limit_the_answer_says_so_and_the_others_stay(aws):
    names = [f"Shop:Prod:C{i}" for i in range(6)]
    for name in names:
        aws.fake.put(name, "{}")
    with aws.daemon(SHMCONF_MAX_CONFIGURATIONS="5") as daemon:
        assert {daemon.get(url(name)).status for name in names[:5]} == {200}
        response = daemon.get(url(names[5]))
        assert 500 <= response.status <= 507, response
        assert "MAX_CONFIGURATIONS" in message(response).upper().replace("-", "_")
        assert {daemon.get(url(name)).status for name in names[:5]} == {200}
    assert aws.fake.calls(names[5]).gets == 0
