# SPDX-License-Identifier: Apache-2.0
"""The sandbox stands still between invocations, and perhaps goes on from a copy of its memory."""
import concurrent.futures
import contextlib
import random
import signal
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
FAKES = Path(__file__).resolve().parents[1] / "fakes"
sys.path[:0] = [str(FAKES / folder) for folder in ("appconfig", "lambda", "credentials")]
from container import ContainerEndpoint  # noqa: E402
from daemon import Reader, url, wait_until  # noqa: E402
from fake_daemon import NAME, aws  # noqa: E402,F401
from lambda_daemon import extension  # noqa: E402
from virtual_clock import WallClock  # noqa: E402


def freeze(daemon, seconds):
    daemon.send(signal.SIGSTOP)
    time.sleep(seconds)
    daemon.send(signal.SIGCONT)


def test_an_update_is_there_after_one_invocation_however_long_the_freeze(aws):
    """The service closes connections that were idle for half a second of it."""
    aws.fake.poll_interval_s = 1
    aws.fake.idle_s = 0.5
    aws.fake.put(NAME, "0", content_type="text/plain")
    with extension(aws, SHMCONF_POLL_INTERVAL="1") as (api, daemon), \
            Reader(daemon.root, NAME) as reader:
        for turn in range(1, 13):
            daemon.send(signal.SIGSTOP)  # as soon as it is parked
            aws.fake.put(NAME, str(turn), content_type="text/plain")
            time.sleep(2.3)
            daemon.send(signal.SIGCONT)
            api.invoke()
            # A handler that asks over HTTP: its request waits for the check that is late.
            assert daemon.get(url(NAME)).text == str(turn)
            api.wait_parked(1 + turn)
            assert reader("enter")["text"] == str(turn)
            assert reader("status")["failures"] == 0
        assert daemon.count_log(" (WARN|ERROR) ") == 0, daemon.log()
    calls = aws.fake.calls()
    assert (calls.starts, calls.received) == (1, 13)
    assert calls.gets <= 2 * 12 + 1


@pytest.mark.parametrize("stalled", ["start", "get"])
def test_who_waits_for_a_first_fetch_through_a_freeze_gets_it(aws, stalled):
    """Longer than such a wait may be; the service sends no answer to what was under way."""
    aws.fake.put(NAME, "text", content_type="text/plain")
    with extension(aws, prefetch=(), SHMCONF_REQUEST_TIMEOUT="400ms") as (_, daemon), \
            concurrent.futures.ThreadPoolExecutor(1) as pool:
        stall = aws.fake.fault(operation=stalled, stall="request")
        answer = pool.submit(daemon.get, url(NAME))
        wait_until(lambda: stall.hits)
        freeze(daemon, 2.5)
        assert answer.result().text == "text"
        stall.release()
        assert daemon.count_log(" (WARN|ERROR) ") == 0, daemon.log()


def test_a_connection_that_died_without_a_word_is_not_asked(aws):
    """As of a network between that has forgotten it: nothing comes back on it, not even an end."""
    aws.fake.poll_interval_s = 6
    aws.fake.silent_s = 4.5
    aws.fake.put(NAME, "0", content_type="text/plain")
    with extension(aws, SHMCONF_POLL_INTERVAL="6") as (_, daemon):
        aws.fake.put(NAME, "1", content_type="text/plain")
        aws.fake.wait_calls(lambda calls: calls.gets == 2)
        daemon.wait_body(NAME, "1")
        assert daemon.count_log(" (WARN|ERROR) ") == 0, daemon.log()


@contextlib.contextmanager
def frozen_amid_a_poll(aws, seconds, **settings):
    """That a timer began between two events; the service sends no answer to it. Then goes on."""
    aws.fake.poll_interval_s = 1
    aws.fake.put(NAME, "0", content_type="text/plain")
    with extension(aws, SHMCONF_POLL_INTERVAL="1", SHMCONF_FRESH_WAIT_MS="5000",
                   **settings) as (api, daemon), Reader(daemon.root, NAME) as reader:
        stall = aws.fake.fault(stall="request")
        gets = aws.fake.calls().gets
        aws.fake.wait_calls(lambda calls: calls.gets > gets)
        aws.fake.put(NAME, "1", content_type="text/plain")
        freeze(daemon, seconds)
        yield api, daemon, reader
        stall.release()
        assert reader("status")["failures"] == 0
        assert daemon.count_log(" (WARN|ERROR) ") == 0, daemon.log()
        assert aws.fake.calls().starts == 2


def test_a_poll_that_was_frozen_is_begun_anew_by_the_invocation(aws):
    with frozen_amid_a_poll(aws, 2.5, SHMCONF_REQUEST_TIMEOUT="60s") as (api, _, reader):
        api.invoke(left_s=10)
        api.wait_parked(2)
        assert reader("enter")["text"] == "1"


