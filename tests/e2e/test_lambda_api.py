# SPDX-License-Identifier: Apache-2.0
"""Whatever Lambda says or does not say, and a loop that fails: events go on being asked for."""
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
FAKES = Path(__file__).resolve().parents[1] / "fakes"
sys.path[:0] = [str(FAKES / "appconfig"), str(FAKES / "lambda")]
from daemon import wait_until  # noqa: E402
from extensions import ExtensionsApi  # noqa: E402
from fake_daemon import NAME, aws  # noqa: E402,F401
from faults import Faults  # noqa: E402
from lambda_daemon import expect_line, extension, invoke, quick  # noqa: E402

ONE = '{"limit": 1}'


@pytest.mark.parametrize("answer", [(403, b'{"errorType":"Extension.RegistrationClosed"}'),
                                    (500, b"oops"), (200, b"")])
def test_a_refused_registration_ends_it_at_once_with_the_reason(aws, answer):
    with extension(aws, ExtensionsApi(refusals={"register": [answer]}), start=False) as (api, daemon):
        with pytest.raises(AssertionError):
            daemon.start()
        assert daemon.wait_end() == 1
        assert daemon.count_log("FATAL .*Extensions API") == 1
        named = daemon.count_log("it was as 'shmconfd', which has .* /opt/extensions, for INVOKE")
        assert named == (answer[0] != 200)
        assert answer[0] == 200 or daemon.count_log(f"{answer[0]} to register: {answer[1].decode()};") == 1
        daemon.process = None


@pytest.mark.parametrize("identifier", ["", "a b", "a\tb", "a\x01b", "a\x7fb", "a\xe9b", "a" * 4096],
                         ids=["none", "blank", "tab", "control", "delete", "latin", "long"])
def test_an_identifier_that_fits_no_header_is_refused(aws, identifier):
    with extension(aws, ExtensionsApi(identifier=identifier), start=False) as (_, daemon):
        with pytest.raises(AssertionError):
            daemon.start()
        assert daemon.wait_end() == 1
        assert daemon.count_log("FATAL .*no usable Lambda-Extension-Identifier") == 1
        daemon.process = None


def test_it_may_start_before_the_api_listens(aws, tmp_path):
    aws.fake.put(NAME, ONE)
    faults = Faults(tmp_path)
    faults.set(1, only="connect")
    with extension(aws, wrapper=faults.wrapper) as (api, daemon):
        assert faults.failed().startswith("connect")
        assert daemon.count_log("WARN|ERROR") == 0, daemon.log()
        invoke(api)


def test_without_anybody_at_the_address_it_ends_with_the_reason(aws):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # it does not listen, and nobody else gets the port
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        daemon = aws.daemon(start=False, AWS_LAMBDA_RUNTIME_API=address)
        with pytest.raises(AssertionError):
            daemon.start()
        assert daemon.wait_end() == 1
    assert daemon.count_log("FATAL .*Extensions API.*unset AWS_LAMBDA_RUNTIME_API") == 1


@pytest.mark.parametrize("answer", [(403, b'{"errorType":"Extension.UnknownExtensionIdentifier"}'),
                                    (500, b'{"errorType":"InternalServerError"}'),
                                    (500, b'{"errorType":"Extension.InvalidExtensionState"}')])
def test_a_refused_event_ends_it(aws, answer):
    aws.fake.put(NAME, ONE)
    with extension(aws, ExtensionsApi(refusals={"next": [answer]}), start=False) as (api, daemon):
        daemon.start()
        assert daemon.wait_end() == 1
        assert daemon.count_log("FATAL .*event/next") == 1


def test_a_question_that_gets_no_answer_is_asked_again(aws):
    aws.fake.put(NAME, ONE)
    gone = [(None, None)] * 3
    with extension(aws, ExtensionsApi(refusals={"next": gone}), start=False) as (api, daemon):
        daemon.start()
        api.wait_parked(1)
        assert gone == []
        expect_line(daemon, "gave no answer to event/next", "asking again")
        invoke(api)


