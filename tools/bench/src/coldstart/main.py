# SPDX-License-Identifier: Apache-2.0
"""What tools/bench/coldstart runs: starts the extensions in turns, prints what it took."""
import argparse
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

# The servers' directory has what both benchmarks of processes need.
sys.path.insert(1, str(Path(__file__).parent.parent / "http"))
# pylint: disable=wrong-import-position
import programs as extensions
import table
from answer import Failure
from start import measure
from upstream import Upstream

ROUNDS = 21


@dataclass(frozen=True)
class Case:
    count: int
    size: int
    is_for: str  # the figure that has its budget here

    @property
    def title(self):
        many = "1 configuration" if self.count == 1 else f"{self.count} configurations"
        return f"{many} of {self.size // 1024} KB"

    def names(self):
        return [f"Shop:Prod:Limits{i}" for i in range(self.count)]

    def body(self):
        return b'{"text": "' + b"x" * (self.size - 12) + b'"}'


CASES = (Case(1, 1024, "registered_ms"), Case(10, 1024, ""), Case(1, 100 * 1024, "rss_kb"))


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tools/bench/coldstart", add_help=False,
                                     usage="tools/bench/coldstart --help", allow_abbrev=False)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--bin", type=lambda text: Path(text).resolve(), default=Path())
    parser.add_argument("--layer", type=lambda text: Path(text).resolve(), default=Path("none"))
    parser.add_argument("--check", action="store_true", help="only look at the arguments")
    options = parser.parse_args(arguments)
    if not 1 <= options.rounds <= 1000:
        parser.error("--rounds takes a number from 1 to 1000")
    options.rounds = 3 if options.quick else options.rounds
    return options


def choose_cores(options):
    """The extension has one core; the other sides and this program the others."""
    allowed = sorted(os.sched_getaffinity(0))
    options.core = allowed[0]
    others = set(allowed[1:]) or {allowed[0]}
    os.sched_setaffinity(0, others)
    options.cores = (f"extensions on core {options.core}, the rest elsewhere" if len(allowed) > 1
                     else "everything on the only core: the figures say little")
    return min(others)


def find_programs(options, directory):
    found, missing = [], {}
    for word, make in extensions.KINDS.items():
        program = make(options, directory)
        if program:
            found.append(program)
        else:
            missing[word] = extensions.MISSING[word]
    return found, missing


def measure_case(case, found, options, directory, core):
    """{word: [a Start for each round]}; the programs take turns, after one start that warms up."""
    print(f"tools/bench/coldstart: {case.title}: {options.rounds + 1} starts of each program",
          file=sys.stderr, flush=True)
    upstream = Upstream(directory / f"upstream-{case.count}-{case.size}", core, case.body())
    starts = {program.word: [] for program in found}
    try:
        for turn in range(options.rounds + 1):
            for program in found:
                start = measure(program, case.names(), upstream, options, directory)
                if turn:
                    starts[program.word].append(start)
    finally:
        upstream.stop()
    return starts


def run(options):
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shmconf-start.")))
        options.watcher = options.bin / "bench_watch"
        found, missing = find_programs(options, directory)
        core = choose_cores(options)
        results = {case: measure_case(case, found, options, directory, core) for case in CASES}
    printed = table.as_json if options.json else table.as_text
    print(printed(options, found, missing, results))


def main():
    options = parse(sys.argv[1:])
    if options.check:
        return 0
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        run(options)
    except Failure as failure:
        print(f"tools/bench/coldstart: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
