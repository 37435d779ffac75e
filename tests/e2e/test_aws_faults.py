# SPDX-License-Identifier: Apache-2.0
"""Whatever AppConfig or the network does: the last good version stays, and calls stay few."""
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import Reader, url, wait_until  # noqa: E402
from fake_daemon import NAME, aws, get_all, message  # noqa: E402,F401

ONE = '{"limit": 1}'
TWO = '{"limit": 2}'


def wait_served(daemon, wanted, text):
    """Waits until each of the configurations is served with this text."""
    wait_until(lambda: all(one.status == 200 and one.text == text
                           for one in get_all(daemon, list(wanted))), every=0.1)


def names(count):
    return [f"Shop:Prod:C{i}" for i in range(count)]


# ---- Before there is a version ------------------------------------------------------------------


# What the service may answer: HTTP status on 2772 that it becomes.
ANSWERS = {"denied": (403,), "expired_credentials": (403,), "bad_request": (400,),
           "no_application": (404,), "no_environment": (404,), "no_profile": (404,),
           "no_deployment": (404,), "throttled": (429, 502, 503), "throttled_text": (429, 502, 503),
           "internal": (500, 502), "internal_empty": (500, 502), "bad_gateway": (502,),
           "unavailable": (502, 503), "gateway_timeout": (502, 504)}


@pytest.mark.parametrize("operation", ["start", "get"])
def test_a_failed_first_fetch_says_why_and_is_tried_again(aws, operation):
    """One configuration per kind of answer, all at once."""
    cases = dict(zip(names(len(ANSWERS)), ANSWERS))
    for name, error in cases.items():
        aws.fake.put(name, ONE)
        aws.fake.fault(name=name, operation=operation, error=error)
    with aws.daemon() as daemon:
        for response, (name, error) in zip([daemon.get(url(name)) for name in cases],
                                           cases.items()):
            assert response.status in ANSWERS[error], (error, response)
            message(response)
            calls = aws.fake.calls(name)
            assert (calls.starts, calls.gets) == (1, 0 if operation == "start" else 1), error
        wait_served(daemon, cases, ONE)
        for name in cases:
            calls = aws.fake.calls(name)
            assert calls.received == 1 and calls.starts <= 2
            assert calls.gets == (1 if operation == "start" else 2)


def test_requests_for_what_is_missing_cost_few_calls_until_it_is_there(aws):
    with aws.daemon() as daemon:
        began = time.monotonic()
        answers = get_all(daemon, [NAME] * 1000)
        elapsed = time.monotonic() - began
        assert {one.status for one in answers} == {404}
        calls = aws.fake.calls()
        assert calls.gets == 0 and calls.starts <= 2 + elapsed
        aws.fake.put(NAME, ONE)
        daemon.wait_body(NAME, ONE)
    calls = aws.fake.calls()
    assert (calls.gets, calls.received) == (1, 1) and calls.starts <= 6


def test_it_may_start_before_the_service_is_there(aws):
    aws.fake.put(NAME, ONE)
    aws.fake.down()
    with aws.daemon(SHMCONF_PREFETCH_LIST=NAME) as daemon:
        response = daemon.get(url(NAME))
        assert response.status in (502, 503, 504)
        message(response)
        aws.fake.up()
        daemon.wait_body(NAME, ONE)
    assert aws.fake.calls().received == 1


def test_no_answer_in_time_is_a_timeout(aws):
    aws.fake.put(NAME, ONE)
    stalled = aws.fake.fault(stall="request")
    with aws.daemon(SHMCONF_REQUEST_TIMEOUT="300ms") as daemon:
        began = time.monotonic()
        response = daemon.get(url(NAME))
        assert response.status == 504, response
        assert 0.25 < time.monotonic() - began < 5
        message(response)
        stalled.release()
        daemon.wait_body(NAME, ONE)
    assert aws.fake.calls().received == 1


GARBAGE = [b"", b"{", b"[]", b"{}", b'"text"', b"null", b"<html>", b"\xff\xfe\x00", b"{" * 70000,
           b'{"InitialConfigurationToken":5}', b'{"InitialConfigurationToken":null}',
           b'{"InitialConfigurationToken":""}', b'{"InitialConfigurationToken":"a b"}',
           b'{"InitialConfigurationToken":"a\\u0000b"}',
           b'{"InitialConfigurationToken":"a\\r\\nX: y"}',
           b'{"InitialConfigurationToken":"' + b"x" * 8193 + b'"}',
           b'{"initialconfigurationtoken":"abc"}', b'{"InitialConfigurationToken":"abc"',
           b'{"InitialConfigurationToken":"' + b"x" * (2 << 20) + b'"}']


