# SPDX-License-Identifier: Apache-2.0
"""Credentials that a container's endpoint gives, in Lambda and elsewhere."""
import json
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
FAKES = Path(__file__).resolve().parents[1] / "fakes"
sys.path[:0] = [str(FAKES / folder) for folder in ("appconfig", "lambda", "credentials")]
from container import ContainerEndpoint  # noqa: E402
from daemon import Reader, run, url, wait_until  # noqa: E402
from fake_daemon import NAME, aws, get_all, message  # noqa: E402,F401
from lambda_daemon import extension  # noqa: E402

ONE = '{"limit": 1}'
TWO = '{"limit": 2}'
TROUBLE = r" (WARN (?!\d+ HTTP clients)|ERROR) "  # few descriptors are none


@pytest.fixture
def endpoint(aws):
    aws.fake.put(NAME, ONE)
    aws.fake.keys.clear()  # but those that the endpoint gives
    with ContainerEndpoint(aws.fake) as endpoint:
        yield endpoint


def numbers(aws):
    calls = aws.fake.calls()
    return calls.starts, calls.gets, calls.received


def test_keys_are_fetched_once_and_used_for_every_call(aws, endpoint):
    with aws.quick(**endpoint.environment) as daemon:
        assert daemon.get(url(NAME)).text == ONE
        aws.fake.put(NAME, TWO)
        daemon.wait_body(NAME, TWO)
        assert endpoint.token not in daemon.log() and "secret/" not in daemon.log()
    assert endpoint.requests == 1
    assert aws.fake.calls().starts == 1


