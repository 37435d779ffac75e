# SPDX-License-Identifier: Apache-2.0
"""The life of an extension: registered first, polled at invocations, ended in time."""
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
FAKES = Path(__file__).resolve().parents[1] / "fakes"
sys.path[:0] = [str(FAKES / "appconfig"), str(FAKES / "lambda")]
from daemon import Reader, url, wait_until  # noqa: E402
from extensions import ExtensionsApi  # noqa: E402
from fake_daemon import NAME, aws  # noqa: E402,F401
from lambda_daemon import end, extension, quick  # noqa: E402

ONE = '{"limit": 1}'
TWO = '{"limit": 2}'


def test_the_first_event_is_asked_for_when_the_configurations_are_there(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws) as (api, daemon):
        assert api.registrations == [["INVOKE", "SHUTDOWN"]]
        with Reader(daemon.root, NAME) as reader:
            assert reader("enter")["text"] == ONE
        assert daemon.get(url(NAME)).text == ONE
        daemon.assert_backend()
    calls = aws.fake.calls()
    assert (calls.starts, calls.gets, calls.received) == (1, 1, 1)


def test_it_registers_before_anything_that_takes_time(aws):
    """The runtime starts only then; a service that does not answer must not hold it up."""
    aws.fake.put(NAME, ONE)
    stalled = aws.fake.fault(stall="request")
    with extension(aws, start=False) as (api, daemon):
        daemon.start()
        api.wait(lambda api: api.registrations)
        aws.fake.wait_calls(lambda calls: calls.starts == 1)
        assert api.times == []
        stalled.release()
        api.wait_parked(1)
        assert daemon.get(url(NAME)).text == ONE


def test_a_first_fetch_that_fails_does_not_hold_up_the_function(aws):
    aws.fake.fault(error="internal", times=1)
    aws.fake.put(NAME, ONE)
    with extension(aws) as (api, daemon):
        assert aws.fake.calls().starts == 1
        daemon.wait_body(NAME, ONE)


def test_the_first_event_is_not_awaited_for_ever(aws):
    aws.fake.put(NAME, ONE)
    stalled = aws.fake.fault(stall="request", times=None)
    with extension(aws, start=False, SHMCONF_REQUEST_TIMEOUT="60s") as (api, daemon):
        daemon.start()
        began = time.monotonic()
        api.wait_parked(1)
        assert 4.5 < time.monotonic() - began < 15
        stalled.release()
        aws.fake.clear_faults()
        daemon.wait_body(NAME, ONE)


def test_nothing_due_costs_nothing(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws) as (api, _):
        for turn in range(20):
            api.invoke()
            api.wait_parked(2 + turn)
    assert aws.fake.calls().gets == 1


@pytest.mark.parametrize("left_s, lines", [(3, 0), (-60, 1)],
                         ids=["in time", "by a clock that is behind ours"])
def test_what_is_due_is_polled_before_the_next_event_is_asked_for(aws, left_s, lines):
    aws.fake.put(NAME, ONE)
    with extension(aws, **quick(aws)) as (api, daemon), Reader(daemon.root, NAME) as reader:
        # Longer than an invocation takes that does not wait for it.
        aws.fake.fault(operation="get", times=None, delay=0.1)
        for turn in range(5):
            text = f'{{"limit": {turn + 2}}}'
            daemon.send(19)  # SIGSTOP, as a freeze: no timer of the daemon's begins the poll
            time.sleep(1.1)
            aws.fake.put(NAME, text)
            daemon.send(18)
            api.invoke(left_s=left_s)
            api.wait_parked(2 + turn)
            assert reader("enter")["text"] == text
        assert daemon.count_log("WARN .*clock is ahead of Lambda's") == lines
    calls = aws.fake.calls()
    assert calls.starts == 1 and calls.received == 6


def waiting_s(api, left_s):
    """How long an invocation keeps it from asking for the next event."""
    asked = len(api.times)
    began = time.monotonic()
    api.invoke(left_s=left_s)
    api.wait_parked(asked + 1)
    return api.times[-1] - began


