# SPDX-License-Identifier: Apache-2.0
"""Starting, ending, being killed, at rest and for long: readers notice nothing."""
import errno
import json
import os
import random
import signal
import socket
import threading
import time
import zlib
from pathlib import Path

import pytest

from daemon import Daemon, Reader, place, run, url, wait_until
from http_client import answers_to

MIB = 1024 * 1024
NAME = "Shop:Prod:Limits"


def make_text(turn):
    rest = f"{turn} " + "x" * random.randint(500, 20000)
    return f"{len(rest) + 18:08d} {zlib.crc32(rest.encode()):08x} {rest}"


def slow_request(daemon, name):
    """A request whose answer is not read yet."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect(("127.0.0.1", daemon.port))
    client.sendall(f"GET {url(name)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return client


def read_all(client):
    parts = []
    while part := client.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


# ---- The end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_with_answers_in_progress_sent(tmp_path, backend, number):
    text = random.randbytes(12 * MIB)
    with Daemon(tmp_path, backend) as daemon:
        daemon.assert_backend()
        daemon.put(f"{NAME}.txt", text)
        daemon.wait_body(NAME, text)
        with slow_request(daemon, NAME) as client:
            start = client.recv(1000)
            daemon.send(number)
            daemon.wait_log(f"{number.name}: ending; the region stays")
            daemon.send(number)  # impatience does no harm
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", daemon.port), 1).close()
            answer, = answers_to([("GET", url(NAME))], start + read_all(client))
            assert (answer.status, answer.body) == (200, text)
        assert daemon.wait_end() == 0
        with Reader(daemon.root, NAME) as reader:
            assert reader("enter")["size"] == len(text)


def test_client_that_does_not_read_cannot_hold_up_the_end(tmp_path, backend):
    with Daemon(tmp_path, backend) as daemon:
        daemon.put(f"{NAME}.txt", bytes(12 * MIB))
        daemon.wait_status(NAME, 200)
        with slow_request(daemon, NAME) as client, \
                socket.create_connection(("127.0.0.1", daemon.port)):  # one that never asks
            client.recv(1000)
            daemon.stop()


# ---- Starting again ---------------------------------------------------------------------------


def test_restart_takes_over_in_place(tmp_path, backend):
    with Daemon(tmp_path, backend) as daemon, Reader(daemon.root, NAME) as reader, \
            Reader(daemon.root, NAME, flags=["--private"]) as copying:
        daemon.put(f"{NAME}.json", "[1]")
        etag = daemon.wait_body(NAME, "[1]").headers["ETag"]
        first = reader.wait_text("[1]")
        copying.wait_text("[1]")
        head = place(daemon.root, NAME) / "head"
        before = head.stat().st_ino

        for end in (daemon.stop, daemon.kill):
            end()
            assert reader("enter") == first
            assert reader("status")["rc"] == 0
            daemon.start()
            answer = daemon.get(url(NAME))
            assert (answer.body, answer.headers["ETag"]) == (b"[1]", etag)
            assert daemon.count_log("1 configurations from before") >= 1
            assert head.stat().st_ino == before
            assert reader("enter") == first
            assert reader("fresh", 1000, 20000)["rc"] == 0

        # A change while no daemon runs is the next generation; whoever waits is woken.
        daemon.stop()
        reader.send("wait", 20000)
        daemon.put(f"{NAME}.json", "[2]")
        daemon.start()
        assert reader.receive()["rc"] == 0
        for each in (reader, copying):
            second = each("enter")
            assert (second["text"], second["generation"]) == ("[2]", 2)
            assert second["instance"] == first["instance"]
        assert head.stat().st_ino == before
        assert sorted(path.name for path in head.parent.iterdir()) == ["head", "v00000001",
                                                                       "v00000002"]


def test_killed_at_any_moment_it_leaves_a_whole_region(tmp_path, backend):
    is_ending = threading.Event()
    last = []
    with Daemon(tmp_path, backend) as daemon:

        def write():
            while not is_ending.is_set():
                last[:] = [make_text(len(last))]
                daemon.put(f"{NAME}.txt", last[0])

        daemon.put(f"{NAME}.txt", make_text("first"))
        daemon.wait_status(NAME, 200)
        readers = [Reader(daemon.root, NAME), Reader(daemon.root, NAME, flags=["--private"])]
        for reader in readers:
            reader.send("verify", 0)
        writer = threading.Thread(target=write)
        writer.start()
        for _ in range(15):
            time.sleep(random.uniform(0, 0.05))  # any moment
            daemon.kill()
            for name in list(place(daemon.root, NAME).glob(".t*")):
                assert name.stat().st_size >= 0  # may be left, until the next start
            daemon.start()
        is_ending.set()
        writer.join()
        daemon.wait_body(NAME, last[0])
        for reader in readers:
            reader.send("enter")
            seen = reader.receive()
            assert (seen["bad"], seen["back"]) == (0, 0), seen
            assert seen["versions"] > 0
            assert reader.receive()["text"] == last[0]
            reader.close()
        names = sorted(path.name for path in place(daemon.root, NAME).iterdir())
        assert names[0] == "head" and len(names) <= 3, names


def test_second_daemon_is_refused(tmp_path, backend):
    with Daemon(tmp_path, backend) as daemon:
        settings = {"SHMCONF_DIR": daemon.root, "SHMCONF_HTTP_PORT": "0", "SHMCONF_LOOP": backend,
                    "SHMCONF_LOCAL_DEVELOPMENT_DIRECTORY": daemon.files}
        second = run(env=settings)
        assert second.returncode == 4
        assert second.stderr.count("FATAL") == 1
        assert f"FATAL {daemon.root}: another shmconfd is running here" in second.stderr
        other = {**settings, "SHMCONF_DIR": tmp_path / "other", "SHMCONF_HTTP_PORT": daemon.port}
        third = run(env=other)
        assert third.returncode == 5
        assert third.stderr.count("FATAL") == 1 and str(daemon.port) in third.stderr
        assert daemon.get("/ping").status == 200


# ---- SIGHUP and the log -----------------------------------------------------------------------


def test_sighup_checks_now_and_opens_the_log_again(tmp_path, backend):
    log = tmp_path / "rotated.log"
    with Daemon(tmp_path, backend, env={"SHMCONF_LOG_PATH": log}) as daemon:
        daemon.put(f"{NAME}.txt", "text")
        daemon.wait_body(NAME, "text")
        assert log.stat().st_mode & 0o777 == 0o640 & ~os.umask(os.umask(0))
        log.rename(tmp_path / "rotated.log.1")
        before = (tmp_path / "rotated.log.1").read_text()
        with Reader(daemon.root, NAME) as reader:
            tried = reader("status")["tried_ns"]
            daemon.send(signal.SIGHUP)
            daemon.wait_log("SIGHUP: checking every configuration now")
            wait_until(lambda: reader("status")["tried_ns"] > tried)
        assert "SIGHUP" in log.read_text()
        assert (tmp_path / "rotated.log.1").read_text() == before
        # Where it cannot be opened, the old one goes on.
        log.rename(tmp_path / "rotated.log.2")
        log.mkdir()
        daemon.send(signal.SIGHUP)
        wait_until(lambda: "the log file cannot be opened" in
                   (tmp_path / "rotated.log.2").read_text())
        daemon.put(f"{NAME}.txt", "text 2")
        daemon.wait_body(NAME, "text 2")
        assert daemon.descriptors().count(str(tmp_path / "rotated.log.1")) == 0


def test_json_log_parses_and_no_log_has_payload(tmp_path, backend):
    settings = {"SHMCONF_LOG_FORMAT": "json", "SHMCONF_LOG_LEVEL": "trace"}
    with Daemon(tmp_path, backend, env=settings) as daemon:
        strange = os.fsencode(daemon.files) + b"/A:B:line\nbreak \"quoted\" \xff\xc3\xa9.json"
        with open(strange, "wb") as file:
            file.write(b"[")
        daemon.put("A:B:Secret.json", '{"password": "hunter2"}')
        daemon.put("A:B:Bad.json", '{"password": "hunter2" "hunter2"}')
        daemon.put("A:B:Worse.json", "hunter2\x01hunter2")
        daemon.put("A:B:C:hunter2.json", "hunter2")
        daemon.wait_body("A:B:Secret", '{"password": "hunter2"}')
        daemon.put("A:B:Secret.json", '{"password": hunter2}')
        daemon.wait_log("Secret.json.*the last version stays")
        daemon.wait_log("line.*break")
        daemon.wait_log("Worse")
        daemon.get(url("A:B:Bad"), headers={"Authorization": "hunter2", "Cookie": "hunter2"})
        daemon.get("/hunter2?hunter2")
        daemon.stop()
        lines = [json.loads(line) for line in daemon.log_path.read_text().splitlines()]
        assert len(lines) > 6
        for line in lines:
            assert {"time", "level", "message"} <= set(line) <= {"time", "level", "message",
                                                                 "subject"}
            assert "hunter2" not in json.dumps(line).replace("A:B:C:hunter2.json", "")


# ---- At rest, and for long ----------------------------------------------------------------------


def test_idle_daemon_sleeps(tmp_path, backend):
    with Daemon(tmp_path, backend) as daemon:
        for i in range(10):
            daemon.put(f"A:B:p{i}.txt", "text")
        for i in range(10):
            daemon.wait_body(f"A:B:p{i}", "text")
        with Reader(daemon.root, "A:B:p0") as reader:
            switches = daemon.status_field("voluntary_ctxt_switches")
            start = time.monotonic()
            reader.wait_checks(3)
            ticks = time.monotonic() - start + 1
            used = daemon.status_field("voluntary_ctxt_switches") - switches
        assert used <= 4 * ticks, f"{used} switches in {ticks} s"
        assert daemon.status_field("Threads") == 1
        assert daemon.status_field("VmRSS") < 16 * 1024  # KiB


def test_thousand_reloads_leave_nothing_behind(tmp_path, backend):
    with Daemon(tmp_path, backend) as daemon, Reader(daemon.root, NAME) as reader:
        def reload(first, last):
            for i in range(first, last):
                daemon.put(f"{NAME}.json", json.dumps({"turn": i, "filling": "x" * (i % 5000)}))
                text = json.dumps({"turn": i, "filling": "x" * (i % 5000)}).encode()
                wait_until(lambda text=text: daemon.get(url(NAME)).body == text, every=0.001)
                if i % 100 == 0:
                    assert reader("enter")["text"] == text.decode()

        reload(0, 200)
        descriptors, memory = len(daemon.descriptors()), daemon.status_field("VmRSS")
        reload(200, 1000)
        assert reader("status")["generation"] == 1000
        wait_until(lambda: len(daemon.descriptors()) <= descriptors)
        assert daemon.status_field("VmRSS") - memory < 1024  # KiB
        assert len(list(place(daemon.root, NAME).iterdir())) == 3
        # A mapping of an unnamed file that got its name later shows no name: so by inode.
        maps = [line.split() for line in Path(f"/proc/{daemon.pid}/maps").read_text().splitlines()]
        head = str((place(daemon.root, NAME) / "head").stat().st_ino)
        shared = [line[4] for line in maps if line[1] == "rw-s" and "[io_uring]" not in line[-1]]
        assert shared == [head]


def test_stopped_and_continued(tmp_path, backend):
    with Daemon(tmp_path, backend) as daemon, Reader(daemon.root, NAME) as reader:
        daemon.put(f"{NAME}.txt", "before")
        reader.wait_text("before")
        daemon.send(signal.SIGSTOP)
        wait_until(lambda: "(stopped)" in Path(f"/proc/{daemon.pid}/status").read_text())
        daemon.put(f"{NAME}.txt", "after")
        assert reader("enter")["text"] == "before"
        wait_until(lambda: reader("status")["age_ns"] > 50e6)
        assert reader("fresh", 10, 20)["rc"] == -errno.ETIMEDOUT
        with slow_request(daemon, NAME) as client:  # the kernel takes it
            daemon.send(signal.SIGCONT)
            answer, = answers_to([("GET", url(NAME))], read_all(client))
            assert answer.status == 200
        reader.wait_text("after")
        assert reader("fresh", 1500, 20000)["rc"] == 0