@pytest.mark.parametrize("seconds", [2.5, 4])
def test_a_poll_whose_time_was_up_in_the_freeze_is_begun_anew_before_anybody_asks(aws, seconds):
    """The request comes before the invocation, as from a handler that is faster than its extension."""
    with frozen_amid_a_poll(aws, seconds, SHMCONF_REQUEST_TIMEOUT="1s") as (api, daemon, reader):
        assert daemon.get(url(NAME)).text == "1"
        api.invoke(left_s=30)
        api.wait_parked(2)
        assert reader("enter")["text"] == "1"


@pytest.mark.parametrize("seconds", [0.6, 1.1], ids=["most of its time", "all of its time"])
@pytest.mark.parametrize("freezes, failures", [(5, 0), (6, 1)], ids=["five", "six"])
def test_calls_that_were_frozen_are_no_failure_five_times_in_a_row(aws, seconds, freezes, failures):
    """Each ends in time, and had not the time that the service may take. A machine that is so slow
    that it seems to stand still does not go on for ever."""
    aws.fake.poll_interval_s = 1
    aws.fake.put(NAME, "0", content_type="text/plain")
    with extension(aws, SHMCONF_POLL_INTERVAL="1", SHMCONF_REQUEST_TIMEOUT="1s") as (_, daemon), \
            Reader(daemon.root, NAME) as reader:
        stall = aws.fake.fault(stall="request", times=None)
        for hit in range(1, freezes + 1):
            wait_until(lambda: stall.hits == hit)
            freeze(daemon, seconds)
        wait_until(lambda: stall.hits > freezes or daemon.count_log(" ERROR "))
        assert daemon.count_log(" (WARN|ERROR) ") == failures, daemon.log()
        assert reader("status")["failures"] == failures
        aws.fake.put(NAME, "1", content_type="text/plain")
        aws.fake.clear_faults()
        wait_until(lambda: reader("enter")["text"] == "1")


def test_a_service_that_is_down_does_not_cost_each_invocation_its_time(aws):
    """A wait for a check ends before the call's own time-out, and then the sandbox is frozen."""
    aws.fake.poll_interval_s = 1
    aws.fake.put(NAME, "0", content_type="text/plain")
    with extension(aws, SHMCONF_POLL_INTERVAL="60", SHMCONF_REQUEST_TIMEOUT="1s") as (api, daemon), \
            Reader(daemon.root, NAME) as reader:
        stall = aws.fake.fault(stall="request", times=None)
        daemon.send(signal.SIGHUP)
        wait_until(lambda: stall.hits)
        for turn in range(1, 8):
            freeze(daemon, 2.5)
            api.invoke(left_s=1)
            api.wait_parked(1 + turn)
        hits = stall.hits
        assert hits < 8 and reader("status")["failures"] == 1
        assert daemon.count_log("ERROR .*before the process was stopped") == 1, daemon.log()
        freeze(daemon, 2.5)
        api.invoke(left_s=1)
        api.wait_parked(9)
        assert stall.hits == hits
        aws.fake.clear_faults()


@pytest.mark.parametrize("mode", ["wait", "background"])
def test_freezes_at_any_moment_break_no_rule_and_fail_no_read(aws, mode):
    """A hundred freezes amid a poll each, some of them longer than all that a poll may take. In the
    background a poll may take several invocations, but what was published last is there in the end."""
    names = [f"Shop:Prod:C{i}" for i in range(8)]
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    fake = aws.fake
    fake.poll_interval_s = 1
    fake.idle_s = 0.1
    for name in names:
        fake.put(name, "0", content_type="text/plain")
    with extension(aws, prefetch=names, SHMCONF_POLL_INTERVAL="1", SHMCONF_INVOKE_POLL=mode,
                   SHMCONF_REQUEST_TIMEOUT="1000ms") as (api, daemon), \
            Reader(daemon.root, names[0]) as reader:
        fake.fault(operation="get", times=None, delay=0.03, drip=(1, 0.01))  # so that polls are hit
        hits = turn = long = 0
        while hits < 100:
            turn += 1
            assert turn < 900, f"only {hits} of the freezes were amid a poll"
            for name in names:
                fake.put(name, f"{turn}" * 5, content_type="text/plain")
            api.invoke()
            if mode == "background":
                api.wait_parked(1 + turn)
            time.sleep(chance.uniform(0, 0.2))
            with fake.lock:
                is_hit = any(token.session.active for token in fake.tokens.values())
            is_long = is_hit and chance.random() < 0.08
            hits += is_hit
            long += is_long
            freeze(daemon, chance.uniform(0.5, 3) if is_long else 0.15)
            assert daemon.get(url(chance.choice(names))).status == 200
            answer = reader("enter")
            assert answer["rc"] == 0 and len(set(answer["text"])) <= 3, answer
            api.wait_parked(1 + turn)
        print(f"{hits} of {turn} freezes were amid a poll, {long} of them long")
        fake.clear_faults()
        for name in names:
            daemon.wait_body(name, f"{turn}" * 5)
    calls = fake.calls()
    assert calls.starts <= len(names) * (1 + long) + turn and calls.received <= calls.gets


