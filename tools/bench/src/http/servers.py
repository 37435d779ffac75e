# SPDX-License-Identifier: Apache-2.0
"""The servers, each in a directory of its own, on a free port of 127.0.0.1 and on one core."""
import grp
import os
import pwd
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from answer import Failure
from cases import BODIES, NAME, path, payload

START_S = 10
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# What the peers say themselves, as the daemon does.
OF_THE_PROTOCOL = ("date", "content-type", "content-length", "connection")


def environment(**more):
    """Without what the caller's shell is configured with, which must not steer a server."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C", **more}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def stat_of(pid):
    """(parent, ticks of CPU time) of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1]), int(fields[11]) + int(fields[12])


class Server:
    """A running server; `stop` ends it."""

    title = ""
    unavoidable = []  # headers that it cannot leave out of an answer over a kept connection

    def __init__(self, directory, core):
        self.directory = Path(directory)
        self.directory.mkdir()
        self.core = core
        self.port = 0
        self.process = None

    def spawn(self, *command, **more):
        with open(self.directory / "output", "ab") as output:
            self.process = subprocess.Popen(
                ["taskset", "-c", str(self.core), *map(str, command)], stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, env=environment(**more), cwd=self.directory)

    def output(self):
        return (self.directory / "output").read_text(errors="replace")

    def await_start(self, serves):
        """True when `serves()` became true, False when the process has ended."""
        end = time.monotonic() + START_S
        while not serves():
            if self.process.poll() is not None:
                return False
            if time.monotonic() > end:
                raise Failure(f"{self.title} does not serve:\n{self.output()}")
            time.sleep(0.01)
        return True

    def pids(self):
        """The process and its children: nginx's worker."""
        found = [self.process.pid]
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and stat_of(entry.name)[0] == self.process.pid:
                    found.append(int(entry.name))
            except OSError:
                continue  # it has ended meanwhile
        return found

    def cpu_s(self):
        """The CPU time that its processes have taken so far."""
        if self.process.poll() is not None:
            raise Failure(f"{self.title} has ended:\n{self.output()}")
        return sum(stat_of(pid)[1] for pid in self.pids()) / TICKS_PER_S

    def stop(self):
        if not self.process or self.process.poll() is not None:
            return
        pids = self.pids()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            self.process.wait()


class Shmconfd(Server):
    """The daemon with the configurations as local files, on one of its event loops."""

    def __init__(self, directory, core, binaries, backend):
        super().__init__(directory, core)
        self.title = f"shmconfd, {backend}"
        self.backend = backend
        self.binary = Path(binaries).resolve() / "shmconfd"
        self.missing = None  # why this loop cannot be had here

    def version(self):
        result = subprocess.run([self.binary, "--version"], capture_output=True, text=True)
        return result.stdout.split("\n")[0].strip()

    def start(self):
        local = self.directory / "local"
        local.mkdir()
        for word in BODIES:
            (local / ":".join((*NAME, f"{word}.json"))).write_bytes(payload(word))
        self.spawn(self.binary, HTTP_PORT="0", SHMCONF_LOOP=self.backend,
                   SHMCONF_DIR=str(self.directory / "region"),
                   LOCAL_DEVELOPMENT_DIRECTORY=str(local))
        if not self.await_start(lambda: "serving on localhost:" in self.output()):
            reason = re.search(r"io_uring: (not available here[^;]*)", self.output())
            if not reason:
                raise Failure(f"shmconfd does not start:\n{self.output()}")
            self.missing = reason[1]
            return
        self.port = int(re.search(r"serving on localhost:(\d+)", self.output())[1])
        if f"event loop: {self.backend}\n" not in self.output():
            raise Failure(f"shmconfd took another event loop:\n{self.output()}")


class Peer(Server):
    """A packaged server that serves the same bytes from files, with the headers of the daemon."""

    def __init__(self, directory, core, headers):
        super().__init__(directory, core)
        self.files = self.directory / "files"
        for word in BODIES:
            file = self.files / path(word)[1:]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(payload(word))
        self.headers = [(name, value) for name, value in headers
                        if name.lower() not in OF_THE_PROTOCOL]

    def start(self):
        for _ in range(3):  # somebody else may have taken the port meanwhile
            self.port = free_port()
            (self.directory / "conf").write_text(self.configuration())
            self.spawn(*self.command)
            if self.await_start(self.accepts):
                return
        raise Failure(f"{self.title} does not start:\n{self.output()}")

    def accepts(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Nginx(Peer):
    """One worker. A small file is fastest read and written, a larger one sent by the kernel."""

    title = "nginx"
    unavoidable = [("connection", len("keep-alive"))]

    @property
    def command(self):
        return "nginx", "-p", f"{self.directory}/", "-c", self.directory / "conf", "-e", "errors"

    def version(self):
        result = subprocess.run(["nginx", "-v"], capture_output=True, text=True)
        return "nginx " + result.stderr.strip().rpartition("/")[2].split(" ")[0]

    def configuration(self):
        user = ""
        if os.geteuid() == 0:  # the worker shall be able to read our directory
            group = grp.getgrgid(os.getegid()).gr_name
            user = f"user {pwd.getpwuid(0).pw_name} {group};"
        headers = " ".join(f"add_header {name} {quoted(value)};" for name, value in self.headers)
        temporary = " ".join(f"{name}_temp_path {name};"
                             for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return f"""
            load_module /usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so;
            {user}
            daemon off; worker_processes 1; pid pid; error_log errors warn;
            events {{ use epoll; multi_accept on; worker_connections 1024; }}
            http {{
                access_log off; {temporary}
                keepalive_timeout 300s; keepalive_requests 1000000000;
                open_file_cache max=100 inactive=1h; open_file_cache_valid 1h;
                types {{ }} default_type application/json;
                etag off; max_ranges 0; add_header Last-Modified ""; {headers}
                more_clear_headers Server;
                server {{
                    listen 127.0.0.1:{self.port} backlog=1024;
                    root {self.files};
                    location {path("32k")} {{ sendfile on; tcp_nopush on; }}
                }}
            }}
            """


class Lighttpd(Peer):
    """One worker, as it is by default."""

    title = "lighttpd"

    @property
    def command(self):
        return "lighttpd", "-D", "-f", self.directory / "conf"

    def version(self):
        result = subprocess.run(["lighttpd", "-v"], capture_output=True, text=True)
        return result.stdout.split(" ")[0].replace("/", " ")

    def configuration(self):
        headers = ", ".join(f"{quoted(name)} => {quoted(value)}"
                            for name, value in [*self.headers, ("Last-Modified", "")])
        return f"""
            server.bind = "127.0.0.1"
            server.port = {self.port}
            server.document-root = "{self.files}"
            server.errorlog = "{self.directory}/errors"
            server.modules = ( "mod_setenv" )
            server.tag = ""
            server.range-requests = "disable"
            server.network-backend = "sendfile"
            server.listen-backlog = 1024
            server.max-keep-alive-idle = 300
            server.max-keep-alive-requests = 65535
            etag.use-inode = "disable"
            etag.use-mtime = "disable"
            etag.use-size = "disable"
            mimetype.assign = ( "" => "application/json" )
            setenv.set-response-header = ( {headers} )
            """
