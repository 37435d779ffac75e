# SPDX-License-Identifier: Apache-2.0
"""Each system call of the daemon's start, and of a publication, fails once.

A first run counts the calls (`fail_call` traces the daemon), then there is a run for each of them,
with one of the ways in which it can fail: tests/faults/calls.c lists them, faults.region tries all
of them on the region's writer and reader.
"""
import collections
import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import BIN, TIMEOUT_S, Daemon, Reader, url, wait_until  # noqa: E402
from fake_daemon import aws  # noqa: E402,F401
from faults import Faults  # noqa: E402

NAME = "Shop:Prod:Limits"
FILE = f"{NAME}.txt"
FIRST = int(os.environ.get("SHMCONF_TEST_FIRST_CALL", "1"))  # to repeat one that was found
# What a way of failing is counted from, so that both backends together see more of them.
WAY = int(os.environ.get("SHMCONF_TEST_WAY", "0"))
OFFSET = {None: WAY, "epoll": WAY, "io_uring": WAY + 1}


class FaultyDaemon(Daemon):
    """A daemon whose log may lack any line: it is ready when it answers, on a port known before."""

    def start(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.environment["SHMCONF_HTTP_PORT"] = str(self.port)
        self.begin = len(self.log())
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL)
        return self

    def get(self, *arguments, **more):
        """Also where it has but one of localhost's addresses."""
        try:
            return super().get(*arguments, **more)
        except ConnectionRefusedError:
            self.host = "::1" if self.host == "127.0.0.1" else "127.0.0.1"
            return super().get(*arguments, **more)

    def answers(self):
        try:
            return self.get("/ping").status == 200
        except OSError:
            return False

    def kept(self):
        """How many descriptors it has without clients, who may not be gone yet."""
        return sum(1 for what in self.descriptors() if not what.startswith("socket:"))

    def lines(self, level):
        """The log's lines of a level, of this start."""
        return [line for line in self.log()[self.begin:].splitlines() if f" {level} " in line]


def put_old(daemon, text):
    """A file that was there for long: the start reads it at once."""
    daemon.put(FILE, text)
    past = time.time() - 3600
    os.utime(daemon.files / FILE, (past, past))


def has_no_litter(root):
    names = sorted(path.name for path in (root / "Shop/Prod/Limits").iterdir())
    versions = [name for name in names if re.fullmatch("v[0-9a-f]{8}", name)]
    return names == ["head", *versions] and 1 <= len(versions) <= 2


def wait_no_litter(daemon, failed):
    """Readers see a version before its predecessor's predecessor is removed."""
    if not failed or not failed.startswith("unlinkat"):  # which the next start makes up for
        wait_until(lambda: has_no_litter(daemon.root), what=f"no litter after {failed}")


def assert_named(line):
    """One clear line: what, on which name or path, and the system's words or what to do."""
    assert re.search(r" (ERROR|FATAL) \S+: \S", line), line


def wait_for_start(daemon, faults, reader, before, text):
    """Until the daemon has ended, has published, or has said why not and serves all the same."""
    def look():
        now = reader("enter").get("text")
        assert now in (before, text), now
        if daemon.process.poll() is not None:
            return "ended"
        if not daemon.answers():
            return None
        if now == text:
            return "published"
        return "failed" if daemon.lines("ERROR") else None
    try:
        return wait_until(look, what=f"a start with {text!r}")
    except AssertionError as error:
        raise AssertionError(f"{faults.failed()}: {error}") from error


def stop(daemon):
    daemon.stop()
    daemon.process = None


