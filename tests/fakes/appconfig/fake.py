#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A fake of the AWS AppConfig Data service that knows its rules and remembers who breaks them.

In a test:

    with Fake(poll_interval_s=1) as fake:
        fake.put("Shop:Prod:Limits", '{"limit": 10}')
        fake.fault(name="Shop:Prod:Limits", operation="get", error="throttled", times=2)
        ... AWS_ENDPOINT_URL_APPCONFIGDATA=fake.url, AWS_ACCESS_KEY_ID=fake.key_id, ...
        assert fake.calls("Shop:Prod:Limits").gets == 3
    # leaving the `with` asserts fake.breaches == []

As a program, see --help: it prints its port, and every method named in CONTROL can be called with

    curl http://127.0.0.1:PORT/_control -d '{"call": "put", "with": ["Shop:Prod:Limits", "{}"]}'

whose answer has the result and the state; GET /_control has the state alone.
"""
import argparse
import base64
import collections
import contextlib
import email.utils
import json
import os
import re
import signal
import ssl
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import fake_answers as answers  # noqa: E402
import fake_signature  # noqa: E402
from fake_http import Answer, Server  # noqa: E402

KEY_ID = "AKIAFAKEFAKEFAKE2772"
SECRET = "fake/Secret+KeyForTestsOnly/0123456789abcd"
SESSION_TOKEN = "FwoGZXIvYXdzEFake//////////wEaDFake+Session/Token+ForTests=="
REGION = "eu-west-1"

DAY_S = 24 * 3600
SUGGESTED_INTERVAL_S = 60
PATHS = {"/configurationsessions": ("POST", "start"), "/configuration": ("GET", "get")}
MEMBERS = ("ApplicationIdentifier", "EnvironmentIdentifier", "ConfigurationProfileIdentifier")
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
        self.delivered = False  # the answer to its use reached the client


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


class Fake:
    """The service. Its attributes may be changed while it runs.

    poll_interval_s     announced, and then enforced, instead of what was promised or 60
    connections_max     more from one client at a time are a breach
    idle_s              idle connections are closed after so long; None: never
    skew_s              the service's clock against the machine's
    date_skew_s         its Date header against its own clock
    token_length        of the tokens that it gives, in characters
    rate_max            polls per second before it throttles; None: any
    """

    CONTROL = ("put", "remove", "fault", "clear_faults", "advance", "set", "calls", "down", "up",
               "take_breaches", "drop_connections", "expire_tokens")
    SETTABLE = ("poll_interval_s", "connections_max", "idle_s", "skew_s", "date_skew_s",
                "token_length", "rate_max", "region")

    def __init__(self, port=0, tls=None, poll_interval_s=None, connections_max=3, idle_s=None,
                 clock=None, key_id=KEY_ID, secret=SECRET, session_token=SESSION_TOKEN,
                 region=REGION):
        self.poll_interval_s = poll_interval_s
        self.connections_max = connections_max
        self.idle_s = idle_s
        self.skew_s = 0
        self.date_skew_s = 0
        self.token_length = 876
        self.rate_max = None
        self.clock = clock or Clock()
        self.key_id, self.secret, self.session_token = key_id, secret, session_token
        self.keys = {key_id: (secret, session_token)}
        self.region = region

        self.lock = threading.RLock()
        self.stored = {}
        self.faults = []
        self.tokens = {}
        self.breaches = []
        self.log = []          # a Call each
        self.requests = []     # the Request of each, with its headers
        self.by_name = collections.defaultdict(Calls)
        self.notes = collections.Counter()
        self.most_connections = 0
        self.polls = collections.deque()
        self.scheme = "https" if tls else "http"
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
        self.server = Server(self, port, context)
        self.port = self.server.port

    # ---- For tests ----------------------------------------------------------------------------

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def start(self):
        self.server.listen()
        return self

    def stop(self):
        self.server.stop()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        self.stop()
        if kind is None:
            assert self.breaches == [], self.breaches
        elif self.breaches:
            print("rules of the service that were broken:", *self.breaches, sep="\n  ")

    def put(self, name, content, content_type="application/json", label=None):
        """Deploys text or bytes as Application:Environment:Profile; None: it exists, no more."""
        content = content.encode() if isinstance(content, str) else content
        with self.lock:
            self.stored[name] = Stored(content, content_type, label)

    def remove(self, name):
        with self.lock:
            del self.stored[name]

    def fault(self, **what):
        """Arranges a Fault and returns it. Those that were arranged first hit first."""
        fault = Fault(**what)
        with self.lock:
            self.faults.append(fault)
        return fault

    def clear_faults(self):
        """No call is hit any more, and what stalls goes on."""
        with self.lock:
            for fault in self.faults:
                fault.release()
            self.faults.clear()

    def advance(self, seconds):
        self.clock.advance(seconds)

    def expire_tokens(self):
        """What 24 hours do, without moving the clock."""
        with self.lock:
            for token in self.tokens.values():
                token.issued_at -= DAY_S

    def set(self, **values):
        for name, value in values.items():
            if name not in self.SETTABLE:
                raise ValueError(f"no setting {name}; there are {', '.join(self.SETTABLE)}")
            setattr(self, name, value)

    def down(self):
        """Nobody listens any more, and every connection ends."""
        self.server.unlisten()

    def up(self):
        self.server.listen()

    def drop_connections(self):
        """Closes every connection, idle or not."""
        self.server.interrupt()

    def calls(self, name=None):
        """A copy of the numbers of one configuration, or of all together."""
        total = Calls()
        with self.lock:
            for one in [self.by_name[name]] if name else list(self.by_name.values()):
                for field, count in vars(one).items():
                    setattr(total, field, getattr(total, field) + count)
        return total

    def take_breaches(self, *kinds):
        """Removes and returns those that a test provokes: of these kinds, or all."""
        with self.lock:
            taken = [breach for breach in self.breaches if not kinds or breach.kind in kinds]
            self.breaches = [breach for breach in self.breaches if breach not in taken]
        return taken

    def wait_calls(self, condition, name=None, timeout=20):
        """Waits until `condition(calls)` holds, and returns these."""
        end = time.monotonic() + timeout
        while not condition(calls := self.calls(name)):
            assert time.monotonic() < end, f"not within {timeout} s: {calls}"
            time.sleep(0.005)
        return calls

    # ---- For the server -----------------------------------------------------------------------

    def note(self, what):
        with self.lock:
            self.notes[what] += 1

    def breach(self, kind, detail):
        with self.lock:
            self.breaches.append(Breach(kind, detail))

    def take_fault(self, stage="call", operation=None, name=None):
        with self.lock:
            for fault in self.faults:
                if fault.is_for(stage, operation, name):
                    fault.hits += 1
                    if fault.left is not None:
                        fault.left -= 1
                    return fault
        return None

    def date(self):
        return email.utils.formatdate(self.clock.wall() + self.skew_s + self.date_skew_s,
                                      usegmt=True)

    def serve(self, connection, request):
        """Deals with one request; whether the connection goes on."""
        if request.path == "/_control":
            return connection.send(self.control(request), NO_FAULT, self.date())
        self.count_connection(connection)
        method, operation = PATHS.get(request.path, (None, None))
        if not operation:
            self.breach("path", request.path)
            return connection.send(answers.error(404, "UnknownOperationException", {}), NO_FAULT,
                                   self.date())
        if request.method != method:
            self.breach("method", f"{request.method} {request.path}")
            return connection.send(answers.error(405, "UnknownOperationException", {}), NO_FAULT,
                                   self.date())
        token = None
        with self.lock:
            self.requests.append(request)
            session, parsed = self.parse(operation, request)
            name = session.name if session else parsed if isinstance(parsed, str) else None
            calls = self.by_name[name]
            setattr(calls, operation + "s", getattr(calls, operation + "s") + 1)
            try:
                self.check_request(operation, request)
                fault = self.take_fault(operation=operation, name=name) or NO_FAULT
                if operation == "get":
                    self.check_alone(session, connection)
                answer = self.answer(operation, request, parsed, fault, name)
                if operation == "get" and isinstance(parsed, Token) and not fault.is_instead():
                    token = parsed
            except fake_signature.Refused as error:
                self.breach(error.breach, error.message)
                fault = NO_FAULT
                answer = answers.error(error.status, error.error, {"message": error.message})
            self.log.append(Call(self.clock.now(), operation, name, answer.status, connection))
            if operation == "get" and session:
                session.active = connection
        answer.headers += list((fault.headers_too or {}).items())
        delivered = connection.send(answer, fault, self.date())
        with self.lock:
            if session and session.active is connection:
                session.active = None
            if token and delivered:
                token.delivered = True
        return delivered and fault.connection != "close"

    def count_connection(self, connection):
        connection.counted = True
        count = self.server.open_connections()
        with self.lock:
            self.most_connections = max(self.most_connections, count)
        if self.connections_max and count > self.connections_max:
            self.breach("connections", f"{count} at a time, {self.connections_max} are allowed")

    def parse(self, operation, request):
        """The session, if any, and the Token, a name, or the Answer to what is neither."""
        if operation == "start":
            return None, self.parse_start(request)
        values = urllib.parse.parse_qs(request.query, keep_blank_values=True)
        token = self.tokens.get(values.get("configuration_token", [""])[0])
        return (token.session, token) if token else (None, None)

    def parse_start(self, request):
        try:
            members = json.loads(request.body)
            names = [members[member] for member in MEMBERS]
            promised = members.get(INTERVAL_MEMBER)
        except (ValueError, KeyError, TypeError, AttributeError):
            return answers.bad_request("The request's body is malformed")
        if not all(isinstance(name, str) and 1 <= len(name) <= 128 for name in names):
            return answers.bad_request("An identifier has 1 to 128 characters")
        if promised is not None and not (isinstance(promised, int) and 15 <= promised <= 86400):
            return answers.bad_request(f"{INTERVAL_MEMBER} is not within 15 to 86400")
        unknown = set(members) - {*MEMBERS, INTERVAL_MEMBER}
        if unknown:
            return answers.bad_request(f"Unknown members: {', '.join(sorted(unknown))}")
        return ":".join(names)

    def check_request(self, operation, request):
        """The rules that hold for every call. Raises fake_signature.Refused."""
        if operation == "get":
            if not re.fullmatch(r"configuration_token=(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})*",
                                request.query):
                wrong = re.sub(r"[A-Za-z0-9]{3,}", "…", request.query)[:60]
                self.breach("escaping", f"the query is not strictly escaped: {wrong}")
            if request.body:
                self.breach("headers", "a GET has a body")
        else:
            if request.query:
                self.breach("path", "StartConfigurationSession has a query")
            kind = request.header("Content-Type") or "none"
            if kind.split(";")[0].strip() not in ("application/json", "application/x-amz-json-1.1"):
                self.breach("headers", f"the Content-Type of a session is {kind}")
        for name in ("Host", "Authorization", "X-Amz-Date", "Content-Type"):
            if sum(1 for key, _ in request.headers if key.lower() == name.lower()) > 1:
                self.breach("headers", f"{name} is there more than once")
        if request.header("Host") not in (f"127.0.0.1:{self.port}", f"localhost:{self.port}"):
            self.breach("headers", f"Host is {request.header('Host')}")
        fake_signature.check(request, self.keys, self.region, self.clock.wall() + self.skew_s)

    def check_alone(self, session, connection):
        other = session.active if session else None
        if other and other is not connection and not other.peer_is_gone():
            self.breach("parallel", f"two polls of one session of {session.name} at once")

    # ---- The service's own rules --------------------------------------------------------------

    def answer(self, operation, request, parsed, fault, name):
        if fault.error:
            return answers.NAMED[fault.error](operation, name or "unknown")
        if fault.status:
            return Answer(fault.status, fault.headers or {"Content-Type": "application/json"},
                          fault.body or b"")
        if fault.is_instead():
            return Answer(500)
        if operation == "start":
            answer = self.start_session(request, parsed)
        else:
            answer = self.get_latest(parsed)
        if fault.body_is is not None:
            answer.body = fault.body_is
        return answer

    def missing(self, name):
        """The answer for a configuration that is not there, or None."""
        stored = self.stored.get(name)
        if stored and stored.content is not None:
            return None
        parts = name.split(":")
        known = [existing.split(":") for existing in self.stored]
        if stored or all(re.fullmatch(r"[a-z0-9]{4,7}", part) for part in parts):
            return answers.not_found("Deployment", name)
        if parts[0] not in (one[0] for one in known):
            return answers.not_found("Application", name)
        if (parts[0], parts[-1]) not in ((one[0], one[-1]) for one in known):
            return answers.not_found("ConfigurationProfile", name)
        return answers.not_found("Environment", name)

    def make_token(self, session, length):
        while True:
            text = base64.b64encode(os.urandom(length * 3 // 4 - 1)).decode()
            if "+" in text and "/" in text:
                break
        self.tokens[text] = Token(session, self.clock.now())
        return text

    def start_session(self, request, parsed):
        if isinstance(parsed, Answer):
            self.breach("request", json.loads(parsed.body)["Message"])
            return parsed
        missing = self.missing(parsed)
        if missing:
            return missing
        self.by_name[parsed].billed_starts += 1
        promised = json.loads(request.body).get(INTERVAL_MEMBER)
        token = self.make_token(Session(parsed, promised), min(self.token_length, 836))
        return Answer(201, {"Content-Type": "application/json"},
                      json.dumps({"InitialConfigurationToken": token},
                                 separators=(",", ":")).encode())

    def is_too_fast(self):
        if self.rate_max is None:
            return False
        now = self.clock.now()
        while self.polls and now - self.polls[0] > 1:
            self.polls.popleft()
        self.polls.append(now)
        return len(self.polls) > self.rate_max

    def get_latest(self, token):
        if not isinstance(token, Token):
            self.breach("token", "a token that was never given")
            return answers.NAMED["corrupted"]("get", None)
        session, now = token.session, self.clock.now()
        if token.spent:
            if token.delivered:
                self.breach("token", f"a token of {session.name} was used twice")
            else:
                self.notes["ambiguous_reuses"] += 1
            return answers.NAMED["corrupted"]("get", None)
        if now - token.issued_at >= DAY_S:
            return answers.NAMED["expired"]("get", None)
        if session.polled_at is not None and now - session.polled_at < session.interval_s:
            self.breach("early", f"{session.name} was polled after {now - session.polled_at:.3f} s,"
                                 f" {session.interval_s} s were announced")
            return answers.NAMED["too_early"]("get", None)
        if self.is_too_fast():
            return answers.NAMED["throttled"]("get", None)
        missing = self.missing(session.name)
        if missing:
            return missing
        return self.next_answer(token, session, now)

    def next_answer(self, token, session, now):
        token.spent = True
        session.polled_at = now
        session.interval_s = self.poll_interval_s if self.poll_interval_s is not None else \
            session.promised_s or SUGGESTED_INTERVAL_S
        stored, calls = self.stored[session.name], self.by_name[session.name]
        calls.billed_gets += 1
        headers = {"Content-Type": stored.content_type,
                   "Next-Poll-Configuration-Token": self.make_token(session, self.token_length),
                   "Next-Poll-Interval-In-Seconds": str(session.interval_s)}
        if session.seen is stored.version:
            return Answer(200, headers)
        session.seen = stored.version
        calls.received += 1 if stored.content else 0
        if stored.label:
            headers["Version-Label"] = stored.label
        return Answer(200, headers, stored.content)

    # ---- /_control ----------------------------------------------------------------------------

    def state(self):
        with self.lock:
            return {"breaches": [list(breach) for breach in self.breaches],
                    "calls": {str(name): vars(calls) for name, calls in self.by_name.items()},
                    "notes": dict(self.notes), "connections": self.server.open_connections(),
                    "most_connections": self.most_connections,
                    "faults": [{"hits": fault.hits, "left": fault.left} for fault in self.faults]}

    def control(self, request):
        """{"call": METHOD, "with": [...] or {...}}; values such as {"base64": "..."} are bytes."""
        try:
            if request.method == "GET":
                return self.json_answer(200, self.state())
            asked = json.loads(request.body, object_hook=lambda found: base64.b64decode(
                found["base64"]) if set(found) == {"base64"} else found)
            if asked["call"] not in self.CONTROL:
                raise ValueError(f"no call {asked['call']}; there are {', '.join(self.CONTROL)}")
            values = asked.get("with", [])
            method = getattr(self, asked["call"])
            result = method(**values) if isinstance(values, dict) else method(*values)
            return self.json_answer(200, {"result": result, **self.state()})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return self.json_answer(400, {"Message": f"{type(error).__name__}: {error}"})

    @staticmethod
    def json_answer(status, value):
        return Answer(status, {"Content-Type": "application/json"},
                      json.dumps(value, default=lambda other: getattr(other, "__dict__", None) and
                                 repr(other)).encode() + b"\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    parser.add_argument("--poll-interval", type=int, metavar="SECONDS")
    parser.add_argument("--connections-max", type=int, default=3, metavar="COUNT")
    parser.add_argument("--idle", type=float, metavar="SECONDS")
    parser.add_argument("--put", nargs=2, action="append", default=[], metavar=("NAME", "TEXT"))
    options = parser.parse_args()
    fake = Fake(port=options.port, tls=options.tls, poll_interval_s=options.poll_interval,
                connections_max=options.connections_max, idle_s=options.idle)
    for name, text in options.put:
        fake.put(name, text)
    fake.start()
    print(fake.port, flush=True)
    print(f"export AWS_ENDPOINT_URL_APPCONFIGDATA={fake.url} AWS_REGION={fake.region} "
          f"AWS_ACCESS_KEY_ID={fake.key_id} AWS_SECRET_ACCESS_KEY='{fake.secret}' "
          f"AWS_SESSION_TOKEN='{fake.session_token}'", file=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
