# SPDX-License-Identifier: Apache-2.0
"""Starts the programs in tests/clients/; README.md there says what they read and write."""
import base64
import collections
import pathlib
import shutil
import subprocess

import pytest

from daemon import TIMEOUT_S, clean_environment

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "clients"

Answer = collections.namedtuple("Answer", "status etag type length body")

# file and arguments; whether it uses a connection again; what only this client says in a request
Kind = collections.namedtuple("Kind", "file arguments keeps says")

KINDS = {
    "node-fetch": Kind("node_fetch.js", [], True, "\r\nsec-fetch-mode: cors"),
    "java-httpclient": Kind("JavaHttpClient.java", [], True, "\r\nUpgrade: h2c"),
    "java-httpclient-http1": Kind("JavaHttpClient.java", ["HTTP_1_1"], True,
                                  "\r\nUser-Agent: Java-http-client/"),
    "java-urlconnection": Kind("JavaUrlConnection.java", [], True, "\r\nUser-Agent: Java/"),
    "ruby-net-http": Kind("ruby_net_http.rb", [], True, "\r\nUser-Agent: Ruby"),
    "php-streams": Kind("php_streams.php", [], False, "\r\nConnection: close"),
    "php-curl": Kind("php_curl.php", [], True, "\r\nAccept: */*"),
    "go-net-http": Kind("go_net_http.go", [], True, "\r\nUser-Agent: Go-http-client/1.1"),
}

RUNTIMES = {
    ".js": ["node"],
    # Short programs are not worth the second compiler.
    ".java": ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "--source", "17"],
    ".rb": ["ruby"],
    ".php": ["php"],
    ".go": ["go", "build", "-o"],
}

NEEDED = {".java": ["java", "javac"]}  # java compiles by itself, but only where javac is as well


def prepare(name, directory):
    """The command that starts a client, without its arguments; Go's is built into `directory`."""
    source = FOLDER / KINDS[name].file
    command = RUNTIMES[source.suffix]
    for needed in NEEDED.get(source.suffix, command[:1]):
        if not shutil.which(needed):
            pytest.skip(f"{needed} is not installed")
    if name == "php-curl" and \
            "curl" not in subprocess.check_output(["php", "-m"], text=True).split():
        pytest.skip("the curl extension of PHP is not installed")
    if source.suffix != ".go":
        return [*command, str(source)]
    built = str(directory / "client")
    subprocess.run([*command, built, str(source)], check=True, cwd=directory,
                   env=clean_environment(GOTOOLCHAIN="local", GOFLAGS="", CGO_ENABLED="0"))
    return [built]


class Program:
    """A client that runs and asks the given port."""

    def __init__(self, name, command, port):
        self.name, self.kind = name, KINDS[name]
        command = [*command, f"http://127.0.0.1:{port}", *self.kind.arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=clean_environment(LC_ALL="C.UTF-8"))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        """The client ends by itself with its input."""
        try:
            self.process.stdin.close()
            assert self.process.wait(TIMEOUT_S) == 0
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()

    def ask(self, names, method="GET", etag=""):
        self.process.stdin.write(("\t".join([method, etag, *names]) + "\n").encode())
        self.process.stdin.flush()
        line = self.process.stdout.readline().decode("ascii")
        assert line, f"{self.name} ended: {self.process.wait()}"
        status, etag, media, length, body = line.rstrip("\n").split("\t")
        return Answer(int(status), etag, media, length, base64.b64decode(body))
