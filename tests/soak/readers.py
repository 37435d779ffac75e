# SPDX-License-Identifier: Apache-2.0
"""The readers in shared memory: processes of soak_reader.c, whose findings go into the records."""
import asyncio

from content import Wrong
from daemon import clean_environment, program
from measure import descriptors, listing

ROLES = ("mapped", "private", "attaching", "waiting")
HELD = 4  # old versions that soak_reader.c keeps of each configuration


class Reader:
    def __init__(self, role, root, records):
        self.role = role
        self.root = root
        self.records = records
        self.names = list(records)[:1] if role == "waiting" else list(records)
        self.latest = dict.fromkeys(self.names, 0)
        self.versions = 0
        self.process = None

    async def run(self):
        self.process = await asyncio.create_subprocess_exec(
            program("soak_reader", False), self.role, *self.names,
            env=clean_environment(SHMCONF_DIR=self.root), stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE)
        while line := (await self.process.stdout.readline()).decode():
            self.take(line.split())
        status = await self.process.wait()
        if status != 0:
            raise Wrong(f"the {self.role} reader ended with {status}")

    def take(self, words):
        if words[0] != "version":
            raise Wrong(f"the {self.role} reader: {' '.join(words[1:])}")
        index, generation, number = map(int, words[1:])
        name = self.names[index]
        self.records[name].see(generation, number)
        self.latest[name] = number
        self.versions += 1

    def is_up_to_date(self):
        return all(self.latest[name] == self.records[name].made for name in self.names)

    def check_use(self):
        """A directory and a few mappings for each configuration, and no more."""
        count = len(self.names)
        with open(f"/proc/{self.process.pid}/maps", encoding="ascii") as file:
            mappings = sum(1 for line in file if f"{self.root}/" in line)
        if len(descriptors(self.process.pid)) > 8 + count or mappings > (HELD + 2) * count:
            raise Wrong(f"the {self.role} reader has {len(listing(f'/proc/{self.process.pid}/fd'))}"
                        f" descriptors and {mappings} mappings of the region")

    def end(self):
        """It goes through what it holds once more; run() returns when it has."""
        self.process.stdin.close()

    async def kill(self):
        if self.process and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
