# SPDX-License-Identifier: Apache-2.0
"""Configurations come from AppConfig with as few calls as its rules and prices ask for."""
import json
import os
import re
import signal
import socket
import sys
import time
import urllib.parse
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import Reader, run, url, wait_until  # noqa: E402
from fake_daemon import NAME, aws, get_all, make_aws, message  # noqa: E402,F401

ONE = '{"limit": 1}'
TWO = '{"limit": 2}'


def numbers(calls):
    """StartConfigurationSession, GetLatestConfiguration, and how often content was received."""
    return calls.starts, calls.gets, calls.received


# ---- Fetching -----------------------------------------------------------------------------------


def test_the_first_request_fetches_and_later_ones_do_not(aws):
    aws.fake.put(NAME, ONE, content_type="text/x-limits; charset=utf-8", label="release 7")
    with aws.daemon() as daemon:
        daemon.assert_backend()
        assert numbers(aws.fake.calls()) == (0, 0, 0)
        for _ in range(20):
            response = daemon.get(url(NAME))
            assert (response.status, response.body) == (200, ONE.encode())
            assert response.headers["Content-Type"] == "text/x-limits; charset=utf-8"
            assert response.headers["Version-Label"] == "release 7"
    assert numbers(aws.fake.calls()) == (1, 1, 1)
    promised = json.loads(aws.fake.requests[0].body)["RequiredMinimumPollIntervalInSeconds"]
    assert promised == 45


def test_the_service_may_have_an_address_of_ipv6(tmp_path, backend):
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    for aws in make_aws(tmp_path, backend, address="::1"):
        aws.fake.put(NAME, ONE)
        with aws.daemon() as daemon:
            assert daemon.get(url(NAME)).text == ONE


@pytest.mark.parametrize("interval, promise", [("1", 15), ("90s", 90), ("24h", 86400)])
def test_the_poll_interval_is_promised_as_far_as_the_service_allows(aws, interval, promise):
    aws.fake.put(NAME, ONE)
    with aws.daemon(SHMCONF_POLL_INTERVAL=interval) as daemon:
        daemon.wait_body(NAME, ONE)
    asked = json.loads(aws.fake.requests[0].body)
    assert asked["RequiredMinimumPollIntervalInSeconds"] == promise


def test_an_update_reaches_http_and_readers(aws):
    aws.fake.put(NAME, ONE)
    with aws.quick() as daemon:
        daemon.wait_body(NAME, ONE)
        with Reader(daemon.root, NAME) as reader:
            assert reader("enter")["text"] == ONE
            aws.fake.put(NAME, TWO, label="second")
            daemon.wait_body(NAME, TWO)
            answer = reader.wait_text(TWO)
            assert (answer["generation"], answer["label"]) == (2, "second")
    calls = aws.fake.calls(NAME)
    assert calls.starts == 1 and calls.received == 2


def test_polls_never_come_before_the_service_allows(aws):
    aws.fake.put(NAME, ONE)
    aws.fake.poll_interval_s = 2  # longer than what is wished
    with aws.daemon(SHMCONF_POLL_INTERVAL="1") as daemon:
        daemon.wait_body(NAME, ONE)
        aws.fake.wait_calls(lambda calls: calls.gets == 2)
    gets = [call.time for call in aws.fake.log if call.operation == "get"]
    assert all(later - earlier >= 2 for earlier, later in zip(gets, gets[1:]))


def test_requests_during_the_first_fetch_share_it(aws):
    aws.fake.put(NAME, ONE)
    aws.fake.fault(operation="get", delay=0.3)
    with aws.daemon() as daemon:
        answers = get_all(daemon, [NAME] * 50)
        assert len(answers) == 50
        assert all((one.status, one.body) == (200, ONE.encode()) for one in answers)
    assert numbers(aws.fake.calls()) == (1, 1, 1)


