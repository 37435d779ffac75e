# SPDX-License-Identifier: Apache-2.0
"""Whatever is wrong, the function runs: one line of log, and events go on being asked for."""
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
FAKES = Path(__file__).resolve().parents[1] / "fakes"
sys.path[:0] = [str(FAKES / "appconfig"), str(FAKES / "lambda")]
from daemon import BIN, Reader, url, wait_until  # noqa: E402
from extensions import ExtensionsApi  # noqa: E402
from fake_daemon import NAME, aws, get_all, message  # noqa: E402,F401
from faults import Faults  # noqa: E402
from lambda_daemon import end, extension  # noqa: E402

ONE = '{"limit": 1}'


def invoke(api, times=3):
    for _ in range(times):
        api.wait_parked()
        asked = len(api.times)
        api.invoke()
        api.wait_parked(asked + 1)


def expect_line(daemon, *words):
    """Exactly one line of ERROR has all of them."""
    lines = [line for line in daemon.log().splitlines() if " ERROR " in line]
    assert len([line for line in lines if all(word in line for word in words)]) == 1, daemon.log()


# ---- The API itself -----------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [(403, b'{"errorType":"Extension.RegistrationClosed"}'),
                                    (500, b"oops"), (200, b"")])
def test_a_refused_registration_ends_it_at_once_with_the_reason(aws, answer):
    with extension(aws, ExtensionsApi(refusals={"register": [answer]}), start=False) as (api, daemon):
        with pytest.raises(AssertionError):
            daemon.start()
        assert daemon.wait_end() == 1
        assert daemon.count_log("FATAL .*Extensions API") == 1
        named = daemon.count_log("it was as 'shmconfd', and Lambda expects .* /opt/extensions")
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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
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


# ---- Settings -----------------------------------------------------------------------------------


MALFORMED = {"SHMCONF_POLL_INTERVAL": "often", "SHMCONF_LOG_LEVEL": "loud",
             "SHMCONF_LOOP": "select", "SHMCONF_INVOKE_POLL": "never",
             "AWS_APPCONFIG_EXTENSION_MAX_CONNECTIONS": "-1", "SHMCONF_MAX_CLIENTS": "x" * 3000}


def test_malformed_settings_have_their_defaults(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws, **{**MALFORMED, "SHMCONF_LOOP": "select"}) as (api, daemon):
        for name in MALFORMED:
            assert daemon.count_log(f"WARN {name}: .*its default counts instead") == 1, name
        assert daemon.get(url(NAME)).text == ONE
        invoke(api)


@pytest.mark.parametrize("prefetch", [
    ["Shop:Prod"], ["::"], ["Shop:Prod:A", "", "x"], ["\x7f" * 600], ["a/b"], ["Shop:Prod:" + "x" * 900]])
def test_a_malformed_prefetch_list_prefetches_nothing_of_it(aws, prefetch):
    aws.fake.put(NAME, ONE)
    with extension(aws, prefetch=prefetch) as (api, daemon):
        assert daemon.count_log("PREFETCH_LIST|is no name|has at most") >= 1, daemon.log()
        assert daemon.get(url(NAME)).text == ONE
        invoke(api)


def test_of_a_prefetch_list_with_a_slip_the_rest_counts(aws):
    aws.fake.put(NAME, ONE)
    names = ["Shop:Prod", "/applications/Shop/environments/Prod/configurations/Limits", "x", NAME]
    with extension(aws, prefetch=names) as (_, daemon):
        assert aws.fake.calls().starts == 1
        assert daemon.count_log('PREFETCH_LIST') == 1
        assert daemon.count_log('WARN .*PREFETCH_LIST: "Shop:Prod".* the first of 2 such entries; '
                                'the rest of the list counts') == 1
        assert daemon.get(url(NAME)).text == ONE


def test_io_uring_where_lambda_refuses_it_is_epoll(aws):
    aws.fake.put(NAME, ONE)
    aws.backend = "io_uring"
    with extension(aws, wrapper=(BIN / "seccomp_deny", "38", "io_uring_setup", "--")) as (api, daemon):
        assert daemon.count_log("WARN SHMCONF_LOOP: .*epoll counts instead") == 1
        assert daemon.get(url(NAME)).text == ONE
        invoke(api)


