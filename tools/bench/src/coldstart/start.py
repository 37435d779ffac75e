# SPDX-License-Identifier: Apache-2.0
"""One cold start of one extension, and what it has cost until its first event/next."""
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from answer import Failure
from programs import variables
from runtime_api import RuntimeApi

TIMEOUT_S = 20
NS_PER_MS = 1e6


@dataclass
class Start:
    """Milliseconds from before the extension is spawned, and kilobytes."""
    registered_ms: float
    readable_ms: float  # None: it publishes nothing
    next_ms: float
    cpu_ms: float
    rss_kb: int
    anonymous_kb: int


def cpu_ns(pid):
    """Of all threads, exact: by the scheduler."""
    return sum(int((task / "schedstat").read_text().split()[0])
               for task in Path(f"/proc/{pid}/task").iterdir())


def memory_kb(pid):
    status = dict(line.split(":", 1) for line in
                  Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]), int(status["RssAnon"].split()[0])


class Spawned:
    """The extension, on a core of its own."""

    def __init__(self, command, environment, core, log):
        ours = os.sched_getaffinity(0)
        with open(log, "wb") as output:
            os.sched_setaffinity(0, {core})  # inherited
            self.started_ns = time.monotonic_ns()
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL,
                                            stdout=output, stderr=output, close_fds=False)
        os.sched_setaffinity(0, ours)
        self.pid = self.process.pid

    def poll(self):
        return self.process.poll()

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def watch(program, names, watcher, directory):
    """A process that waits for the region, or None; it has begun when this returns."""
    if not program.has_region:
        return None
    return subprocess.Popen([watcher, *names], stdout=subprocess.PIPE, text=True,
                            env={"SHMCONF_DIR": str(directory / "region")})


def put_region_away(directory):
    """Not removed: ext4 searches for long when inodes were freed a moment ago, and in a sandbox that
    starts none were."""
    region = directory / "region"
    if region.exists():
        region.rename(tempfile.mkdtemp(dir=directory))


def measure(program, names, upstream, options, directory):
    put_region_away(directory)
    api = RuntimeApi()
    log = directory / "log"
    watcher = watch(program, names, options.watcher, directory)
    extension = Spawned(program.command, variables(program, names, api, upstream, directory),
                        options.core, log)
    try:
        registered, asked, connections = api.serve(extension, TIMEOUT_S)
        cpu = cpu_ns(extension.pid)
        rss, anonymous = memory_kb(extension.pid)
        readable = int(watcher.communicate(timeout=TIMEOUT_S)[0]) if watcher else None
    except (Failure, subprocess.TimeoutExpired) as failure:
        raise Failure(f"{program.title}: {failure}\n{log.read_text(errors='replace')}") from None
    finally:
        extension.stop()
        if watcher and watcher.poll() is None:
            watcher.kill()
            watcher.wait()
        api.close()
    for connection in connections:
        connection.close()
    since = [None if at is None else (at - extension.started_ns) / NS_PER_MS
             for at in (registered, readable, asked)]
    return Start(*since, cpu / NS_PER_MS, rss, anonymous)