def test_garbage_for_a_session_is_a_failed_fetch(aws):
    cases = dict(zip(names(len(GARBAGE)), GARBAGE))
    for name, body in cases.items():
        aws.fake.put(name, ONE)
        aws.fake.fault(name=name, operation="start", body_is=body)
    with aws.daemon() as daemon:
        for response, body in zip(get_all(daemon, list(cases), threads=1), GARBAGE):
            assert response.status in (500, 502), (body[:60], response)
            message(response)
        wait_served(daemon, cases, ONE)
        for name, body in cases.items():
            assert aws.fake.calls(name).gets == 1, body[:60]


def headers(**more):
    good = {"Content-Type": "application/json", "Next-Poll-Interval-In-Seconds": "60",
            "Next-Poll-Configuration-Token": "abc"}
    return {**good, **more}


def test_content_without_a_usable_token_is_not_taken(aws):
    token = "Next-Poll-Configuration-Token"
    given = [{"headers": {"Content-Type": "application/json"}}, {"headers": headers(**{token: ""})},
             {"headers": headers(**{token: "a b"})}, {"headers": headers(**{token: "x" * 8193})},
             {"headers": headers(Location="/elsewhere"), "status": 302}]
    cases = dict(zip(names(len(given)), given))
    for name, case in cases.items():
        aws.fake.put(name, TWO)
        aws.fake.fault(name=name, operation="get", **{"status": 200, "body": ONE, **case})
    with aws.daemon() as daemon:
        for response in get_all(daemon, list(cases)):
            assert response.status in (500, 502), response
        wait_served(daemon, cases, TWO)
        assert {daemon.get(url(name)).headers["Configuration-Version"] for name in cases} == {"1"}


def test_a_strange_interval_is_no_reason_to_poll_more_often(aws):
    intervals = [None, "", "abc", "-1", "0", "1e9", "99999999999999999999", "4294967297"]
    cases = dict(zip(names(len(intervals)), intervals))
    for name, interval in cases.items():
        given = headers(**{"Next-Poll-Interval-In-Seconds": interval})
        aws.fake.put(name, ONE)
        aws.fake.fault(name=name, operation="get", status=200, body=TWO, headers={
            header: value for header, value in given.items() if value is not None})
    with aws.daemon() as daemon:
        for name, interval in cases.items():
            assert daemon.get(url(name)).text == TWO
            with Reader(daemon.root, name) as reader:
                health = reader("status")
                assert health["next_ns"] >= health["checked_ns"] + 44 * 10**9, interval
        time.sleep(0.3)
    assert aws.fake.calls().gets == len(cases)


STAGES = [{"reset_at": "request"}, {"reset_at": "request", "lost": True}, {"reset_at": "head"},
          {"reset_at": "headers"}, {"reset_at": "body"}, {"cut": 0}, {"cut": 5},
          {"cut": 5, "chunked": 4}, {"reset_at": "body", "chunked": 100},
          {"raw": b"nonsense\r\n\r\n"}, {"raw": b""}, {"raw": b"HTTP/1.1 200 OK\r\n"},
          {"raw": b"HTTP/1.1 20"}, {"raw": b"\0" * 5000},
          {"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nx"},
          {"raw": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 400000},
          {"raw": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}]


@pytest.mark.parametrize("operation", ["start", "get"])
def test_a_broken_connection_is_a_failed_fetch_at_each_stage(aws, operation):
    body = "x" * 3000
    cases = dict(zip(names(len(STAGES)), STAGES))
    for name, fault in cases.items():
        aws.fake.put(name, body, content_type="text/plain")
        aws.fake.fault(name=name, operation=operation, **fault)
    with aws.daemon() as daemon:
        for response in get_all(daemon, list(cases)):
            assert response.status in (200, 502, 504), response
            assert response.status != 200 or response.text == body
        wait_served(daemon, cases, body)
        for name, fault in cases.items():
            calls = aws.fake.calls(name)
            assert calls.starts <= 3 and calls.gets <= 3 and calls.received <= 2, (fault, calls)


def test_connections_that_are_reset_at_once_are_tried_again(aws):
    aws.fake.put(NAME, ONE)
    fault = aws.fake.fault(reset_at="accept")
    with aws.daemon() as daemon:
        daemon.wait_body(NAME, ONE)
    assert fault.hits == 1 and aws.fake.calls().received == 1


