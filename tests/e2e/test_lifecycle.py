# SPDX-License-Identifier: Apache-2.0
"""Starting, ending, being killed, and having the region taken away: readers notice nothing."""
import errno
import json
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
import zlib
from pathlib import Path

import pytest

from daemon import Daemon, Reader, run, url, wait_until
from http_client import answers_to

NOBODY = 65534
MIB = 1024 * 1024
NAME = "Shop:Prod:Limits"


def place(root, name=NAME):
    """The directory of a configuration whose name needs no encoding."""
    return Path(root).joinpath(*name.split(":"))


def inode(path):
    return os.stat(path).st_ino


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
        head = place(daemon.root) / "head"
        before = inode(head)

        for end in (daemon.stop, daemon.kill):
            end()
            assert reader("enter") == first
            assert reader("status")["rc"] == 0
            daemon.start()
            answer = daemon.get(url(NAME))
            assert (answer.body, answer.headers["ETag"]) == (b"[1]", etag)
            assert daemon.count_log("1 configurations from before") >= 1
            assert inode(head) == before
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
        assert inode(head) == before
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
            for name in list(place(daemon.root).glob(".t*")):
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
        names = sorted(path.name for path in place(daemon.root).iterdir())
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


# ---- The region is taken away -----------------------------------------------------------------


@pytest.mark.parametrize("what", ["root", "application", "environment", "profile"])
def test_removed_directory_comes_back_and_readers_follow(tmp_path, backend, what):
    with Daemon(tmp_path, backend) as daemon, Reader(daemon.root, NAME) as reader:
        daemon.put(f"{NAME}.txt", "text")
        daemon.put("Other:Prod:One.txt", "other")
        first = reader.wait_text("text")
        daemon.wait_body("Other:Prod:One", "other")
        levels = {"root": daemon.root, "application": daemon.root / "Shop",
                  "environment": daemon.root / "Shop/Prod", "profile": place(daemon.root)}
        lost = inode(place(daemon.root) / "head")
        shutil.rmtree(levels[what])
        assert reader("enter")["text"] == "text"
        wait_until(lambda: (place(daemon.root) / "head").exists(), 5)
        wait_until(lambda: reader("status")["rc"] == 0)
        assert inode(place(daemon.root) / "head") != lost
        # It reads the same, and is told of what comes.
        again = wait_until(lambda: (lambda a: a["generation"] > first["generation"] and a)
                           (reader("enter")))
        assert (again["text"], again["type"]) == ("text", first["type"])
        daemon.put(f"{NAME}.txt", "text 2")
        reader.wait_text("text 2")
        with Reader(daemon.root, "Other:Prod:One") as other:
            other.wait_text("other")
        assert daemon.count_log("removed or (replaced|damaged)") in (1, 2, 3)
        assert daemon.count_log("ERROR") == 0


def test_removed_or_truncated_files_are_published_again(tmp_path, backend):
    def current(name):
        return max(place(tmp_path / "region", name).glob("v*"))

    acts = {
        "A:B:HeadGone": lambda name: (place(tmp_path / "region", name) / "head").unlink(),
        "A:B:HeadEmpty": lambda name: os.truncate(place(tmp_path / "region", name) / "head", 0),
        "A:B:HeadShort": lambda name: os.truncate(place(tmp_path / "region", name) / "head", 100),
        "A:B:VersionGone": lambda name: current(name).unlink(),
        "A:B:VersionShort": lambda name: (current(name).chmod(0o600),
                                          os.truncate(current(name), 50)),
        "A:B:HeadIsDirectory": lambda name: (
            (place(tmp_path / "region", name) / "head").rename(tmp_path / "away"),
            (place(tmp_path / "region", name) / "head").mkdir())[0],
    }
    repairable = [name for name in acts if name != "A:B:HeadIsDirectory"]
    with Daemon(tmp_path, backend) as daemon:
        readers = {}
        for name in acts:
            daemon.put(f"{name}.txt", f"text of {name}")
        for name in acts:
            # A truncated mapping is SIGBUS for whoever reads it; a private copy is not.
            flags = ["--private"] if "Short" in name or "Empty" in name else []
            readers[name] = Reader(daemon.root, name, flags=flags)
            readers[name].wait_text(f"text of {name}")
        for name in ("A:B:HeadEmpty", "A:B:HeadShort"):
            readers.pop(name).close()
        for name, act in acts.items():
            act(name)
        for name in repairable:
            daemon.wait_log(f"{name}: was removed or damaged in the region: published it again")
            if name in readers:
                wait_until(lambda r=readers[name]: r("enter")["generation"] == 2)
                assert readers[name]("enter")["text"] == f"text of {name}"
            with Reader(daemon.root, name) as fresh:
                assert fresh("enter")["text"] == f"text of {name}"
            daemon.put(f"{name}.txt", "changed")
            daemon.wait_body(name, "changed")
            with Reader(daemon.root, name) as fresh:
                fresh.wait_text("changed")
        name = "A:B:HeadIsDirectory"
        daemon.wait_log(f"{name}: cannot publish again")
        assert readers[name]("enter")["text"] == f"text of {name}"
        readers["A:B:VersionGone"].wait_checks(1)
        assert daemon.count_log(f"{name}: cannot publish again") == 1
        (place(daemon.root, name) / "head").rmdir()
        wait_until(lambda: (place(daemon.root, name) / "head").is_file())
        for reader in readers.values():
            reader.close()