def test_a_poll_is_waited_for_until_shortly_before_the_deadline(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws, SHMCONF_REQUEST_TIMEOUT="20s", **quick(aws)) as (api, daemon):
        stalled = aws.fake.fault(operation="get", stall="request")
        aws.fake.wait_calls(lambda calls: calls.gets == 2)
        waits = [waiting_s(api, left_s=1.0) for _ in range(5)]
        assert 0.8 < min(waits) < 0.97, waits  # once in five the machine is not that busy
        stalled.release()
        wait_until(lambda: daemon.get(url(NAME)).status == 200)


def test_a_slow_poll_goes_on_over_several_invocations(aws):
    """It was not frozen: nobody was parked for long."""
    aws.fake.put(NAME, ONE)
    with extension(aws, SHMCONF_REQUEST_TIMEOUT="20s", **quick(aws)) as (api, daemon):
        aws.fake.fault(operation="get", delay=5)
        aws.fake.wait_calls(lambda calls: calls.gets == 2)
        for _ in range(7):
            waiting_s(api, left_s=0.6)
        aws.fake.put(NAME, TWO)
        daemon.wait_body(NAME, TWO)
    assert aws.fake.calls().starts == 1


def test_a_poll_is_waited_for_no_longer_than_the_poll_timeout(aws):
    """Each of its calls has that long, and here it makes three: refused, a session, its content."""
    aws.fake.put(NAME, ONE)
    with extension(aws, AWS_APPCONFIG_EXTENSION_POLL_TIMEOUT_MILLIS="400",
                   **quick(aws)) as (api, daemon):
        waits = []
        for turn in range(5):
            daemon.send(signal.SIGSTOP)  # no timer of its own begins the poll
            time.sleep(1.1)
            aws.fake.expire_tokens()
            aws.fake.fault(delay=0.3, times=None)
            daemon.send(signal.SIGCONT)
            waits.append(waiting_s(api, left_s=100))
            aws.fake.clear_faults()
            aws.fake.wait_calls(lambda calls: calls.starts >= turn + 2)
        # Where the machine was so busy that a check failed, the next one is not due yet.
        assert 0.35 < min(wait for wait in waits if wait > 0.1) < 0.5, waits


@pytest.mark.parametrize("deadline", [0, 1, -5000, "soon", None, 1e300])
def test_a_deadline_that_is_over_or_not_said_does_no_harm(aws, deadline):
    aws.fake.put(NAME, ONE)
    with extension(aws) as (api, _):
        more = {} if deadline is None else {"deadlineMs": deadline}
        api.give({"eventType": "INVOKE", **more})
        api.wait_parked(2)


@pytest.mark.parametrize("event", [
    b"", b"{", b"[]", b"null", b'"INVOKE"', b'{"eventType": 5}', b"{}", b"\xff\xfe\x00",
    b'{"eventType": "RESTORE"}', b'{"eventType": "invoke", "tracing": null}',
    b'{"eventType": "INVOKE", "x": "' + b"y" * 500000 + b'"}'], ids=lambda event: repr(event[:40]))
def test_an_event_that_nobody_understands_is_taken_for_an_invocation(aws, event):
    aws.fake.put(NAME, ONE)
    with extension(aws) as (api, _):
        api.give(event, kind="application/octet-stream")
        api.wait_parked(2)


@pytest.mark.parametrize("mode, kind, least_ns, most_ns", [
    ("wait", "on-demand", 3.5e9, 72e9), ("background", "on-demand", 0.7e9, 1.3e9),
    ("wait", "lambda-managed-instances", 0.7e9, 1.3e9)])