def start_once(daemon, faults, reader, number, call, way):
    """One start, one fault. What failed and what became of it."""
    before, text, after = f"after {number - 1}", f"start {number}", f"after {number}"
    put_old(daemon, text)
    faults.set(call, way, "log")
    daemon.start()
    outcome = wait_for_start(daemon, faults, reader, before, text)
    failed, calls = faults.failed(), faults.lines("call")
    assert not faults.lines("unknown"), faults.lines("unknown")
    context = f"call {call}: {failed}: {outcome}\n{daemon.log()[daemon.begin:]}"
    if outcome == "ended":
        status = daemon.process.returncode
        assert 1 <= status <= 5, f"exit status {status}: {context}"
        fatal = daemon.lines("FATAL")
        assert len(fatal) == 1 and not daemon.lines("ERROR"), context
        assert_named(fatal[0])
        assert reader("enter")["text"] in (before, text), context
        faults.end()
        daemon.start()
        assert wait_for_start(daemon, faults, reader, before, text) == "published", context
    elif outcome == "failed":
        assert len(daemon.lines("ERROR")) == 1, context
        assert_named(daemon.lines("ERROR")[0])
    daemon.put(FILE, after)
    reader.wait_text(after)
    daemon.wait_body(NAME, after)
    wait_until(daemon.answers)
    assert len(daemon.lines("ERROR")) <= 1 and not daemon.lines("FATAL"), context
    failed = failed or faults.failed()  # it may not have been its turn before the start was over
    wait_no_litter(daemon, failed)
    descriptors = daemon.kept()
    stop(daemon)
    return failed, outcome, descriptors, calls


def first_version(tmp_path, backend):
    """A region with what a predecessor published."""
    with Daemon(tmp_path, backend) as daemon:
        daemon.put(FILE, "after 0")
        daemon.wait_body(NAME, "after 0")


def needs_tracing():
    probe = subprocess.run([BIN / "fail_call", "/dev/null", "/dev/null", "true"],
                           capture_output=True, text=True, check=False)
    if probe.returncode == 77:
        pytest.skip(probe.stderr.strip())
    assert probe.returncode == 0, probe


def summary(what, calls, outcomes):
    print(f"{what}: {len(calls)} calls ({len(set(calls))} kinds), {sum(outcomes.values())} faults: "
          + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()))


def test_start(tmp_path, backend, capsys):
    needs_tracing()
    first_version(tmp_path, backend)
    faults = Faults(tmp_path)
    outcomes = collections.Counter()
    with FaultyDaemon(tmp_path, backend, wrapper=faults.wrapper, start=False) as daemon, \
            Reader(daemon.root, NAME) as reader:
        reader.wait_text("after 0")
        _, outcome, most, calls = start_once(daemon, faults, reader, 1, 0, 0)
        assert outcome == "published"
        kinds = {"openat", "stat", "flock", "pread", "mmap", "fallocate", "write", "linkat",
                 "futex", "socket", "bind", "listen", "inotify_init", "signalfd", "getdents"}
        assert kinds <= set(calls) and len(calls) >= 100, calls
        for call in range(FIRST, len(calls) + 1):
            failed, outcome, descriptors, _ = \
                start_once(daemon, faults, reader, call + 2 - FIRST, call, call + OFFSET[backend])
            outcomes[outcome if failed else "not reached"] += 1
            assert descriptors <= most, f"{failed}: {descriptors} descriptors, not {most}"
    assert outcomes["not reached"] <= len(calls) / 5, outcomes
    assert outcomes["ended"] >= 5 and outcomes["published"] >= 50, outcomes
    with capsys.disabled():
        summary(f"start, {backend}", calls, outcomes)


def publish_once(daemon, faults, reader, number, call, way):
    """One publication in which a call fails, and one after it, by a daemon that goes on."""
    before, text, after = f"after {number - 1}", f"text {number}", f"after {number}"
    faults.set(call, way)
    wait_until(lambda: faults.lines("begins"))  # it looks at the control file at its next call
    begin = len(daemon.log())
    daemon.put(FILE, text)

    def look():
        now = reader("enter").get("text")
        assert now in (before, text), now
        assert daemon.process.poll() is None, daemon.log()
        return faults.failed() if call else now == text
    wait_until(look, what=f"call {call} of a publication fails")
    failed, calls = faults.failed(), faults.lines("call")
    assert not faults.lines("unknown"), faults.lines("unknown")
    daemon.put(FILE, after)

    def has_news():
        now = reader("enter").get("text")
        assert now in (before, text, after), now
        return now == after
    wait_until(has_news, what=f"the publication after call {call} failed ({failed})")
    daemon.wait_body(NAME, after)
    errors = [line for line in daemon.log()[begin:].splitlines() if " ERROR " in line]
    # Without its directory a file is gone as well.
    assert len(errors) <= 1 or (len(errors) == 2 and "local directory" in errors[0]), \
        (failed, errors)
    for line in errors:
        assert_named(line)
    return failed, bool(errors), calls


