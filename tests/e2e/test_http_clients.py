# SPDX-License-Identifier: Apache-2.0
"""Clients of Python and curl, twice each and across a change of the configuration.

What they and the daemon say to each other is recorded and held against docs/openapi.yaml.
"""
import http.client
import subprocess
import urllib.error
import urllib.request

import pytest

from daemon import TIMEOUT_S
from http_client import BIG, BINARY, CHECKOUT, SHOP, path_of, recorded, serve
from recorder import Recorder

BIG_PATH = path_of("Shop", "Prod", "Big")
BINARY_PATH = path_of("Shop", "Prod", "Binary")
NEW = b'{"limit": 11}'


@pytest.fixture
def fresh(tmp_path):
    with serve(tmp_path) as daemon, Recorder(daemon.port) as recorder:
        daemon.recorder = recorder
        yield daemon
        assert recorder.check()


def change(daemon):
    daemon.put("Shop:Prod:Checkout.json", NEW)
    daemon.wait_body("Shop:Prod:Checkout", NEW)


def check_across_a_change(daemon, fetch):
    """`fetch(path, etag)` returns status, ETag and body."""
    status, first, body = fetch(SHOP, None)
    assert (status, body) == (200, CHECKOUT)
    assert fetch(SHOP, first) == (304, first, b"")
    assert fetch(BINARY_PATH, None)[2] == BINARY
    assert fetch(BIG_PATH, None)[2] == BIG
    assert fetch(path_of("No", "such", "thing"), None)[0] == 404
    change(daemon)
    status, second, body = fetch(SHOP, first)
    assert (status, body) == (200, NEW)
    assert second != first
    assert fetch(SHOP, second) == (304, second, b"")


def conditional(etag):
    return {"If-None-Match": etag} if etag else {}


def test_urllib(fresh):
    def fetch(path, etag):
        request = urllib.request.Request(f"http://127.0.0.1:{fresh.recorder.port}{path}",
                                         headers=conditional(etag))
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                return response.status, response.headers["ETag"], response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["ETag"], error.read()
    check_across_a_change(fresh, fetch)


def test_http_client_on_one_connection(fresh):
    connection = http.client.HTTPConnection("127.0.0.1", fresh.recorder.port, timeout=TIMEOUT_S)

    def fetch(path, etag):
        connection.request("GET", path, headers=conditional(etag))
        response = connection.getresponse()
        return response.status, response.headers["ETag"], response.read()
    check_across_a_change(fresh, fetch)
    assert fresh.recorder.connections == 1
    connection.close()


def curl(daemon, *arguments):
    base = f"http://127.0.0.1:{daemon.recorder.port}"
    arguments = [base + word if word.startswith("/") else word for word in arguments]
    ended = subprocess.run(["curl", "-sS", "--max-time", str(TIMEOUT_S), *arguments],
                           capture_output=True, check=True)
    return ended.stdout


def test_curl(fresh, tmp_path):
    (tmp_path / "etag").write_bytes(b"")
    tagged = ["--etag-compare", "etag", "--etag-save", "etag", "-o", "body", "-w",
              "%{http_code} %{size_download}"]

    def run(path):
        ended = subprocess.run(["curl", "-sS", "--max-time", str(TIMEOUT_S), *tagged,
                                f"http://127.0.0.1:{fresh.recorder.port}{path}"],
                               capture_output=True, check=True, cwd=tmp_path)
        return ended.stdout.decode()
    assert run(SHOP) == f"200 {len(CHECKOUT)}"
    assert run(SHOP) == "304 0"
    change(fresh)
    assert run(SHOP) == f"200 {len(NEW)}"
    assert (tmp_path / "body").read_bytes() == NEW
    assert run(SHOP) == "304 0"


def test_curl_keeps_its_connection(fresh):
    several = curl(fresh, SHOP, BINARY_PATH, "/ping", "/no", BIG_PATH, SHOP, "-w",
                   "|%{num_connects}|")
    assert several.startswith(CHECKOUT + b"|1|" + BINARY + b"|0|")
    assert several.endswith(BIG + b"|0|" + CHECKOUT + b"|0|")
    head = curl(fresh, "-I", SHOP)
    assert b"\r\nContent-Length: %d\r\n" % len(CHECKOUT) in head


def test_recorded_requests_are_those_of_these_clients():
    """So that a fixture that was spoilt by an editor is noticed."""
    for head in recorded().values():
        assert head.startswith(f"GET {SHOP} HTTP/1.1\r\n".encode()) and head.endswith(b"\r\n\r\n")
        assert head.count(b"\n") == head.count(b"\r\n")
        assert b"\nhost: localhost:2772\r\n" in head.lower()
