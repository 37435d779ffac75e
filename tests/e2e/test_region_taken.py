# SPDX-License-Identifier: Apache-2.0
"""The region is taken away, in part or whole, or its disk is full: nobody loses his version."""
import errno
import os
import shutil
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from daemon import Daemon, Reader, place, url, wait_until

NOBODY = 65534
NAME = "Shop:Prod:Limits"


def inode(path):
    return os.stat(path).st_ino


def test_what_tells_the_source_comes_back(tmp_path, backend):
    with Daemon(tmp_path, backend) as daemon:
        daemon.put(f"{NAME}.txt", "text")
        daemon.wait_body(NAME, "text")
        source = daemon.root / ".source"
        text = source.read_text()
        source.unlink()
        wait_until(source.exists, 5)
        source.unlink()
        source.mkdir()
        (source / "something").touch()
        daemon.wait_log("WARN region: cannot read or note its source \\(Directory not empty\\)")
        for number in range(3):  # a publication looks as well
            daemon.put(f"{NAME}.txt", f"text {number}")
            daemon.wait_body(NAME, f"text {number}")
        assert daemon.count_log("cannot read or note its source") == 1
        shutil.rmtree(source)
        wait_until(lambda: source.is_file() and source.read_text() == text, 5)


@pytest.mark.parametrize("what", ["root", "application", "environment", "profile"])
def test_removed_directory_comes_back_and_readers_follow(tmp_path, backend, what):
    with Daemon(tmp_path, backend) as daemon, Reader(daemon.root, NAME) as reader:
        daemon.put(f"{NAME}.txt", "text")
        daemon.put("Other:Prod:One.txt", "other")
        first = reader.wait_text("text")
        daemon.wait_body("Other:Prod:One", "other")
        levels = {"root": daemon.root, "application": daemon.root / "Shop",
                  "environment": daemon.root / "Shop/Prod", "profile": place(daemon.root, NAME)}
        lost = inode(place(daemon.root, NAME) / "head")
        shutil.rmtree(levels[what])
        assert reader("enter")["text"] == "text"
        wait_until(lambda: (place(daemon.root, NAME) / "head").exists(), 5)
        wait_until(lambda: reader("status")["rc"] == 0)
        assert inode(place(daemon.root, NAME) / "head") != lost
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


@pytest.mark.parametrize("level", ["Shop", "Shop/Prod", "Shop/Prod/Limits"])
def test_a_level_that_readers_refuse_is_noticed(tmp_path, backend, level):
    """Without anything new to publish."""
    with Daemon(tmp_path, backend) as daemon:
        def reads():
            with Reader(daemon.root, NAME) as reader:
                return reader("enter").get("text") == "text"
        daemon.put(f"{NAME}.txt", "text")
        wait_until(reads)
        path = daemon.root / level
        path.chmod(0o777)
        wait_until(reads)
        assert daemon.count_log("published it again") == 0
        path.rename(tmp_path / "away")
        path.symlink_to(tmp_path / "away")
        daemon.wait_log("ERROR .*cannot publish again.*something else has its name there; remove it")
        path.unlink()
        wait_until(reads)


def test_who_only_enters_is_led_to_a_new_root_before_it_is_told_of(tmp_path, backend):
    """The daemon may be killed at any time after that."""
    with Daemon(tmp_path, backend) as daemon, Reader(daemon.root, NAME) as only_enters:
        daemon.put(f"{NAME}.txt", "one")
        daemon.wait_body(NAME, "one")
        assert only_enters("enter")["text"] == "one"
        shutil.rmtree(daemon.root)
        daemon.wait_log("made it anew")
        daemon.kill()
        daemon.put(f"{NAME}.txt", "two")
        daemon.start()
        wait_until(lambda: only_enters("enter")["text"] == "two")


def test_a_publication_makes_a_root_anew_that_was_removed(tmp_path, backend):
    with Daemon(tmp_path, backend) as daemon, Reader(daemon.root, NAME) as reader:
        for number in range(10):
            daemon.put(f"{NAME}.txt", f"text {number}")
            reader.wait_text(f"text {number}")
            shutil.rmtree(daemon.root)
        assert daemon.count_log("ERROR") == 0, daemon.log()


