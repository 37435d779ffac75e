# SPDX-License-Identifier: Apache-2.0
"""What the fake keeps: configurations, sessions, tokens, faults and numbers."""
import collections
import time

import fake_answers as answers

DAY_S = 24 * 3600
INTERVAL_MEMBER = "RequiredMinimumPollIntervalInSeconds"

Breach = collections.namedtuple("Breach", "kind detail")
Call = collections.namedtuple("Call", "time operation name status connection")


class Fault:
    """What goes wrong with a call, `times` times (None: until it is cleared).

    It hits calls of `operation` ("start", "get" or any) for configuration `name` (or any):
      error      a name of fake_answers.NAMED instead of the answer; the call changes nothing
      status, body, headers    likewise, in the test's own words
      headers_too              headers that are added to the right answer
      body_is    other bytes in the right answer's place
      delay      seconds before the answer
      stall      "request", "headers" or "body": nothing more comes after that, until release()
      reset_at   "accept" (any connection), "request", "head" (amid the headers), "headers", "body"
      lost       with reset_at="request": the service has dealt with the call before that
      cut        the connection is closed after so many bytes of the body
      drip       (bytes, seconds): the body comes in such pieces
      chunked    bytes per chunk
      raw        bytes in place of the whole HTTP answer, and the end of the connection
      connection "close": said in the answer, and done
    """

    FIELDS = ("error", "status", "body", "headers", "headers_too", "body_is", "delay", "stall",
              "reset_at", "lost", "cut", "drip", "chunked", "raw", "connection")

    def __init__(self, name=None, operation=None, times=1, **what):
        unknown = set(what) - set(self.FIELDS)
        if unknown:
            raise ValueError(f"unknown in a fault: {', '.join(sorted(unknown))}")
        if what.get("error") and what["error"] not in answers.NAMED:
            raise ValueError(f"no error {what['error']}; there are {', '.join(answers.NAMED)}")
        self.name = name
        self.operation = operation
        self.left = times
        self.hits = 0
        self.released = False
        for field in self.FIELDS:
            value = what.get(field)
            if field in ("body", "body_is", "raw") and isinstance(value, str):
                value = value.encode()
            setattr(self, field, value)

    def is_for(self, stage, operation, name):
        if self.left is not None and self.left <= 0:
            return False
        if (self.reset_at == "accept") != (stage == "accept"):
            return False
        return stage == "accept" or (self.operation in (None, operation) and
                                     self.name in (None, name))

    def release(self):
        self.released = True

    def __repr__(self):
        fields = {field: getattr(self, field) for field in self.FIELDS}
        return repr({field: value for field, value in fields.items() if value is not None})[:60]

    def is_instead(self):
        """Whether the service does not get to deal with the call."""
        return bool(self.error or self.status or
                    (self.reset_at == "request" and not self.lost))


NO_FAULT = Fault(times=None)


class Calls:
    """What was asked for and what the service bills, of one configuration or of all."""

    def __init__(self):
        self.starts = 0         # StartConfigurationSession that arrived
        self.gets = 0           # GetLatestConfiguration that arrived
        self.billed_starts = 0  # of these, that the service dealt with
        self.billed_gets = 0
        self.received = 0       # of these, that brought content

    def __repr__(self):
        return str(vars(self))


class Stored:
    """A deployed configuration; content None: it exists, but nothing was deployed."""

    def __init__(self, content, content_type, label):
        self.content = content
        self.content_type = content_type
        self.label = label
        self.version = object()


class Session:
    def __init__(self, name, promised_s):
        self.name = name
        self.promised_s = promised_s
        self.seen = None       # the Stored.version of its last answer
        self.polled_at = None  # when its last good answer was made
        self.interval_s = 0    # and what that announced
        self.active = None     # the connection of a poll that is not answered yet


class Token:
    def __init__(self, session, issued_at):
        self.session = session
        self.issued_at = issued_at
        self.spent = False
        self.uses = []          # what became of each, for the report of a breach


class Clock:
    """What intervals and ages are measured by, which tests can move on, and the time of day.

    The two are apart, so that the client's clock agrees with the service's however far a test
    moves on; to disagree is what Fake.skew_s is for.
    """

    def __init__(self):
        self.moved_s = 0.0

    def now(self):
        return time.monotonic() + self.moved_s

    def wall(self):
        return time.time()

    def advance(self, seconds):
        self.moved_s += seconds