@pytest.mark.parametrize("operation", ["start", "get"])
def test_a_client_that_hangs_up_does_not_end_the_fetch(aws, operation):
    aws.fake.put(NAME, ONE)
    stalled = aws.fake.fault(operation=operation, stall="request")
    with aws.daemon() as daemon:
        client = socket.create_connection(("127.0.0.1", daemon.port))
        client.sendall(f"GET {url(NAME)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        wait_until(lambda: stalled.hits)
        client.close()
        stalled.release()
        aws.fake.wait_calls(lambda calls: calls.received == 1)
        daemon.wait_body(NAME, ONE)
    assert numbers(aws.fake.calls()) == (1, 1, 1)


def test_names_are_passed_on_as_they_are(aws):
    name = 'Läden "1"/a:Prod + %2B&=?:\\x\ty\U0001f6d2'
    aws.fake.put(name, ONE)
    with aws.daemon() as daemon:
        assert daemon.get(url(name)).text == ONE
    assert numbers(aws.fake.calls(name)) == (1, 1, 1)


@pytest.mark.parametrize("application", ["x" * 129, "%C3%A4" * 129, "%ff", "a%c3"],
                         ids=["long", "long in UTF-8", "no UTF-8", "cut UTF-8"])
def test_a_name_that_the_service_cannot_have_is_no_call(aws, application):
    with aws.daemon() as daemon:
        response = daemon.get(f"/applications/{application}/environments/E/configurations/C")
        assert response.status in (400, 404)
        message(response)
    assert numbers(aws.fake.calls()) == (0, 0, 0)


def test_large_configurations_and_the_longest_tokens_pass(aws):
    body = os.urandom(4 << 20)
    aws.fake.put(NAME, body, content_type="application/octet-stream")
    aws.fake.token_length = 8192
    with aws.quick() as daemon:
        assert daemon.get(url(NAME)).body == body
        aws.fake.put(NAME, body[::-1], content_type="application/octet-stream")
        daemon.wait_body(NAME, body[::-1])
    assert aws.fake.calls().starts == 1


@pytest.mark.parametrize("fault", [{"chunked": 1000}, {"chunked": 1}, {"drip": (300, 0.01)}])
def test_an_answer_may_come_in_pieces(aws, fault):
    body = os.urandom(2000)
    aws.fake.put(NAME, body, content_type="application/octet-stream")
    aws.fake.fault(times=None, **fault)
    with aws.daemon() as daemon:
        assert daemon.get(url(NAME)).body == body
    assert numbers(aws.fake.calls()) == (1, 1, 1)


# ---- Generations --------------------------------------------------------------------------------


def test_only_other_bytes_type_or_label_make_a_version(aws):
    """Each configuration is deployed twice; what the second deployment differs in, if at all."""
    first = (ONE, "application/json", "a")
    seconds = {"Nothing": first, "Bytes": (TWO, *first[1:]), "Type": (ONE, "text/plain", "a"),
               "Label": (ONE, "application/json", "b"), "No label": (ONE, "application/json", None)}
    names = {f"Shop:Prod:{what}": second for what, second in seconds.items()}
    for name in names:
        aws.fake.put(name, *first)
    with aws.quick(SHMCONF_PREFETCH_LIST=",".join(names)) as daemon:
        for name, second in names.items():
            daemon.wait_body(name, ONE)
            aws.fake.put(name, *second)
        for name, second in names.items():
            aws.fake.wait_calls(lambda calls: calls.received == 2 and calls.gets >= 3, name)
            response = daemon.get(url(name))
            assert (response.text, response.headers["Content-Type"],
                    response.headers["Version-Label"]) == second
            assert response.headers["Configuration-Version"] == ("1" if second == first else "2")
    assert aws.fake.calls().starts == len(names)


def test_an_expired_token_means_a_new_session_and_no_new_version(aws):
    aws.fake.put(NAME, ONE)
    with aws.quick() as daemon:
        daemon.wait_body(NAME, ONE)
        aws.fake.expire_tokens()
        aws.fake.wait_calls(lambda calls: calls.received == 2)
        assert aws.fake.calls().starts == 2
        response = daemon.get(url(NAME))
        assert (response.text, response.headers["Configuration-Version"]) == (ONE, "1")
        aws.fake.put(NAME, TWO)
        daemon.wait_body(NAME, TWO)
    assert aws.fake.calls().starts == 2


# ---- PREFETCH_LIST ------------------------------------------------------------------------------


def test_prefetch_takes_both_syntaxes(aws):
    names = ["Shop:Prod:Limits", "Shop:Prod:Other One", "abc1234:def1234:ghi1234"]
    for name in names:
        aws.fake.put(name, ONE)
    text = "Shop:Prod:Limits, /applications/Shop/environments/Prod/configurations/Other One ," \
           "abc1234:def1234:ghi1234"
    with aws.daemon(SHMCONF_PREFETCH_LIST=text) as daemon:
        aws.fake.wait_calls(lambda calls: calls.received == 3)
        for name in names:
            daemon.wait_body(name, ONE)
            assert numbers(aws.fake.calls(name)) == (1, 1, 1)


def test_a_request_during_prefetch_shares_its_fetch(aws):
    aws.fake.put(NAME, ONE)
    aws.fake.fault(operation="start", delay=0.3)
    with aws.daemon(PREFETCH_LIST=NAME) as daemon:
        assert daemon.get(url(NAME)).text == ONE
    assert numbers(aws.fake.calls()) == (1, 1, 1)


@pytest.mark.parametrize("text", ["Shop:Prod", "Shop:Prod:Limits:More", "Shop::Limits",
                                  "/applications/Shop/environments/Prod", "Shop:Prod:Limits,,x",
                                  "/applications/Shop/environments//configurations/Limits"])
def test_a_malformed_prefetch_list_ends_the_start(aws, text):
    aws.fake.put(NAME, ONE)
    result = run(env={**aws.environment(), "SHMCONF_DIR": aws.path / "region",
                      "SHMCONF_HTTP_PORT": "0", "SHMCONF_PREFETCH_LIST": text})
    assert result.returncode == 3, result
    assert "PREFETCH_LIST" in result.stderr
    assert numbers(aws.fake.calls()) == (0, 0, 0)


# ---- Settings of AWS ----------------------------------------------------------------------------


def run_aws(aws, *arguments, **environment):
    return run(*arguments, env={**aws.environment(**environment), "SHMCONF_HTTP_PORT": "0",
                                "SHMCONF_DIR": aws.path / "region"})


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_missing_credentials_are_named(aws, name):
    result = run_aws(aws, **{name: None})
    assert result.returncode == 3, result
    lines = [line for line in result.stderr.splitlines() if name in line]
    assert len(lines) == 1, result.stderr
    assert numbers(aws.fake.calls()) == (0, 0, 0)


@pytest.mark.parametrize("key", ["AKID, Signature=0", "AKID/eu-west-1", "AKID\n", " AKID"])
def test_a_key_that_no_header_can_hold_is_refused(aws, key):
    result = run_aws(aws, AWS_ACCESS_KEY_ID=key)
    assert result.returncode == 3 and "AWS_ACCESS_KEY_ID: holds a blank" in result.stderr, result
    assert key.strip() not in result.stderr


def test_a_missing_region_is_named(aws):
    result = run_aws(aws, AWS_REGION=None)
    assert result.returncode == 3 and "AWS_REGION" in result.stderr, result


@pytest.mark.parametrize("environment", [
    {"AWS_REGION": None, "AWS_DEFAULT_REGION": "eu-west-1"},
    {"AWS_REGION": "us-east-1", "SHMCONF_SERVICE_REGION": "eu-west-1"}])
def test_the_region_is_found_where_sdks_find_it(aws, environment):
    aws.fake.put(NAME, ONE)
    with aws.daemon(**environment) as daemon:
        assert daemon.get(url(NAME)).text == ONE


@pytest.mark.parametrize("suffix", ["", "/"])
def test_the_endpoint_can_be_that_of_all_services(aws, suffix):
    aws.fake.put(NAME, ONE)
    with aws.daemon(AWS_ENDPOINT_URL_APPCONFIGDATA=None,
                    AWS_ENDPOINT_URL=aws.fake.url + suffix) as daemon:
        assert daemon.get(url(NAME)).text == ONE


def test_permanent_credentials_have_no_session_token(aws):
    aws.fake.put(NAME, ONE)
    aws.fake.keys[aws.fake.key_id] = (aws.fake.secret, None)
    with aws.daemon(AWS_SESSION_TOKEN=None) as daemon:
        assert daemon.get(url(NAME)).text == ONE


# ---- Once ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments, listed", [([NAME], None), ([], NAME), ([NAME], "Not:This:1")])
def test_once_fetches_publishes_and_ends(aws, arguments, listed):
    """What is named behind the options, or else PREFETCH_LIST."""
    aws.fake.put(NAME, ONE)
    result = run_aws(aws, "--once", *arguments, SHMCONF_PREFETCH_LIST=listed)
    assert result.returncode == 0, result
    assert NAME in result.stdout
    with Reader(aws.path / "region", NAME) as reader:
        assert reader("enter")["text"] == ONE
    assert numbers(aws.fake.calls()) == (1, 1, 1)


def test_once_fails_where_one_cannot_be_fetched_and_keeps_the_others(aws):
    aws.fake.put(NAME, ONE)
    result = run_aws(aws, "--once", "Shop:Prod:Missing", NAME)
    assert result.returncode == 1, result
    assert "Shop:Prod:Missing" in result.stderr
    with Reader(aws.path / "region", NAME) as reader:
        assert reader("enter")["text"] == ONE
    assert aws.fake.calls("Shop:Prod:Missing").starts == 1


def test_once_again_brings_the_news_and_no_second_version(aws):
    aws.fake.put(NAME, ONE)
    for text, generation in ((ONE, 1), (ONE, 1), (TWO, 2)):
        aws.fake.put(NAME, text)
        assert run_aws(aws, "--once", NAME).returncode == 0
        with Reader(aws.path / "region", NAME) as reader:
            answer = reader("enter")
            assert (answer["text"], answer["generation"]) == (text, generation)
    assert numbers(aws.fake.calls()) == (3, 3, 3)


# ---- Logs ---------------------------------------------------------------------------------------


def test_no_log_shows_a_token_a_key_or_a_payload(aws):
    marker = "payload-that-nobody-may-see"
    aws.fake.put(NAME, f'{{"secret": "{marker}"}}')
    names = ["Shop:Prod:Denied", "Shop:Prod:Early", "Shop:Prod:Garbled", "Shop:Prod:Cut"]
    for name in names:
        aws.fake.put(name, f'{{"secret": "{marker}"}}')
    aws.fake.fault(name=names[0], error="denied")
    aws.fake.fault(name=names[1], operation="get", error="too_early")
    aws.fake.fault(name=names[2], operation="start", body_is=f'{{"x": "{marker}"')
    aws.fake.fault(name=names[3], operation="get", cut=20)
    with aws.quick(SHMCONF_LOG_LEVEL="trace") as daemon:
        get_all(daemon, [NAME, *names])
        for name in names:
            daemon.wait_status(name, 200)
        aws.fake.expire_tokens()
        aws.fake.put(NAME, f'{{"secret": "{marker} 2"}}')
        daemon.wait_body(NAME, f'{{"secret": "{marker} 2"}}')
        assert aws.fake.calls(NAME).starts == 2
        log = daemon.log()
    assert NAME in log
    secrets = [marker, aws.fake.secret, aws.fake.session_token, aws.fake.key_id]
    for token in aws.fake.tokens:
        secrets += [token[:24], token[200:224], token[-24:]]
    for secret in secrets:
        parts = [part for part in re.split(r"[^A-Za-z0-9-]", secret) if len(part) > 11] or [secret]
        for part in parts:
            assert part not in log, [line for line in log.splitlines() if part in line]
    assert "Signature=" not in log


# ---- After a thaw -------------------------------------------------------------------------------


def test_a_request_after_a_stop_waits_for_fresh_content_if_told_to(aws):
    aws.fake.put(NAME, ONE)
    with aws.quick(SHMCONF_FRESH_WAIT_MS="5000") as daemon:
        daemon.wait_body(NAME, ONE)
        daemon.send(signal.SIGSTOP)
        aws.fake.put(NAME, TWO)
        time.sleep(2.5)
        daemon.send(signal.SIGCONT)
        assert daemon.get(url(NAME)).text == TWO


# ---- Flags --------------------------------------------------------------------------------------


def test_flags_are_served_as_they_stand_in_the_document(aws):
    a, b, c = '{"enabled" : true,\n "limit":1.50}', '{"enabled": false}', '{ }'
    aws.fake.put(NAME, f'{{ "a": {a}, "b":{b}, "c d" : {c} }}')
    with aws.daemon() as daemon:
        for name, text in (("a", a), ("b", b), ("c%20d", c)):
            response = daemon.get(f"{url(NAME)}?flag={name}")
            assert (response.status, response.text) == (200, text)
            assert response.headers["Content-Type"] == "application/json"
        several = daemon.get(url(NAME) + "?flag=a&other=1&flag=c%20d")
        assert json.loads(several.body) == {"a": json.loads(a), "c d": {}}
        assert a in several.text
    assert numbers(aws.fake.calls()) == (1, 1, 1)


def test_flags_that_are_not_there_are_named(aws):
    aws.fake.put(NAME, '{"a": {"enabled": true}}')
    aws.fake.put("Shop:Prod:Text", "a=1", content_type="text/plain")
    with aws.daemon() as daemon:
        response = daemon.get(url(NAME) + "?flag=a&flag=nothing&flag=enabled")
        assert response.status in (400, 404), response
        message(response)
        assert "nothing" in response.text and "enabled" in response.text
        for name in ("x" * 2000, "ä€\U0001f6d2" * 250, "\x01" * 2000):
            response = daemon.get(f"{url(NAME)}?flag={urllib.parse.quote(name)}")
            assert response.status == 400
            assert list(json.loads(response.body)["Details"]["Value"]) == [name]
        assert daemon.get(url("Shop:Prod:Text") + "?flag=a").status == 400
        assert daemon.get(url("Shop:Prod:Missing") + "?flag=a").status == 404