def test_an_oversized_answer_is_refused_and_not_kept(aws):
    cases = dict(zip(names(2), [{}, {"chunked": 1 << 16}]))
    for name, fault in cases.items():
        aws.fake.put(name, ONE)
        aws.fake.fault(name=name, operation="get", body_is=b"x" * (17 << 20), **fault)
    with aws.daemon() as daemon:
        for name in cases:
            response = daemon.get(url(name))
            assert response.status in (500, 502), response
            message(response)
        assert daemon.status_field("VmHWM") < 80 << 10
        wait_served(daemon, cases, ONE)
        assert daemon.status_field("VmRSS") < 20 << 10


# ---- With a version -----------------------------------------------------------------------------


def test_without_the_service_the_last_version_is_served_and_the_status_says_so(aws):
    aws.fake.put(NAME, ONE)
    with aws.quick() as daemon:
        daemon.wait_body(NAME, ONE)
        with Reader(daemon.root, NAME) as reader:
            assert reader("enter")["text"] == ONE
            aws.fake.down()
            wait_until(lambda: reader("status")["failures"] >= 1)
            health = reader("status")
            assert health["error"] != 0 and health["age_ns"] > 10**9
            assert reader("enter")["text"] == ONE
            assert daemon.get(url(NAME)).text == ONE
            aws.fake.put(NAME, TWO)
            aws.fake.up()
            reader.wait_text(TWO)
            wait_until(lambda: reader("status")["failures"] == 0)
            assert reader("status")["error"] == 0
        daemon.wait_body(NAME, TWO)


def test_repeated_failures_back_off_and_stay_visible(aws):
    errors = {"internal": 500, "throttled": 429, "denied": 403, "no_deployment": 404}
    cases = dict(zip(names(len(errors)), errors.items()))
    for name in cases:
        aws.fake.put(name, ONE)
    with aws.quick(SHMCONF_PREFETCH_LIST=",".join(cases)) as daemon:
        wait_served(daemon, cases, ONE)
        for name, (error, _) in cases.items():
            aws.fake.fault(name=name, error=error, times=None)
        before = {name: aws.fake.calls(name) for name in cases}
        readers = {name: Reader(daemon.root, name) for name in cases}
        began = time.monotonic()
        for name, (error, status) in cases.items():
            wait_until(lambda: readers[name]("status")["failures"] >= 2)
            elapsed = time.monotonic() - began
            assert readers[name]("status")["http_status"] == status
            assert readers[name]("enter")["text"] == ONE
            calls = aws.fake.calls(name)
            # at least 0.8 s lie between the two
            failed = calls.starts + calls.gets - before[name].starts - before[name].gets
            assert 2 <= failed <= 4 and elapsed >= 0.8, (error, failed, elapsed)
            readers[name].close()
        wait_served(daemon, cases, ONE)


def test_a_cut_update_is_never_published(aws):
    """Every byte that anybody sees belongs to one whole version."""
    old, new = "old " + "a" * 200000, "new " + "b" * 200000
    faults = [{"cut": 100000}, {"cut": 200003, "chunked": 4096}, {"reset_at": "body"}, {"cut": 0}]
    cases = dict(zip(names(len(faults)), faults))
    for name in cases:
        aws.fake.put(name, old, content_type="text/plain")
    with aws.quick(SHMCONF_PREFETCH_LIST=",".join(cases)) as daemon:
        wait_served(daemon, cases, old)
        set_up = []
        for name, fault in cases.items():
            set_up.append(aws.fake.fault(name=name, operation="get", **fault))
            aws.fake.put(name, new, content_type="text/plain")

        def look():
            answers = get_all(daemon, list(cases), threads=1)
            assert {one.text[:4] for one in answers} <= {"old ", "new "}
            assert all(one.text in (old, new) for one in answers)
            return all(one.text == new for one in answers)
        wait_until(look)
        assert [fault.hits for fault in set_up] == [1] * len(faults)
        assert {daemon.get(url(name)).headers["Configuration-Version"] for name in cases} == {"2"}


def test_too_early_is_waited_out_with_the_same_session(aws):
    aws.fake.put(NAME, ONE)
    with aws.quick() as daemon:
        daemon.wait_body(NAME, ONE)
        refused = aws.fake.fault(operation="get", error="too_early")
        aws.fake.put(NAME, TWO)
        daemon.wait_body(NAME, TWO)
    assert refused.hits == 1 and aws.fake.calls().starts == 1


def test_an_answer_that_was_lost_costs_one_session_and_no_version(aws):
    aws.fake.put(NAME, ONE)
    with aws.quick() as daemon:
        daemon.wait_body(NAME, ONE)
        aws.fake.fault(operation="get", reset_at="request", lost=True)
        aws.fake.wait_calls(lambda calls: calls.received == 2)
        assert daemon.get(url(NAME)).headers["Configuration-Version"] == "1"
        assert aws.fake.calls().starts == 2
        aws.fake.put(NAME, TWO)
        daemon.wait_body(NAME, TWO)
        expect_no_failure(daemon)
    assert aws.fake.calls().starts == 2


