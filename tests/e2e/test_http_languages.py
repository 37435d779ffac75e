# SPDX-License-Identifier: Apache-2.0
"""The clients of other languages as they are: each is one process, which does all of this.

What they and the daemon say to each other is recorded and held against docs/openapi.yaml.
"""
import json
import os
import random
import urllib.parse

import pytest

from client_programs import KINDS, Program, prepare
from daemon import Daemon, io_uring_is_allowed
from recorder import Recorder

LIMITS = ("Shop", "Prod", "Limits")
BIG = ("Shop", "Prod", "Big")
MISSING = ("Shop", "Prod", "Läden/100%")
# Each language has its own idea of which characters have to be encoded.
STRANGE = ("Läden & \"Söhne\" ~a*b'c", "50% +2B;é!(d)", "日本 \U0001f6d2 ?x=1#y@[$,]")

OLD = b'{\n  "limit": 10,\t"on" : true }\n'
NEW = b'{"limit": 11}'
BIG_BODY = random.Random(2772).randbytes(1 << 20)
STRANGE_BODY = '{"größe": "日本"}'.encode()


class Client:
    def __init__(self, program, recorder, daemon):
        self.program, self.recorder, self.daemon = program, recorder, daemon
        self.ask = program.ask


@pytest.fixture(scope="module", params=KINDS)
def client(request, tmp_path_factory):
    backend = os.environ.get("SHMCONF_TEST_BACKEND") or None
    if backend == "io_uring" and not io_uring_is_allowed():
        pytest.skip("the kernel does not allow io_uring here")
    directory = tmp_path_factory.mktemp(request.param)
    command = prepare(request.param, directory)
    daemon = Daemon(directory, backend, start=False)
    daemon.put("Shop:Prod:Big", BIG_BODY)
    daemon.put(":".join(STRANGE) + ".json", STRANGE_BODY)
    daemon.put("Shop:Prod:Limits.json", OLD)
    daemon.is_to_start = True
    with daemon, Recorder(daemon.port) as recorder:
        daemon.assert_backend()
        with Program(request.param, command, recorder.port) as program:
            yield Client(program, recorder, daemon)
        assert recorder.check()


def test_it_is_the_client_that_is_meant(client):
    assert client.ask(LIMITS).status == 200
    assert client.program.kind.says in client.recorder.requests[0]


def test_reads_a_configuration_and_what_it_becomes(client):
    first = client.ask(LIMITS)
    assert (first.status, first.type, first.body) == (200, "application/json", OLD)
    same = client.ask(LIMITS, etag=first.etag)
    assert (same.status, same.etag, same.body) == (304, first.etag, b"")
    client.daemon.put("Shop:Prod:Limits.json", NEW)
    client.daemon.wait_body(":".join(LIMITS), NEW)
    second = client.ask(LIMITS, etag=first.etag)
    assert (second.status, second.length, second.body) == (200, str(len(NEW)), NEW)
    assert second.etag != first.etag
    assert client.ask(LIMITS, etag=second.etag).status == 304


def test_reads_a_mebibyte(client):
    answer = client.ask(BIG)
    assert (answer.status, answer.type) == (200, "application/octet-stream")
    assert answer.body == BIG_BODY


def test_asks_for_the_head_alone(client):
    head = client.ask(BIG, "HEAD")
    assert (head.status, head.type, head.body) == (200, "application/octet-stream", b"")
    assert head.etag == client.ask(BIG).etag
    # Some hide a length that does not belong to a body.
    assert head.length in (str(len(BIG_BODY)), "")
    assert client.ask(MISSING, "HEAD").status == 404


def test_reads_what_is_wrong(client):
    answer = client.ask(MISSING)
    assert (answer.status, answer.type) == (404, "application/json")
    assert json.loads(answer.body)["ResourceType"] == "Configuration"
    target = client.recorder.requests[-1].split()[1]
    assert [urllib.parse.unquote(part) for part in target.split("/")[2::2]] == list(MISSING)


def test_names_of_any_characters(client):
    answer = client.ask(STRANGE)
    assert (answer.status, answer.body) == (200, STRANGE_BODY)


def test_uses_its_connection_again(client):
    """As far as the client does so at all."""
    client.ask(BIG)
    before = client.recorder.connections
    for turn in range(50):
        assert client.ask(LIMITS if turn % 10 else BIG).status == 200
        assert client.ask(MISSING).status == 404
        assert client.ask(STRANGE).body == STRANGE_BODY
    made = client.recorder.connections - before
    assert made == (0 if client.program.kind.keeps else 150)