def test_questions_that_got_no_answer_are_counted_until_one_does(aws):
    """In a long life there may be more of them than an API is awaited for."""
    aws.fake.put(NAME, ONE)
    with extension(aws) as (api, daemon):
        for turn in (1, 2):
            with api.changed:
                api.refusals["next"] = [(None, None)] * 28
            api.invoke()
            api.wait_parked(1 + turn)
        assert daemon.count_log("gave no answer to event/next.*asking again") == 2


def expect_asked_again(api, daemon, aws):
    """The event of the lost connection is lost; the next one is not, nor the process."""
    api.wait(lambda api: api.repetitions >= 3)
    expect_line(daemon, "403 to event/next", "asking again")
    asked = len(api.times)
    api.invoke()
    api.wait_parked(asked + 1)
    aws.fake.put(NAME, '"new"')
    invoke(api)
    assert daemon.process.poll() is None


def test_a_question_whose_connection_is_lost_is_asked_again_when_lambda_takes_it(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws, **quick(aws)) as (api, daemon):
        api.cut()
        expect_asked_again(api, daemon, aws)
        daemon.wait_body(NAME, '"new"')
        api.cut()  # and each time it is told; a function may run for longer than an API is awaited
        before = api.repetitions
        api.wait(lambda api: api.repetitions >= before + 60, timeout=60)
        assert daemon.count_log("asking again") == 2
        api.invoke()
        api.wait_parked()


def test_a_fatal_error_leaves_a_process_that_lambda_can_go_on_with(aws, tmp_path):
    """A question was waiting when it happened: its connection ends with the loop."""
    aws.fake.put(NAME, ONE)
    aws.backend = "epoll"
    faults = Faults(tmp_path)
    with extension(aws, wrapper=faults.wrapper) as (api, daemon):
        api.wait_parked(1)
        faults.set(1, only="read")  # the next one is that of a signal
        daemon.send(signal.SIGHUP)
        wait_until(lambda: daemon.count_log("FATAL signals: cannot be waited for") == 1)
        expect_asked_again(api, daemon, aws)
    assert daemon.count_log("ready for the first invocation") == 1


@pytest.mark.parametrize("loop", ["epoll", "io_uring"])
def test_a_fatal_error_amid_a_check_leaves_one_as_well(aws, tmp_path, loop):
    """Whatever was under way; freed memory is not what it was."""
    aws.backend = loop
    aws.fake.put(NAME, ONE)
    stall = aws.fake.fault(stall="request", times=None)
    faults = Faults(tmp_path)
    with extension(aws, start=False, wrapper=faults.wrapper, MALLOC_PERTURB_="165",
                   SHMCONF_REQUEST_TIMEOUT="60s") as (api, daemon):
        daemon.start()
        wait_until(lambda: stall.hits)
        faults.set(1, only="read")
        daemon.send(signal.SIGHUP)
        wait_until(lambda: daemon.count_log("FATAL signals: cannot be waited for") == 1)
        api.wait_parked(1)
        api.invoke()
        api.wait_parked(2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_goes_on_after_a_fatal_error_is_ended_by_a_signal(aws, tmp_path, number):
    """As by an emulator that stops its container."""
    aws.backend = "epoll"
    faults = Faults(tmp_path)
    with extension(aws, prefetch=(), wrapper=faults.wrapper) as (api, daemon):
        faults.set(1, only="read")
        daemon.send(signal.SIGHUP)
        api.wait(lambda api: api.repetitions >= 1)
        daemon.send(number)
        assert daemon.wait_end() == -number


def test_an_api_that_has_gone_for_good_ends_it(aws):
    """As when a test's or an emulator's own end came first: nobody is left behind."""
    aws.fake.put(NAME, ONE)
    with extension(aws) as (api, daemon):
        api.server.shutdown()
        api.server.server_close()
        with api.changed:
            api.events = None
            api.changed.notify_all()
        assert daemon.wait_end() == 1
        assert daemon.count_log("asking again") == 1
        assert daemon.count_log("FATAL .*event/next") == 1
