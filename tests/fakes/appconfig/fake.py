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
from fake_model import (  # noqa: E402
    DAY_S, INTERVAL_MEMBER, NO_FAULT, Breach, Call, Calls, Clock, Fault, Stored, Token)
from fake_rules import Rules  # noqa: E402

KEY_ID = "AKIAFAKEFAKEFAKE2772"
SECRET = "fake/Secret+KeyForTestsOnly/0123456789abcd"
SESSION_TOKEN = "FwoGZXIvYXdzEFake//////////wEaDFake+Session/Token+ForTests=="
REGION = "eu-west-1"

PATHS = {"/configurationsessions": ("POST", "start"), "/configuration": ("GET", "get")}
MEMBERS = ("ApplicationIdentifier", "EnvironmentIdentifier", "ConfigurationProfileIdentifier")


class Fake(Rules):
    """The service. Its attributes may be changed while it runs.

    poll_interval_s     announced, and then enforced, instead of what was promised or 60
    connections_max     more from one client at a time are a breach
    idle_s              idle connections are closed after so long; None: never
    silent_s            on connections that were idle for longer nothing is answered; None: it is
    skew_s              the service's clock against the machine's
    date_skew_s         its Date header against its own clock
    token_length        of the tokens that it gives, in characters
    rate_max            polls per second before it throttles; None: any
    """

    CONTROL = ("put", "remove", "fault", "clear_faults", "advance", "set", "calls", "down", "up",
               "take_breaches", "drop_connections", "expire_tokens")
    SETTABLE = ("poll_interval_s", "connections_max", "idle_s", "silent_s", "skew_s", "date_skew_s",
                "token_length", "rate_max", "region")

    def __init__(self, port=0, tls=None, poll_interval_s=None, connections_max=3, idle_s=None,
                 clock=None, key_id=KEY_ID, secret=SECRET, session_token=SESSION_TOKEN,
                 region=REGION, address="127.0.0.1"):
        self.poll_interval_s = poll_interval_s
        self.connections_max = connections_max
        self.idle_s = idle_s
        self.silent_s = None
        self.skew_s = 0
        self.date_skew_s = 0
        self.token_length = 876
        self.rate_max = None
        self.clock = clock or Clock()
        self.key_id, self.secret, self.session_token = key_id, secret, session_token
        self.keys = {key_id: (secret, session_token)}
        self.region = region
        # As in a URL; and the names that it answers for.
        self.host = f"[{address}]" if ":" in address else address
        self.hosts = [self.host, "localhost"]

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
        self.server = Server(self, port, context, address)
        self.port = self.server.port

    # ---- For tests ----------------------------------------------------------------------------

    @property
    def url(self):
        return f"{self.scheme}://{self.host}:{self.port}"

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
            if token:
                token.uses.append(f"{answer.status} at {self.clock.now():.3f}, fault {fault}, "
                                  f"{'' if delivered else 'not '}delivered")
        return delivered and fault.connection != "close"

    def count_connection(self, connection):
        if not connection.counted:
            self.note("connections")
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
        if request.header("Host") not in [f"{host}:{self.port}" for host in self.hosts]:
            self.breach("headers", f"Host is {request.header('Host')}")
        fake_signature.check(request, self.keys, self.region, self.clock.wall() + self.skew_s)

    def check_alone(self, session, connection):
        other = session.active if session else None
        if other and other is not connection and not other.answered and not other.peer_is_gone():
            self.breach("parallel", f"two polls of one session of {session.name} at once")

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