def test_while_the_service_is_down_invocations_wait_for_a_tenth_of_the_time(
        aws, mode, kind, least_ns, most_ns):
    """That is, the pause after a check that timed out is nine times as long, more or less; where no
    invocation waits for it, the usual first one."""
    aws.fake.poll_interval_s = 1
    aws.fake.put(NAME, ONE)
    with extension(aws, SHMCONF_REQUEST_TIMEOUT="500ms", SHMCONF_INVOKE_POLL=mode,
                   AWS_LAMBDA_INITIALIZATION_TYPE=kind, SHMCONF_POLL_INTERVAL="60") as (api, daemon), \
            Reader(daemon.root, NAME) as reader:
        aws.fake.fault(stall="request", times=None)
        daemon.send(signal.SIGHUP)
        wait_until(lambda: reader("status")["failures"] == 1)
        status = reader("status")
        pause_ns = status["next_ns"] - status["tried_ns"]
        assert least_ns < pause_ns < most_ns
        aws.fake.clear_faults()


def test_in_the_background_no_invocation_waits(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws, SHMCONF_INVOKE_POLL="background", SHMCONF_REQUEST_TIMEOUT="20s",
                   **quick(aws)) as (api, daemon):
        stalled = aws.fake.fault(operation="get", stall="request")
        aws.fake.wait_calls(lambda calls: calls.gets == 2)
        api.invoke(left_s=100)
        api.wait_parked(2)
        aws.fake.put(NAME, TWO)
        stalled.release()
        daemon.wait_body(NAME, TWO)


@pytest.mark.parametrize("event", [
    {"eventType": "SHUTDOWN", "shutdownReason": "SPINDOWN"}, {"eventType": "shutdown"},
    {"eventType": "SHUTDOWN", "shutdownReason": "Timeout", "deadlineMs": 1},
    {"eventType": "SHUTDOWN", "shutdownReason": "\u001b[31m\n" * 100, "deadlineMs": "x"}])
def test_every_shutdown_ends_it_and_leaves_the_region(aws, event):
    aws.fake.put(NAME, ONE)
    with extension(aws) as (api, daemon):
        api.give(event, "text/plain")
        assert daemon.wait_end() == 0
        with Reader(daemon.root, NAME) as reader:
            assert reader("enter")["text"] == ONE


@pytest.mark.parametrize("deadline", [None, 0, "soon", 1.9e13])  # the last fits no nanoseconds
def test_a_shutdown_without_a_deadline_has_a_second(aws, deadline):
    aws.fake.put(NAME, ONE)
    with extension(aws) as (api, daemon):
        more = {} if deadline is None else {"deadlineMs": deadline}
        api.give({"eventType": "SHUTDOWN", **more}, "text/plain")
        assert daemon.wait_end() == 0
        assert daemon.count_log(r"SHUTDOWN \(no reason given\): 1\.0 s are left, ending within 0\.5 s") == 1


def test_a_shutdown_whose_deadline_is_over_has_no_time(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws) as (api, daemon):
        api.give({"eventType": "SHUTDOWN", "deadlineMs": 1}, "text/plain")
        assert daemon.wait_end() == 0
        assert daemon.count_log(r"SHUTDOWN \(no reason given\): 0\.0 s are left, ending within 0\.0 s") == 1


def test_shutdown_in_the_middle_of_a_poll_ends_it_in_time(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws, SHMCONF_REQUEST_TIMEOUT="60s", **quick(aws)) as (api, daemon):
        aws.fake.fault(operation="get", stall="request", times=None)
        aws.fake.wait_calls(lambda calls: calls.gets == 2)
        api.invoke(left_s=100)
        api.wait(lambda api: not api.is_parked)
        api.shut_down(left_s=2)  # given when it asks: Lambda would not, and it does not ask
        daemon.send(15)
        assert daemon.wait_end() == 0
        aws.fake.clear_faults()


def test_shutdown_with_a_poll_in_the_background_ends_it_in_time(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws, SHMCONF_REQUEST_TIMEOUT="60s", SHMCONF_INVOKE_POLL="background",
                   **quick(aws)) as (api, daemon):
        aws.fake.fault(operation="get", stall="request", times=None)
        aws.fake.wait_calls(lambda calls: calls.gets == 2)
        api.invoke(left_s=100)
        api.wait_parked(2)
        api.shut_down(left_s=5)
        assert daemon.wait_end(5) == 0
        aws.fake.clear_faults()


