# SPDX-License-Identifier: Apache-2.0
"""What a day costs and what it may bring, in virtual time and with the default settings."""
import errno
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import BIN, Reader, clean_environment, url, wait_until  # noqa: E402
from fake_daemon import NAME, aws  # noqa: E402,F401
from virtual_clock import START, WallClock, daemon_on, virtual_day  # noqa: E402

ONE = '{"limit": 1}'
TWO = '{"limit": 2}'
MINUTE, HOUR, DAY = 60, 3600, 86400
POLL = 45  # the default interval


def numbers(calls):
    """StartConfigurationSession, GetLatestConfiguration, and how often content was received."""
    return calls.starts, calls.gets, calls.received


# ---- Economy ------------------------------------------------------------------------------------


def around_polls(interval):
    """Steps to a second after each poll, twice in between, a second before the next, and then."""
    third = (interval - 2) // 3
    return 1, third, third, interval - 2 - 2 * third, 1


@pytest.mark.parametrize("announced, interval", [(None, POLL), (60, 60)])
def test_a_day_without_change_costs_one_session_and_a_poll_per_interval(
        tmp_path, backend, announced, interval):
    """The interval is the service's or POLL_INTERVAL, whichever is longer: 86400 s / interval."""
    with virtual_day(tmp_path, backend, ONE, poll_interval_s=announced) as day:
        day.pass_time(DAY - 1, around_polls(interval))
        assert numbers(day.fake.calls()) == (1, DAY // interval, 1)
        assert day.times("get") == list(range(0, DAY, interval))
        assert day.served() == ONE
        assert day.status()["generation"] == 1


def test_a_day_with_three_changes_costs_three_bodies_more(tmp_path, backend):
    changes = [6 * HOUR + 1, 12 * HOUR + 1, 18 * HOUR + 1]  # a second after a poll
    seen = [(0, 1)]
    with virtual_day(tmp_path, backend, ONE) as day:
        def deploy_and_look():
            second = day.clock.now() - START
            if second in changes:
                day.fake.put(NAME, f'{{"second": {second}}}')
            generation = day.status()["generation"]
            if generation != seen[-1][1]:
                seen.append((second, generation))
        day.pass_time(DAY - 1, around_polls(POLL), deploy_and_look)
        assert seen == [(0, 1), *((second - 1 + POLL, number)
                                  for number, second in enumerate(changes, start=2))]
        assert numbers(day.fake.calls()) == (1, DAY // POLL, 1 + len(changes))
        assert day.served() == f'{{"second": {changes[-1]}}}'


# ---- Tokens that expire -------------------------------------------------------------------------


@pytest.mark.parametrize("content, generation", [(ONE, 1), (TWO, 2)], ids=["unchanged", "changed"])
def test_after_25_hours_of_sleep_there_is_one_new_session(tmp_path, backend, content, generation):
    with virtual_day(tmp_path, backend, ONE) as day:
        day.pass_time(10 * MINUTE)
        polls = 1 + 10 * MINUTE // POLL
        assert numbers(day.fake.calls()) == (1, polls, 1)
        day.fake.put(NAME, content)
        day.sleep(25 * HOUR)
        woken = day.clock.now()
        assert day.get(url(NAME)) in ((200, ONE), (200, content))
        assert day.reader("enter")["text"] in (ONE, content)
        day.settle()
        assert day.served() == content
        assert numbers(day.fake.calls()) == (2, polls + 1, 2)
        day.pass_time(10 * MINUTE, each=day.served)
        assert day.times("get", since=woken, status=200) == list(range(0, 10 * MINUTE + 1, POLL))
        assert day.times("get", status=400) == []  # the daemon knows how old its token is
        assert numbers(day.fake.calls()) == (2, 2 * polls, 2)
        assert day.status()["generation"] == generation
        assert day.daemon.count_log(r"\b(WARN|ERROR)\b") == 0


def test_a_sleep_within_the_life_of_a_token_keeps_the_session(tmp_path, backend):
    with virtual_day(tmp_path, backend, ONE) as day:
        day.sleep(22 * HOUR)
        day.wake()
        assert day.served() == ONE
        assert numbers(day.fake.calls()) == (1, 2, 1)


def test_a_pause_that_no_clock_of_the_machine_has_seen_costs_one_failed_poll(tmp_path, backend):
    """And one more call because of the signature: the machine is 25 hours behind now."""
    with virtual_day(tmp_path, backend, ONE) as day:
        day.clock.pause_daemon(25 * HOUR)
        day.pass_time(10 * MINUTE, each=day.served)
        assert len(day.fake.take_breaches("skew")) == 1
        resumed = POLL + 25 * HOUR
        assert day.times("get", status=403) == day.times("get", status=400) == [resumed]
        assert day.times("get", status=200) == [0, *range(resumed, 25 * HOUR + 10 * MINUTE, POLL)]
        assert day.times("start") == [0, resumed]
        assert day.fake.calls().received == 2
        assert (day.status()["generation"], day.status()["failures"]) == (1, 0)


# ---- Outages ------------------------------------------------------------------------------------


def back_off(failures):
    """Seconds after so many failures in a row, on average."""
    return min(2 ** (failures - 1), 60)


def attempts_within(seconds, stretch, late=0):
    """How many failures there are from the first one on if every delay is stretched like that."""
    at, count = 0, 0
    while at <= seconds:
        count += 1
        at += back_off(count) * stretch + late
    return count


def assert_back_off(attempts, seconds):
    """Attempts (their times) were 20 % more or less apart than back_off(), seen in 1 s steps."""
    gaps = [later - earlier for earlier, later in zip(attempts, attempts[1:])]
    for failures, gap in enumerate(gaps, start=1):
        assert 0.8 * back_off(failures) <= gap < 1.2 * back_off(failures) + 1, (failures, gaps)
    least = attempts_within(seconds, 1.2, late=1)
    most = attempts_within(seconds, 0.8)
    assert least <= len(attempts) <= most, (least, attempts, most)
    return gaps


def shmcat_status(day):
    """What it prints as JSON, on the same clock."""
    command = [BIN / "shmcat", "status", "--json", NAME]
    environment = clean_environment(SHMCONF_DIR=day.daemon.root, **day.clock.environment())
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20,
                            check=False)
    return json.loads(result.stdout)


def gone(day, seconds):
    """Lets time pass with a service that fails; asserts that nobody sees it but in the status."""
    attempts = []

    def look():
        assert day.served() == ONE
        failures = day.status()["failures"]
        if failures != len(attempts):
            assert failures == len(attempts) + 1
            attempts.append(day.clock.now())
    day.pass_time(seconds, each=look)
    return attempts


def assert_recovery(day, longest):
    """One poll with the token that was kept, `longest` s from now at most, and then as ever."""
    back = day.clock.now()
    day.fake.put(NAME, TWO)
    day.pass_time(15 * MINUTE)
    polls = day.times("get", since=back)
    assert 0 < polls[0] <= longest
    assert polls == list(range(polls[0], 15 * MINUTE + 1, POLL))
    assert day.served() == TWO
    calls, status = day.fake.calls(), day.status()
    assert (calls.starts, calls.received) == (1, 2)
    assert (status["generation"], status["failures"], status["error"]) == (2, 0, 0)


@pytest.mark.parametrize("way, error, http_status", [
    ("refused", errno.ECONNREFUSED, 0), ("internal", errno.EREMOTEIO, 500)])
def test_an_hour_without_the_service_is_survived(tmp_path, backend, way, error, http_status):
    with virtual_day(tmp_path, backend, ONE) as day:
        fault = day.fake.down() if way == "refused" else day.fake.fault(error=way, times=None)
        attempts = gone(day, HOUR)
        assert attempts[0] - START == POLL
        gaps = assert_back_off(attempts, HOUR - POLL)
        assert min(gaps[6:]) < 57 and max(gaps[6:]) > 63  # of 60 s
        status = day.status()
        assert (status["failures"], status["error"], status["http_status"]) == (
            len(attempts), error, http_status)
        assert status["checked_ns"] == START * 10**9
        shown = shmcat_status(day)
        assert (shown["failures"], shown["state"]) == (len(attempts), "failing"), shown
        assert day.daemon.count_log("the last version stays") == 1
        if fault:
            assert day.times("get", since=START + 1) == [at - START - 1 for at in attempts]
            day.fake.clear_faults()
        else:
            day.fake.up()
        assert_recovery(day, 1.2 * 60 + 1)


def test_a_minute_of_throttling_is_waited_out(tmp_path, backend):
    with virtual_day(tmp_path, backend, ONE) as day:
        day.pass_time(2 * POLL - 1)
        day.fake.fault(error="throttled", times=None)
        attempts = gone(day, MINUTE)
        assert attempts[0] - START == 2 * POLL
        assert_back_off(attempts, MINUTE - 1)
        assert day.times("get", status=429) == [at - START for at in attempts]
        assert day.status()["http_status"] == 429
        day.fake.clear_faults()
        assert_recovery(day, 1.2 * back_off(len(attempts)) + 1)


# ---- Wrong clocks -------------------------------------------------------------------------------


@pytest.mark.parametrize("ahead_s, direction", [(HOUR, "ahead of"), (-HOUR, "behind")])
def test_a_clock_that_is_an_hour_off_costs_one_call(tmp_path, backend, ahead_s, direction):
    with virtual_day(tmp_path, backend, ONE, ahead_s=ahead_s) as day:
        day.pass_time(HOUR, around_polls(POLL))
        assert len(day.fake.take_breaches("skew")) == 1
        assert day.times("start", status=403) == day.times("start", status=201) == [0]
        assert day.times("get") == list(range(0, HOUR + 1, POLL))
        assert day.fake.calls().received == 1
        assert day.daemon.count_log(f"WARN.*clock is {HOUR} s {direction}") == 1


def test_a_wall_clock_that_jumps_costs_one_call_each_time(aws, tmp_path):
    """On the real monotonic clock. A jump ahead may be a restored snapshot: a new session then."""
    clock = WallClock(tmp_path / "clock")
    aws.fake.put(NAME, ONE)
    aws.fake.poll_interval_s = 1
    with daemon_on(clock, aws, SHMCONF_POLL_INTERVAL="1") as daemon, \
            Reader(daemon.root, NAME) as reader:
        daemon.now = lambda: time.time() + int(clock.path.read_text())
        daemon.wait_body(NAME, ONE)
        sessions = 1
        for offset, is_ahead in (("+3600", True), ("+0", False), ("-3600", False), ("+0", True)):
            before = aws.fake.calls()
            clock.write(offset)
            wait_until(lambda: daemon.wait_body(NAME, ONE) and
                       aws.fake.calls().gets >= before.gets + 3)
            calls = aws.fake.calls()
            assert len(aws.fake.take_breaches("skew")) == 1, offset
            sessions += is_ahead
            assert calls.billed_starts == calls.received == sessions, offset
            assert calls.starts - before.starts == (2 if is_ahead else 0), offset
            status = reader("status")
            assert (status["failures"], status["generation"]) == (0, 1)
