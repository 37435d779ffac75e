# SPDX-License-Identifier: Apache-2.0
"""When a session's token is kept and when it is given up, and that nobody gets to see one."""
import errno
import json
import sys
import urllib.parse
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import Reader, url, wait_until  # noqa: E402
from fake_daemon import NAME, aws, deaf, message  # noqa: E402,F401

OTHER = "Shop:Prod:Other"
ONE = '{"limit": 1}'
TWO = '{"limit": 2}'
NS = 10**9


def wait_tried(reader, last):
    """The status after another check than the one that ended at `last`."""
    def look():
        status = reader("status")
        return status if status["tried_ns"] != last else None
    return wait_until(look)


def keep_session(aws, accepts, **environment):
    """A connection that is not made in time has sent nothing: the token is good."""
    for name in (NAME, OTHER):
        aws.fake.put(name, ONE)
    with aws.quick(SHMCONF_REQUEST_TIMEOUT="400ms", **environment) as daemon:
        daemon.assert_backend()
        daemon.wait_body(NAME, ONE)
        with Reader(daemon.root, NAME) as reader:
            wait_tried(reader, reader("status")["tried_ns"])  # nothing is under way for a second
            with deaf(aws.fake, accepts):
                wait_until(lambda: reader("status")["failures"] >= 1)
                assert reader("status")["error"] == errno.ETIMEDOUT
                response = daemon.get(url(OTHER))
                assert response.status == 504 and "time" in message(response), response
                aws.fake.put(NAME, TWO)
            daemon.wait_body(NAME, TWO)
        assert daemon.count_log(f"ERROR {NAME}: .*(timed out|timeout)") == 1
    calls = aws.fake.calls(NAME)
    assert (calls.starts, calls.received) == (1, 2)


def test_a_connection_that_is_not_made_in_time_keeps_the_session(aws):
    keep_session(aws, accepts=False)


def test_the_third_too_early_in_a_row_ends_the_session(aws):
    aws.fake.put(NAME, ONE)
    aws.fake.poll_interval_s = 2
    with aws.daemon(SHMCONF_POLL_INTERVAL="2") as daemon:
        daemon.wait_body(NAME, ONE)
        aws.fake.fault(operation="get", error="too_early", times=3)
        with Reader(daemon.root, NAME) as reader:
            status = reader("status")
            checked = status["checked_ns"]
            for _ in range(2):
                status = wait_tried(reader, status["tried_ns"])
                assert status["checked_ns"] == checked and status["failures"] == 0
                # half the interval later, not a whole one
                assert 0.9 * NS < status["next_ns"] - status["tried_ns"] <= NS, status
        aws.fake.put(NAME, TWO)
        daemon.wait_body(NAME, TWO)
        log = [(call.operation, call.status) for call in aws.fake.log]
        assert daemon.count_log("ERROR") == 1
    good, bad = [("start", 201), ("get", 200)], [("get", 400)]
    assert log == good + 3 * bad + good


def test_two_too_early_in_a_row_do_not(aws):
    aws.fake.put(NAME, ONE)
    with aws.quick() as daemon:
        daemon.wait_body(NAME, ONE)
        for text in (TWO, ONE):  # an answer in between begins the row anew
            refused = aws.fake.fault(operation="get", error="too_early", times=2)
            wait_until(lambda: refused.hits == 2)
            aws.fake.put(NAME, text)
            daemon.wait_body(NAME, text)
        assert daemon.count_log("ERROR") == 0
    assert aws.fake.calls().starts == 1


# What errors of the service say, with the session's token and the credentials' in it.
ECHOES = {
    "Shop:Prod:Plain": (400, lambda token, other: f"Token {token} is not valid for {other}"),
    "Shop:Prod:Signature": (403, lambda token, other: (
        "The Canonical String for this request should have been 'GET\n/configuration\n"
        f"configuration_token={urllib.parse.quote(token, safe='')}\nhost:localhost\n"
        f"x-amz-security-token:{other}\n'")),
    "Shop:Prod:Lower": (400, lambda token, other: "?configuration_token=" + "".join(
        one if one.isalnum() else f"%{ord(one):02x}" for one in token)),
    "Shop:Prod:Cut": (500, lambda token, other: f"{token[:30]}... and ...{token[100:400]}"),
}


def tells(text, secret):
    """Whether any part of the secret is in the text, as it is or percent-escaped."""
    texts = (text, urllib.parse.unquote(text))
    return any(secret[at:at + 12] in one for one in texts for at in range(len(secret) - 11))


def test_errors_do_not_show_the_tokens_that_the_service_repeats(aws):
    faults = {}
    for name in ECHOES:
        aws.fake.put(name, ONE)
        faults[name] = aws.fake.fault(name=name, operation="get", error="throttled", times=None)
    aws.fake.fault(name=NAME, operation="start", status=403, times=None, body=json.dumps(
        {"message": f"The security token {aws.fake.session_token} is expired"}))
    with aws.daemon(SHMCONF_PREFETCH_LIST=",".join(ECHOES), SHMCONF_LOG_LEVEL="trace") as daemon:
        wait_until(lambda: all(fault.hits for fault in faults.values()))
        with aws.fake.lock:
            tokens = {token.session.name: text for text, token in aws.fake.tokens.items()}
            for name, (status, text) in ECHOES.items():
                faults[name].error, faults[name].status = None, status
                faults[name].body = json.dumps(
                    {"Message": text(tokens[name], aws.fake.session_token)}).encode()
        for name, (status, _) in ECHOES.items():
            response = wait_until(lambda: (found := daemon.get(url(name))).status and
                                  "[hidden]" in found.text and found)
            assert response.status == (502 if status == 500 else status), response
            assert not tells(response.text, tokens[name]), response
            assert not tells(response.text, aws.fake.session_token), response
        response = daemon.get(url(NAME))
        assert "The security token [hidden] is expired; the role" in message(response)
        log = daemon.log()
        assert log.count("[hidden]") >= len(ECHOES) + 1
        assert not any(tells(log, secret) for secret in (*tokens.values(), aws.fake.session_token))
