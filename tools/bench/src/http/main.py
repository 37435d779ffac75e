# SPDX-License-Identifier: Apache-2.0
"""What tools/bench/http runs: starts the servers, loads them in turns, prints what it found."""
import argparse
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import report
from answer import Failure, check, compare
from cases import OURS, SERVERS, Case, payload, select
from load import measure, verify
from servers import Lighttpd, Nginx, Shmconfd

ROUNDS = 3


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tools/bench/http", usage="tools/bench/http --help",
                                     add_help=False, allow_abbrev=False)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--only", default="")
    parser.add_argument("--bin", default=".")
    parser.add_argument("--check", action="store_true", help="only look at the arguments")
    options = parser.parse_args(arguments)
    if not 1 <= options.seconds <= 60:
        parser.error("--seconds takes a number from 1 to 60")
    try:
        options.servers, options.cases = select(options.only)
    except ValueError as error:
        parser.error(f"--only knows no {error}; see tools/bench/http --help")
    options.rounds = 1 if options.quick else ROUNDS
    options.seconds = 1 if options.quick else options.seconds
    return options


def siblings(core):
    """The hardware threads of the same core."""
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text()
    except OSError:
        return {core}
    found = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def choose_cores():
    """(the servers', wrk's, what is to be said of them): two cores, rather than threads of one."""
    allowed = sorted(os.sched_getaffinity(0))
    first = allowed[0]
    others = [core for core in allowed if core not in siblings(first)]
    if others:
        return first, others[0], f"servers on core {first}, wrk on core {others[0]}"
    if len(allowed) > 1:
        return first, allowed[1], f"servers and wrk on threads {first} and {allowed[1]} of one core"
    return first, first, "servers and wrk share the only core: the figures say little"


def start_servers(stack, options, directory, core):
    """The servers by their word, running, all with the headers that the daemon gives."""
    def started(server):
        stack.callback(server.stop)
        server.start()
        return server

    running = {}
    # One of ours always runs: it says what the peers have to answer.
    for word in [word for word in OURS if word in options.servers] or OURS[:1]:
        running[word] = started(Shmconfd(directory / word, core, options.bin, word))
    ours = next((server for server in running.values() if not server.missing), None)
    if not ours:
        raise Failure("io_uring is " + next(iter(running.values())).missing)
    headers = check(ours, Case("1k", "64"), 1).headers
    for word, kind in (("nginx", Nginx), ("lighttpd", Lighttpd)):
        if word in options.servers:
            running[word] = started(kind(directory / word, core, headers))
    return running, ours


def check_servers(options, running, ours, directory, core):
    """That all give the same answer to what will be asked, also under load."""
    for case in options.cases:
        expected = check(ours, case, 1)
        for server in running.values():
            compare(expected, check(server, case, 1), server, case)
    for body in dict.fromkeys(case.body for case in options.cases):
        file = directory / f"body-{body}"
        file.write_bytes(payload(body))
        for server in running.values():
            verify(server, Case(body, "64"), core, file)


def measure_all(options, running, core):
    """{case: {word: [a run for each round]}}; the servers take turns, then the other way round."""
    runs = {case: {word: [] for word in running} for case in options.cases}
    for case in options.cases:
        for turn in range(options.rounds):
            for word in list(running)[::-1 if turn % 2 else 1]:
                runs[case][word].append(measure(running[word], case, core, options.seconds))
    return runs


def version_of_wrk():
    result = subprocess.run(["wrk", "--version"], capture_output=True, text=True)
    return " ".join(result.stdout.split()[:2]).replace("debian/", "")


def run(options):
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shmconf-http.")))
        core, core_of_wrk, cores = choose_cores()
        running, ours = start_servers(stack, options, directory, core)
        missing = {word: server.missing for word, server in running.items()
                   if word in OURS and server.missing}
        running = {word: running[word] for word in SERVERS
                   if word in running and word not in missing}
        check_servers(options, running, ours, directory, core_of_wrk)
        running = {word: running[word] for word in running if word in options.servers}
        versions = dict.fromkeys([*(server.version() for server in running.values()),
                                  version_of_wrk()])
        runs = measure_all(options, running, core_of_wrk)
    machine = report.look_at_machine(cores, list(versions))
    printed = report.as_json if options.json else report.as_text
    print(printed(machine, options, runs, missing))


def main():
    options = parse(sys.argv[1:])
    if options.check:
        return 0
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        run(options)
    except Failure as failure:
        print(f"tools/bench/http: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
