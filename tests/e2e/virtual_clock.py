# SPDX-License-Identifier: Apache-2.0
"""Virtual time for the ordinary shmconfd, on either event loop, through libfaketime.

The clocks stand still until a test moves them on, so a day passes in seconds, no matter how fast
the machine is, and every call of the service has an exact time. A rate ("60 times as fast") would
need neither moves nor wakes, but it would also divide the daemon's time-outs and shift every answer
by what the machine takes for it; and io_uring would not follow: libfaketime answers clock_gettime
for all clocks and scales the time-out of epoll_wait, but the ring's system call passes it by.

What it cannot do is to let CLOCK_BOOTTIME go on without CLOCK_MONOTONIC, as a suspended machine's.
"""
import contextlib
import glob
import http.client
import itertools
import os
import signal

from daemon import Reader, Response, url, wait_until
from fake import Fake
from fake_daemon import NAME, Aws
from fake_model import Clock
from faketime import faketime

START = 1_700_000_000
NS = 1_000_000_000


class VirtualClock(Clock):
    """The service's clock, and the daemon's, which is `ahead_s` of it.

    In whole seconds: of fractions libfaketime may lose a nanosecond.
    """

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.seconds = START
        self.ahead_s = 0
        self.write(f"{START}")

    def write(self, text):
        new = self.path.with_suffix(".new")
        new.write_text(text + "\n")
        new.rename(self.path)

    def now(self):
        return self.seconds

    def wall(self):
        return self.seconds

    def daemon_ns(self):
        return int((self.seconds + self.ahead_s) * NS)

    def advance(self, seconds):
        """Moves both on."""
        self.seconds += seconds
        self.write(f"{self.seconds + self.ahead_s}")

    def pause_daemon(self, seconds):
        """Only the service's moves on."""
        self.seconds += seconds
        self.ahead_s -= seconds

    def environment(self):
        return faketime(FAKETIME_TIMESTAMP_FILE=self.path, FAKETIME_NO_CACHE="1", FAKETIME_FMT="%s")


class WallClock(VirtualClock):
    """The daemon's time of day alone, set off by what is written ("+600"); its other clocks, and
    the service's, go on by themselves."""

    def __init__(self, path):
        super().__init__(path)
        self.write("+0")

    def environment(self):
        return {**super().environment(), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@contextlib.contextmanager
def daemon_on(clock, aws, **environment):
    """A Daemon that takes its time from `clock`."""
    daemon = aws.daemon(**environment, **clock.environment())
    daemon.now = lambda: clock.daemon_ns() / NS
    try:
        with daemon:
            yield daemon
    finally:
        # A process that was killed leaves these behind, and the next one with its id stumbles.
        if daemon.process:
            for path in glob.glob(f"/dev/shm/*faketime_*_{daemon.pid}"):
                os.unlink(path)


class VirtualDay:
    """A daemon with its default settings that follows NAME, and its service, in virtual time."""

    def __init__(self, aws, daemon, reader):
        self.fake = aws.fake
        self.clock = aws.fake.clock
        self.daemon = daemon
        self.reader = reader
        self.client = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=20)
        self.settle()

    def get(self, path):
        """On a connection that stays: status and text."""
        self.client.request("GET", path)
        response = Response(self.client, "GET", path, self.daemon.now())
        return response.status, response.text

    def served(self):
        """What clients are served; it is also what readers have."""
        status, text = self.get(url(NAME))
        answer = self.reader("enter")
        assert (status, answer["rc"], answer["text"]) == (200, 0, text)
        return text

    def status(self):
        return self.reader("status")

    def settle(self):
        """Waits until what is due was done: the daemon tells when the next check will be."""
        def look():
            early = [breach for breach in self.fake.breaches if breach.kind == "early"]
            assert not early, early[:3]
            return self.status()["next_ns"] > self.clock.daemon_ns()
        wait_until(look, what="the check that is due was done", every=0)

    def wake(self):
        """The daemon sleeps in real time; a request makes it look at the clock."""
        assert self.get("/ping")[0] == 200
        self.settle()

    def pass_time(self, seconds, steps=(1,), each=lambda: None):
        """Lets time pass in such steps, again and again; `each` is called after every one."""
        end = self.clock.now() + seconds
        for step in itertools.cycle(steps):
            if self.clock.now() >= end:
                return
            self.clock.advance(min(step, end - self.clock.now()))
            self.wake()
            each()

    def sleep(self, seconds):
        """SIGSTOP for so long."""
        self.daemon.send(signal.SIGSTOP)
        self.clock.advance(seconds)
        self.daemon.send(signal.SIGCONT)

    def times(self, operation, since=START, status=None):
        """When such calls came, in seconds from `since` on."""
        with self.fake.lock:
            return [call.time - since for call in self.fake.log
                    if call.operation == operation and call.time >= since and
                    status in (None, call.status)]


@contextlib.contextmanager
def virtual_day(path, backend, content, ahead_s=0, **fake_options):
    """A VirtualDay whose service has `content` as NAME; it has been fetched at START."""
    clock = VirtualClock(path / "clock")
    clock.ahead_s = ahead_s
    clock.advance(0)
    with Fake(clock=clock, **fake_options) as fake:
        fake.put(NAME, content)
        aws = Aws(fake, path, backend)
        with daemon_on(clock, aws, SHMCONF_PREFETCH_LIST=NAME) as daemon, \
                Reader(daemon.root, NAME) as reader:
            daemon.assert_backend()
            assert reader("wait", 20000)["rc"] == 0
            yield VirtualDay(aws, daemon, reader)
