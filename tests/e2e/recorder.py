# SPDX-License-Identifier: Apache-2.0
"""Between a client and the daemon: passes every byte on as it is, and keeps it.

    with Recorder(daemon.port) as recorder:
        ...                       # the client asks recorder.port
    recorder.check()              # every answer is what docs/openapi.yaml says
"""
import re
import socket
import threading

from http_client import PATIENCE, answers_to


class Recorder:
    def __init__(self, port):
        self.daemon = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.recorded = []  # what was asked and what was answered, of each connection
        self.sockets = []
        self.threads = []
        self.start(self.accept)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.threads[0].join(PATIENCE)
        for sock in self.sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended already
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        for sock in [self.listener, *self.sockets]:
            sock.close()

    def start(self, function, *arguments):
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(self.daemon)
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            asked, answered = bytearray(), bytearray()
            self.sockets += [client, server]
            self.recorded.append((asked, answered))
            self.start(self.pass_on, client, server, asked)
            self.start(self.pass_on, server, client, answered)

    @staticmethod
    def pass_on(source, target, record):
        """Everything, until one of them ends; its end as well."""
        try:
            while data := source.recv(1 << 16):
                record += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one of them is gone

    @property
    def connections(self):
        """How many connections the client has made so far."""
        return len(self.recorded)

    @property
    def requests(self):
        """The heads of all requests so far; none may have a body."""
        heads = []
        for asked, _ in list(self.recorded):
            *whole, rest = bytes(asked).split(b"\r\n\r\n")
            assert not rest, f"more bytes: {rest!r}"
            heads += [head.decode("ascii") for head in whole]
        return heads

    def check(self):
        """All answers, each of which must be documented. The client has to be done."""
        answers = []
        for asked, answered in self.recorded:
            lines = re.findall(rb"^([A-Z]+) (\S+) HTTP/1\.1\r$", bytes(asked), re.M)
            answers += answers_to([(method.decode(), target.decode()) for method, target in lines],
                                  bytes(answered))
        assert len(answers) == len(self.requests)
        return answers
