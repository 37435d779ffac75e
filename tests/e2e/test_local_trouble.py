# SPDX-License-Identifier: Apache-2.0
"""Trouble with the local directory: lost events, replaced, gone, too full, without inotify."""
import errno
import http.client
import os
import re
import resource
import shutil
import signal
import time
from pathlib import Path

import pytest

from daemon import BIN, Daemon, Reader, Response, url, wait_until


def test_lost_events_do_not_lose_a_change(tmp_path, backend):
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as file:
        most = int(file.read())
    if most > 200000:
        pytest.skip(f"fs.inotify.max_queued_events is {most}")
    with Daemon(tmp_path, backend) as daemon:
        daemon.put("A:B:Old.txt", "before")
        daemon.put("A:B:Gone.txt", "gone")
        daemon.wait_body("A:B:Old", "before")
        daemon.wait_body("A:B:Gone", "gone")
        others = [daemon.files / "one", daemon.files / "two"]
        for other in others:
            other.touch()
        daemon.send(signal.SIGSTOP)
        for i in range(most + 100):
            os.utime(others[i % 2])
        daemon.put("A:B:Old.txt", "after")
        daemon.put("A:B:New.txt", "new")
        (daemon.files / "A:B:Gone.txt").unlink()
        daemon.send(signal.SIGCONT)
        daemon.wait_body("A:B:Old", "after")
        daemon.wait_body("A:B:New", "new")
        daemon.wait_log("the kernel lost file events")
        daemon.wait_log("A:B:Gone.txt: is gone, or a link to nothing; the last version stays")


def test_directory_is_replaced_while_running(tmp_path, backend):
    with Daemon(tmp_path, backend) as daemon:
        daemon.put("A:B:C.txt", "first")
        daemon.wait_body("A:B:C", "first")
        # Moved away, with a new one in its place.
        daemon.files.rename(tmp_path / "away")
        daemon.files.mkdir()
        daemon.put("A:B:C.txt", "second")
        daemon.put("A:B:D.txt", "other")
        daemon.wait_body("A:B:C", "second")
        daemon.wait_body("A:B:D", "other")
        (tmp_path / "away" / "A:B:C.txt").write_text("of no interest")
        daemon.put("A:B:C.txt", "third")
        daemon.wait_body("A:B:C", "third")
        # Removed for a while.
        shutil.rmtree(daemon.files)
        daemon.wait_log("cannot open the local directory")
        assert daemon.get(url("A:B:C")).body == b"third"
        with Reader(daemon.root, "A:B:C") as reader:
            wait_until(lambda: reader("status")["error"] == errno.ENOENT)
            assert daemon.count_log("cannot open the local directory") == 1
            daemon.files.mkdir()
            daemon.put("A:B:C.txt", "fourth")
            daemon.send(signal.SIGHUP)  # sooner than the next look
            reader.wait_text("fourth")
            # The new one is followed by events again, not only by the look each second.
            for i in range(20):
                start = time.monotonic()
                daemon.put("A:B:C.txt", f"quick {i}")
                reader.wait_text(f"quick {i}")
                if time.monotonic() - start < 0.5:
                    break
            else:
                raise AssertionError("changes arrive by the look each second alone")


def test_link_that_is_turned_elsewhere(tmp_path, backend):
    """A directory, and a file in it, are switched by renaming a link, as volumes do it."""
    for version in ("1", "2"):
        (tmp_path / f"files-{version}").mkdir()
        (tmp_path / f"files-{version}" / "A:B:InDirectory.txt").write_text(version)
        (tmp_path / f"files-{version}" / "A:B:Linked.txt").symlink_to("../data/text")
        (tmp_path / f"data-{version}").mkdir()
        (tmp_path / f"data-{version}" / "text").write_text(f"data {version}")

    def turn(link, target):
        (tmp_path / "link").symlink_to(target)
        (tmp_path / "link").rename(tmp_path / link)

    turn("files", "files-1")
    turn("data", "data-1")
    with Daemon(tmp_path, backend) as daemon:
        daemon.wait_body("A:B:InDirectory", "1")
        daemon.wait_body("A:B:Linked", "data 1")
        turn("data", "data-2")
        turn("files", "files-2")
        daemon.wait_body("A:B:Linked", "data 2")
        daemon.wait_body("A:B:InDirectory", "2")
        (tmp_path / "files-2" / "A:B:InDirectory.txt").write_text("3")
        daemon.wait_body("A:B:InDirectory", "3")


