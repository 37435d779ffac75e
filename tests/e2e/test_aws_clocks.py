# SPDX-License-Identifier: Apache-2.0
"""Clocks that are wrong, and freezes: the service sees right signatures, readers see no failure."""
import random
import signal
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import Reader, url, wait_until  # noqa: E402
from fake_daemon import NAME, aws, message  # noqa: E402,F401
from virtual_clock import WallClock  # noqa: E402

ONE = '{"limit": 1}'


@pytest.mark.parametrize("skew", [3600, -3600, 40 * 24 * 3600])
def test_a_wrong_clock_is_put_right_by_the_service(aws, skew):
    aws.fake.skew_s = skew
    aws.fake.put(NAME, ONE)
    with aws.quick() as daemon:
        assert daemon.get(url(NAME)).text == ONE
        if skew == -3600:
            aws.fake.wait_calls(lambda calls: calls.gets == 2)
    refused = aws.fake.take_breaches("skew")
    assert len(refused) == 1
    assert aws.fake.calls().starts == 2  # the refused one and the right one


def test_a_clock_that_stays_wrong_is_no_storm(aws):
    """The Date header lies: to believe it does not help."""
    aws.fake.skew_s = 3600
    aws.fake.date_skew_s = -7200
    aws.fake.put(NAME, ONE)
    with aws.daemon() as daemon:
        response = daemon.get(url(NAME))
        assert response.status == 403, response
        message(response)
        time.sleep(0.5)
    assert 1 <= len(aws.fake.take_breaches("skew")) <= 3


def test_one_answer_with_an_old_date_changes_nothing(aws):
    """Such a one lies in the socket's buffer after a freeze. The service let the call in."""
    aws.fake.put(NAME, ONE)
    aws.fake.date_skew_s = -3600
    with aws.quick() as daemon:
        daemon.wait_body(NAME, ONE)
        aws.fake.date_skew_s = 0
        aws.fake.wait_calls(lambda calls: calls.gets == 3)
    assert aws.fake.calls().starts == 1


def test_a_clock_that_is_set_forward_a_little_costs_nothing(aws, tmp_path):
    """Nothing is due by it: the session and its token go on."""
    clock = WallClock(tmp_path / "clock")
    aws.fake.poll_interval_s = 1
    aws.fake.put(NAME, ONE)
    with aws.daemon(SHMCONF_POLL_INTERVAL="60", SHMCONF_PREFETCH_LIST=NAME,
                    **clock.environment()) as daemon:
        daemon.wait_body(NAME, ONE)
        clock.write("+10")
        wait_until(lambda: daemon.get(url(NAME)) and daemon.count_log("the wall clock jumped"))
        assert aws.fake.calls().gets == 1
        time.sleep(1.1)  # the service allows another
        daemon.send(signal.SIGHUP)
        aws.fake.wait_calls(lambda calls: calls.gets == 2)
    assert (aws.fake.calls().starts, aws.fake.calls().received) == (1, 1)


def freeze(aws, times):
    """SIGSTOP wherever a poll is, while the service closes idle connections, then SIGCONT."""
    fake = aws.fake
    fake.idle_s = 0.1
    fake.put(NAME, "0", content_type="text/plain")
    fake.fault(operation="get", times=None, delay=0.05, drip=(1, 0.02))  # so that polls are hit
    with aws.quick(SHMCONF_REQUEST_TIMEOUT="1000ms") as daemon:
        daemon.wait_body(NAME, "0")
        for turn in range(1, times + 1):
            time.sleep(random.uniform(0, 0.2))
            daemon.send(signal.SIGSTOP)
            fake.put(NAME, f"{turn}" * 5, content_type="text/plain")
            time.sleep(0.15)
            daemon.send(signal.SIGCONT)
            assert daemon.get(url(NAME)).status == 200
        daemon.wait_body(NAME, f"{times}" * 5)
        with Reader(daemon.root, NAME) as reader:
            wait_until(lambda: reader("status")["failures"] == 0)
    calls = fake.calls()
    assert calls.starts <= 1 + times and calls.gets <= 3 * times + 10


def test_freezes_at_any_moment_are_survived(aws):
    freeze(aws, 20)