def test_a_setting_that_may_not_be_ignored_serves_nothing_and_runs_the_function(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws, start=False, AWS_APPCONFIG_EXTENSION_ACCESS_TOKEN="secret") as (api, daemon):
        start_without_server(daemon)
        invoke(api)
        expect_line(daemon, "ACCESS_TOKEN", "nothing is served")
        assert "secret" not in daemon.log()
    assert aws.fake.calls().starts == 0


def test_on_managed_instances_it_goes_on_without_invocations(aws):
    """Lambda refuses who registers for them there."""
    with extension(aws, ExtensionsApi(managed=True), start=False,
                   AWS_LAMBDA_INITIALIZATION_TYPE="lambda-managed-instances",
                   AWS_APPCONFIG_EXTENSION_ACCESS_TOKEN="x") as (api, daemon):
        start_without_server(daemon)
        api.wait_parked(1)
        assert api.registrations == [["SHUTDOWN"]]


def test_what_is_refused_is_told_where_the_log_goes(aws, tmp_path):
    path = tmp_path / "extension.log"
    with extension(aws, start=False, AWS_APPCONFIG_EXTENSION_ACCESS_TOKEN="x",
                   SHMCONF_LOG_PATH=str(path), SHMCONF_LOG_FORMAT="json",
                   SHMCONF_MAX_CLIENTS="x") as (api, daemon):
        start_without_server(daemon)
        invoke(api)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        warning, refusal = [line for line in lines if line["level"] in ("WARN", "ERROR")]
        assert "MAX_CLIENTS" in warning["message"] and "its default counts" in warning["message"]
        assert "ACCESS_TOKEN" in refusal["message"] and "nothing is served" in refusal["message"]
        assert daemon.log_path.read_text() == ""


def start_without_server(daemon):
    """As Daemon.start, which waits for the port."""
    with open(daemon.log_path, "ab") as log:
        daemon.process = subprocess.Popen(daemon.command, env=daemon.environment, stdout=log,
                                          stderr=log, stdin=subprocess.DEVNULL)


def test_variables_of_the_function_steer_nothing(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws, HTTP_PORT="8080", LOG_LEVEL="garbage", ACCESS_TOKEN="x", MANIFEST="{",
                   PREFETCH_LIST="nothing") as (api, daemon):
        assert daemon.get(url(NAME)).text == ONE
        assert daemon.count_log("WARN|ERROR") == 0, daemon.log()
        invoke(api)


def test_a_log_that_cannot_be_opened_goes_to_standard_error(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws, SHMCONF_LOG_PATH="/nonexistent/log") as (api, daemon):
        assert daemon.count_log("/nonexistent/log") == 1
        assert daemon.get(url(NAME)).text == ONE
        invoke(api)


# ---- The source ---------------------------------------------------------------------------------


