# SPDX-License-Identifier: Apache-2.0
"""One soak: rounds of load on a daemon, and a measurement at rest after each."""
import asyncio
import os
import random
import re
import time

import measure
from clients import KEPT, Clients
from content import CALM_SIZE, Record, Wrong, random_size
from http_connection import Connection, request, target
from readers import ROLES, Reader
from sources import AppConfig, Local

NAMES = [f"Soak:Load:C{i:02}" for i in range(40)]
CHANGE_S = 0.1         # between two changes
CONFIGURATIONS = 64    # SHMCONF_MAX_CONFIGURATIONS: room for few of the names that nobody knows
CALM_S = 30            # in which everything has to come to rest
BUSY_MAX = 0.3         # of a processor, at rest
ROUND_S = 60


class Soak:
    def __init__(self, options, path):
        self.options = options
        self.heap = measure.Heap(path / "heap")
        environment = {
            "LD_PRELOAD": options.bin / "soak_heap.so", "SOAK_HEAP_FILE": self.heap.path,
            "SHMCONF_CLIENT_TIMEOUT_MS": "2000", "SHMCONF_MAX_CONFIGURATIONS": CONFIGURATIONS}
        if options.source == "local":
            self.source = Local(path, options.backend, environment)
        else:
            self.source = AppConfig(path, options.backend, environment, NAMES)
        self.daemon = self.source.daemon
        self.records = {name: Record(name) for name in NAMES}
        self.readers = [Reader(role, self.daemon.root, self.records) for role in ROLES]
        self.clients = None
        self.is_changing = False
        self.log_at = 0
        self.explained = 0
        self.sockets = 0  # without clients

    async def put_all(self):
        for name, record in self.records.items():
            await self.source.put(name, record.make(CALM_SIZE), calm=True)

    async def change(self):
        """One configuration always, and one of the others."""
        while self.is_changing:
            for name in (NAMES[0], random.choice(NAMES[1:])):
                await self.source.put(name, self.records[name].make(random_size()))
            await asyncio.sleep(CHANGE_S)

    async def wait(self, condition, what):
        """Waits until the coroutine function `condition` returns true."""
        end = time.monotonic() + self.options.patience
        while not await condition():
            if time.monotonic() > end:
                raise Wrong(f"not within {self.options.patience} s: {what}")
            await asyncio.sleep(0.1)

    async def is_served(self):
        """Whether HTTP has the newest number of every configuration."""
        await self.source.calm()
        for name, record in self.records.items():
            async with Connection(self.daemon.port) as connection:
                await connection.send(request(target(name)))
                answer = await connection.answer()
            if answer.status != 200:
                return False
            self.clients.check(name, answer, record.generation)
            if record.numbers[record.generation] != record.made:
                return False
        return True

    async def is_read(self):
        return all(reader.is_up_to_date() for reader in self.readers)

    async def has_closed(self):
        """Whether no connections are left but those that stay."""
        now = measure.look(self.daemon.pid, self.daemon.root, self.heap)["sockets"]
        return now <= self.sockets + KEPT + self.source.upstream_sockets

    async def work(self, seconds):
        self.is_changing = True
        self.clients.working.set()
        changes = asyncio.create_task(self.change())
        trouble = asyncio.create_task(self.source.trouble())
        try:
            done, _ = await asyncio.wait([changes, trouble], timeout=seconds,
                                         return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            self.is_changing = False
            trouble.cancel()
            await asyncio.gather(changes, trouble, return_exceptions=True)

    async def rest(self):
        """Brings everything to rest with small versions, and measures."""
        await self.clients.rest(self.options.patience)
        await self.put_all()
        await self.wait(self.is_served, "the last versions are served")
        await self.wait(self.is_read, "the last versions reach readers in shared memory")
        await self.wait(self.has_closed, "the descriptors of connections are closed")
        self.check_log()
        use = measure.at_rest(self.daemon.pid, self.daemon.root, self.heap)
        if use["busy"] > BUSY_MAX:
            raise Wrong(f"at rest it uses {use['busy']:.0%} of a processor")
        if use["region_files"] != 3 * len(NAMES):
            raise Wrong(f"{use['region_files']} files in the region and not a head and two versions"
                        f" of each of {len(NAMES)}")
        for reader in self.readers:
            reader.check_use()
        return use

    def check_log(self):
        """Nothing is logged as an error or a warning but what the faults explain."""
        with open(self.daemon.log_path, encoding="utf-8", errors="backslashreplace") as log:
            log.seek(self.log_at)
            for line in log:
                if re.search(r"\b(WARN|ERROR|FATAL)\b", line):
                    if not self.source.explained or not self.source.explained.search(line):
                        raise Wrong(f"the log says: {line.strip()}")
                    self.explained += 1
            self.log_at = log.tell()

    def rounds(self):
        """The warm-up, a third of the time at most, and then rounds of up to a minute."""
        left = self.options.seconds
        warm_up = min(left / 3, ROUND_S)
        yield warm_up
        count = max(1, round((left - warm_up) / ROUND_S))
        for _ in range(count):
            yield (left - warm_up) / count

    def report(self, use, elapsed):
        done = self.clients.done
        asked = sum(done[key] for key in ("200", "304", "head"))
        print(f"{elapsed:6.0f} s  {use['resident_kb']:6} KB resident  heap {use['heap_blocks']:5} "
              f"blocks {use['heap_bytes'] >> 10:5} KB  descriptors {use['sockets']} + "
              f"{use['other_descriptors']}  {use['mappings']} mappings  {use['region_files']} files"
              f"  {asked} answers  {self.versions()} versions  {self.source.failed} failed calls",
              flush=True)

    def versions(self):
        return sum(record.generation for record in self.records.values())

    async def loaded(self):
        began = time.monotonic()
        first = last = None
        for seconds in self.rounds():
            await self.work(seconds)
            last = await self.rest()
            first = first or last
            self.report(last, time.monotonic() - began)
        measure.compare(first, last)
        self.check_done()
        processor = measure.processor_s(self.daemon.pid)
        for reader in self.readers:
            reader.end()
        elapsed = time.monotonic() - began
        own = sum(os.times()[:2])
        read = ", ".join(f"{reader.versions} {reader.role}" for reader in self.readers)
        print(f"daemon: {processor / elapsed:.0%} of a processor, clients and source "
              f"{own / elapsed:.0%}; {self.explained} lines in its log explained by faults; "
              f"read in shared memory: {read}")
        print("clients: " + ", ".join(f"{count} {what}" for what, count
                                      in sorted(self.clients.done.items())))

    def check_done(self):
        """A soak in which nothing happened shows nothing."""
        kinds = ("200", "304", "head", "once", "half_closing", "hanging_up", "slow",
                 "never_reading", "cutting", "talking_nonsense", "a_stranger")
        idle = [kind for kind in kinds if not self.clients.done[kind]]
        if idle:
            raise Wrong(f"too little happened: no {', '.join(idle)}")
        # Besides the small versions before the load and at each rest.
        changes = self.versions() - len(NAMES) * (1 + len(list(self.rounds())))
        if changes < self.options.seconds / 2:
            raise Wrong(f"too little happened: {changes} versions under load")
        if self.source.upstream_sockets and self.source.failed < self.options.seconds:
            raise Wrong(f"too little happened: {self.source.failed} calls failed")

    async def run(self):
        await self.put_all()
        with self.source, self.daemon as daemon:
            daemon.start()
            daemon.assert_backend()
            self.sockets = measure.look(daemon.pid, daemon.root, self.heap)["sockets"]
            self.clients = Clients(daemon.port, self.records, self.options.rate,
                                   may_wait=self.source.upstream_sockets > 0)
            await self.wait(self.is_served, "the first versions are served")
            for number in range(CONFIGURATIONS):
                await self.clients.ask_for_unknown(number)
            await self.clients.crowd()
            try:
                async with asyncio.TaskGroup() as group:
                    self.clients.start(group)
                    reading = [group.create_task(reader.run()) for reader in self.readers]
                    main = group.create_task(self.loaded())
                    await asyncio.wait([main, *reading], return_when=asyncio.FIRST_EXCEPTION)
                    raise Finished
            except* Finished:
                pass
            finally:
                for reader in self.readers:
                    await reader.kill()
            self.check_log()


class Finished(Exception):
    """Ends the clients."""