def test_region_without_permission_keeps_serving_and_recovers(open_path, backend):
    uid = NOBODY if os.geteuid() == 0 else None
    own = open_path / "own"
    own.mkdir()
    if uid:
        os.chown(own, uid, uid)
    with Daemon(open_path, backend, uid=uid, root=own / "region") as daemon:
        daemon.put(f"{NAME}.txt", "before")
        daemon.wait_body(NAME, "before")
        daemon.root.chmod(0)
        assert daemon.get(url(NAME)).body == b"before"
        # The directory is the daemon's own: it puts the mode back.
        wait_until(lambda: stat.S_IMODE(daemon.root.stat().st_mode) == 0o700)
        daemon.put(f"{NAME}.txt", "meanwhile")
        daemon.wait_body(NAME, "meanwhile")
        with Reader(daemon.root, NAME, uid=uid) as reader:
            reader.wait_text("meanwhile")


def test_full_disk_keeps_the_last_version(tmp_path, backend, need_root):
    """The region is on a small tmpfs that only the daemon sees; /proc/PID/root leads there."""
    mount = tmp_path / "mount"
    mount.mkdir()
    script = f'mount -t tmpfs -o size=1m,mode=0755 none "{mount}" && exec "$@"'
    probe = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", "true"],
                           capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"no private mounts here: {probe.stderr.strip()}")
    with Daemon(tmp_path, backend, wrapper=["unshare", "-m", "sh", "-c", script, "sh"],
                root=mount / "region") as daemon:
        inside = Path(f"/proc/{daemon.pid}/root{mount}")
        daemon.put(f"{NAME}.txt", "a" * 1000)
        daemon.wait_body(NAME, "a" * 1000)
        with Reader(inside / "region", NAME) as reader:
            assert reader("enter")["size"] == 1000
            with open(inside / "ballast", "wb", buffering=0) as ballast, pytest.raises(OSError):
                while True:
                    ballast.write(bytes(4096))
            daemon.put(f"{NAME}.txt", "b" * 300000)
            daemon.put("A:B:New.txt", "new")
            daemon.wait_log(f"{NAME}: cannot publish a version in .*No space left on device")
            assert "No space left" in daemon.wait_status("A:B:New", 500).text
            wait_until(lambda: reader("status")["failures"] >= 2)
            assert reader("status")["error"] == errno.ENOSPC
            assert reader("enter")["text"] == "a" * 1000
            assert daemon.get(url(NAME)).body == b"a" * 1000
            lines = daemon.count_log(f"{NAME}: .*No space left")
            (inside / "ballast").unlink()
            daemon.wait_body(NAME, "b" * 300000)
            daemon.wait_body("A:B:New", "new")
            wait_until(lambda: reader("enter")["size"] == 300000)
            assert reader("status")["failures"] == 0
            names = sorted(path.name for path in place(inside / "region").iterdir())
            assert names == ["head", "v00000001", "v00000002"]
            assert lines == 1, daemon.log()


def test_limits_of_the_process_are_an_error_and_not_the_end(tmp_path, backend):
    """The largest file, and the number of descriptors."""
    wrapper = ["sh", "-c", 'ulimit -f 200; ulimit -n 128; exec "$@"', "sh"]
    with Daemon(tmp_path, backend, wrapper=wrapper) as daemon:
        daemon.put(f"{NAME}.txt", "small")
        daemon.wait_body(NAME, "small")
        daemon.put(f"{NAME}.txt", bytes(1 << 20))
        daemon.wait_log(f"{NAME}: cannot publish a version .*: File too large; the last version")
        assert daemon.get(url(NAME)).body == b"small"
        # More clients than it takes with so few: what publishing needs is left, and a new one is
        # answered.
        clients = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(100)]
        for i in range(20):
            daemon.put(f"A:B:p{i}.txt", "text")
        for i in range(20):
            daemon.wait_body(f"A:B:p{i}", "text")
        daemon.put(f"{NAME}.txt", "small again")
        daemon.wait_body(NAME, "small again")
        assert daemon.count_log("Too many open files") == 0
        for client in clients:
            client.close()


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
        assert len(list(place(daemon.root).iterdir())) == 3
        # A mapping of an unnamed file that got its name later shows no name: so by inode.
        maps = [line.split() for line in Path(f"/proc/{daemon.pid}/maps").read_text().splitlines()]
        head = str(inode(place(daemon.root) / "head"))
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
