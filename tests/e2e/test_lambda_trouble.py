# SPDX-License-Identifier: Apache-2.0
"""Whatever is wrong, the function runs: one line of log, and events go on being asked for."""
import fcntl
import json
import os
import shutil
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
from daemon import BIN, Reader, run, url, wait_until  # noqa: E402
from extensions import ExtensionsApi  # noqa: E402
from fake_daemon import NAME, aws, get_all, message  # noqa: E402,F401
from lambda_daemon import end, expect_line, extension, invoke, quick  # noqa: E402

ONE = '{"limit": 1}'


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


def test_line_feeds_around_names_are_those_of_yaml(aws):
    aws.fake.put(NAME, ONE)
    with extension(aws, prefetch=(f" {NAME} \n",)) as (_, daemon):
        assert daemon.get(url(NAME)).text == ONE
        assert daemon.count_log("WARN|ERROR") == 0, daemon.log()
    assert aws.fake.calls().gets == 1


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
    with extension(aws, SHMCONF_LOG_PATH="/nonexistent/log",
                   SHMCONF_LOG_FORMAT="json") as (api, daemon):
        assert daemon.count_log("/nonexistent/log") == 1
        assert daemon.count_log('^{.*"ready for the first invocation') == 1, daemon.log()
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


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SHMCONF_LOCAL_DEVELOPMENT_DIRECTORY"])
def test_after_a_reset_without_a_source_what_there_was_is_served(aws, tmp_path, variable):
    source = tmp_path / "source"
    source.mkdir()
    (source / f"{NAME}.json").write_text(ONE)
    aws.fake.put(NAME, ONE)
    before = {variable: str(source)} if "DIRECTORY" in variable else {}
    with extension(aws, **before) as (api, daemon):
        daemon.wait_body(NAME, ONE)
        daemon.send(signal.SIGKILL)
        daemon.wait_end()
        daemon.process = None
    shutil.rmtree(source)
    with extension(aws, root=daemon.root, **{variable: str(source)}) as (api, daemon):
        assert daemon.get(url(NAME)).text == ONE
        other = daemon.get(url("Shop:Prod:Other"))
        assert other.status == 500 and str(source) in message(other)
        invoke(api)
    assert aws.fake.calls().starts == (0 if before else 1)


def test_no_network_is_no_reason_to_fail(aws):
    aws.fake.down()
    with extension(aws, SHMCONF_REQUEST_TIMEOUT="300ms") as (api, daemon):
        assert daemon.get(url(NAME)).status == 502
        expect_line(daemon, "AppConfig cannot be reached", "is there a way to it")
        invoke(api)
        aws.fake.put(NAME, ONE)
        aws.fake.up()
        daemon.wait_body(NAME, ONE)


def test_an_outage_is_told_in_few_lines(aws):
    aws.fake.down()
    names = [f"A:B:C{i}" for i in range(60)]
    with extension(aws, prefetch=names) as (api, daemon):
        assert {one.status for one in get_all(daemon, names)} == {502}
        assert daemon.count_log(" ERROR ") == 21
        expect_line(daemon, "20 configurations failed within a minute: the others are counted")
        invoke(api)
    assert daemon.count_log("ERROR ... and 40 more configurations failed") == 1, daemon.log()


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


def test_a_handler_that_empties_the_directory_has_it_back_with_the_next_invocation(aws):
    """Long before the next check, which is due in 45 seconds."""
    aws.fake.put(NAME, ONE)
    with extension(aws) as (api, daemon):
        def is_there():
            with Reader(daemon.root, NAME) as reader:
                return reader("enter").get("text") == ONE

        def by_invocation():
            invoke(api, 1)
            return is_there()

        def by_request():
            return daemon.get(url(NAME)).text == ONE and is_there()

        for way in (by_invocation, by_request):
            assert is_there()
            shutil.rmtree(daemon.root)
            wait_until(way, what=way.__name__)
    assert aws.fake.calls().gets == 1


def test_a_version_that_had_no_room_is_published_with_the_next_invocation(aws):
    """Long before the next check, which is due in 45 seconds."""
    aws.fake.put(NAME, ONE)
    with extension(aws) as (api, daemon):
        daemon.send(signal.SIGKILL)
        daemon.wait_end()
        daemon.process = None
    shutil.rmtree(daemon.root / "Shop")
    (daemon.root / "Shop").touch()
    with extension(aws, root=daemon.root) as (api, daemon), Reader(daemon.root, NAME) as reader:
        assert daemon.get(url(NAME)).text == ONE
        assert reader("enter")["rc"] != 0
        (daemon.root / "Shop").unlink()
        wait_until(lambda: invoke(api, 1) or reader("enter").get("text") == ONE)
    assert aws.fake.calls().gets == 2


def test_what_is_newer_than_the_region_is_served(aws):
    """Until there is room for it."""
    aws.fake.put(NAME, ONE)
    with extension(aws, **quick(aws)) as (api, daemon), Reader(daemon.root, NAME) as reader:
        assert reader("enter")["text"] == ONE
        away = daemon.root.parent / "away"
        (daemon.root / "Shop").rename(away)
        (daemon.root / "Shop").touch()
        aws.fake.put(NAME, '"new"')
        daemon.wait_body(NAME, '"new"')
        assert reader("enter")["text"] == ONE
        daemon.wait_log("ERROR .*cannot publish a version in")
        assert daemon.count_log(" ERROR ") == 1, daemon.log()
        (daemon.root / "Shop").unlink()
        wait_until(lambda: invoke(api, 1) or reader("enter")["text"] == '"new"')
    calls = aws.fake.calls()
    assert (calls.starts, calls.received) == (1, 2)


def test_once_says_that_it_published_only_if_it_did(aws, tmp_path):
    """Also below a runtime, where the extension would go on without a region."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / f"{NAME}.json").write_text(ONE)
    result = run("--once", NAME, env={
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1", "SHMCONF_DIR": tmp_path / "nowhere" / "region",
        "SHMCONF_LOCAL_DEVELOPMENT_DIRECTORY": tmp_path / "files"})
    assert (result.returncode, result.stdout) == (4, "") and "nowhere" in result.stderr, result
