# SPDX-License-Identifier: Apache-2.0
"""The HTTP clients of the soak test: well behaved, in a hurry, slow, gone, or talking nonsense."""
import asyncio
import collections
import contextlib
import json
import random
import time

from content import Wrong, parse
from http_connection import Connection, Ended, request, target

CLIENT_TIMEOUT_S = 2.0
STRANGERS = 300  # names that the source does not know
KEPT = 256       # connections that stay
CROWD = 80       # requests under way at a time

GARBAGE = [b"\0" * 100, b"\r\n" * 50, b"GET\r\n\r\n", b"GET / HTTP/3.0\r\n\r\n",
           b"\x16\x03\x01" * 9, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
           b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
           b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
           b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
           b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
           b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 5000]


class Clients:
    """Tasks that ask `port` for the configurations of `records`, a content.Record each by name.

    They work while `working` is set, and count what they have done in `done`.
    """

    def __init__(self, port, records, rate, may_wait):
        self.port = port
        self.records = records
        self.names = list(records)
        self.rate = rate
        self.may_wait = may_wait  # an answer, for the source
        self.done = collections.Counter()
        self.working = asyncio.Event()
        self.busy = 0

    def start(self, group):
        """`rate` requests a second on connections that stay, and the others in proportion."""
        share = self.rate / 1000
        kinds = [(self.once, 8, 60), (self.half_closing, 2, 10), (self.hanging_up, 8, 60),
                 (self.slow, 8, 8), (self.never_reading, 2, 1), (self.cutting, 8, 40),
                 (self.talking_nonsense, 8, 40), (self.a_stranger, 4, 10)]
        for _ in range(KEPT):
            group.create_task(self.keep(KEPT / self.rate))
        for kind, count, per_second in kinds:
            for _ in range(count):
                group.create_task(self.repeat(kind, count / (per_second * share)))

    @contextlib.asynccontextmanager
    async def turn(self, pause):
        """One piece of work, after a pause of so long on average, and while work is wanted."""
        await asyncio.sleep(random.uniform(0, 2 * pause))
        await self.working.wait()
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1

    async def rest(self, timeout):
        """No more work begins; waits until all has ended."""
        self.working.clear()
        end = time.monotonic() + timeout
        while self.busy:
            if time.monotonic() > end:
                raise Wrong(f"{self.busy} clients did not come to an end")
            await asyncio.sleep(0.01)

    async def repeat(self, kind, pause):
        while True:
            async with self.turn(pause):
                await kind()
                self.done[kind.__name__] += 1

    async def crowd(self):
        """
        More requests under way at a time than the daemon keeps room of for later (exchange.c): what
        a rush may do at any time shall have happened before the first measurement.
        """
        head = request("/ping", "Content-Length: 1", "Expect: 100-continue", method="POST")
        async with contextlib.AsyncExitStack() as stack:
            crowd = [await stack.enter_async_context(Connection(self.port)) for _ in range(CROWD)]
            for connection in crowd:
                await connection.send(head)
            for connection in crowd:
                if (await connection.head()).status != 100:
                    raise Wrong("no 100 Continue")
            for connection in crowd:
                await connection.send(b"x")
                if (await connection.answer()).status != 405:
                    raise Wrong("a POST is not refused")

    # ---- What is asked and what must come -------------------------------------------------------

    def check(self, name, answer, floor, tag=None, flag=False):
        """An answer to a request that was sent when generation `floor` had been seen."""
        record = self.records[name]
        if answer.status not in (200, 304) or (answer.status == 304 and not tag):
            raise Wrong(f"{name}: {answer.status} {answer.body[:200]!r}")
        version = answer["Configuration-Version"]
        if not (version or "").isdigit() or version != answer["ConfigurationVersion"]:
            raise Wrong(f"{name}: Configuration-Version {version}")
        generation = int(version)
        if answer.status == 200 and answer["Content-Type"] != "application/json":
            raise Wrong(f"{name}: Content-Type {answer['Content-Type']}")
        if answer.status == 304:
            if answer["ETag"] != tag or generation not in record.numbers:
                raise Wrong(f"{name}: 304 with {answer['ETag']} to {tag}")
            number = record.numbers[generation]
        else:
            if tag and answer["ETag"] == tag:
                raise Wrong(f"{name}: 200 although the client has {tag}")
            number = int(json.loads(answer.body)) if flag else parse(name, answer.body)
        record.see(generation, number, floor)
        record.see_tag(generation, answer["ETag"])
        self.done[str(answer.status)] += 1

    def any(self, hot=False):
        name = self.names[0] if hot else random.choice(self.names)
        return name, self.records[name].generation

    async def keep(self, pause):
        """A connection that stays for ever: conditional requests, HEAD, flags, several at once."""
        tags = {}
        async with Connection(self.port) as connection:
            while True:
                async with self.turn(pause):
                    way = random.random()
                    if way < 0.05:
                        await self.pipeline(connection)
                    elif way < 0.1:
                        await self.ask_head(connection)
                    elif way < 0.2:
                        name, floor = self.any()
                        await connection.send(request(target(name, "?flag=number")))
                        self.check(name, await connection.answer(), floor, flag=True)
                    else:
                        await self.ask_again(connection, tags)

    async def ask_again(self, connection, tags):
        name, floor = self.any()
        tag = tags.get(name) if random.random() < 0.5 else None
        await connection.send(request(target(name), *[f"If-None-Match: {tag}"] if tag else []))
        answer = await connection.answer()
        self.check(name, answer, floor, tag)
        tags[name] = answer["ETag"]

    async def ask_head(self, connection):
        name, floor = self.any()
        await connection.send(request(target(name), method="HEAD"))
        answer = await connection.answer("HEAD")
        if answer.status != 200 or int(answer["Configuration-Version"]) < floor:
            raise Wrong(f"{name}: HEAD {answer.status}, {answer['Configuration-Version']}")
        self.done["head"] += 1

    async def pipeline(self, connection):
        asked = [self.any() for _ in range(random.randrange(2, 6))]
        await connection.send(b"".join(request(target(name)) for name, _ in asked))
        for name, floor in asked:
            self.check(name, await connection.answer(), floor)

    # ---- Clients that come and go ---------------------------------------------------------------

    async def once(self):
        """A connection for one request; it is the daemon that closes, or we do."""
        name, floor = self.any()
        lines = random.choice([["Connection: close"], []])
        async with Connection(self.port) as connection:
            await connection.send(request(target(name), *lines))
            self.check(name, await connection.answer(), floor)
            if lines:
                await connection.expect_end()

    async def half_closing(self):
        name, floor = self.any()
        async with Connection(self.port) as connection:
            await connection.send(request(target(name)))
            connection.half_close()
            try:
                head = await connection.head()
            except Ended:
                # While the answer waits for a check that is overdue, this counts as hanging up.
                if not self.may_wait:
                    raise
                return
            self.check(name, await connection.body(head), floor)
            await connection.expect_end()

    async def hanging_up(self):
        """Goes away at some byte of an answer, with or without a word."""
        async with Connection(self.port, random.choice([None, 4096])) as connection:
            await connection.send(b"".join(request(target(self.any()[0]))
                                           for _ in range(random.choice([1, 1, 3]))))
            for _ in range(random.randrange(4)):
                await connection.glance(random.choice([1, 100, 4096, 50000]))
            if random.random() < 0.5:
                connection.reset()

    async def slow(self):
        """Reads little by little, the most changed configuration above all, what was replaced."""
        asked = [self.any(hot=i % 2 == 0) for i in range(random.randrange(1, 12))]
        async with Connection(self.port, 4096) as connection:
            await connection.send(b"".join(request(target(name)) for name, _ in asked))
            began = time.monotonic()
            for name, floor in asked:
                try:
                    answer = await connection.head()
                    pieces, left = [], answer.size
                    while left:
                        began = time.monotonic()
                        await asyncio.sleep(0.01)
                        pieces.append(await connection.read(min(left, 4096)))
                        left -= len(pieces[-1])
                        if not pieces[-1]:
                            raise Ended(f"{left} bytes are missing")
                except Ended as error:
                    # Unless it is this machine that has kept us from reading.
                    if time.monotonic() - began < CLIENT_TIMEOUT_S / 3:
                        raise Wrong(f"{name}: a slow reader was cut off: {error}") from None
                    return
                answer.body = b"".join(pieces)
                self.check(name, answer, floor)

    async def never_reading(self):
        """Is cut off some day."""
        async with Connection(self.port, 4096) as connection:
            await connection.send(b"".join(request(target(name)) for name in self.names))
            await asyncio.sleep(CLIENT_TIMEOUT_S * 1.5)

    async def cutting(self):
        """A request that is never sent whole."""
        whole = request(target(self.any()[0]), "User-Agent: soak", "Accept: */*")
        async with Connection(self.port) as connection:
            await connection.send(whole[:random.randrange(1, len(whole))])
            way = random.random()
            if way < 0.02:
                # It is too late for the rest.
                answer = await connection.read(4096)
                if answer and not answer.startswith(b"HTTP/1.1 408 "):
                    raise Wrong(f"an incomplete request is answered {answer!r}")
            elif way < 0.4:
                connection.reset()
            elif way < 0.7:
                connection.half_close()
                if await connection.read(100):
                    raise Wrong("half a request has an answer")

    async def talking_nonsense(self):
        """What comes back is an answer of HTTP, or the end."""
        data = bytearray(random.choice([
            random.randbytes(random.randrange(1, 500)), random.choice(GARBAGE),
            request("/ping", "Accept: */*", "X-Long: " + "x" * random.randrange(2000))]))
        if random.random() < 0.5:
            # Behind the request line, so that no name of a configuration comes of it.
            for _ in range(3):
                data[random.randrange(len(data) // 2, len(data))] = random.randrange(256)
        async with Connection(self.port) as connection:
            with contextlib.suppress(Ended):
                await connection.send(bytes(data))
            answer = await connection.glance(100)
            if not b"HTTP/1.1 ".startswith(answer[:9]):
                raise Wrong(f"{bytes(data[:200])!r} is answered {answer!r}")

    async def a_stranger(self):
        """Asks for what nobody knows."""
        await self.ask_for_unknown(random.randrange(STRANGERS))

    async def ask_for_unknown(self, number):
        name = f"Soak:Load:Unknown{number}"
        async with Connection(self.port) as connection:
            await connection.send(request(target(name)))
            answer = await connection.answer()
            if not 400 <= answer.status <= 599 or not json.loads(answer.body)["Message"]:
                raise Wrong(f"{name}: {answer.status} {answer.body[:200]!r}")
