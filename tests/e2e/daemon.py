# SPDX-License-Identifier: Apache-2.0
"""shmconfd, and programs that read its region, for the end-to-end tests.

    def test_something(tmp_path, backend):
        with Daemon(tmp_path, backend) as daemon:
            daemon.put("Shop:Prod:Limits.json", '{"limit": 10}')
            wait_until(lambda: daemon.get("/ping").status == 200)
            daemon.wait_log("retrieved initial data for 'Shop:Prod:Limits'")
            assert daemon.get(url("Shop:Prod:Limits")).body == b'{"limit": 10}'
            daemon.assert_backend()

`backend` is a fixture of conftest.py: None, "epoll" or "io_uring", by SHMCONF_TEST_BACKEND.
"""
import atexit
import ctypes
import errno
import functools
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse
from pathlib import Path

from openapi import api

BIN = Path(os.environ.get("SHMCONF_TEST_BIN", "build/release/bin"))
# For what should take no time: only a failure waits so long, as planted mistakes make it do.
TIMEOUT_S = float(os.environ.get("SHMCONF_TEST_TIMEOUT", "20"))

# In a head: what tells one boot from another, 16 bytes.
HEAD_BOOT_ID = 0x28

_serial = itertools.count()


def clean_environment(**more):
    """Our environment without what steers the daemon or its readers; None removes a variable."""
    table = {name: value for name, value in os.environ.items()
             if not name.startswith(("SHMCONF_", "AWS_"))}
    for name in ("HTTP_PORT", "HTTP_HOST", "LOG_LEVEL", "LOG_PATH", "LOCAL_DEVELOPMENT_DIRECTORY",
                 "ACCESS_TOKEN", "PROXY_URL", "PROXY_HEADERS", "ROLE_ARN", "MANIFEST", "SSL_CERT_FILE"):
        table.pop(name, None)
    for name, value in more.items():
        table.pop(name, None)
        if value is not None:
            table[name] = str(value)
    return table


def wait_until(condition, timeout=TIMEOUT_S, what=None, every=0.01):
    """Polls until `condition()` is true, and returns what it returned."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= end:
            raise AssertionError(f"not within {timeout} s: {what or condition}")
        time.sleep(every)


def io_uring_is_allowed():
    """Whether the system call gets as far as looking at its arguments (425 on every machine)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall(ctypes.c_long(425), ctypes.c_uint(1), ctypes.c_void_p(0))
    return ctypes.get_errno() not in (errno.ENOSYS, errno.EPERM, errno.EACCES)


