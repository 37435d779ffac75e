# SPDX-License-Identifier: Apache-2.0
"""A strict HTTP client over a plain socket, which holds every answer against docs/openapi.yaml."""
import contextlib
import json
import os
import pathlib
import random
import re
import select
import socket
import struct
import time
import urllib.parse

import pytest

from daemon import Daemon, io_uring_is_allowed, wait_until
from openapi import api

REQUESTS = pathlib.Path(__file__).with_name("requests")
PATIENCE = 30  # seconds for what comes at once unless it is broken

CONFIGURATION_PATH = ("/applications/{Application}/environments/{Environment}"
                      "/configurations/{Configuration}")


def path_of(application, environment, configuration):
    parts = [urllib.parse.quote(part, safe="") for part in (application, environment,
                                                            configuration)]
    return "/applications/{}/environments/{}/configurations/{}".format(*parts)


SHOP = path_of("Shop", "Prod", "Checkout")


def recorded():
    """What clients really send for SHOP, by the client's name."""
    return {file.stem: file.read_bytes() for file in sorted(REQUESTS.glob("*.http"))}


def request(method="GET", target=SHOP, *lines, body=b"", version="1.1"):
    """The bytes of a request; a Host is added unless a line says something about it."""
    head = [f"{method} {target} HTTP/{version}"]
    if not any(line.lower().startswith("host") for line in lines):
        head.append("Host: localhost:2772")
    return ("\r\n".join([*head, *lines]) + "\r\n\r\n").encode("utf-8", "surrogateescape") + body


class Answer:
    """Status, headers and body, after a parse that forgives nothing."""

    def __init__(self, head):
        lines = head.decode("ascii").split("\r\n")
        status = re.fullmatch(r"HTTP/1\.1 ([1-5][0-9][0-9]) ([A-Za-z ]+)", lines[0])
        assert status, f"status line {lines[0]!r}"
        self.status = int(status[1])
        self.reason = status[2]
        self.headers = {}
        self.body = b""
        for line in lines[1:]:
            field = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([!-~]([\t -~]*[!-~])?)", line)
            assert field, f"header line {line!r}"
            name = field[1].lower()
            assert name not in self.headers, f"{field[1]} twice"
            self.headers[name] = field[2]

    def __getitem__(self, name):
        return self.headers.get(name.lower())

    @property
    def closes(self):
        return self["Connection"] == "close"

    @property
    def message(self):
        return json.loads(self.body)["Message"]


class Client:
    """One connection. What it reads is checked as the answer to the method and target given."""

    def __init__(self, port, host="127.0.0.1", receive_buffer=None):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, *pieces):
        """Each piece in a write of its own."""
        for piece in pieces:
            self.socket.sendall(piece)

    def receive(self):
        """More bytes into the buffer; False at the end."""
        got = self.socket.recv(1 << 16)
        self.buffer += got
        return bool(got)

    def read(self, size):
        pieces = [self.buffer]
        have = len(self.buffer)
        while have < size:
            got = self.socket.recv(min(1 << 20, size - have))
            assert got, f"end of the connection after {have} of {size} bytes"
            pieces.append(got)
            have += len(got)
        whole = b"".join(pieces)
        self.buffer = whole[size:]
        return whole[:size]

    def read_head(self, method="GET", target=SHOP):
        while b"\r\n\r\n" not in self.buffer:
            assert self.receive(), f"the connection ended after {self.buffer!r}"
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        answer = Answer(head)
        api().check_head(method, target, answer.status, answer.headers.items())
        return answer

    def answer(self, method="GET", target=SHOP):
        answer = self.read_head(method, target)
        if method != "HEAD" and answer.status != 304:
            answer.body = self.read(int(answer["Content-Length"]))
        api().check(method, target, answer.status, answer.headers.items(), answer.body)
        return answer

    def ask(self, method="GET", target=SHOP, *lines, body=b"", version="1.1"):
        self.send(request(method, target, *lines, body=body, version=version))
        return self.answer(method, target)

    def expect(self, status, *arguments, **keywords):
        answer = self.ask(*arguments, **keywords)
        assert answer.status == status, answer.body
        return answer

    def expect_end(self):
        """The server has closed, in order and without another byte."""
        assert not self.buffer and not self.receive(), f"more bytes: {self.buffer!r}"

    def is_open(self):
        """Whether neither a byte nor the end has come until now."""
        return not self.buffer and not select.select([self.socket], [], [], 0)[0]

    def reset(self):
        """Goes away with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def answers_to(asked, data):
    """The answers in `data`, which holds those to `asked`, pairs of method and target."""
    answers, at = [], 0
    for method, target in asked:
        end = data.find(b"\r\n\r\n", at)
        assert end >= 0, f"no answer to {method} {target}: {data[at:at + 1000]!r}"
        answer = Answer(data[at:end])
        at = end + 4
        if method != "HEAD" and answer.status != 304:
            size = int(answer["Content-Length"])
            answer.body = data[at:at + size]
            at += size
        api().check(method, target, answer.status, answer.headers.items(), answer.body)
        answers.append(answer)
    assert at == len(data), f"more bytes: {data[at:at + 1000]!r}"
    return answers


def begin(port, data):
    """
    A client that has sent `data` at once. When there are too many, the daemon may close one that
    has said nothing for 100 ms; one that the machine kept from it that long is thrown away.
    """
    while True:
        start = time.monotonic()
        client = Client(port)
        client.send(data)
        if time.monotonic() - start < 0.08:
            return client
        client.close()


CHECKOUT = b'{\n  "limit": 10,\t"on" : true }\n'
BINARY = bytes(range(256)) * 3 + b"\0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\xff\xfe\0"
BIG = random.Random(2772).randbytes(4 << 20)


@contextlib.contextmanager
def serve(directory, env=None, start_later=False, big=True, **more):
    """A daemon with a few configurations, on the backend that this run is for."""
    backend = os.environ.get("SHMCONF_TEST_BACKEND") or None
    if backend == "io_uring" and not io_uring_is_allowed():
        pytest.skip("the kernel does not allow io_uring here")
    daemon = Daemon(directory, backend, env=env, start=False, **more)
    daemon.put("Shop:Prod:Checkout.json", CHECKOUT)
    daemon.put("Shop:Prod:Binary", BINARY)
    if big:
        daemon.put("Shop:Prod:Big", BIG)
    daemon.put("Shop:Prod:Broken.json", "{,}")
    daemon.is_to_start = not start_later
    with daemon:
        if not start_later:
            daemon.assert_backend()
            daemon.listeners = sockets(daemon)
        yield daemon


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """One such daemon for a whole file."""
    with serve(tmp_path_factory.mktemp("shop")) as daemon:
        yield daemon


def sockets(daemon):
    """How many sockets the daemon has open."""
    return sum(1 for kind in daemon.descriptors() if kind.startswith("socket:"))


def connections(daemon):
    """How many connections the daemon has."""
    return sockets(daemon) - daemon.listeners


def wait_until_gone(daemon):
    """Waits until the daemon has closed every connection."""
    wait_until(lambda: connections(daemon) == 0, what="all connections are closed")
