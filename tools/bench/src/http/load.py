# SPDX-License-Identifier: Apache-2.0
"""One run of wrk against one server."""
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from answer import Failure, check
from servers import environment

SCRIPT = Path(__file__).with_name("wrk.lua")
ERRORS = ("connect", "read", "write", "timeout", "status", "wrong")
AFTERWARDS = 100  # answers that are compared with the body after each run


@dataclass
class Run:
    """What one run gave."""

    requests_per_s: float
    p50_us: float
    p99_us: float
    cpu_us: float  # of the server, per request
    busy: float  # how much of its core the server had while wrk ran


def wrk(server, case, core, seconds, **more):
    """What wrk counted, when nothing went wrong."""
    command = ["taskset", "-c", str(core), "wrk", "--threads", "1", "--connections",
               str(case.connections), "--duration", f"{seconds}s", "--script", str(SCRIPT)]
    if not case.keep_alive:
        command += ["--header", "Connection: close"]
    command.append(f"http://127.0.0.1:{server.port}{case.path}")
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=seconds + 30,
                                env=environment(**more))
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{server.title}, {case.title}: wrk does not end") from error
    try:
        counted = json.loads(result.stdout.rstrip("\n").rpartition("\n")[2])
    except ValueError as error:
        raise Failure(f"{server.title}, {case.title}: wrk fails:\n{result.stdout}") from error
    bad = {name: counted[name] for name in ERRORS if counted[name]}
    if bad:
        raise Failure(f"{server.title}, {case.title}: wrk counted errors: {bad}")
    if counted["requests"] == 0:
        raise Failure(f"{server.title}, {case.title}: no answers")
    return counted


def check_bytes(server, case, answer, counted):
    """wrk counts bytes when they come and requests when their answer ends: none more or less."""
    extra = counted["bytes"] - counted["requests"] * answer.size
    # Under way at the end is one answer per connection; the last on one may add Connection: close.
    if not 0 <= extra <= case.connections * (answer.size + 64):
        raise Failure(f"{server.title}, {case.title}: {counted['requests']} answers of "
                      f"{answer.size} bytes came with another number of bytes: {counted['bytes']}")


def verify(server, case, core, file):
    """A second of load in which every body is compared; it warms the server up as well."""
    wrk(server, case, core, 1, BENCH_BODY=str(file))


def measure(server, case, core, seconds):
    """A run, of which nothing was wrong."""
    answer = check(server, case, 1)
    cpu = server.cpu_s()
    counted = wrk(server, case, core, seconds)
    cpu = server.cpu_s() - cpu
    check_bytes(server, case, answer, counted)
    check(server, case, AFTERWARDS)
    return Run(requests_per_s=counted["requests"] / counted["us"] * 1e6,
               p50_us=counted["p50_us"], p99_us=counted["p99_us"],
               cpu_us=cpu / counted["requests"] * 1e6, busy=cpu / counted["us"] * 1e6)
