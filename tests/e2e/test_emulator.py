# SPDX-License-Identifier: Apache-2.0
"""The layer in an emulated Lambda, with the handlers of client/examples."""
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import BIN, wait_until  # noqa: E402
from emulated import EXAMPLES, Function, lay_out, other_emulator, started_at  # noqa: E402
from fake import Fake  # noqa: E402

NAME = "Shop:Prod:Users"
ALICE, BOB = {"username": "alice"}, {"username": "bob"}
BOTH = '[{"username": "alice"}, {"username": "bob"}]'
ONE = '[{"username": "alice"}]'


@pytest.fixture(params=["python", "c"])
def language(request):
    return request.param


@pytest.fixture
def fake():
    with Fake(poll_interval_s=1) as service:
        service.put(NAME, BOTH)
        yield service


def function_of(path, fake, language, **environment):
    return Function(path, fake, language, NAME, AWS_APPCONFIG_EXTENSION_POLL_INTERVAL_SECONDS="1",
                    **environment)


def deploy(function, fake, content):
    """Puts a version into the service and waits until the extension says that it published it."""
    published = "(retrieved initial|updated cache) data"
    before = function.count_log(published)
    fake.put(NAME, content)
    wait_until(lambda: function.count_log(published) > before, what="the version is published")


def handler_of(answer):
    return answer["process"], started_at(answer["process"])


def test_a_removed_user_is_gone_at_the_next_call_of_the_same_warm_container(
        tmp_path, fake, language):
    with function_of(tmp_path, fake, language) as function:
        first = function.invoke()
        assert first["configuration"] == [ALICE, BOB]
        handler, extension = handler_of(first), function.extension_pid()
        second = function.invoke()
        assert (second["configuration"], handler_of(second)) == ([ALICE, BOB], handler)
        deploy(function, fake, ONE)
        third = function.invoke()
        assert (third["configuration"], handler_of(third)) == ([ALICE], handler)
        assert function.extension_pid() == extension
        assert function.count_log("registered with Lambda as 'shmconfd'") == 1
        assert fake.calls(NAME).starts == 1


def recovered(function, before):
    """The first answer of a new process. Lambda fails at most the call that meets the crash."""
    failed = []

    def look():
        status, answer = function.try_invoke()
        if status != 200 or "configuration" not in answer:
            failed.append((status, answer))
            return None
        return answer if answer["process"] != before["process"] else None
    answer = wait_until(look, what="a new process of the handler answers")
    assert len(failed) <= 1, failed
    return answer


def test_a_crashed_runtime_starts_again_with_the_region_as_it_was(tmp_path, fake, language):
    with function_of(tmp_path, fake, language) as function:
        before = function.invoke()
        extension = function.extension_pid()
        os.kill(before["process"], signal.SIGKILL)
        after = recovered(function, before)
        assert after["configuration"] == [ALICE, BOB]
        assert function.extension_pid() not in (extension, None)
        deploy(function, fake, ONE)
        assert function.invoke()["configuration"] == [ALICE]


def test_a_crashed_extension_starts_again_and_takes_its_region_over(tmp_path, fake, language):
    with function_of(tmp_path, fake, language) as function:
        before = function.invoke()
        extension = function.extension_pid()
        os.kill(extension, signal.SIGKILL)
        after = recovered(function, before)
        assert after["configuration"] == [ALICE, BOB]
        assert function.extension_pid() not in (extension, None)
        deploy(function, fake, ONE)
        assert function.invoke()["configuration"] == [ALICE]
        if language == "c":
            assert function.invoke()["generation"] > before["generation"]


def test_a_lost_connection_costs_an_extension_nothing(tmp_path, fake):
    """That of a question which waits. What it asks again is refused until there was an event."""
    with function_of(tmp_path, fake, "python") as function:
        before = function.invoke()
        extension = function.extension_pid()
        function.cut_waiting()
        wait_until(lambda: function.count_log("403 to event/next.*asking again") == 1)
        for _ in range(3):
            assert handler_of(function.invoke()) == handler_of(before)
        deploy(function, fake, ONE)
        assert function.invoke()["configuration"] == [ALICE]
        assert function.extension_pid() == extension


def test_without_the_service_the_function_runs_on_what_there_is(tmp_path, fake, language):
    with function_of(tmp_path, fake, language) as function:
        assert function.invoke()["configuration"] == [ALICE, BOB]
        fake.down()
        for _ in range(20):
            assert function.invoke()["configuration"] == [ALICE, BOB]
        fake.up()
        deploy(function, fake, ONE)
        assert function.invoke()["configuration"] == [ALICE]


def test_without_a_first_version_a_c_handler_falls_back_and_recovers(tmp_path, fake):
    fake.remove(NAME)
    with function_of(tmp_path, fake, "c") as function:
        first = function.invoke()
        assert (first["configuration"], first["generation"]) == ([], 0)
        fake.put(NAME, ONE)

        def look():
            answer = function.invoke()
            assert answer["process"] == first["process"]
            return answer["configuration"] == [ALICE]
        wait_until(look, what="the version that was deployed late")


def test_the_c_example_builds_with_cmake_against_the_layer(tmp_path):
    lay_out(tmp_path / "opt", plain=False)
    if not (tmp_path / "opt" / "lib").exists():  # without a layer: what is installed
        install = ["cmake", "--install", BIN.parent, "--prefix", tmp_path / "opt"]
        subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
    build = tmp_path / "build"
    for options in (["-S", EXAMPLES / "lambda-c", "-B", build,
                     f"-DCMAKE_PREFIX_PATH={tmp_path / 'opt'}"], ["--build", build]):
        subprocess.run(["cmake", *options], check=True, stdout=subprocess.DEVNULL)
    assert os.access(build / "bootstrap", os.X_OK)


def test_the_end_comes_in_time_and_orderly(tmp_path, fake, language):
    with function_of(tmp_path, fake, language) as function:
        function.invoke()
        seconds = function.shut_down()
        assert function.count_log("SHUTDOWN .*s are left") == 1
        if other_emulator():
            assert seconds < 2  # the time that Lambda gives; then it kills
        else:
            assert function.count_log("ENDED shmconfd 0\n") == 1
            assert function.count_log("killed: none") == 1
