# SPDX-License-Identifier: Apache-2.0
"""Without a port, or without a region, for a while or for good: what is there goes on."""
import fcntl
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
FAKES = Path(__file__).resolve().parents[1] / "fakes"
sys.path[:0] = [str(FAKES / "appconfig"), str(FAKES / "lambda")]
from daemon import Reader, run, url, wait_until  # noqa: E402
from fake import Fake  # noqa: E402
from fake_daemon import NAME, Aws, aws  # noqa: E402,F401
from lambda_daemon import end, expect_line, extension, invoke, quick, start_without_server  # noqa: E402
from virtual_clock import VirtualClock  # noqa: E402

ONE = '{"limit": 1}'


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


def test_the_region_is_looked_at_once_a_second_at_most(tmp_path, backend):
    """An invocation is not to pay for it."""
    clock = VirtualClock(tmp_path / "clock")
    with Fake(clock=clock) as fake:
        fake.put(NAME, ONE)
        with extension(Aws(fake, tmp_path, backend), **clock.environment()) as (api, daemon):
            clock.advance(2)
            invoke(api)
            shutil.rmtree(daemon.root)
            invoke(api, 5)
            assert not daemon.root.exists()
            clock.advance(1)
            invoke(api)
            assert daemon.root.exists()
