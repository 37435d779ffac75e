# SPDX-License-Identifier: Apache-2.0
"""Configurations that say of themselves what they are, and the record of what was seen of them."""
import math
import random
import re
import zlib

SIZE_MIN, SIZE_MAX = 110, 200_000
CALM_SIZE = 1000  # of all configurations while the daemon is measured
# soak_reader.c knows this form as well.
HEAD = '{{"number":"{:010d}","size":"{:06d}","crc":"{:08x}","text":"'
PATTERN = re.compile(rb'\{"number":"(\d{10})","size":"(\d{6})","crc":"([0-9a-f]{8})","text":"')
HEAD_SIZE = len(HEAD.format(0, 0, 0))
NOISE = "".join(random.Random(2772).choices("abcdefghijklmnopqrstuvwxyz 0123456789", k=1 << 20))


class Wrong(Exception):
    """The daemon did what it must not."""


def make(name, number, size):
    """A JSON document of exactly that many bytes, of which no two have the same."""
    text = f"{name} {number} "
    left = size - HEAD_SIZE - len(text) - 2
    start = random.randrange(len(NOISE) - left)
    text += NOISE[start:start + left]
    return (HEAD.format(number, size, zlib.crc32(text.encode())) + text + '"}').encode()


def random_size():
    """As many small as large ones, by the number of digits."""
    return int(math.exp(random.uniform(math.log(SIZE_MIN), math.log(SIZE_MAX))))


def parse(name, body):
    """The number of a body that is whole; raises Wrong."""
    match = PATTERN.match(body)
    if not match:
        raise Wrong(f"{name}: no such content: {body[:80]!r}")
    number, size, crc = int(match[1]), int(match[2]), int(match[3], 16)
    if size != len(body):
        raise Wrong(f"{name}: number {number} has {len(body)} bytes and says {size}")
    text = memoryview(body)[HEAD_SIZE:-2]
    if zlib.crc32(text) != crc or not body.endswith(b'"}'):
        raise Wrong(f"{name}: number {number} of {size} bytes is mixed or torn")
    start = f"{name} {number} ".encode()
    if bytes(text[:len(start)]) != start:
        raise Wrong(f"{name}: number {number} is another configuration's: {bytes(text[:40])!r}")
    return number


class Record:
    """What was made and seen of one configuration: numbers and generations rise together.

    A number is the test's own, a generation the daemon's, which may leave numbers out.
    """

    def __init__(self, name):
        self.name = name
        self.made = 0
        self.numbers = {}  # of a generation
        self.generation = 0
        self.instance = None

    def make(self, size):
        self.made += 1
        return make(self.name, self.made, size)

    def see(self, generation, number, floor=0):
        """A generation with this number was seen, after one that had been seen as `floor`."""
        if generation < floor:
            raise Wrong(f"{self.name}: generation {generation} after {floor} had been seen")
        if not 1 <= number <= self.made:
            raise Wrong(f"{self.name}: number {number} of {self.made}")
        if self.numbers.setdefault(generation, number) != number:
            raise Wrong(f"{self.name}: generation {generation} is number {number} and was "
                        f"{self.numbers[generation]}")
        newest = self.numbers.get(self.generation, 0)
        if (generation > self.generation) != (number > newest):
            raise Wrong(f"{self.name}: generation {generation} is number {number}, "
                        f"{self.generation} was {newest}")
        self.generation = max(self.generation, generation)

    def see_tag(self, generation, tag):
        """The ETag is "instance-generation", and the instance never another one."""
        match = re.fullmatch(r'"([0-9a-f]{16})-(\d+)"', tag or "")
        if not match or int(match[2]) != generation or self.instance not in (None, match[1]):
            raise Wrong(f"{self.name}: generation {generation} has the ETag {tag}")
        self.instance = match[1]