def restored(aws, clock, endpoint, daemon, seconds):
    """What a snapshot sees that is started again so much later: another wall clock, and the same
    monotonic one; the service and the endpoint have moved on, and the connections are gone."""
    daemon.send(signal.SIGSTOP)
    clock.write(f"+{seconds}")
    aws.fake.skew_s = endpoint.skew_s = seconds
    with aws.fake.lock:
        aws.fake.keys.clear()
    aws.fake.drop_connections()
    daemon.send(signal.SIGCONT)


def test_a_restored_snapshot_starts_anew_at_its_first_invocation(aws, tmp_path):
    """New keys, a new session and new connections, and nothing that anybody refuses on the way."""
    clock = WallClock(tmp_path / "clock")
    aws.fake.put(NAME, "0", content_type="text/plain")
    aws.fake.keys.clear()
    with ContainerEndpoint(aws.fake, life_s=7200) as endpoint, \
            extension(aws, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start",
                      **clock.environment(), **endpoint.environment) as (api, daemon), \
            Reader(daemon.root, NAME) as reader:
        for turn, seconds in enumerate((600, 86400), 1):
            before = aws.fake.calls()
            aws.fake.put(NAME, str(turn), content_type="text/plain")
            restored(aws, clock, endpoint, daemon, seconds)
            api.invoke(left_s=seconds + 3)
            api.wait_parked(1 + turn)
            assert reader("enter")["text"] == str(turn)
            after = aws.fake.calls()
            assert after.starts == before.starts + 1 and after.gets == before.gets + 1
            assert endpoint.requests == 1 + turn
        assert daemon.count_log(" ERROR ") == 0, daemon.log()
    assert aws.fake.calls().received == 3


def test_a_freeze_that_stops_all_but_the_wall_clock_keeps_the_session(aws, tmp_path):
    """Without SnapStart nobody else has its token."""
    clock = WallClock(tmp_path / "clock")
    aws.fake.put(NAME, "0", content_type="text/plain")
    with extension(aws, **clock.environment()) as (api, daemon), \
            Reader(daemon.root, NAME) as reader:
        for turn in (1, 2):
            aws.fake.put(NAME, str(turn), content_type="text/plain")
            daemon.send(signal.SIGSTOP)
            aws.fake.advance(600)
            aws.fake.skew_s = 600 * turn
            clock.write(f"+{aws.fake.skew_s}")
            daemon.send(signal.SIGCONT)
            api.invoke(left_s=aws.fake.skew_s + 3)
            api.wait_parked(1 + turn)
            assert reader("enter")["text"] == str(turn)
        assert daemon.count_log(" (WARN|ERROR) ") == 0, daemon.log()
    assert (aws.fake.calls().starts, aws.fake.calls().gets) == (1, 3)