def test_directory_that_is_gone_at_sighup_is_reported(tmp_path, backend):
    with Daemon(tmp_path, backend) as daemon:
        daemon.put("A:B:C.txt", "first")
        daemon.wait_body("A:B:C", "first")
        shutil.rmtree(daemon.files)
        daemon.send(signal.SIGHUP)
        daemon.wait_log("SIGHUP")
        daemon.wait_log("cannot open the local directory", timeout=4)


def test_thousand_files(tmp_path, backend):
    with Daemon(tmp_path, backend, start=False) as daemon:
        for i in range(1000):
            (daemon.files / f"Many:Files:p{i}.json").write_text(f'{{"number": {i}}}')
        daemon.start()
        descriptors = len(daemon.descriptors())
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port)

        def get(i):
            connection.request("GET", url(f"Many:Files:p{i}"))
            response = Response(connection, "GET", url(f"Many:Files:p{i}"))
            return response.status, response.body

        for i in range(1000):
            assert get(i) == (200, f'{{"number": {i}}}'.encode())
        for i in range(1000):
            (daemon.files / f"Many:Files:p{i}.json").write_text(f'{{"number": -{i + 1}}}')
        for i in range(1000):
            want = (200, f'{{"number": -{i + 1}}}'.encode())
            wait_until(lambda i=i, want=want: get(i) == want)
        connection.close()
        assert descriptors < 32
        wait_until(lambda: len(daemon.descriptors()) <= descriptors)
        assert daemon.status_field("VmRSS") < 64 * 1024  # KiB
        assert daemon.count_log("ERROR|WARN") == 0
        with Reader(daemon.root, "Many:Files:p999") as reader:
            assert reader("enter")["text"] == '{"number": -1000}'


def test_limit_of_configurations(tmp_path, backend):
    with Daemon(tmp_path, backend, env={"SHMCONF_MAX_CONFIGURATIONS": "3"}, start=False) as daemon:
        for i in range(5):
            daemon.put(f"A:B:p{i}.txt", "text")
        daemon.start()
        for i in range(3):
            daemon.wait_body(f"A:B:p{i}", "text")
        with Reader(daemon.root, "A:B:p0") as reader:
            reader.wait_checks(2)
        for i in (3, 4):
            assert daemon.get(url(f"A:B:p{i}")).status == 404
            assert daemon.count_log(f"A:B:p{i}.txt: ignored: .*SHMCONF_MAX_CONFIGURATIONS=3") == 1
        daemon.put("A:B:p1.txt", "changed")
        daemon.wait_body("A:B:p1", "changed")


@pytest.mark.parametrize("denied", ["inotify_init1", "inotify_add_watch"])
def test_without_inotify_the_look_each_second_finds_changes(tmp_path, backend, denied):
    wrapper = [BIN / "seccomp_deny", errno.ENOSPC, denied, "--"]
    with Daemon(tmp_path, backend, wrapper=wrapper, start=False) as daemon:
        daemon.put("A:B:Changed.json", "[1]")
        daemon.put("A:B:Gone.json", "[1]")
        daemon.start()
        daemon.assert_backend()
        (daemon.files / "A:B:New.json").write_text("[2]")
        (daemon.files / "A:B:Changed.json").write_text("[2]")
        (daemon.files / "A:B:Gone.json").unlink()
        daemon.wait_body("A:B:Changed", "[2]")
        daemon.wait_body("A:B:New", "[2]")
        daemon.wait_log("A:B:Gone.json: is gone")
        assert daemon.count_log("WARN .*inotify.*No space left on device") == 1


def memory_of(daemon):
    """Its address space, in bytes."""
    text = Path(f"/proc/{daemon.pid}/status").read_text()
    return int(re.search(r"VmSize:\s*(\d+)", text).group(1)) << 10


def test_memory_that_runs_out_for_a_moment_costs_a_moment(tmp_path, backend):
    """Whatever it runs out for: the file is read again when there is some."""
    with Daemon(tmp_path, backend) as daemon:
        daemon.put("A:B:C.json", "0")
        daemon.wait_body("A:B:C", "0")
        for megabytes in range(1, 16, 2):
            before = daemon.count_log(" ERROR ")
            text = f'"{megabytes}{"x" * (3 << 20)}"'
            limit = memory_of(daemon) + (megabytes << 20)
            resource.prlimit(daemon.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
            daemon.put("A:B:C.json", text)
            wait_until(lambda: daemon.count_log(" ERROR ") > before or
                       daemon.get(url("A:B:C")).text == text)
            resource.prlimit(daemon.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
            daemon.wait_body("A:B:C", text)
        assert daemon.count_log("Cannot allocate memory") >= 1, daemon.log()
