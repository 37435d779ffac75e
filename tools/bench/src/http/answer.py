# SPDX-License-Identifier: Apache-2.0
"""One answer as it stands on the wire, and whether two servers give the same."""
import re
import socket

TIMEOUT_S = 5


class Failure(Exception):
    """What ends the benchmark with status 1."""


class Answer:
    """Status line, headers in their order, body."""

    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.status = lines[0]
        self.headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
        self.body = body
        self.size = len(head) + 4 + len(body)

    def shape(self):
        """What must be the same for all servers: each header's name and the length of its value."""
        return sorted((name.lower(), len(value)) for name, value in self.headers)


class Connection:
    """A client that asks as wrk does."""

    def __init__(self, port, path, keep_alive=True):
        self.request = (f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                        + ("" if keep_alive else "Connection: close\r\n") + "\r\n").encode()
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self.data = b""

    def close(self):
        self.socket.close()

    def read_until(self, enough):
        while not enough():
            data = self.socket.recv(65536)
            if not data:
                raise Failure("the connection was closed within an answer")
            self.data += data

    def get(self):
        self.socket.sendall(self.request)
        self.read_until(lambda: b"\r\n\r\n" in self.data)
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        if not length:
            raise Failure(f"an answer without Content-Length: {head!r}")
        size = int(length[1])
        self.read_until(lambda: len(self.data) >= size)
        answer = Answer(head, self.data[:size])
        self.data = self.data[size:]
        return answer


def check(server, case, count):
    """That the server gives the expected answer, `count` times over one connection; the answer."""
    try:
        connection = Connection(server.port, case.path, case.keep_alive)
        try:
            for _ in range(count if case.keep_alive else 1):
                answer = connection.get()
                if answer.status != "HTTP/1.1 200 OK":
                    raise Failure(f"answers {answer.status!r}")
                if answer.body != case.payload:
                    raise Failure("answers another body")
        finally:
            connection.close()
    except OSError as error:
        raise Failure(f"{server.title}, {case.title}: no answer: {error}") from error
    except Failure as failure:
        raise Failure(f"{server.title}, {case.title}: {failure}") from failure
    return answer


def compare(ours, theirs, server, case):
    """That two answers have the same headers, but for what the server cannot leave out."""
    expected = ours.shape()
    if case.keep_alive:
        expected = sorted(expected + server.unavoidable)
    if theirs.shape() != expected:
        raise Failure(f"{server.title}, {case.title}: its headers, by name and length of the value,"
                      f" are not the daemon's:\n  {theirs.shape()}\n  {expected}")