@pytest.mark.parametrize("variables, words", [
    ({"AWS_ACCESS_KEY_ID": ""}, ["AWS_ACCESS_KEY_ID"]),
    ({"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, ["AWS_REGION"]),
    ({"AWS_REGION": "no region!"}, ["region"]),
    ({"AWS_CA_BUNDLE": "/nonexistent/bundle"}, ["AWS_CA_BUNDLE", "/nonexistent/bundle"])])
def test_a_source_that_cannot_be_had_is_told_to_who_asks(aws, variables, words):
    with extension(aws, **variables) as (api, daemon):
        expect_line(daemon, *words)
        response = daemon.get(url(NAME))
        assert response.status == 500 and words[0] in message(response)
        invoke(api)
    assert aws.fake.calls().starts == 0


def test_no_network_is_no_reason_to_fail(aws):
    aws.fake.down()
    with extension(aws, SHMCONF_REQUEST_TIMEOUT="300ms") as (api, daemon):
        assert daemon.get(url(NAME)).status == 502
        invoke(api)
        aws.fake.put(NAME, ONE)
        aws.fake.up()
        daemon.wait_body(NAME, ONE)


def test_ten_thousand_names_are_no_reason_to_fail(aws):
    names = [f"A:B:C{i}" for i in range(10000)]  # what a variable can hold at all
    for name in names[:100]:
        aws.fake.put(name, ONE)
    with extension(aws, prefetch=names, start=False) as (api, daemon):
        daemon.start()
        api.wait_parked(1, timeout=60)
        invoke(api)
        assert {one.status for one in get_all(daemon, names[:100], threads=4)} == {200}
        assert daemon.count_log("ERROR A:B:C1000: .*SHMCONF_MAX_CONFIGURATIONS=1000.* the first of "
                                "9000 such names: raise the limit") == 1
        assert daemon.count_log("SHMCONF_MAX_CONFIGURATIONS") == 1


def test_of_names_that_the_service_refuses_the_first_is_told(aws):
    aws.fake.put(NAME, ONE)
    long = [f"A:B:{i:0129}" for i in range(3)]
    with extension(aws, prefetch=[*long, NAME]) as (_, daemon):
        assert daemon.count_log(f"ERROR {long[0]}: .*at most 128 characters.* the first of 3 such "
                                "names: correct the list") == 1
        assert daemon.count_log("at most 128 characters") == 1
        assert daemon.get(url(NAME)).text == ONE


def test_names_with_every_byte_are_no_reason_to_fail(aws):
    """As an environment can hold them: every byte but NUL, and the list's own separators."""
    aws.fake.put(NAME, ONE)
    odd = [b"A:B:x" + bytes([byte]) + b"y" for byte in range(1, 256) if bytes([byte]) not in b",:"]
    with extension(aws, prefetch=[*(name.decode(errors="surrogateescape") for name in odd), NAME],
                   start=False) as (api, daemon):
        daemon.start()
        api.wait_parked(1)
        assert daemon.get(url(NAME)).text == ONE
        invoke(api)


def test_four_megabytes_fit_into_the_smallest_function(aws):
    aws.fake.put(NAME, "x" * (4 << 20))
    with extension(aws, wrapper=["prlimit", f"--as={128 << 20}"]) as (api, daemon):
        assert daemon.get(url(NAME)).text == "x" * (4 << 20)
        with Reader(daemon.root, NAME) as reader:
            assert reader("enter")["size"] == 4 << 20
        invoke(api)
        assert daemon.count_log("ERROR") == 0


# ---- The region and the port --------------------------------------------------------------------


@pytest.mark.parametrize("host", ["nosuch.example.com", "192.0.2.1", "2001:db8::1"])
def test_a_host_that_it_cannot_have_is_localhost_at_once(aws, host):
    """Nobody is asked about a name: a name server that is silent would stop everything."""
    aws.fake.put(NAME, ONE)
    with extension(aws, SHMCONF_HTTP_HOST=host) as (api, daemon):
        expect_line(daemon, host, "SHMCONF_HTTP_HOST", "localhost instead")
        assert daemon.get(url(NAME)).text == ONE
        invoke(api)


def test_a_taken_port_leaves_shared_memory(aws):
    aws.fake.put(NAME, ONE)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with extension(aws, start=False, SHMCONF_HTTP_PORT=str(port)) as (api, daemon):
            start_without_server(daemon)
            api.wait_parked(1)
            expect_line(daemon, str(port), "set SHMCONF_HTTP_PORT", "no HTTP until")
            with Reader(daemon.root, NAME) as reader:
                assert reader("enter")["text"] == ONE
                invoke(api)
            taken.close()
            daemon.port = port
            daemon.wait_log(f"INFO serving on localhost:{port}")
            assert daemon.get(url(NAME)).text == ONE
            invoke(api)


def test_after_a_reset_port_and_region_of_a_survivor_are_had_when_it_is_gone(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws, **quick(aws)) as (api, survivor):
        survivor.send(signal.SIGSTOP)
        api.reset()
        successor = aws.daemon(start=False, **{
            **{name: value for name, value in survivor.environment.items()
               if name.startswith(("AWS_", "SHMCONF_"))}, "SHMCONF_HTTP_PORT": str(survivor.port)})
        with successor:
            start_without_server(successor)
            api.wait_parked(1)
            expect_line(successor, str(survivor.port), "no HTTP until")
            expect_line(successor, "another shmconfd is running here")
            survivor.kill()
            successor.port = survivor.port
            successor.wait_log("INFO serving on localhost")
            assert successor.get(url(NAME)).text == ONE
            aws.fake.put(NAME, '"new"')
            with Reader(successor.root, NAME) as reader:
                wait_until(lambda: reader("enter").get("text") == '"new"')
            invoke(api)
            end(api, successor)
            successor.process = None


def test_a_region_held_by_a_survivor_leaves_http_until_it_is_free(aws):
    """No check is due when it is: nobody waits for one."""
    aws.fake.put(NAME, ONE)
    with extension(aws, start=False, SHMCONF_POLL_INTERVAL="3600") as (api, daemon):
        daemon.root.mkdir()
        held = os.open(daemon.root, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        began = time.monotonic()
        daemon.start()
        api.wait_parked(1)
        assert time.monotonic() - began < 2  # 200 ms of it are for the survivor
        expect_line(daemon, "another shmconfd is running here; nothing is to be done",
                    "readers in C get nothing new")
        assert daemon.get(url(NAME)).text == ONE
        invoke(api)
        assert list(daemon.root.iterdir()) == []
        os.close(held)
        with Reader(daemon.root, NAME) as reader:
            wait_until(lambda: reader("enter").get("text") == ONE)
        assert daemon.count_log(" (WARN|ERROR) ") == 1, daemon.log()
    calls = aws.fake.calls()
    assert calls.starts == 1 and calls.received == 1


def test_a_region_that_comes_late_is_told_once(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws, start=False, **quick(aws)) as (api, daemon):
        daemon.root.mkdir()
        held = os.open(daemon.root, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        daemon.start()
        api.wait_parked(1)
        os.close(held)
        daemon.wait_log("INFO there is a region now")
        gets = aws.fake.calls().gets
        aws.fake.wait_calls(lambda calls: calls.gets >= gets + 3)
        assert daemon.count_log("there is a region now") == 1


def quick(aws):
    aws.fake.poll_interval_s = 1
    return {"SHMCONF_POLL_INTERVAL": "1"}


def test_what_a_survivor_published_meanwhile_is_taken_over_and_overtaken(aws, tmp_path):
    """Readers of its head come along to what was fetched later."""
    aws.fake.put(NAME, '"old"')
    with aws.daemon(SHMCONF_PREFETCH_LIST=NAME) as survivor:
        survivor.wait_body(NAME, '"old"')
        with Reader(survivor.root, NAME) as reader:
            assert reader("enter")["text"] == '"old"'
            aws.fake.put(NAME, '"new"')
            with extension(aws, **quick(aws)) as (api, daemon):
                assert daemon.get(url(NAME)).text == '"new"'
                assert reader("enter")["text"] == '"old"'
                survivor.kill()
                wait_until(lambda: reader("enter")["text"] == '"new"')
                invoke(api)


@pytest.mark.parametrize("options", ["size=64k", "size=1m,ro"])
def test_a_full_or_read_only_directory_leaves_http(aws, tmp_path, need_mounts, options):
    aws.fake.put(NAME, "x" * 100000)
    mount = tmp_path / "mount"
    mount.mkdir()
    script = f'mount -t tmpfs -o {options} none "{mount}" && exec "$@"'
    with extension(aws, wrapper=["unshare", "-m", "sh", "-c", script, "sh"], root=mount / "region",
                   **quick(aws)) as (api, daemon):
        expect_line(daemon, "No space left" if "ro" not in options else "Read-only")
        assert daemon.get(url(NAME)).text == "x" * 100000
        invoke(api)
        aws.fake.put(NAME, '"small enough"')
        daemon.wait_body(NAME, '"small enough"')
        if "ro" not in options:
            inside = Path(f"/proc/{daemon.pid}/root{mount}")
            with Reader(inside / "region", NAME) as reader:
                wait_until(lambda: reader("enter").get("text") == '"small enough"')
    calls = aws.fake.calls()
    assert calls.starts == 1 and calls.received == 2