def test_head_damaged_while_no_daemon_ran_is_told(tmp_path, backend):
    """Its readers cannot be reached there: those who wait or ask come along."""
    root = tmp_path / "region"
    told = f"WARN {NAME}: its head in the region is damaged"
    with Daemon(tmp_path, backend) as daemon:
        daemon.put(f"{NAME}.txt", "one")
        daemon.wait_body(NAME, "one")
        with Reader(root, NAME) as only_enters, Reader(root, NAME) as asks:
            assert only_enters("enter")["text"] == asks("enter")["text"] == "one"
            daemon.stop()
            with open(place(root, NAME) / "head", "r+b") as head:
                head.write(b"garbage")
            daemon.put(f"{NAME}.txt", "two")
            daemon.start()
            daemon.wait_body(NAME, "two")
            daemon.wait_log(told)
            wait_until(lambda: asks("status") and asks("enter")["text"] == "two")
            assert only_enters("enter")["text"] == "one"
        daemon.stop()
        daemon.start()
        daemon.wait_body(NAME, "two")
        assert daemon.count_log(told) == 1


@pytest.mark.parametrize("how", ["damaged", "removed"])
def test_version_lost_while_no_daemon_ran_is_told(tmp_path, backend, how):
    """Its source may bring it again never, and then the log is all that there is."""
    told = f"WARN {NAME}: its version 1 in the region is damaged or was removed"
    with Daemon(tmp_path, backend) as daemon:
        daemon.put(f"{NAME}.txt", "one")
        daemon.wait_body(NAME, "one")
        daemon.stop()
        version = place(tmp_path / "region", NAME) / "v00000001"
        if how == "removed":
            version.unlink()
        else:
            version.chmod(0o600)
            with open(version, "r+b") as file:
                file.seek(130)
                file.write(b"X")
        daemon.start()
        daemon.wait_log(told)
        daemon.wait_body(NAME, "one")
        daemon.stop()
        daemon.start()
        daemon.wait_body(NAME, "one")
        assert daemon.count_log(told) == 1


def test_removed_or_truncated_files_are_published_again(tmp_path, backend):
    def current(name):
        return max(place(tmp_path / "region", name).glob("v*"))

    def head(name):
        return place(tmp_path / "region", name) / "head"

    def replace_by_directory(path):
        path.rename(tmp_path / f"away-{path.parent.name}")
        path.mkdir()

    acts = {
        "A:B:HeadGone": lambda name: head(name).unlink(),
        "A:B:HeadEmpty": lambda name: os.truncate(head(name), 0),
        "A:B:HeadShort": lambda name: os.truncate(head(name), 100),
        "A:B:VersionGone": lambda name: current(name).unlink(),
        "A:B:VersionShort": lambda name: (current(name).chmod(0o600),
                                          os.truncate(current(name), 50)),
        "A:B:HeadIsEmptyDirectory": lambda name: replace_by_directory(head(name)),
        "A:B:HeadIsDirectory": lambda name: (replace_by_directory(head(name)),
                                             (head(name) / "file").touch()),
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
        assert daemon.count_log(f"{name}: .* in {place(daemon.root, name)} .*; remove it")
        (head(name) / "file").unlink()
        wait_until(head(name).is_file)
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


def test_what_stands_in_the_way_again_is_told_again(tmp_path, backend):
    with Daemon(tmp_path, backend) as daemon:
        daemon.put("A:B:C.txt", "text")
        daemon.wait_body("A:B:C", "text")
        for turn in (1, 2):
            daemon.send(signal.SIGSTOP)  # or it makes the directory anew in between
            shutil.rmtree(daemon.root / "A")
            (daemon.root / "A").touch()
            daemon.send(signal.SIGCONT)
            wait_until(lambda: daemon.count_log(" ERROR .*Not a directory") == turn)
            (daemon.root / "A").unlink()
            wait_until(lambda: daemon.count_log("A:B:C: was removed .* published it again") == turn)


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
            names = sorted(path.name for path in place(inside / "region", NAME).iterdir())
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
