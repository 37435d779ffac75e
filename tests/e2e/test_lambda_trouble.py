# SPDX-License-Identifier: Apache-2.0
"""Whatever is wrong, the function runs: one line of log, and events go on being asked for."""
import json
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

pytest.importorskip("botocore")
FAKES = Path(__file__).resolve().parents[1] / "fakes"
sys.path[:0] = [str(FAKES / "appconfig"), str(FAKES / "lambda")]
from daemon import BIN, Reader, url, wait_until  # noqa: E402
from extensions import ExtensionsApi  # noqa: E402
from fake_daemon import NAME, aws, get_all, message  # noqa: E402,F401
from lambda_daemon import end, expect_line, extension, invoke, quick, start_without_server  # noqa: E402

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


def test_options_that_are_wrong_are_ignored(aws):
    """Nobody gives any, but a script that starts the daemon might."""
    aws.fake.put(NAME, ONE)
    with extension(aws, start=False) as (api, daemon):
        for options, problem in ((["--http-port", "0", "x"], "superfluous argument"),
                                 (["--nonsense"], "unknown option"),
                                 (["--poll-interval"], "the option needs a value")):
            daemon.command[1:] = options
            daemon.start()
            api.wait_parked(1)
            assert daemon.count_log(f"WARN {options[-1]}: {problem}.*; ignored, as is") == 1
            assert daemon.get(url(NAME)).text == ONE
            end(api, daemon)
            api.reset()


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


@pytest.mark.parametrize("path", ["certificates/of-the-function.pem", "/"])
def test_a_bundle_of_the_function_that_cannot_be_read_is_done_without(aws, path):
    aws.fake.put(NAME, ONE)
    with extension(aws, SSL_CERT_FILE=path) as (api, daemon):
        assert daemon.count_log(f"WARN SSL_CERT_FILE: {path} .*; done without it") == 1
        assert daemon.get(url(NAME)).text == ONE
        invoke(api)


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SHMCONF_LOCAL_DEVELOPMENT_DIRECTORY"])
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
        shutil.rmtree(daemon.root)
        wait_until(lambda: invoke(api, 1) or daemon.root.exists())
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


@pytest.mark.parametrize("text", ["x" * (4 << 20), f"[{'1,' * (2 << 20)}1]"], ids=["text", "numbers"])
def test_four_megabytes_fit_into_the_smallest_function(aws, text):
    aws.fake.put(NAME, text)
    with extension(aws, wrapper=["prlimit", f"--as={128 << 20}"]) as (api, daemon):
        assert daemon.get(url(NAME)).text == text
        with Reader(daemon.root, NAME) as reader:
            assert reader("enter")["size"] == len(text)
        invoke(api)
        assert daemon.count_log("ERROR") == 0


def peak_of(daemon):
    """The most memory that it ever had resident, in bytes."""
    status = Path(f"/proc/{daemon.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s*(\d+) kB", status).group(1)) << 10


def test_an_update_takes_three_times_its_size(aws):
    """The last version, the answer, and the file that is made of it: docs/lambda.md, for sizing."""
    size = 8 << 20
    aws.fake.put(NAME, ONE)
    with extension(aws, **quick(aws)) as (_, daemon):
        small = peak_of(daemon)
        for digit in "123":
            text = f"[{digit * 2}{f',{digit}' * (size // 2 - 2)}]"
            aws.fake.put(NAME, text)
            daemon.wait_body(NAME, text)
        assert 2 * size < peak_of(daemon) - small < 3.5 * size
