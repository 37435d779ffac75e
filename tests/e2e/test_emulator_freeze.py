# SPDX-License-Identifier: Apache-2.0
"""A function that is frozen between its invocations, in virtual time.

A call every 5 s, a service that closes connections which were idle for 4 s, and a sandbox that is
stopped the moment the runtime and the extension wait for events. The extension's clocks are the
test's, so that no time-out passes while something runs, however slow the machine is.
"""
import collections
import contextlib
import sys
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import wait_until  # noqa: E402
from emulated import Function, started_at  # noqa: E402
from fake import Fake  # noqa: E402
from virtual_clock import VirtualClock  # noqa: E402

NAME = "Shop:Prod:Users"
GAP_S = 5
INTERVAL_S = 3  # a check is due in every invocation
UPDATES = 100


class Frozen:
    """A function and its service; `calls` invocations have been made."""

    def __init__(self, function, fake, gap_s):
        self.function = function
        self.fake = fake
        self.gap_s = gap_s
        self.handler = None
        self.calls = 0

    def wait_frozen(self):
        wait_until(lambda: self.function.state()["frozen"], every=0, what="all is frozen")

    def invoke(self):
        """What the handler is configured with in one more invocation, after the usual pause."""
        if self.calls:
            self.wait_frozen()
        self.fake.clock.advance(self.gap_s)
        self.fake.drop_connections()
        answer = self.function.invoke()
        handler = answer["process"], started_at(answer["process"])
        self.handler = self.handler or handler
        assert handler == self.handler, "the handler was started anew"
        self.calls += 1
        return answer["configuration"]["number"]

    def invocations_until(self, number, most):
        """How many it takes until the handler is configured with `number`, which is deployed while
        all is frozen; it never is with others."""
        self.wait_frozen()
        self.fake.put(NAME, f'{{"number": {number}}}')
        for count in range(1, most + 1):
            found = self.invoke()
            assert found in (number - 1, number)
            if found == number:
                return count
        return None


@contextlib.contextmanager
def frozen(path, language, mode, gap_s=GAP_S, interval_s=INTERVAL_S):
    clock = VirtualClock(path / "clock")
    variables = [f"--extension-variable={name}={value}"
                 for name, value in clock.environment().items()]
    with Fake(clock=clock, poll_interval_s=interval_s) as fake:
        fake.put(NAME, '{"number": 0}')
        # Not the layer's: it is static, so that nobody gives it other clocks.
        with Function(path, fake, language, NAME, plain=True, options=["--freeze", *variables],
                      SHMCONF_INVOKE_POLL=mode, SHMCONF_POLL_INTERVAL=interval_s) as function:
            run = Frozen(function, fake, gap_s)
            assert run.invoke() == 0
            # Longer than an invocation takes that does not wait for it.
            fake.fault(operation="get", times=None, delay=0.02)
            yield run
            fake.clear_faults()


@pytest.mark.parametrize("language, latest", [("python", 1), ("c", 2)])
def test_an_update_is_seen_by_python_at_once_and_by_c_in_the_second_invocation(
        tmp_path, language, latest):
    with frozen(tmp_path, language, "wait") as run:
        seen = collections.Counter(run.invocations_until(number, latest)
                                   for number in range(1, UPDATES + 1))
        print(f"{language}, wait: {dict(seen)}, {run.fake.calls(NAME)}")
        assert None not in seen and sum(seen.values()) == UPDATES
        run.wait_frozen()  # with its last poll
        calls = run.fake.calls(NAME)
        assert (calls.starts, calls.received) == (1, 1 + UPDATES)
        assert calls.gets == run.calls  # the first one in init, then one in each invocation


@pytest.mark.parametrize("mode", ["wait", "background"])
def test_a_check_that_was_due_a_moment_before_the_invocation_is_waited_for(tmp_path, mode):
    with frozen(tmp_path, "python", mode, gap_s=5.1, interval_s=5) as run:
        seen = collections.Counter(run.invocations_until(number, 1) for number in range(1, 21))
        print(f"python, {mode}, late by 0.1 s: {dict(seen)}, {run.fake.calls(NAME)}")
        assert seen == {1: 20}


def test_in_the_background_http_still_waits_for_the_poll(tmp_path):
    """The request for a late check keeps the sandbox awake until the check has ended."""
    with frozen(tmp_path, "python", "background") as run:
        seen = collections.Counter(run.invocations_until(number, 1) for number in range(1, 21))
        print(f"python, background: {dict(seen)}, {run.fake.calls(NAME)}")
        assert seen == {1: 20}


def test_in_the_background_a_c_handler_may_never_see_an_update(tmp_path):
    """What is lost: each poll is frozen before its answer, and its connection is closed meanwhile.
    Nothing fails, the last version stays, and every invocation costs calls for nothing."""
    with frozen(tmp_path, "c", "background") as run:
        run.fake.clear_faults()
        run.fake.fault(times=None, stall="request")
        assert run.invocations_until(1, 50) is None
        print(f"c, background: {run.fake.calls(NAME)}")
