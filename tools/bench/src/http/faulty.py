# SPDX-License-Identifier: Apache-2.0
"""faulty.py FAULT: takes shmconfd's place, with one thing wrong that tools/bench/http must see.

    none         nothing is wrong
    header       from the second answer on there is one header more
    body         every 50th body has another byte
    late-status  from the 90th connection on, which only the measured load opens, every 50th answer
                 is a 503
    late-close   ... every 50th request finds its connection closed
    late-body    ... every 50th body has another byte
    late-size    ... every 50th body is a byte shorter
"""
import os
import selectors
import socket
import sys
from pathlib import Path

EVERY = 50
LATE = 90


class Client:
    """A connection and what came over it so far."""

    def __init__(self, connection, number):
        self.socket = connection
        self.is_late = number >= LATE
        self.data = b""


class Faulty:
    """Serves the files of a local development directory."""

    def __init__(self, fault, directory):
        self.fault = fault
        self.bodies = {file.stem.replace("Bench:Local:", "").encode(): file.read_bytes()
                       for file in Path(directory).iterdir()}
        self.connections = 0
        self.answers = 0
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.selector.register(self.listener, selectors.EVENT_READ)

    def answer(self, request, is_late):
        """The bytes of an answer; none: the connection is to be closed."""
        self.answers += 1
        fault = self.fault.removeprefix("late-")
        is_wrong = self.answers % EVERY == 0 and is_late == self.fault.startswith("late-")
        status = "200 OK"
        body = self.bodies[request.split(b" ")[1].rpartition(b"/")[2]]
        more = "Extra: 1\r\n" if fault == "header" and self.answers > 1 else ""
        if is_wrong and fault == "close":
            return b""
        if is_wrong and fault == "status":
            status = "503 Service Unavailable"
        if is_wrong and fault == "body":
            body = body[:-3] + b"y" + body[-2:]
        if is_wrong and fault == "size":
            body = body[1:]
        return (f"HTTP/1.1 {status}\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                f"Configuration-Version: 1\r\n{more}\r\n").encode() + body

    def accept(self):
        connection, _ = self.listener.accept()
        self.connections += 1
        client = Client(connection, self.connections)
        self.selector.register(connection, selectors.EVENT_READ, client)

    def close(self, client):
        self.selector.unregister(client.socket)
        client.socket.close()

    def serve(self, client):
        try:
            data = client.socket.recv(65536)
        except ConnectionError:
            data = b""
        client.data += data
        if not data:
            self.close(client)
        elif client.data.endswith(b"\r\n\r\n"):
            answer = self.answer(client.data, client.is_late)
            client.data = b""
            if answer:
                client.socket.sendall(answer)
            else:
                self.close(client)

    def run(self):
        print(f"event loop: {os.environ['SHMCONF_LOOP']}")
        print(f"serving on localhost:{self.listener.getsockname()[1]}", flush=True)
        while True:
            for key, _ in self.selector.select():
                if key.data:
                    self.serve(key.data)
                else:
                    self.accept()


if __name__ == "__main__":
    if sys.argv[2:] == ["--version"]:
        print(f"shmconfd with a fault: {sys.argv[1]}")
    else:
        Faulty(sys.argv[1], os.environ["LOCAL_DEVELOPMENT_DIRECTORY"]).run()
