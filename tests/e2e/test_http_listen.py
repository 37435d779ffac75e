# SPDX-License-Identifier: Apache-2.0
"""Where the daemon listens: HTTP_HOST and HTTP_PORT."""
import socket
import threading

import pytest

from daemon import Daemon, run
from http_client import CHECKOUT, Client, serve

# 127.0.0.2 stands for every other address of the machine.
V4, OTHER, V6 = "127.0.0.1", "127.0.0.2", "::1"


def has(host):
    """Whether this machine has the address."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind((host, 0))
        return True
    except OSError:
        return False


def answers(host, port):
    try:
        with Client(port, host) as client:
            assert client.expect(200).body == CHECKOUT
        return True
    except ConnectionRefusedError:
        return False


@pytest.mark.parametrize("setting,expected", [
    (None, {V4, V6}), ("localhost", {V4, V6}), ("127.0.0.1", {V4}), ("::1", {V6}), ("127.0.0.2",
                                                                                    {OTHER}),
    ("all", {V4, V6, OTHER}), ("0.0.0.0", {V4, OTHER}), ("::", {V4, V6, OTHER}),
])
def test_host_decides_which_addresses_answer(tmp_path, setting, expected):
    places = {host for host in (V4, OTHER, V6) if has(host)}
    if setting in ("::1", "::") and V6 not in places:
        pytest.skip("no ::1 here")
    with serve(tmp_path, {"HTTP_HOST": setting}, big=False) as daemon:
        assert {host for host in places if answers(host, daemon.port)} == expected & places


def settings(tmp_path, **more):
    (tmp_path / "files").mkdir(exist_ok=True)
    return {"SHMCONF_DIR": str(tmp_path / "region"),
            "SHMCONF_LOCAL_DEVELOPMENT_DIRECTORY": str(tmp_path / "files"), **more}


@pytest.mark.parametrize("host,setting", [(V4, "localhost"), (V6, "localhost"), (V4, V4), (V4,
                                                                                           "all")])
def test_port_that_is_taken_ends_it_with_5(tmp_path, host, setting):
    if not has(host):
        pytest.skip(f"no {host} here")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as taken:
        taken.bind((host, 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run(env=settings(tmp_path, HTTP_PORT=port, HTTP_HOST=setting))
    assert ended.returncode == 5
    assert str(port) in ended.stderr and "HTTP_PORT" in ended.stderr
    assert "serving" not in ended.stderr


def test_port_of_another_daemon_ends_it_with_5(tmp_path):
    with serve(tmp_path, big=False) as daemon:
        (tmp_path / "second").mkdir()
        ended = run(env=settings(tmp_path / "second", HTTP_PORT=daemon.port))
        assert ended.returncode == 5
        assert answers(V4, daemon.port)


def test_port_that_is_taken_for_a_moment_is_awaited(tmp_path):
    """The kernel closes the sockets of a killed daemon's io_uring some time after its end."""
    taken = socket.create_server(("127.0.0.1", 0))
    with Daemon(tmp_path, env={"SHMCONF_HTTP_PORT": str(taken.getsockname()[1])},
                start=False) as daemon:
        threading.Timer(0.2, taken.close).start()
        daemon.start()
        assert daemon.count_log("INFO serving on localhost") == 1


def test_port_is_free_again_at_once(tmp_path):
    with serve(tmp_path, big=False) as daemon:
        port = daemon.port
        with Client(port) as client:
            client.expect(200)
            # The daemon closes first, so its side keeps the port in TIME_WAIT.
            daemon.stop()
            client.expect_end()
        daemon.environment["SHMCONF_HTTP_PORT"] = str(port)
        daemon.start()
        assert daemon.port == port and answers(V4, port)


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid", "2001:db8::1"])
def test_address_of_another_machine_ends_it_with_3(tmp_path, host):
    ended = run(env=settings(tmp_path, HTTP_PORT=0, HTTP_HOST=host))
    assert ended.returncode == 3
    assert host in ended.stderr and "HTTP_HOST" in ended.stderr