def test_a_function_that_starts_from_a_snapshot_has_them_from_there(aws, endpoint):
    environment = {**endpoint.environment, "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    with extension(aws, **environment) as (api, daemon), Reader(daemon.root, NAME) as reader:
        assert reader("enter")["text"] == ONE
        assert (endpoint.requests, numbers(aws)) == (1, (1, 1, 1))
        api.invoke()  # the restored copy's: the snapshot's keys are everybody's
        api.wait_parked(2)
    assert (endpoint.requests, numbers(aws)) == (2, (2, 2, 2))


def test_many_configurations_wait_for_one_request(aws, endpoint):
    names = [f"Shop:Prod:C{i}" for i in range(60)]
    for name in names:
        aws.fake.put(name, ONE)
    endpoint.stall = threading.Event()
    with aws.daemon(start=False, SHMCONF_PREFETCH_LIST=",".join(names[:40]),
                    **endpoint.environment) as daemon:
        daemon.start()
        wait_until(lambda: endpoint.requests == 1)
        threading.Timer(0.3, endpoint.stall.set).start()
        assert {one.status for one in get_all(daemon, names)} == {200}
    assert endpoint.requests == 1
    assert numbers(aws) == (60, 60, 60)


def test_keys_in_the_environment_come_first(aws, endpoint):
    aws.fake.keys[aws.fake.key_id] = (aws.fake.secret, aws.fake.session_token)
    with aws.daemon(AWS_CONTAINER_CREDENTIALS_FULL_URI=endpoint.url) as daemon:
        assert daemon.get(url(NAME)).text == ONE
    assert endpoint.requests == 0


def test_the_token_is_read_from_its_file_each_time(aws, endpoint, tmp_path):
    file = tmp_path / "token"
    file.write_text(endpoint.token + "\n")
    endpoint.life_s = 4
    environment = {**endpoint.environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "not this one",
                   "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": file}
    with aws.quick(**environment) as daemon:
        assert daemon.get(url(NAME)).text == ONE
        endpoint.token = "the next one"
        file.write_text(endpoint.token)
        wait_until(lambda: endpoint.requests >= 2)


@pytest.mark.parametrize("skew", [0, 7200, -7200])
def test_they_are_renewed_before_they_expire(aws, endpoint, skew):
    """Whatever the endpoint's clock and ours say: their life counts."""
    endpoint.life_s = 2
    endpoint.skew_s = skew
    with aws.quick(**endpoint.environment) as daemon:
        began = time.monotonic()
        daemon.wait_body(NAME, ONE)
        for number in (2, 3):
            wait_until(lambda: endpoint.requests >= number)
            time.sleep(0.5)
            with aws.fake.lock:  # the older ones are over
                for key in sorted(aws.fake.keys)[:-1]:
                    del aws.fake.keys[key]
        assert endpoint.requests <= 2 + (time.monotonic() - began) / 1.4
        assert daemon.count_log(TROUBLE) == 0, daemon.log()
    assert aws.fake.calls().starts == 1


def test_what_does_not_say_how_long_it_lives_is_used(aws, endpoint):
    endpoint.life_s = None
    with aws.quick(**endpoint.environment) as daemon:
        daemon.wait_body(NAME, ONE)
        aws.fake.wait_calls(lambda calls: calls.gets == 3)
    assert endpoint.requests == 1


def test_what_has_expired_already_is_tried_and_no_storm(aws, endpoint):
    endpoint.life_s = -100
    with aws.quick(**endpoint.environment) as daemon:
        assert daemon.get(url(NAME)).text == ONE
        aws.fake.wait_calls(lambda calls: calls.gets == 3)
    assert endpoint.requests <= 4


def test_a_renewal_that_fails_leaves_the_present_ones(aws, endpoint):
    endpoint.life_s = 8
    with aws.quick(**endpoint.environment) as daemon:
        assert daemon.get(url(NAME)).text == ONE
        endpoint.answers = [(500, b"{}")] * 2
        wait_until(lambda: endpoint.requests >= 3)
        assert daemon.count_log("WARN .*answered 500; the present ones are good for") == 1
        wait_until(lambda: endpoint.requests >= 4)
        assert daemon.count_log(" ERROR ") == 0, daemon.log()
    assert aws.fake.calls().starts == 1


def test_refused_keys_are_replaced_and_the_call_is_repeated(aws, endpoint):
    with aws.quick(**endpoint.environment) as daemon:
        assert daemon.get(url(NAME)).text == ONE
        aws.fake.wait_calls(lambda calls: calls.gets == 2)
        with aws.fake.lock:
            aws.fake.keys.clear()
        aws.fake.put(NAME, TWO)
        daemon.wait_body(NAME, TWO)
        assert daemon.count_log(TROUBLE) == 0, daemon.log()
    assert len(aws.fake.take_breaches("credentials")) == 1
    assert endpoint.requests == 2 and aws.fake.calls().starts == 1


def test_keys_that_stay_refused_are_no_storm(aws, endpoint):
    aws.fake.keys = type("Nothing", (dict,), {"__setitem__": lambda *_: None})()
    with aws.daemon(**endpoint.environment) as daemon:
        response = daemon.get(url(NAME))
        assert response.status == 403, response
        for _ in range(30):
            daemon.get(url(NAME))
    assert endpoint.requests <= 4
    assert 1 <= len(aws.fake.take_breaches("credentials")) <= 4


def keys(**changes):
    whole = {"AccessKeyId": "A", "SecretAccessKey": "hidden", "Token": "hidden", **changes}
    return json.dumps(whole).encode()


@pytest.mark.parametrize("answer, words", [  # more of them in unit.container_endpoint
    ((403, b'{"code": "AccessDenied", "message": "hidden"}'), "answered 403"),
    ((302, b""), "answered 302"), ((200, keys(Token="hidden\r\nX-Evil: 1")), "no usable Token"),
    ((200, b'{"Token": "' + b"x" * 100000 + b'"}'), "too long"), (None, "cannot be reached")])
def test_a_useless_answer_is_told_and_asked_for_again(aws, endpoint, answer, words):
    endpoint.answers = [answer]
    with aws.daemon(SHMCONF_PREFETCH_LIST=NAME, **endpoint.environment) as daemon:
        line = daemon.wait_log(" ERROR .*").group(0)
        assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" in line and words in line, line
        daemon.wait_body(NAME, ONE)
        assert "hidden" not in daemon.log()
    assert endpoint.requests == 2
    assert numbers(aws) == (1, 1, 1)


def test_an_endpoint_that_does_not_answer_is_given_up_after_two_seconds(aws, endpoint):
    endpoint.stall = threading.Event()
    with aws.daemon(**endpoint.environment) as daemon:
        began = time.monotonic()
        response = daemon.get(url(NAME))
        assert response.status == 504 and 1.8 < time.monotonic() - began < 10, response
        assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" in message(response)
        stall, endpoint.stall = endpoint.stall, None
        endpoint.running -= 1  # the one that was given up
        stall.set()
        endpoint.running += 1
        daemon.wait_body(NAME, ONE)


def test_it_can_end_while_it_waits_for_them(aws, endpoint):
    endpoint.stall = threading.Event()
    with aws.daemon(SHMCONF_PREFETCH_LIST=NAME, **endpoint.environment) as daemon:
        wait_until(lambda: endpoint.requests == 1)
        began = time.monotonic()
        daemon.stop()
        assert time.monotonic() - began < 1.5
    endpoint.stall.set()
    assert numbers(aws) == (0, 0, 0)


def test_a_freeze_in_the_middle_of_the_request_is_no_failure(aws, endpoint):
    endpoint.stall = threading.Event()
    with aws.daemon(SHMCONF_PREFETCH_LIST=NAME, **endpoint.environment) as daemon:
        wait_until(lambda: endpoint.requests == 1)
        daemon.send(signal.SIGSTOP)
        time.sleep(4.5)
        stall, endpoint.stall = endpoint.stall, None
        stall.set()
        wait_until(lambda: endpoint.running == 0)
        daemon.send(signal.SIGCONT)
        daemon.wait_body(NAME, ONE)
        assert daemon.count_log(" ERROR ") == 0, daemon.log()
    assert aws.fake.calls().starts == 1


def test_a_proxy_never_sees_the_token(aws, endpoint):
    proxy = {name: "http://127.0.0.1:1" for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY")}
    with aws.daemon(**{**endpoint.environment, **proxy}) as daemon:
        assert daemon.get(url(NAME)).text == ONE


@pytest.mark.parametrize("changes, words", [
    ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/keys"}, "by plain http"),
    ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "ftp://127.0.0.1/keys"}, "is malformed"),
    ({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "keys"}, "is malformed")])
def test_a_url_that_keys_are_not_fetched_from_ends_the_start(aws, endpoint, changes, words):
    for arguments in ([], ["--check"]):
        result = run(*arguments, env={**aws.environment(**{**endpoint.environment, **changes}),
                                      "SHMCONF_DIR": aws.path / "region", "SHMCONF_HTTP_PORT": "0"})
        assert result.returncode == 3 and words in result.stderr, result
    assert endpoint.requests == 0


def test_once_fetches_them_as_well(aws, endpoint):
    result = run("--once", NAME, env={**aws.environment(**endpoint.environment),
                                      "SHMCONF_DIR": aws.path / "region"})
    assert result.returncode == 0, result
    assert endpoint.requests == 1 and numbers(aws) == (1, 1, 1)
