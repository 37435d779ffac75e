# SPDX-License-Identifier: Apache-2.0
"""shmcat and a region to show, for tests/e2e/test_shmcat*.py: the fixtures `region` and `follow`."""
import errno
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path
from urllib.parse import quote

import pytest

BIN = Path(os.environ["SHMCONF_TEST_BIN"])
SHMCAT = str(BIN / "shmcat")
NAME = "Shop:Prod:Checkout"
HERE = "Shop/Prod/Checkout"
DEADLINE_S = 30
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def change(path, offset, data):
    """Other bytes in a file that is read-only for everybody."""
    path.chmod(0o600)
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


class Publisher:
    """The daemon's stand-in; holds the region's lock until close()."""

    def __init__(self, root):
        self.root = root
        self.process = subprocess.Popen([BIN / "publish", root], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.tell("check")  # answered once the region is there

    def tell(self, *words):
        line = " ".join(quote(w, safe="/:") if w else "-" for w in words)
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().decode().split()
        assert answer and answer[0] == "ok", answer
        return int(answer[1]) if len(answer) > 1 else None

    def publish(self, name, text="text", content_type="text/plain", label=""):
        return self.tell("publish", name, content_type, label, text)

    def status(self, name, failures=0, error=0, checked_ns=None, http=0, interval=0, next_ns=0):
        numbers = (failures, error, checked_ns or time.time_ns(), http, interval, next_ns)
        self.tell("status", name, *map(str, numbers))

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(DEADLINE_S) == 0


def environment(root, **changes):
    env = {k: v for k, v in os.environ.items() if not k.startswith("SHMCONF_") and k != "NO_COLOR"}
    env.update(SHMCONF_DIR=str(root), TERM="xterm")
    env.update(changes)
    return env


class Region:
    def __init__(self, root):
        self.root = root
        self.publisher = Publisher(root)
        self.publish = self.publisher.publish
        self.status = self.publisher.status

    def restart(self):
        self.publisher.close()
        self.__init__(self.root)

    def run(self, *arguments, **changes):
        """The finished process; whatever it reports is one line a message."""
        done = subprocess.run([SHMCAT, *arguments], env=environment(self.root, **changes),
                              capture_output=True, timeout=DEADLINE_S, check=False)
        assert done.returncode in range(5), (arguments, done)
        for line in done.stderr.decode().splitlines():
            assert line.startswith("shmcat: ")
        return done

    def text(self, *arguments, **changes):
        done = self.run(*arguments, **changes)
        assert done.returncode == 0, done
        return done.stdout.decode()

    def json(self, *arguments):
        return json.loads(self.text(*arguments, "--json"))

    def row(self, path):
        rows = json.loads(self.run("ls", "--json").stdout)["configurations"]
        return next(row for row in rows if row["path"] == path)

    def follow(self, *arguments, command="follow", **options):
        return Lines([SHMCAT, command, *arguments], environment(self.root), **options)

    def head(self, path="Shop/Prod/Checkout"):
        return self.root / path / "head"


class Lines:
    """A running shmcat and the lines that it writes."""

    def __init__(self, command, env, **options):
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, **options)
        self.rest = {self.process.stdout: b"", self.process.stderr: b""}

    def read(self, stream):
        end = time.monotonic() + DEADLINE_S
        while b"\n" not in self.rest[stream]:
            ready = select.select([stream], [], [], max(0, end - time.monotonic()))[0]
            assert ready, "no line came"
            more = os.read(stream.fileno(), 65536)
            assert more, "it ended: " + self.process.stderr.read().decode()
            self.rest[stream] += more
        line, self.rest[stream] = self.rest[stream].split(b"\n", 1)
        return line.decode()

    def line(self):
        return self.read(self.process.stdout)

    def complaint(self):
        return self.read(self.process.stderr)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(DEADLINE_S) == 130

    def kill(self):
        self.process.kill()
        self.process.communicate()


class Terminal:
    """A running shmcat whose stdout is a terminal."""

    def __init__(self, command, env, rows=24, columns=200):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=slave,
                                        stderr=subprocess.PIPE)
        os.close(slave)
        self.seen = b""

    def read(self):
        assert select.select([self.master], [], [], DEADLINE_S)[0], self.seen
        try:
            more = os.read(self.master, 65536)
        except OSError as error:
            assert error.errno == errno.EIO  # nobody has the other side open any more
            more = b""
        self.seen += more
        return bool(more)

    def until(self, pattern):
        while not re.search(pattern, self.seen):
            assert self.read(), self.seen

    def end(self):
        while self.read():
            pass
        os.close(self.master)
        return self.process.wait(DEADLINE_S)


@pytest.fixture(name="region")
def running_region(tmp_path):
    region = Region(tmp_path / "region")
    yield region
    region.publisher.close()


@pytest.fixture(name="follow")
def followers(region):
    started = []

    def start(*arguments, **options):
        started.append(region.follow(*arguments, **options))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def on_terminal(region, *arguments, **changes):
    terminal = Terminal([SHMCAT, *arguments], environment(region.root, **changes))
    status = terminal.end()
    return status, terminal.seen.replace(b"\r\n", b"\n")
