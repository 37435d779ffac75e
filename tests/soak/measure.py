# SPDX-License-Identifier: Apache-2.0
"""What a process uses, by the kernel and by heap_count.c."""
import mmap
import os
import re
import struct
import time
from pathlib import Path

from content import Wrong

FIELDS = ("resident_kb", "heap_blocks", "heap_bytes", "sockets", "other_descriptors", "mappings",
          "region_mappings", "region_files")

# By how much the last measurement may be above the one after the warm-up.
GROWTH = {
    "resident_kb": 2048,     # the allocator's own: pages between blocks that stay
    "heap_blocks": 16,
    "heap_bytes": 64 << 10,
    "other_descriptors": 0,
    "mappings": 8,           # the allocator maps large blocks one by one
    "region_mappings": 0,
    "region_files": 0,
}


class Heap:
    """The numbers of heap_count.c, in a file that it shares with us."""

    def __init__(self, path):
        path.write_bytes(bytes(16))
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 16)
        self.path = path

    def read(self):
        return struct.unpack("qq", self.memory[:16])


def listing(path):
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []


def descriptors(pid):
    """What each open descriptor is."""
    found = []
    for name in listing(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:
            pass
    return found


def processor_s(pid):
    """Processor time used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def region_files(root):
    """Those of the configurations; the file that says whose they are is in the root itself."""
    return [Path(folder) / name for folder, _, names in os.walk(root) for name in names
            if name != ".source"]


def look(pid, root, heap):
    status = Path(f"/proc/{pid}/status").read_text()
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    kinds = descriptors(pid)
    sockets = sum(1 for kind in kinds if kind.startswith("socket:"))
    blocks, size = heap.read()
    return {
        "resident_kb": int(re.search(r"^VmRSS:\s+(\d+)", status, re.M)[1]),
        "heap_blocks": blocks,
        "heap_bytes": size,
        "sockets": sockets,
        "other_descriptors": len(kinds) - sockets,
        "mappings": len(maps),
        "region_mappings": sum(1 for line in maps if f"{root}/" in line),
        "region_files": len(region_files(root)),
    }


def at_rest(pid, root, heap, seconds=1.2):
    """The least of several looks: what is under way now and then is none of ours."""
    least = look(pid, root, heap)
    before, began = processor_s(pid), time.monotonic()
    while time.monotonic() < began + seconds:
        time.sleep(0.05)
        now = look(pid, root, heap)
        least = {field: min(least[field], now[field]) for field in FIELDS}
    least["busy"] = (processor_s(pid) - before) / (time.monotonic() - began)
    return least


def compare(first, last):
    """Raises Wrong when something has grown more than it may."""
    grown = [f"{field} grew from {first[field]} to {last[field]}, {most} more are allowed"
             for field, most in GROWTH.items() if last[field] - first[field] > most]
    if grown:
        raise Wrong("; ".join(grown))