def test_publication(tmp_path, backend, capsys):
    needs_tracing()
    first_version(tmp_path, backend)
    faults = Faults(tmp_path)
    outcomes = collections.Counter()
    with FaultyDaemon(tmp_path, backend, wrapper=faults.wrapper) as daemon, \
            Reader(daemon.root, NAME) as reader:
        wait_until(daemon.answers)
        daemon.assert_backend()
        for text in ("two predecessors", "after 0"):  # so that a publication removes a file
            daemon.put(FILE, text)
            reader.wait_text(text)
        _, _, calls = publish_once(daemon, faults, reader, 1, 0, 0)
        kinds = {"openat", "stat", "read", "fallocate", "write", "linkat", "futex", "unlinkat"}
        assert kinds <= set(calls) and len(calls) >= 30, calls
        most = daemon.kept()
        for call in range(1, len(calls) + 1):
            failed, has_error, _ = \
                publish_once(daemon, faults, reader, call + 1, call, call + OFFSET[backend])
            outcomes["failed" if has_error else "published"] += 1
            wait_until(lambda: daemon.kept() <= most,
                       what=f"{failed}: no descriptor left open")
        daemon.put(FILE, "the last")
        reader.wait_text("the last")
        faults.end()
        stop(daemon)
        daemon.start()
        wait_until(daemon.answers)
        wait_no_litter(daemon, None)
        assert reader("enter")["text"] == "the last"
    assert outcomes["failed"] >= 5 and outcomes["published"] >= 5, outcomes
    with capsys.disabled():
        summary(f"publication, {backend}", calls, outcomes)


def followed(aws, before, log):  # noqa: F811
    """Whether each name has a new session, or one line tells of trouble."""
    if all(aws.fake.calls(name).starts > starts for name, starts in before.items()):
        return "followed"
    return "told" if re.search(" (WARN|ERROR) ", log) else None


def test_what_was_followed_is_not_forgotten(aws, tmp_path, backend, capsys):  # noqa: F811
    """Of AppConfig, where the region alone says what that is. One without descriptors, in looking
    at it, or whatever else the start does."""
    needs_tracing()
    names = [NAME, "Shop:Prod:Other", "Elsewhere:Prod:Limits"]
    aws.fake.poll_interval_s = 1
    daemon = aws.daemon(start=False, SHMCONF_POLL_INTERVAL="1")
    with daemon:
        daemon.start()
        for name in names:
            aws.fake.put(name, "text")
            daemon.wait_body(name, "text")
    faults = Faults(tmp_path)
    daemon.command = [*map(str, faults.wrapper), *daemon.command]
    outcomes = collections.Counter()
    try:
        for call in range(1, 100):
            before = {name: aws.fake.calls(name).starts for name in names}
            begin = len(daemon.log())
            faults.set(call, when="log", only="openat")
            with contextlib.suppress(AssertionError):
                daemon.start()
            outcome = "ended"
            if daemon.process.poll() is None:
                outcome = wait_until(
                    lambda before=before, begin=begin: followed(aws, before, daemon.log()[begin:]),
                    what=f"{faults.failed()}: all are followed on")
                stop(daemon)
            else:
                assert " FATAL " in daemon.log()[begin:], faults.failed()
            outcomes[outcome] += 1
            daemon.process = None
            if not faults.failed():
                break
    finally:
        if daemon.process:
            daemon.kill()
    assert 20 < sum(outcomes.values()) < 99 and outcomes["followed"] > 15, outcomes
    with capsys.disabled():
        print(f"following on, {backend}: {dict(outcomes)}")