@pytest.mark.parametrize("left_s", [2, 3600], ids=["", "by a clock that is ahead of ours"])
def test_a_client_that_does_not_read_does_not_hold_up_a_shutdown(aws, left_s):
    """Lambda kills who has not ended after two seconds."""
    aws.fake.put(NAME, "x" * (4 << 20))
    with extension(aws) as (api, daemon), socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((daemon.host, daemon.port))
        client.sendall(f"GET {url(NAME)} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * 4)
        assert client.recv(1)
        api.shut_down(left_s=left_s)
        assert daemon.wait_end(5) == 0
        assert daemon.count_log(r"SHUTDOWN \(spindown\): (2\.0|1\.[0-9]) s are left") == 1


def test_a_reset_takes_the_region_over_and_receives_nothing_that_is_fresh(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws) as (api, daemon), Reader(daemon.root, NAME) as reader:
        before = reader("enter")
        for _ in range(3):
            daemon.kill()
            api.reset()
            daemon.start()
            api.wait_parked(1)
            assert daemon.get(url(NAME)).text == ONE
            assert reader("enter") == before
            api.invoke()
            api.wait_parked(2)
        calls = aws.fake.calls()
        assert (calls.starts, calls.received) == (1, 1)


def test_after_a_reset_in_an_outage_nothing_counts_as_fresh(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws, **quick(aws)) as (api, daemon), Reader(daemon.root, NAME) as reader:
        aws.fake.fault(times=None, error="internal")
        wait_until(lambda: reader("status")["failures"] >= 3)
        daemon.kill()
        api.reset()
        aws.fake.clear_faults()
        aws.fake.put(NAME, TWO)
        daemon.environment["SHMCONF_POLL_INTERVAL"] = "60"  # else its pause ends soon
        daemon.start()
        api.wait_parked(1)
        assert daemon.get(url(NAME)).text == reader("enter")["text"] == TWO


def test_the_first_event_waits_for_nothing_that_is_not_listed(aws):
    other = "Shop:Prod:Other"
    aws.fake.put(NAME, ONE)
    aws.fake.put(other, ONE)
    with extension(aws, SHMCONF_REQUEST_TIMEOUT="60s", **quick(aws)) as (api, daemon):
        assert daemon.get(url(other)).text == ONE
        daemon.kill()
        api.reset()
        time.sleep(1.1)
        stalled = aws.fake.fault(name=other, stall="request", times=None)
        aws.fake.put(NAME, TWO)
        daemon.start()
        api.wait_parked(1)
        assert daemon.count_log("ready for the first invocation 5[0-9]{3}") == 0  # as long as it may
        daemon.wait_body(NAME, TWO)
        stalled.release()
        aws.fake.put(other, TWO)
        api.invoke()
        api.wait_parked(2)
        daemon.wait_body(other, TWO)


def test_a_name_that_is_listed_many_times_is_checked_when_it_is_due(aws):
    aws.fake.put(NAME, ONE)
    aws.fake.poll_interval_s = 2
    other = "/applications/{}/environments/{}/configurations/{}".format(*NAME.split(":"))
    with extension(aws, prefetch=[NAME, other] * 10, SHMCONF_POLL_INTERVAL="2") as (api, daemon), \
            Reader(daemon.root, NAME) as reader:
        daemon.kill()
        api.reset()
        daemon.start()
        api.wait_parked(1)
        aws.fake.put(NAME, TWO)
        reader.wait_text(TWO)


def test_what_is_late_after_a_reset_is_checked_at_the_first_invocation(aws):
    """Its own timers would begin that one after the other, over a whole interval."""
    names = [f"Shop:Prod:Late{number}" for number in range(30)]
    aws.fake.poll_interval_s = 5
    with extension(aws, SHMCONF_POLL_INTERVAL="5") as (api, daemon):
        for name in names:
            aws.fake.put(name, ONE)
            assert daemon.get(url(name)).text == ONE
        daemon.kill()
        api.reset()
        time.sleep(5.5)
        for name in names:
            aws.fake.put(name, TWO)
        daemon.start()
        api.wait_parked(1)
        api.invoke()
        api.wait_parked(2)
        for name in reversed(names):  # not by requests, which have it checked as well
            with Reader(daemon.root, name) as reader:
                assert reader("enter")["text"] == TWO


def test_managed_instances_are_shut_down_only(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws, ExtensionsApi(managed=True),
                   AWS_LAMBDA_INITIALIZATION_TYPE="lambda-managed-instances",
                   **quick(aws)) as (api, daemon):
        assert api.registrations == [["SHUTDOWN"]]
        aws.fake.put(NAME, TWO)
        daemon.wait_body(NAME, TWO)  # by its own timers


def test_a_busy_managed_instance_keeps_no_request_waiting(aws):
    """It is never frozen, so that a timer which is late by less than a second is just late."""
    aws.fake.put(NAME, ONE)
    with extension(aws, ExtensionsApi(managed=True), SHMCONF_FRESH_WAIT_MS="60000",
                   SHMCONF_REQUEST_TIMEOUT="60s",
                   AWS_LAMBDA_INITIALIZATION_TYPE="lambda-managed-instances",
                   **quick(aws)) as (_, daemon), Reader(daemon.root, NAME) as reader:
        for _ in range(5):
            daemon.send(signal.SIGSTOP)
            due_s = reader("status")["next_ns"] / 1e9
            stalled = aws.fake.fault(operation="get", stall="request")
            time.sleep(max(0, due_s + 0.1 - time.time()))
            daemon.send(signal.SIGCONT)
            wait_until(lambda stalled=stalled: stalled.hits)
            if time.time() < due_s + 0.9:
                assert daemon.get(url(NAME)).text == ONE  # else it waits for a minute
                break
            aws.fake.clear_faults()
            wait_until(lambda: reader("status")["next_ns"] / 1e9 > due_s + 0.5)


def test_managed_instances_have_as_long_for_their_end_as_lambda_says(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws, ExtensionsApi(managed=True),
                   AWS_LAMBDA_INITIALIZATION_TYPE="lambda-managed-instances") as (api, daemon):
        end(api, daemon, left_s=1000)
        assert daemon.count_log(r"SHUTDOWN \(spindown\): [0-9]{3,4}\.[0-9] s are left") == 1


def test_it_registers_under_the_name_of_its_file(aws, tmp_path):
    other = tmp_path / "my-configuration"
    aws.fake.put(NAME, ONE)
    with extension(aws, ExtensionsApi("my-configuration"), start=False) as (api, daemon):
        other.write_bytes(Path(daemon.command[0]).read_bytes())
        other.chmod(0o755)
        daemon.command[0] = str(other)
        daemon.start()
        api.wait_parked(1)


def test_it_registers_under_the_name_of_a_link_to_it(aws, tmp_path):
    link = tmp_path / "my-configuration"
    with extension(aws, ExtensionsApi(link.name), prefetch=(), start=False) as (api, daemon):
        link.symlink_to(daemon.command[0])
        daemon.command[0] = str(link)
        daemon.start()
        api.wait_parked(1)


def test_a_proxy_of_the_function_is_not_for_the_events(aws):
    proxy = {name: "http://127.0.0.1:1" for name in
             ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")}
    aws.fake.put(NAME, ONE)
    with extension(aws, **proxy) as (api, daemon):
        api.invoke()
        api.wait_parked(2)
        assert daemon.get(url(NAME)).text == ONE


def test_the_connection_to_lambda_is_kept_through_a_long_poll(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws, **quick(aws)) as (api, _):
        asked_on = api.parked
        slow = aws.fake.fault(operation="get", delay=2.5)
        wait_until(lambda: slow.hits)
        api.invoke(left_s=100)
        api.wait_parked(2)
        assert api.parked is asked_on


def test_long_silence_is_no_error(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws, SHMCONF_REQUEST_TIMEOUT="100ms") as (api, daemon):
        time.sleep(1)
        assert len(api.times) == 1 and daemon.count_log("ERROR") == 0