@pytest.mark.parametrize("freeze_s", [1, 5])
def test_many_short_freezes_that_stop_all_but_the_wall_clock_make_a_check_due(
        aws, tmp_path, freeze_s):
    """Each of them is shorter than what is left until then."""
    clock = WallClock(tmp_path / "clock")
    aws.fake.put(NAME, '"old"')
    aws.fake.poll_interval_s = 20
    with extension(aws, SHMCONF_POLL_INTERVAL="20", **clock.environment()) as (api, daemon), \
            Reader(daemon.root, NAME) as reader:
        aws.fake.put(NAME, '"new"')
        for turn in range(1, 24 // freeze_s + 2):
            daemon.send(signal.SIGSTOP)
            aws.fake.advance(freeze_s)
            aws.fake.skew_s = freeze_s * turn
            clock.write(f"+{aws.fake.skew_s}")
            daemon.send(signal.SIGCONT)
            api.invoke(left_s=aws.fake.skew_s + 3)
            api.wait_parked(1 + turn)
        assert reader("enter")["text"] == '"new"'
        assert daemon.count_log(" (WARN|ERROR) ") == 0, daemon.log()
    assert (aws.fake.calls().starts, aws.fake.calls().gets) == (1, 2)


def test_the_first_event_is_that_of_a_restored_copy_whatever_the_clocks_say(aws):
    """Which of them stand still meanwhile is not documented: here none does, and little time passes."""
    aws.fake.put(NAME, '"old"')
    aws.fake.keys.clear()
    with ContainerEndpoint(aws.fake, life_s=72000) as endpoint, \
            extension(aws, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start", SHMCONF_POLL_INTERVAL="3600",
                      **endpoint.environment) as (api, daemon), Reader(daemon.root, NAME) as reader:
        for turn, (text, connections) in enumerate((('"new"', 2), ('"newer"', 2)), 1):
            aws.fake.put(NAME, text)
            api.invoke()
            api.wait_parked(1 + turn)
            assert reader("enter")["text"] == '"new"'  # and from then on when a check is due
            calls = aws.fake.calls()
            assert (calls.starts, calls.gets, endpoint.requests) == (2, 2, 2)
            assert aws.fake.notes["connections"] == connections


def test_a_clock_that_is_set_at_the_start_is_no_restore(aws, tmp_path):
    """The first event is, however short a time after it."""
    clock = WallClock(tmp_path / "clock")
    for name in (NAME, "Shop:Prod:Slow"):
        aws.fake.put(name, "0", content_type="text/plain")
    aws.fake.fault(name=NAME, operation="start", error="internal")
    aws.fake.fault(name="Shop:Prod:Slow", delay=4)
    with extension(aws, prefetch=(NAME, "Shop:Prod:Slow"), SHMCONF_POLL_INTERVAL="3600",
                   AWS_LAMBDA_INITIALIZATION_TYPE="snap-start", start=False,
                   **clock.environment()) as (api, daemon):
        daemon.start()
        wait_until(lambda: len(aws.fake.requests) == 2)
        aws.fake.skew_s = 600
        clock.write("+600")
        api.wait_parked(1)
        assert daemon.count_log("the wall clock jumped") == 1
        before = aws.fake.calls()
        api.invoke(left_s=603)
        api.wait_parked(2)
        assert aws.fake.calls().starts == before.starts + 2
        assert daemon.count_log("the first event, restored from a snapshot") == 1


def test_what_is_parked_for_a_snapshot_does_not_use_what_its_copies_share(aws):
    aws.fake.poll_interval_s = 1
    aws.fake.put(NAME, "text", content_type="text/plain")
    with extension(aws, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start",
                   SHMCONF_POLL_INTERVAL="1") as (api, daemon):
        time.sleep(2.5)
        assert aws.fake.calls().gets == 1
        api.invoke()
        api.wait_parked(2)
        assert (aws.fake.calls().starts, aws.fake.calls().gets) == (2, 2)
        aws.fake.wait_calls(lambda calls: calls.gets >= 4)  # it is a process like any other now


@pytest.mark.parametrize("who", ["a request", "SIGHUP"])
def test_who_asks_before_the_first_event_of_a_snapshot_has_a_session_of_his_own(aws, who):
    """As in the start, or in a restored copy that is faster than its event."""
    aws.fake.poll_interval_s = 1
    aws.fake.put(NAME, "0", content_type="text/plain")
    with extension(aws, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start", SHMCONF_POLL_INTERVAL="1",
                   SHMCONF_FRESH_WAIT_MS="5000") as (api, daemon):
        for turn in range(1, 3):
            aws.fake.put(NAME, str(turn), content_type="text/plain")
            time.sleep(2.5)  # its check is late
            if who == "SIGHUP":
                daemon.send(signal.SIGHUP)
                aws.fake.wait_calls(lambda calls: calls.gets > turn)
            assert daemon.get(url(NAME)).text == str(turn)
            calls = aws.fake.calls()
            assert (calls.starts, calls.gets) == (1 + turn, 1 + turn)
            assert aws.fake.notes["connections"] == 1 + turn
        api.invoke()
        api.wait_parked(2)
        assert aws.fake.calls().starts == 4
        assert daemon.count_log(" (WARN|ERROR) ") == 0, daemon.log()


def test_a_snapshot_restored_before_its_next_check_has_a_session_of_its_own(aws, tmp_path):
    """Each copy has the token of the snapshot, and only one of them could use it."""
    clock = WallClock(tmp_path / "clock")
    aws.fake.put(NAME, "0", content_type="text/plain")
    aws.fake.keys.clear()
    with ContainerEndpoint(aws.fake, life_s=72000) as endpoint, \
            extension(aws, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start", SHMCONF_POLL_INTERVAL="3600",
                      **clock.environment(), **endpoint.environment) as (api, daemon), \
            Reader(daemon.root, NAME) as reader:
        before = aws.fake.calls()
        aws.fake.put(NAME, "1", content_type="text/plain")
        restored(aws, clock, endpoint, daemon, 600)
        api.invoke(left_s=603)
        api.wait_parked(2)
        assert reader("enter")["text"] == "1"
        after = aws.fake.calls()
        assert after.starts == before.starts + 1 and after.gets == before.gets + 1
        assert endpoint.requests == 2