@functools.lru_cache(maxsize=None)
def public_bin():
    """The programs where every user may start them; BIN may lie below somebody's home."""
    path = Path(tempfile.mkdtemp(prefix="shmconf-test-bin-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    for name in ("shmconfd", "shmcat", "region_reader"):
        if (BIN / name).exists():
            shutil.copy(BIN / name, path / name)
    path.chmod(0o755)
    return path


def program(name, public):
    return str((public_bin() if public else BIN) / name)


def other_user(uid, gid=None, groups=()):
    """What makes subprocess run something as another user; nothing where `uid` is None."""
    if uid is None:
        return {}
    return {"user": uid, "group": uid if gid is None else gid, "extra_groups": list(groups)}


def url(name):
    """The path of Application:Environment:Profile in the HTTP API."""
    parts = [urllib.parse.quote(part, safe="") for part in name.split(":")]
    return "/applications/{}/environments/{}/configurations/{}".format(*parts)


def place(root, name):
    """The directory of a configuration whose name needs no encoding."""
    return Path(root).joinpath(*name.split(":"))


def run(*arguments, env=None, wrapper=(), uid=None, public=False, timeout=TIMEOUT_S):
    """shmconfd with these arguments until it ends by itself: the CompletedProcess, in text."""
    command = [*map(str, wrapper), program("shmconfd", public or uid is not None),
               *map(str, arguments)]
    return subprocess.run(command, env=clean_environment(**(env or {})), text=True,
                          capture_output=True, timeout=timeout, check=False, **other_user(uid))


class Response:
    """What `connection`, of http.client, got for a request; held against docs/openapi.yaml.
    `now`: seconds by the daemon's clock, if that is not ours."""

    def __init__(self, connection, method, path, now=None):
        response = connection.getresponse()
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()
        api().check(method, path, self.status, self.headers.items(), self.body, now)

    @property
    def text(self):
        return self.body.decode()

    def __repr__(self):
        return f"<{self.status} {self.body[:200]!r}>"


class Daemon:
    """A running shmconfd.

    `files` is the directory it follows, `root` its region; both are made below `tmp_path` and are
    the same for every daemon that is started there. `env` goes over the defaults. `wrapper` is put
    before the command; it must exec. `uid` runs it as another user (the tests run as root then),
    `public` from where other users may start it. `start=False` leaves starting to start(). Leaving
    the `with` ends it and asserts exit status 0.
    """

    def __init__(self, tmp_path, backend=None, env=None, args=(), wrapper=(), uid=None, gid=None,
                 groups=(), root=None, files=None, public=False, start=True):
        self.backend = backend
        self.files = Path(files or tmp_path / "files")
        self.root = Path(root or tmp_path / "region")
        self.log_path = tmp_path / f"shmconfd-{os.getpid()}-{next(_serial)}.log"
        self.files.mkdir(exist_ok=True)
        settings = {"SHMCONF_HTTP_PORT": "0", "SHMCONF_DIR": self.root,
                    "SHMCONF_LOCAL_DEVELOPMENT_DIRECTORY": self.files}
        if backend:
            settings["SHMCONF_LOOP"] = backend
        settings.update(env or {})
        self.environment = clean_environment(**settings)
        self.command = [*map(str, wrapper), program("shmconfd", public or uid is not None),
                        *map(str, args)]
        self.user = other_user(uid, gid, groups)
        self.host = "127.0.0.1"
        self.port = None
        self.process = None
        self.is_to_start = start
        self.now = time.time  # the clock that the daemon goes by

    def __enter__(self):
        if self.is_to_start:
            self.start()
        return self

    def __exit__(self, kind, value, trace):
        if not self.process:
            return
        if kind is None and self.process.returncode is None:
            self.stop()
            return
        self.kill()
        if kind is not None:
            lines = self.log().splitlines()
            shown = lines if len(lines) <= 60 else [*lines[:10], "...", *lines[-50:]]
            print(f"--- {' '.join(self.command)}: {self.process.returncode}", *shown, sep="\n")

    def start(self):
        """Starts it and waits until it serves; the log of an earlier start is kept."""
        before = len(self.log())
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, **self.user)
        self.port = int(self.wait_log(r"serving on localhost:(\d+)", since=before).group(1))
        return self

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        """Everything that was logged so far, also by earlier starts."""
        texts = []
        for path in (self.log_path, self.environment.get("SHMCONF_LOG_PATH")):
            if path and os.path.isfile(path):
                texts.append(Path(path).read_text(errors="backslashreplace"))
        return "".join(texts)

    def wait_log(self, pattern, timeout=TIMEOUT_S, since=0):
        """The first match of a regular expression in the log from character `since` on."""
        def look():
            ended = self.process.poll() is not None
            match = re.search(pattern, self.log()[since:])
            assert match or not ended, \
                f"shmconfd ended ({self.process.returncode}) without {pattern!r}:\n{self.log()}"
            return match
        return wait_until(look, timeout, f"{pattern!r} in the log")

    def count_log(self, pattern):
        """How many lines of the log match."""
        return sum(1 for line in self.log().splitlines() if re.search(pattern, line))

    def put(self, name, content):
        """Puts a file into the followed directory, whole at once. Text or bytes."""
        temporary = self.files / f".{name[:200]}.{next(_serial)}"
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.rename(self.files / name)

    def get(self, path, method="GET", headers=None, timeout=TIMEOUT_S):
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path, headers=headers or {})
            return Response(connection, method, path, self.now())
        finally:
            connection.close()

    def wait_body(self, name, body, timeout=TIMEOUT_S):
        """Waits until HTTP serves exactly this text, and returns that response."""
        body = body.encode() if isinstance(body, str) else body

        def look():
            response = self.get(url(name))
            return response if response.status == 200 and response.body == body else None
        return wait_until(look, timeout, f"{name} is {body[:60]!r}")

    def wait_status(self, name, status, timeout=TIMEOUT_S):
        """Waits until HTTP answers with this status, and returns that response."""
        def look():
            response = self.get(url(name))
            return response if response.status == status else None
        return wait_until(look, timeout, f"{name} answers {status}")

    def send(self, number):
        os.kill(self.pid, number)

    def wait_end(self, timeout=TIMEOUT_S):
        return self.process.wait(timeout)

    def stop(self):
        """Ends it as an administrator does."""
        self.send(signal.SIGTERM)
        status = self.wait_end()
        assert status == 0, f"exit status {status} after SIGTERM:\n{self.log()}"

    def kill(self):
        """Ends it without a chance to clean up."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def status_field(self, name):
        """A number of /proc/PID/status."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+)", text, re.M).group(1))

    def descriptors(self):
        """What each open descriptor is."""
        found = []
        for name in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                found.append(os.readlink(f"/proc/{self.pid}/fd/{name}"))
            except FileNotFoundError:
                pass
        return found

    def running_backend(self):
        """What the kernel says, not the log."""
        kinds = self.descriptors()
        if "anon_inode:[io_uring]" in kinds:
            return "io_uring"
        return "epoll" if "anon_inode:[eventpoll]" in kinds else None

    def assert_backend(self):
        if self.backend:
            assert self.running_backend() == self.backend


class Reader:
    """A region_reader process: each command is one line, its answer a dictionary.

        reader = Reader(daemon.root, "Shop:Prod:Limits")
        reader("wait", 5000)["rc"] == 0; reader("enter")["text"]; reader("status")["failures"]

    It finds a daemon to ask only where `env` names its SHMCONF_HTTP_PORT.
    """

    def __init__(self, root, name, env=None, uid=None, gid=None, groups=(), flags=(), wrapper=()):
        variables = {"SHMCONF_DIR": root, "SHMCONF_HTTP_PORT": "1", **(env or {})}
        command = [*wrapper, program("region_reader", uid is not None), *flags, name]
        self.process = subprocess.Popen(
            command, env=clean_environment(**variables),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            **other_user(uid, gid, groups))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

    def send(self, *words):
        """Sends a command without waiting for its answer."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def receive(self):
        line = self.process.stdout.readline()
        assert line, f"region_reader ended: {self.process.wait()}"
        return json.loads(line)

    def __call__(self, *words):
        self.send(*words)
        return self.receive()

    @property
    def pid(self):
        return self.process.pid

    def wait_text(self, text, timeout=TIMEOUT_S):
        """Enters until the text is this one, and returns the answer."""
        def look():
            answer = self("enter")
            return answer if answer.get("text") == text else None
        return wait_until(look, timeout, f"the reader has {text[:60]!r}")

    def wait_checks(self, count=2):
        """Waits until the daemon has looked at the configuration that often again."""
        for _ in range(count):
            last = self("status")["tried_ns"]
            wait_until(lambda: self("status")["tried_ns"] != last)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
