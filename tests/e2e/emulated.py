# SPDX-License-Identifier: Apache-2.0
"""A function in an emulator of AWS Lambda, with shmconfd as its extension.

    with Function(tmp_path, fake, PYTHON, SHMCONF_PREFETCH_LIST=NAME) as function:
        assert function.invoke()["configuration"] == {"limit": 10}

The emulator is tests/emulator/, or the program that SHMCONF_TEST_LAMBDA_EMULATOR names, which has
to take the same options: AWS's aws-lambda-rie does.
"""
import functools
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import zipfile
from pathlib import Path

import daemon_sockets
from daemon import BIN, TIMEOUT_S, clean_environment, wait_until
from fake_daemon import ISOLATION

SOURCES = Path(__file__).resolve().parents[2]
EMULATOR = SOURCES / "tests" / "emulator"
EXAMPLES = SOURCES / "client" / "examples"
INVOCATIONS = "/2015-03-31/functions/function/invocations"

# In a mount namespace of its own, /opt is what a layer makes of it.
ENTER = """
mount -t tmpfs -o mode=755 none /opt
cp -a "$1/." /opt
shift
exec "$@"
"""


def other_emulator():
    path = os.environ.get("SHMCONF_TEST_LAMBDA_EMULATOR")
    assert not path or os.access(path, os.X_OK), f"no program {path}: tests/deps --all brings AWS's"
    return path


def is_older(path, folders):
    """Whether something in these folders was changed after `path` was made."""
    made = path.stat().st_mtime
    return any(file.stat().st_mtime > made for folder in folders
               for file in (SOURCES / folder).rglob("*") if file.is_file())


@functools.lru_cache(maxsize=None)
def layer():
    """The layer's zip for this machine, which is built where it is missing or old."""
    build = SOURCES / "tools" / "layer" / "build"
    if not build.exists():
        return None
    machine = os.uname().machine.replace("aarch64", "arm64")
    path = SOURCES / "build" / "layer" / f"shmconf-layer-{machine}.zip"
    if not path.exists() or is_older(path, ("daemon", "include", "tools")):
        subprocess.run([build], check=True)
    return path


def unpack_layer(folder):
    with zipfile.ZipFile(layer()) as archive:
        for entry in archive.infolist():
            path = archive.extract(entry, folder)
            os.chmod(path, entry.external_attr >> 16 & 0o777 or 0o755)


def lay_out(folder, plain):
    """Makes what is to be /opt, and returns where the header is."""
    plain = plain or os.environ.get("SHMCONF_TEST_LAMBDA_PLAIN")
    if not plain and layer():
        unpack_layer(folder)
        return folder / "include"
    (folder / "extensions").mkdir(parents=True)
    shutil.copy(BIN / "shmconfd", folder / "extensions" / "shmconfd")
    return SOURCES / "include"


def build_c_handler(folder, include):
    """The example by the one line of its README: the bootstrap."""
    sources = sorted((EXAMPLES / "lambda-c").glob("*.c"))
    subprocess.run(["musl-gcc", "-static", "-O2", "-std=gnu11", "-Werror", "-Wall", "-Wextra",
                    f"-I{include}", "-o", folder / "bootstrap", *sources], check=True)
    return folder / "bootstrap"


def free_ports(count):
    """Free a moment ago; nobody else picks the same ones while we hold them together."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def started_at(pid):
    """When a process started, in ticks since the machine did: with its number it is unique."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


class Function:
    """`language` is "python" or "c"; `environment` goes over the function's variables.
    `plain`: with the daemon of the build that is tested, not with the layer's; for all of them by
    the variable SHMCONF_TEST_LAMBDA_PLAIN."""

    def __init__(self, path, fake, language, name, plain=False, options=(), **environment):
        self.path = path / "function"
        self.path.mkdir()
        include = lay_out(self.path / "opt", plain)
        if language == "c":
            self.command = [build_c_handler(self.path, include)]
        else:
            self.command = [EMULATOR / "bootstrap.py", "handler.handler"]
        self.port, api_port, http_port = free_ports(3)
        self.log_path = self.path / "log"
        self.region = self.path / "region"
        application, stage, profile = name.split(":")
        self.environment = {
            "PATH": os.environ["PATH"], "LAMBDA_TASK_ROOT": EXAMPLES / "lambda-python",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": "10", "AWS_REGION": fake.region,
            "AWS_ACCESS_KEY_ID": fake.key_id, "AWS_SECRET_ACCESS_KEY": fake.secret,
            "AWS_SESSION_TOKEN": fake.session_token, "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL_APPCONFIGDATA": fake.url, "PYTHONDONTWRITEBYTECODE": "1",
            "APP_NAME": application, "ENV_NAME": stage, "PROFILE_NAME": profile,
            "AWS_APPCONFIG_EXTENSION_PREFETCH_LIST": name,
            "AWS_APPCONFIG_EXTENSION_HTTP_PORT": http_port, "SHMCONF_DIR": self.region,
            "SHMCONF_LOOP": "epoll",  # Lambda does not allow io_uring
            # Of the function's own, which the extension must not take for its own.
            "HTTP_PORT": "8080", "LOG_LEVEL": "warn", **environment}
        self.api_address = f"127.0.0.1:{api_port}"
        self.options = ["--log-level", "warn",
                        "--runtime-interface-emulator-address", f"127.0.0.1:{self.port}",
                        "--runtime-api-address", self.api_address, *options]
        self.process = None

    def __enter__(self):
        unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "-r"]
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        emulator = other_emulator() or EMULATOR / "emulator.py"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*unshare, "sh", "-e", "-c", ENTER, "sh", self.path / "opt", "env", "-i",
                 *variables, emulator, *self.options, *self.command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=clean_environment(**{name: None for name in ISOLATION}))
        wait_until(self.is_listening, what=f"{emulator} listens")
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(TIMEOUT_S)
        if kind is not None:
            print(f"--- {self.log_path}", *self.log().splitlines()[-80:], sep="\n")
        elif not other_emulator():
            assert "REFUSED" not in self.log(), self.log()

    def is_listening(self):
        assert self.process.poll() is None, self.log()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self):
        return self.log_path.read_text(errors="backslashreplace")

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def try_invoke(self, event="{}"):
        """Status and answer."""
        status, body = self.call("POST", INVOCATIONS, event)
        try:
            return status, json.loads(body)
        except ValueError:
            return status, body

    def invoke(self):
        status, answer = self.try_invoke()
        assert status == 200 and "configuration" in answer, (status, answer)
        return answer

    def state(self):
        return json.loads(self.call("GET", "/_state")[1])

    def extension_pid(self):
        """Of the one that runs now."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "cmdline").read_bytes() == b"/opt/extensions/shmconfd\0" and \
                        str(self.region).encode() in (folder / "environ").read_bytes() and \
                        (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    return int(folder.name)
            except OSError:
                pass
        return None

    def cut_waiting(self):
        """The connection on which the extension waits for an event is lost."""
        port = int(self.api_address.rpartition(":")[2])
        assert daemon_sockets.shut_down(self.extension_pid(), port) == 1

    def count_log(self, pattern):
        return len(re.findall(pattern, self.log()))

    def shut_down(self):
        """Ends the environment as Lambda does: how many seconds that took."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(TIMEOUT_S)
        return time.monotonic() - begin
