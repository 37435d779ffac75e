# SPDX-License-Identifier: Apache-2.0
"""One HTTP connection on asyncio."""
import asyncio
import re
import socket
import struct
import urllib.parse

from content import Wrong

PATIENCE_S = 30  # for what comes at once unless it is broken
BODY_MAX = 1 << 20


def target(name, query=""):
    application, environment, profile = map(urllib.parse.quote, name.split(":"))
    return f"/applications/{application}/environments/{environment}" \
           f"/configurations/{profile}{query}"


def request(path, *lines, method="GET"):
    head = [f"{method} {path} HTTP/1.1", "Host: localhost:2772", *lines]
    return ("\r\n".join(head) + "\r\n\r\n").encode()


class Ended(Wrong):
    """The daemon has ended the connection, or it is broken; with what came before that."""


class Answer:
    def __init__(self, head, body=b""):
        lines = head.decode("latin-1").split("\r\n")
        status = re.fullmatch(r"HTTP/1\.1 ([1-5]\d\d) [A-Za-z ]+", lines[0])
        if not status:
            raise Wrong(f"status line {lines[0]!r}")
        self.status = int(status[1])
        self.headers = {name.lower(): value.strip() for name, _, value in
                        (line.partition(":") for line in lines[1:])}
        self.body = body

    def __getitem__(self, name):
        return self.headers.get(name.lower())

    @property
    def size(self):
        """Of the body that follows, for the method GET."""
        if self.status == 304:
            return 0
        text = self["Content-Length"] or ""
        if not text.isdigit() or int(text) > BODY_MAX:
            raise Wrong(f"Content-Length {text!r}")
        return int(text)


class Connection:
    """Use with `async with`; the end of that closes it."""

    def __init__(self, port, receive_buffer=None):
        self.port = port
        self.receive_buffer = receive_buffer
        self.reader = self.writer = None
        self.sent = b""

    async def __aenter__(self):
        sock = socket.socket()
        sock.setblocking(False)
        if self.receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
            # Segments as on a network: with those of loopback the kernel takes 2 MB from the
            # daemon at once, and no answer would ever wait there.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
            limit = self.receive_buffer or 1 << 16
            self.reader, self.writer = await asyncio.open_connection(sock=sock, limit=limit)
        except BaseException:
            sock.close()
            raise
        return self

    async def __aexit__(self, *_):
        self.writer.transport.abort()

    def reset(self):
        """What follows is no orderly end."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                                        struct.pack("ii", 1, 0))

    def half_close(self):
        self.writer.write_eof()

    async def send(self, data):
        self.sent = data
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError as error:
            raise Ended(str(error)) from None

    async def _patiently(self, reading):
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await reading
        except TimeoutError:
            raise Wrong(f"nothing more came for {PATIENCE_S} s after {self.sent[:150]!r}") from None
        except asyncio.IncompleteReadError as error:
            raise Ended(f"end after {bytes(error.partial[:80])!r}") from None
        except OSError as error:
            raise Ended(str(error)) from None

    async def glance(self, most, seconds=0.1):
        """What is there or comes within that time; none also at the end, of any kind."""
        try:
            async with asyncio.timeout(seconds):
                return await self.reader.read(most)
        except (OSError, TimeoutError):
            return b""

    async def read(self, most):
        """Up to so many bytes; none at the end."""
        return await self._patiently(self.reader.read(most))

    async def head(self):
        text = await self._patiently(self.reader.readuntil(b"\r\n\r\n"))
        return Answer(text[:-4])

    async def body(self, answer):
        answer.body = await self._patiently(self.reader.readexactly(answer.size))
        return answer

    async def answer(self, method="GET"):
        answer = await self.head()
        return answer if method == "HEAD" else await self.body(answer)

    async def expect_end(self):
        try:
            rest = await self.read(100)
        except Ended:
            return
        if rest:
            raise Wrong(f"more after the answer: {rest!r}")
