# SPDX-License-Identifier: Apache-2.0
"""The Runtime API and the Extensions API of a sandbox, and the way in for invocations, over HTTP."""
import http.server
import json
import re
import socket
import sys

from sandbox import Gone, Refused

EXTENSION = "/2020-01-01/extension"
RUNTIME = "/2018-06-01/runtime"
INVOCATIONS = "/2015-03-31/functions/function/invocations"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    sandbox = None  # a subclass has it
    routes = ()     # method, path, function(self, match, body)

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=None, chunk=None):
        """`chunk`: in pieces of so many bytes, whose sum is not announced."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        framing = ("Transfer-Encoding", "chunked") if chunk else ("Content-Length", str(len(body)))
        self.send_response(status)
        for name, value in (framing, ("Content-Type", "application/json"), *(headers or {}).items()):
            self.send_header(name, value)
        self.end_headers()
        if chunk:
            pieces = [body[i:i + chunk] for i in range(0, len(body), chunk)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
        self.wfile.write(body)

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        for method, path, function in self.routes:
            match = re.fullmatch(path, self.path)
            if match and method == self.command:
                break
        else:
            return self.answer(404, {"errorType": "NotFound", "errorMessage": self.path})
        try:
            return self.call(function, match, body)
        except Refused as why:
            return self.answer(403, {"errorType": why.type, "errorMessage": str(why)})
        except Gone:
            self.close_connection = True
        return None

    do_GET = do_POST = serve

    def call(self, function, match, body):
        return function(self, match, body)


class Api(Handler):
    """What the processes of the sandbox see at AWS_LAMBDA_RUNTIME_API."""
    event_chunk = None

    def call(self, function, match, body):
        """A request may wait for the lock while its sender is killed: then it is nobody's, and not
        one of the environment that has begun meanwhile."""
        with self.sandbox.changed:
            if self.peer_is_gone():
                raise Gone
            return function(self, match, body)

    def peer_is_gone(self):
        try:
            return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    def register(self, _match, body):
        agent = self.sandbox.register(self.headers.get("Lambda-Extension-Name", ""),
                                      json.loads(body)["events"])
        self.answer(200, {"functionName": "test_function", "functionVersion": "$LATEST",
                          "handler": ""}, {"Lambda-Extension-Identifier": agent.id})

    def event(self, _match, _body):
        event = self.sandbox.extension_event(self.headers.get("Lambda-Extension-Identifier"))
        self.answer(200, event.encode())

    def invocation(self, _match, _body):
        invocation = self.sandbox.next_invocation()
        self.answer(200, invocation.payload, {
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:012345678912:function"},
            self.event_chunk)

    def response(self, match, body):
        self.sandbox.respond(match.group(1), body, match.group(2) == "error")
        self.answer(202, {"status": "OK"})

    def init_error(self, match, body):
        self.sandbox.init_failed(match.group(1), body)
        self.answer(202, {"status": "OK"})

    routes = (("POST", f"{EXTENSION}/register", register),
              ("GET", f"{EXTENSION}/event/next", event),
              ("POST", "/2020-01-01/(extension)/(?:init|exit)/error", init_error),
              ("GET", f"{RUNTIME}/invocation/next", invocation),
              ("POST", f"{RUNTIME}/invocation/([^/]+)/(response|error)", response),
              ("POST", "/2018-06-01/(runtime)/init/error", init_error))


class Front(Handler):
    """What callers of the function see."""

    def invoke(self, _match, body):
        self.sandbox.invoke(body, self.answer)

    def state(self, _match, _body):
        self.answer(200, self.sandbox.state())

    routes = (("POST", INVOCATIONS, invoke), ("GET", "/_state", state))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, handler, sandbox):
        host, port = address.rsplit(":", 1)
        super().__init__((host, int(port)), type(handler.__name__, (handler,),
                                                 {"sandbox": sandbox}))

    def handle_error(self, request, client_address):
        """A process that was killed leaves its connection; what else goes wrong is ours."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)
