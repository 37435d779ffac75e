# SPDX-License-Identifier: Apache-2.0
"""Where the daemon of the soak test has its configurations from."""
import asyncio
import collections
import random
import re
import signal
import time

from content import Wrong
from daemon import Daemon
from fake import Fake
from fake_answers import NAMED
from fake_daemon import Aws
from fake_model import Fault

HEAD = {"Content-Type": "application/json"}

# What goes wrong with a call; those of ONLY with calls of one kind.
FAULTS = [
    *({"error": name} for name in NAMED),
    {"status": 302, "headers": {"Location": "/elsewhere"}}, {"status": 418, "body": "tea"},
    {"status": 200, "body": "{}", "headers": HEAD}, {"headers_too": {"X-Long": "x" * 20000}},
    {"delay": 0.05}, {"delay": 0.5}, {"stall": "request"}, {"stall": "headers"}, {"stall": "body"},
    {"reset_at": "request"}, {"reset_at": "request", "lost": True}, {"reset_at": "head"},
    {"reset_at": "headers"}, {"reset_at": "body"}, {"cut": 0}, {"cut": 50}, {"drip": (2000, 0.02)},
    {"chunked": 100}, {"cut": 50, "chunked": 7}, {"connection": "close"}, {"raw": b""},
    {"raw": b"garbage\r\n\r\n"}, {"raw": b"HTTP/1.1 20"}, {"raw": b"\0" * 5000},
    {"raw": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 400_000},
    {"raw": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}]
ONLY = {
    "start": [{"body_is": body} for body in (b"", b"{", b"[]", b'{"InitialConfigurationToken":5}')],
    # Larger than what is taken at all.
    "get": [{"body_is": bytes(17 << 20)}]}


class FailingFake(Fake):
    """While `failing`, every second call meets one of FAULTS."""

    failing = False

    def __init__(self):
        super().__init__(poll_interval_s=1, idle_s=3)
        self.hits = collections.Counter()

    def take_fault(self, stage="call", operation=None, name=None):
        if not self.failing or random.random() < 0.5:
            return None
        what = {"reset_at": "accept"}
        if stage == "call":
            what = random.choice(FAULTS + ONLY[operation])
        self.hits[repr(what)[:40]] += 1
        return Fault(**what)

    def forget(self):
        """What a long run need not keep."""
        with self.lock:
            self.requests.clear()
            self.log.clear()
            self.polls.clear()
            while len(self.tokens) > 20000:
                del self.tokens[next(iter(self.tokens))]  # the oldest


class Local:
    """Files of a directory; nothing goes wrong with them, so nothing may be logged as if."""

    explained = None
    upstream_sockets = 0

    def __init__(self, path, backend, environment):
        self.daemon = Daemon(path, backend, env=environment, start=False)
        self.failed = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    async def put(self, name, body, calm=False):
        """Mostly a file that replaces the old one, at times one that is written in place."""
        file = f"{name}.json"
        if calm or random.random() < 0.8 or not (self.daemon.files / file).exists():
            self.daemon.put(file, body)
            return
        with open(self.daemon.files / file, "wb", buffering=0) as out:
            out.write(body[:len(body) // 2])
            await asyncio.sleep(0.01)
            out.write(body[len(body) // 2:])

    async def trouble(self):
        """What happens besides, for as long as it is not cancelled."""
        while True:
            await asyncio.sleep(random.uniform(2, 6))
            self.daemon.send(signal.SIGHUP)

    async def calm(self):
        """Until then, everything of that has passed."""


class AppConfig:
    """The fake of the service, which fails."""

    # What is said of a check that failed, of a name that is listed or asked for, and of many.
    explained = re.compile(
        r"ERROR (\d+|\.\.\. and \d+ more) configurations (that nobody listed )?failed|"
        r"ERROR Soak:Load:\w+: (AppConfig answered [1-5]\d\d|AppConfig cannot be reached: |"
        r"the service's answer [1-5]\d\d is not understood: )")
    upstream_sockets = 3

    def __init__(self, path, backend, environment, names):
        self.fake = FailingFake()
        self.daemon = Aws(self.fake, path, backend).quick(
            **environment, SHMCONF_PREFETCH_LIST=",".join(names), SHMCONF_REQUEST_TIMEOUT="300ms",
            SHMCONF_LOG_PATH=None)
        self.daemon.is_to_start = False

    def __enter__(self):
        self.fake.__enter__()
        return self

    def __exit__(self, *what):
        self.fake.__exit__(*what)

    @property
    def failed(self):
        return self.fake.hits.total()

    async def put(self, name, body, calm=False):
        self.fake.put(name, body)

    async def trouble(self):
        self.fake.failing = True
        forgotten = time.monotonic()
        try:
            while True:
                await asyncio.sleep(random.uniform(0.2, 1))
                await random.choice([self.outage, self.drop, self.expire, *[self.hurry] * 5])()
                if time.monotonic() > forgotten + 30:
                    self.fake.forget()
                    forgotten = time.monotonic()
        finally:
            self.fake.failing = False

    async def outage(self):
        self.fake.down()
        try:
            await asyncio.sleep(0.3)
        finally:
            self.fake.up()

    async def drop(self):
        self.fake.drop_connections()

    async def expire(self):
        self.fake.expire_tokens()

    async def hurry(self):
        self.daemon.send(signal.SIGHUP)

    async def calm(self):
        """Checks that wait after failures come now, and not within a minute."""
        self.daemon.send(signal.SIGHUP)
        if self.fake.breaches:
            raise Wrong(f"rules of the service that were broken: {self.fake.breaches}")