def expect_no_failure(daemon):
    with Reader(daemon.root, NAME) as reader:
        assert reader("status")["failures"] == 0
    few = daemon.count_log("WARN .*ulimit -n leaves no more")  # of the machine, not of a check
    assert daemon.count_log("WARN|ERROR") == few, daemon.log()


@pytest.mark.parametrize("lost", [True, False], ids=["spent", "unseen"])
def test_a_kept_connection_that_ends_just_as_it_is_used_again_is_no_failure(aws, lost):
    """Whether the service has dealt with the call or not cannot be told: its token is not sent again."""
    aws.fake.put(NAME, ONE)
    with aws.quick() as daemon:
        daemon.wait_body(NAME, ONE)
        ended = aws.fake.fault(operation="get", reset_at="request", lost=lost)
        aws.fake.put(NAME, TWO)
        daemon.wait_body(NAME, TWO)
        expect_no_failure(daemon)
    assert ended.hits == 1
    log = [call.operation for call in aws.fake.log]
    assert log[:5] == ["start", "get", "get", "start", "get"]


def test_a_connection_that_ends_twice_in_a_check_is_a_failure(aws):
    aws.fake.put(NAME, ONE)
    with aws.quick() as daemon:
        daemon.wait_body(NAME, ONE)
        ended = aws.fake.fault(operation="get", reset_at="request", times=2)
        wait_until(lambda: ended.hits == 2)
        daemon.wait_log("ERROR .*AppConfig cannot be reached: the connection ended without an answer")
        aws.fake.put(NAME, TWO)
        daemon.wait_body(NAME, TWO)
    assert aws.fake.calls().starts == 3


def test_a_request_that_was_lost_before_its_repetition_was_refused_is_not_sent_a_third_time(aws):
    """libcurl repeats what a kept connection ends on without an answer: the first was sent."""
    aws.fake.put(NAME, ONE)
    with aws.quick() as daemon:
        daemon.wait_body(NAME, ONE)
        stalled = aws.fake.fault(operation="get", stall="request")
        aws.fake.put(NAME, TWO)
        wait_until(lambda: stalled.hits)
        aws.fake.down()
        with Reader(daemon.root, NAME) as reader:
            wait_until(lambda: reader("status")["failures"])
        aws.fake.up()
        daemon.wait_body(NAME, TWO)
    assert aws.fake.calls().starts == 2


def test_a_connection_that_the_service_closed_is_not_noticed(aws):
    """Between two polls the service closes what is idle; that is no failure."""
    aws.fake.idle_s = 0.2
    aws.fake.put(NAME, ONE)
    with aws.quick() as daemon:
        daemon.wait_body(NAME, ONE)
        aws.fake.wait_calls(lambda calls: calls.gets == 2)
        with Reader(daemon.root, NAME) as reader:
            assert reader("status")["failures"] == 0
    calls = aws.fake.calls()
    assert (calls.starts, calls.received) == (1, 1)


# ---- Ends and restarts --------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"stall": "request"}, {"stall": "body"}, {"drip": (1, 0.05)}])
@pytest.mark.parametrize("operation", ["start", "get"])
def test_it_ends_at_once_while_a_call_is_under_way(aws, operation, fault):
    aws.fake.put(NAME, "x" * 1000, content_type="text/plain")
    fault = aws.fake.fault(operation=operation, **fault)
    with aws.daemon(SHMCONF_PREFETCH_LIST=NAME, SHMCONF_REQUEST_TIMEOUT="60s") as daemon:
        wait_until(lambda: fault.hits)
        began = time.monotonic()
        daemon.stop()
        assert time.monotonic() - began < 5


def test_a_restart_without_the_service_serves_what_there_was(aws):
    aws.fake.put(NAME, ONE)
    with aws.quick(SHMCONF_PREFETCH_LIST=NAME) as daemon:
        daemon.wait_body(NAME, ONE)
        daemon.stop()
        aws.fake.down()
        daemon.start()
        response = daemon.get(url(NAME))
        assert (response.status, response.text) == (200, ONE)
        aws.fake.up()
        aws.fake.wait_calls(lambda calls: calls.received == 2)
        with Reader(daemon.root, NAME) as reader:
            wait_until(lambda: reader("status")["failures"] == 0)
        assert daemon.get(url(NAME)).headers["Configuration-Version"] == "1"
        aws.fake.put(NAME, TWO)
        assert daemon.wait_body(NAME, TWO).headers["Configuration-Version"] == "2"
    assert aws.fake.calls().starts == 2
