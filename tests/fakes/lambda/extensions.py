# SPDX-License-Identifier: Apache-2.0
"""A fake of Lambda's Extensions API, for one extension: it gives the events that a test says, and
remembers what breaks the API's rules.

    with ExtensionsApi() as api:
        ... AWS_LAMBDA_RUNTIME_API=api.address ...
        api.wait_parked()                      # it has asked for its first event
        api.invoke(); api.wait_parked()        # it has dealt with it and asks again
        api.shut_down()
    # leaving the `with` asserts api.breaches == []
"""
import http.server
import json
import socket
import threading
import time

PREFIX = "/2020-01-01/extension"
ID = "3a1f7e04-8c5e-4b0b-9a50-277227722772"
KNOWN = {"INVOKE", "SHUTDOWN"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in (("Content-Type", "application/json"), *headers):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def serve(self):
        api = self.server.api
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with api.changed:
            answer = api.serve(self.command, self.path, self.headers, body, self.connection)
        if answer is None:
            self.close_connection = True
        else:
            self.answer(*answer)

    do_GET = do_POST = do_PUT = do_CONNECT = serve


class ExtensionsApi:
    """`refusals` are answers given instead: {"register" | "next": [(status, body), ...]}, where None
    for the pair closes the connection. `name` is the file's, as Lambda expects it."""

    def __init__(self, name="shmconfd", managed=False, refusals=None, identifier=ID):
        self.name = name
        self.identifier = identifier
        self.managed = managed
        self.refusals = refusals or {}
        self.changed = threading.Condition()
        self.events = []            # to be given
        self.times = []             # monotonic, of each event/next
        self.registrations = []     # what was registered for
        self.is_parked = False      # it waits for an event
        self.parked = None          # the connection on which it asked
        self.repetitions = 0        # of a question whose connection was lost
        self.breaches = []
        self.resets = 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.api = self

    @property
    def address(self):
        return f"127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind, value, trace):
        with self.changed:
            self.events = None
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()
        if kind is None:
            assert self.breaches == [], self.breaches

    # ---- What the extension sees ----

    def serve(self, method, path, headers, body, connection):
        """(status, body, headers), or None: the connection is closed."""
        if path.startswith("http://") or method == "CONNECT":
            self.breaches.append("the call was made as through a proxy")
        if method == "POST" and path == f"{PREFIX}/register":
            refused, answer = self.refused("register")
            return answer if refused else self.register(headers, body)
        if method == "GET" and path == f"{PREFIX}/event/next":
            if headers.get("Lambda-Extension-Identifier") != self.identifier or not self.registrations:
                self.breaches.append("event/next without a registration")
                return 403, b'{"errorType":"Extension.UnknownExtensionIdentifier"}'
            refused, answer = self.refused("next")
            return answer if refused else self.next(connection)
        self.breaches.append(f"{method} {path}")
        return 404, b"{}"

    def refused(self, call):
        """Whether a test replaces the real answer, and with which; None ends the connection."""
        if not self.refusals.get(call):
            return False, None
        status, body = self.refusals[call].pop(0)
        return True, (status, body) if status else None

    def register(self, headers, body):
        events = json.loads(body)["events"]
        if self.registrations:
            self.breaches.append("registered twice")
        if headers.get("Lambda-Extension-Name") != self.name:
            self.breaches.append(f"registered as {headers.get('Lambda-Extension-Name')}")
        if not set(events) <= KNOWN:
            self.breaches.append(f"registered for {events}")
        if self.managed and "INVOKE" in events:
            return 403, b'{"errorType":"Extension.InvalidEventType","errorMessage":"INVOKE"}'
        self.registrations.append(events)
        self.changed.notify_all()
        return 200, b'{"functionName":"f","functionVersion":"$LATEST","handler":"h"}', (
            ("Lambda-Extension-Identifier", self.identifier),)

    def next(self, connection):
        if self.is_parked:
            return self.refuse_another()
        self.is_parked = True
        self.parked = connection
        self.times.append(time.monotonic())
        self.changed.notify_all()
        mine = self.resets
        while self.events == [] or mine != self.resets:
            if mine != self.resets:
                return None  # who asked was killed
            self.changed.wait(0.2)
        self.is_parked = False
        if self.events is None:
            return None
        body, kind = self.events.pop(0)
        return 200, body, (("Content-Type", kind),)

    def refuse_another(self):
        """Lambda does not look whether the one who asked is still there: the next event is lost."""
        if is_gone(self.parked):
            self.repetitions += 1
            self.changed.notify_all()
        else:
            self.breaches.append("event/next while another waits")
        return 403, (b'{"errorType":"Extension.InvalidExtensionState","errorMessage":"State '
                     b'transition from Ready to Ready failed"}')

    # ---- What a test says ----

    def give(self, body, kind="application/json"):
        """An event, as bytes or to be made JSON."""
        with self.changed:
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.events.append((body, kind))
            self.is_parked = False
            self.changed.notify_all()

    def invoke(self, left_s=3.0, **more):
        self.give({"eventType": "INVOKE", "deadlineMs": int((time.time() + left_s) * 1000),
                   "requestId": "1", "invokedFunctionArn": "arn:aws:lambda:x:1:function:f",
                   **more})

    def shut_down(self, reason="spindown", left_s=2.0):
        """As Lambda gives it: not even its type is JSON's."""
        self.give({"eventType": "SHUTDOWN", "shutdownReason": reason,
                   "deadlineMs": int((time.time() + left_s) * 1000)}, "text/plain")

    def cut(self):
        """The connection on which it waits for an event is lost."""
        with self.changed:
            assert self.is_parked
            self.parked.shutdown(socket.SHUT_RDWR)

    def reset(self):
        """The extension has been killed: Lambda starts everything anew, and it registers again."""
        with self.changed:
            self.registrations, self.times, self.is_parked = [], [], False
            self.resets += 1
            self.changed.notify_all()

    def wait(self, condition, timeout=20):
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self), timeout), "not in time"

    def wait_parked(self, count=None, timeout=20):
        """Until it waits for an event, and has asked `count` times in all."""
        self.wait(lambda api: api.is_parked and (count is None or len(api.times) == count), timeout)


def is_gone(connection):
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
