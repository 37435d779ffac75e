# SPDX-License-Identifier: Apache-2.0
"""As much of Lambda's Extensions API as a start needs, and the clock beside it."""
import select
import socket
import time

from answer import Failure

ID = "0f9a2c1e-1111-2222-3333-444455556666"
REGISTERED = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
              b"Lambda-Extension-Identifier: " + ID.encode() + b"\r\n")
FUNCTION = b'{"functionName":"f","functionVersion":"$LATEST","handler":"h"}'


class RuntimeApi:
    """Answers one extension's registration, and never its first call for an event."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]

    def close(self):
        self.listener.close()

    def serve(self, process, timeout_s):
        """
        The times (monotonic ns) at which the registration and the first event/next were there
        whole; the connection is left open until `done` is closed by the caller.
        """
        registered = None
        end = time.monotonic() + timeout_s
        connections = {}
        while True:
            left = end - time.monotonic()
            ready, _, _ = select.select([self.listener, *connections], [], [], min(max(left, 0), 1))
            now = time.monotonic_ns()
            if not ready and (left <= 0 or process.poll() is not None):
                raise Failure("the extension did not get as far as its first event/next")
            for found in ready:
                if found is self.listener:
                    connections[found.accept()[0]] = b""
                    continue
                data = found.recv(65536)
                if not data:
                    del connections[found]
                    found.close()
                    continue
                connections[found] += data
                if not is_whole(connections[found]):
                    continue
                request, connections[found] = connections[found], b""
                if b"/extension/register " in request:
                    registered = now
                    found.sendall(REGISTERED + b"Content-Length: %d\r\n\r\n" % len(FUNCTION)
                                  + FUNCTION)
                elif b"/extension/event/next " in request and ID.encode() in request:
                    if registered is None:
                        raise Failure("the extension asks for an event before it registers")
                    return registered, now, list(connections)
                else:
                    raise Failure(f"the extension asks {request[:80]!r}")


def is_whole(request):
    head, separator, body = request.partition(b"\r\n\r\n")
    if not separator:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
        if name.lower() == b"transfer-encoding":
            return body.endswith(b"0\r\n\r\n")
    return True
