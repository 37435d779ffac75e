# SPDX-License-Identifier: Apache-2.0
"""What docs/openapi.yaml does not say, no answer may be: the check that all tests use finds it."""
import copy
import email.utils
import sys
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import TIMEOUT_S, Daemon  # noqa: E402
from fake_daemon import get_all  # noqa: E402
from http_client import SHOP, Client, answers_to  # noqa: E402
from openapi import api, check_value  # noqa: E402
from recorder import Recorder  # noqa: E402

BODY = b'{"limit": 10}'
MISSING = b'{"Message":"not there","ResourceType":"Configuration"}'
REFUSED = b'{"Message":"only GET and HEAD"}'


def answer(status=200, body=BODY, **changes):
    """A right answer but for `changes`: values of headers, None for one that is left out."""
    headers = {"Date": email.utils.formatdate(usegmt=True), "Content-Type": "application/json",
               "Content-Length": str(len(body))}
    if status == 200:
        headers |= {"Configuration-Version": "1", "ConfigurationVersion": "1",
                    "ETag": '"65f0978bfab7bd86-1"'}
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    return status, [pair for pair in headers.items() if pair[1] is not None], body


def as_bytes(status, headers, body):
    lines = [f"HTTP/1.1 {status} OK", *(": ".join(pair) for pair in headers)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def test_right_answers_are_right():
    api().check("GET", SHOP, *answer())
    api().check("GET", SHOP, *answer(Connection="close", Version_Label="v1"))
    api().check("HEAD", SHOP, *answer(Content_Length="13", body=b""))
    api().check("GET", SHOP, *answer(404, MISSING))
    api().check("GET", "/nowhere", *answer(404, MISSING))
    api().check("POST", SHOP, *answer(405, REFUSED, Allow="GET, HEAD"))
    api().check("GET", "/ping", *answer(200, b'{"version":"0.1.0","name":"shmconfd"}', ETag=None,
                                        Configuration_Version=None, ConfigurationVersion=None))


WRONG = {
    "a status": (answer(402, REFUSED), "402 to GET .* is not documented"),
    "a status of another method": (answer(405, REFUSED, Allow="GET, HEAD"), "not documented"),
    "a header": (answer(Server="shmconfd"), "has Server, which is not documented"),
    "a header of another status": (answer(404, MISSING, ETag='"0-1"'), "has ETag, which is not"),
    "a header too few": (answer(ETag=None), "lacks etag"),
    "a header's value": (answer(ETag="65f0978bfab7bd86-1"), "ETag"),
    "a number": (answer(Configuration_Version="0"), "Configuration-Version"),
    "a value that is not listed": (answer(Connection="Close"), "Connection"),
    "a date of long ago": (answer(Date="Sun, 06 Nov 1994 08:49:37 GMT"), "Date is"),
    "a length": (answer(Content_Length="12"), "has 13 bytes"),
    "a content type": (answer(404, MISSING, Content_Type="text/plain"), "undocumented type"),
    "no JSON": (answer(404, MISSING[:-1]), "Expecting"),
    "a member": (answer(404, MISSING[:-1] + b',"Reason":"x"}'), "has Reason, which is not"),
    "a member too few": (answer(404, b'{"Message":"not there"}'), "lacks {'ResourceType'}"),
    "a member's type": (answer(404, MISSING.replace(b'"not there"', b"7")), "Message is no string"),
    "an empty member": (answer(404, MISSING.replace(b"not there", b"")), "Message is too short"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_answer_is_found(what):
    wrong, complaint = WRONG[what]
    with pytest.raises((AssertionError, ValueError), match=complaint):
        api().check("GET", SHOP, *wrong)


def test_header_that_comes_twice_is_found():
    status, headers, body = answer()
    with pytest.raises(AssertionError, match="Date twice"):
        api().check("GET", SHOP, status, headers + [headers[0]], body)


def test_body_where_there_is_none_is_found():
    with pytest.raises(AssertionError, match="has a body"):
        api().check("HEAD", SHOP, *answer())


def test_word_of_a_schema_that_nobody_would_check_is_found():
    with pytest.raises(AssertionError, match="would not be checked"):
        check_value({"type": "string", "maxLength": 1}, "ab", "it")


# ---- The ways by which the tests get answers ----------------------------------------------------


@pytest.fixture
def poor(tmp_path, monkeypatch):
    """A daemon, while docs/openapi.yaml seems not to know of ETag."""
    paths = copy.deepcopy(api().paths)
    for item in paths.values():
        item["get"]["responses"]["200"]["headers"].pop("ETag", None)
    with Daemon(tmp_path) as daemon:
        daemon.put("Shop:Prod:Checkout.json", BODY)
        daemon.wait_body("Shop:Prod:Checkout", BODY)
        monkeypatch.setattr(api(), "paths", paths)
        yield daemon


UNDOCUMENTED = "(?i)200 to GET .* has ETag, which is not documented"


def test_daemon_get_checks(poor):
    with pytest.raises(AssertionError, match=UNDOCUMENTED):
        poor.get(SHOP)


def test_strict_client_checks(poor):
    with Client(poor.port) as client, pytest.raises(AssertionError, match=UNDOCUMENTED):
        client.ask()


def test_many_requests_at_once_check(poor):
    with pytest.raises(AssertionError, match=UNDOCUMENTED):
        get_all(poor, ["Shop:Prod:Checkout"])


def test_recorder_checks(poor):
    with Recorder(poor.port) as recorder:
        target = f"http://127.0.0.1:{recorder.port}{SHOP}"
        with urllib.request.urlopen(target, timeout=TIMEOUT_S) as answer:
            assert answer.read() == BODY
        with pytest.raises(AssertionError, match=UNDOCUMENTED):
            recorder.check()


def test_recorder_finds_bytes_that_belong_to_no_answer():
    with pytest.raises(AssertionError, match="more bytes: b'x'"):
        answers_to([("GET", SHOP)], as_bytes(*answer()) + b"x")
    with pytest.raises(AssertionError, match="no answer to GET /ping"):
        answers_to([("GET", SHOP), ("GET", "/ping")], as_bytes(*answer()))
