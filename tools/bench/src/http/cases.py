# SPDX-License-Identifier: Apache-2.0
"""What is measured: which bodies, over which connections, of which servers."""
from dataclasses import dataclass

SERVERS = ("epoll", "nginx", "io_uring", "lighttpd")  # in the order of their turns: ours, a peer
OURS = ("epoll", "io_uring")
PEERS = ("nginx", "lighttpd")
BODIES = {"1k": 1024, "32k": 32768}
CONNECTIONS = {"one": (1, True), "64": (64, True), "close": (64, False)}
NAME = ("Bench", "Local")  # application and environment


def payload(word):
    """A JSON document of exactly the body's size."""
    return b'{"text": "%s"}' % (b"x" * (BODIES[word] - 12))


def path(word):
    return "/applications/{}/environments/{}/configurations/{}".format(*NAME, word)


@dataclass(frozen=True)
class Case:
    """One body over one kind of connections."""

    body: str
    kind: str

    @property
    def payload(self):
        return payload(self.body)

    @property
    def path(self):
        return path(self.body)

    @property
    def connections(self):
        return CONNECTIONS[self.kind][0]

    @property
    def keep_alive(self):
        return CONNECTIONS[self.kind][1]

    @property
    def title(self):
        kinds = {"one": "1 connection", "64": "64 connections",
                 "close": "64 clients, a connection per request"}
        return f"{BODIES[self.body] // 1024} KB, {kinds[self.kind]}"


def select(words):
    """(servers, cases) that the words of --only leave; ValueError names a word that is none."""
    named = [word for word in words.split(",") if word]
    for word in named:
        if word not in (*SERVERS, *BODIES, *CONNECTIONS):
            raise ValueError(word)
    servers, bodies, kinds = ([word for word in group if word in named] or list(group)
                              for group in (SERVERS, BODIES, CONNECTIONS))
    return servers, [Case(body, kind) for body in bodies for kind in kinds]
