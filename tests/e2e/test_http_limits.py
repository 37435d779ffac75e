# SPDX-License-Identifier: Apache-2.0
"""Clients that are slow, vanish, or are too many: they cost the others and the daemon nothing."""
import os
import pathlib
import signal
import socket
import time

import pytest

from daemon import wait_until
from http_client import (BIG, CHECKOUT, SHOP, Client, begin, connections, path_of, recorded,
                         request, serve, wait_until_gone)

CHECKOUT_REQUEST = request()
BIG_REQUEST = request(target=path_of("Shop", "Prod", "Big"))
TIMEOUT_S = 0.3
FREEZABLE_S = 1.5


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """A daemon that waits for its clients only briefly."""
    with serve(tmp_path_factory.mktemp("hasty"), {"SHMCONF_CLIENT_TIMEOUT_MS": "300"}) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def freezable(tmp_path_factory):
    """A daemon whose timeout ends in a freeze, and in which a test has time to go on after it."""
    with serve(tmp_path_factory.mktemp("freezable"),
               {"SHMCONF_CLIENT_TIMEOUT_MS": f"{FREEZABLE_S}s"}) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def patient(tmp_path_factory):
    """A daemon whose timeout is longer than a test may last."""
    with serve(tmp_path_factory.mktemp("patient"), {"SHMCONF_CLIENT_TIMEOUT_MS": "600s"}) as daemon:
        yield daemon


def processor_time(daemon):
    """Seconds of processor time that the daemon has used so far."""
    fields = pathlib.Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def assert_sleeps(daemon):
    """Nothing is going on, so it must use next to no processor time."""
    before = processor_time(daemon)
    time.sleep(0.3)  # the measurement itself
    assert processor_time(daemon) - before < 0.15


HAS_LENGTH = request("POST", SHOP, "Content-Length: 3")
HAS_CHUNKS = request("POST", SHOP, "Transfer-Encoding: chunked")
WAITS = request("GET", SHOP, "Content-Length: 3", "Expect: 100-continue")
INCOMPLETE = [
    b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", request()[:-1], b"\r\n", WAITS, HAS_LENGTH,
    HAS_LENGTH + b"ab", HAS_CHUNKS, HAS_CHUNKS + b"3\r\nabc\r\n0\r\n\r",
]


def test_request_that_stays_incomplete_is_408(hasty):
    clients = [Client(hasty.port) for _ in INCOMPLETE]
    kept = Client(hasty.port)
    kept.expect(200)
    kept.send(request()[:30])
    for client, data in zip(clients, INCOMPLETE):
        client.send(data)
    for client, data in [*zip(clients, INCOMPLETE), (kept, b"")]:
        method = data[:4].decode().strip() if data.startswith((b"GET ", b"POST ")) else "GET"
        if b"Expect" in data:
            client.read(len("HTTP/1.1 100 Continue\r\n\r\n"))
        assert client.answer(method).status == 408
        client.expect_end()
        client.close()


def test_one_byte_at_a_time_does_not_prolong_a_head(hasty):
    with Client(hasty.port) as client:
        client.send(b"GET /")
        while client.is_open():
            client.send(b"x")
            time.sleep(0.02)  # the client's pace
        assert client.answer().status == 408


def test_idle_connections_outlive_the_timeout(hasty):
    fresh, served = Client(hasty.port), Client(hasty.port)
    served.expect(200)
    for _ in range(3):
        with Client(hasty.port) as witness:
            witness.send(b"G")
            assert witness.answer().status == 408
    for client in (fresh, served):
        assert client.is_open()
        assert client.expect(200).body == CHECKOUT
        client.close()


def test_client_that_does_not_read_is_cut_off(hasty):
    clients = [Client(hasty.port, receive_buffer=4096) for _ in range(3)]
    clients[0].send(BIG_REQUEST * 10)
    clients[1].send(BIG_REQUEST * 10)
    clients[1].socket.shutdown(socket.SHUT_WR)
    clients[2].send(BIG_REQUEST * 10)
    clients[2].read_head()
    wait_until_gone(hasty)
    for client in clients:
        received = 0
        with pytest.raises(ConnectionError):
            while got := client.socket.recv(1 << 20):
                received += len(got)
            raise AssertionError("an orderly end")
        assert received < 10 * len(BIG)
        client.close()


def test_client_that_reads_on_may_take_longer_than_the_timeout(hasty):
    for _ in range(10):
        with Client(hasty.port, receive_buffer=4096) as client:
            client.send(BIG_REQUEST)
            size = int(client.read_head()["Content-Length"])
            start = last = time.monotonic()
            longest = 0.0
            pieces = []
            try:
                # Little at a time, so that for long the daemon has nothing more to send.
                while time.monotonic() - start < 4 * TIMEOUT_S:
                    time.sleep(0.02)
                    pieces.append(client.read(8192))
                    longest = max(longest, time.monotonic() - last)
                    last = time.monotonic()
                pieces.append(client.read(size - 8192 * len(pieces)))
                assert b"".join(pieces) == BIG
                return
            except ConnectionError:
                # Then it is this machine that has kept us from reading.
                longest = max(longest, time.monotonic() - last)
                assert longest > TIMEOUT_S / 3


def freeze(daemon):
    """For longer than the time-out; before and afterwards it has seen what there is to see."""
    with Client(daemon.port) as witness:
        witness.expect(200)
        daemon.send(signal.SIGSTOP)
        time.sleep(FREEZABLE_S + 1)
        daemon.send(signal.SIGCONT)
        witness.expect(200)


def test_a_client_that_is_frozen_amid_its_request_is_not_late(freezable):
    text = request("POST", SHOP, "Content-Length: 3", body=b"abc")
    for cut in (20, len(text) - 1):
        with Client(freezable.port) as client:
            client.send(text[:cut])
            freeze(freezable)
            client.send(text[cut:])
            assert client.answer("POST").status == 405


def test_a_client_that_is_frozen_amid_an_answer_reads_it_to_its_end(freezable):
    with Client(freezable.port, receive_buffer=4096) as client:
        client.send(BIG_REQUEST)
        size = int(client.read_head()["Content-Length"])
        freeze(freezable)
        assert client.read(size) == BIG


def test_a_client_that_is_slow_after_a_freeze_is_refused(freezable):
    with Client(freezable.port) as client:
        client.send(b"GET /")
        freeze(freezable)
        assert client.answer().status == 408


def test_hang_up_at_every_byte(patient):
    heads = [recorded()["node20-fetch"],
             request("POST", SHOP, "Transfer-Encoding: chunked",
                     body=b"3\r\nabc\r\n0\r\nT: t\r\n\r\n"),
             request("POST", SHOP, "Expect: 100-continue", "Content-Length: 3", body=b"abc")]
    for head in heads:
        for cut in range(len(head) + 1):
            for way in ("close", "reset", "half"):
                client = Client(patient.port)
                client.send(head[:cut])
                if way == "half":
                    client.socket.shutdown(socket.SHUT_WR)
                    while client.socket.recv(4096):
                        pass
                    way = "close"
                getattr(client, way)()
    wait_until_gone(patient)
    assert_sleeps(patient)


def test_hang_up_in_the_middle_of_an_answer(patient):
    for number in range(60):
        client = Client(patient.port, receive_buffer=4096)
        client.send(BIG_REQUEST * (1 + number % 3))
        client.read(1 + number * 1000)
        if number % 2:
            client.close()
        else:
            client.reset()
    wait_until_gone(patient)
    with Client(patient.port) as client:
        assert client.expect(200).body == CHECKOUT


def test_versions_that_were_sent_are_given_back(patient):
    target = path_of("Shop", "Prod", "Replaced")
    used = []
    for number in range(30):
        body = bytes([number]) * (1 << 20)
        patient.put("Shop:Prod:Replaced", body)
        patient.wait_body("Shop:Prod:Replaced", body)
        with Client(patient.port, receive_buffer=4096) as client:
            client.send(request(target=target))
            client.read_head()
        wait_until_gone(patient)
        used.append(patient.status_field("VmRSS"))
    # Sanitizers keep what was freed.
    if "libasan" not in pathlib.Path(f"/proc/{patient.pid}/maps").read_text():
        assert used[-1] - used[9] < 8 << 10, used


def test_clients_that_only_wait_cost_no_processor_time(patient):
    clients = [Client(patient.port, receive_buffer=4096) for _ in range(8)]
    clients[1].send(b"GET")
    clients[2].send(request("POST", SHOP, "Content-Length: 9"))
    clients[3].send(BIG_REQUEST * 3)
    clients[4].send(BIG_REQUEST * 3)
    clients[4].socket.shutdown(socket.SHUT_WR)
    clients[5].send(BIG_REQUEST * 3 + b"GARBAGE\r\n\r\n")
    clients[6].send(request("POST", SHOP, "Content-Length: 9", "Expect: 100-continue"))
    clients[7].expect(200)
    for client in clients[3:6]:
        client.read_head()
    with Client(patient.port) as witness:
        witness.expect(200)
    assert_sleeps(patient)
    for client in clients:
        client.reset()


@pytest.fixture
def crowded(tmp_path):
    settings = {"SHMCONF_MAX_CLIENTS": "8", "SHMCONF_CLIENT_TIMEOUT_MS": "600s"}
    with serve(tmp_path, settings, big=False) as daemon:
        yield daemon


def test_one_too_many_takes_the_place_of_the_longest_idle(crowded):
    clients = [Client(crowded.port) for _ in range(8)]
    for client in clients:
        client.expect(200)
    clients[0].expect(200)
    with Client(crowded.port) as ninth:
        assert ninth.expect(200).body == CHECKOUT
        clients[1].expect_end()
        for client in [clients[0], *clients[2:], ninth]:
            assert client.is_open()
            client.expect(200)


def test_silent_clients_give_way_as_well(crowded):
    silent = [Client(crowded.port) for _ in range(8)]
    for _ in range(8):
        with Client(crowded.port) as client:
            client.expect(200)
    assert sum(1 for client in silent if client.is_open()) < 8


@pytest.mark.parametrize("count", [30, 300])
def test_too_many_wait_while_all_are_busy(crowded, count):  # noqa: F811
    busy = [begin(crowded.port, CHECKOUT_REQUEST[:-2]) for _ in range(8)]
    wait_until(lambda: connections(crowded) == 8)
    waiting = [begin(crowded.port, CHECKOUT_REQUEST) for _ in range(count)]
    assert_sleeps(crowded)
    for client in busy:
        assert client.is_open()
        client.send(b"\r\n")
    for client in [*busy, *waiting]:
        assert client.answer().body == CHECKOUT
        client.close()
    wait_until_gone(crowded)


def test_a_burst_far_beyond_the_limit_loses_nobody(crowded):  # noqa: F811
    """As many as fit wait in the kernel, and nowhere else."""
    crowded.send(signal.SIGSTOP)
    waiting = [begin(crowded.port, CHECKOUT_REQUEST) for _ in range(700)]
    crowded.send(signal.SIGCONT)
    for client in waiting:
        assert client.answer().body == CHECKOUT
        client.close()
    wait_until_gone(crowded)


@pytest.mark.parametrize("limit", [80, 65, 24])
def test_few_descriptors_are_enough_for_many_clients(tmp_path, limit):
    with serve(tmp_path, {"SHMCONF_CLIENT_TIMEOUT_MS": "600s"}, big=False,
               wrapper=["prlimit", f"--nofile={limit}"]) as daemon:
        idle = []
        for _ in range(120):
            idle.append(begin(daemon.port, CHECKOUT_REQUEST))
            assert idle[-1].answer().body == CHECKOUT
        assert len(daemon.descriptors()) <= limit
        # A file can still be opened.
        daemon.put("Shop:Prod:Checkout.json", "[2]")
        idle[-1].close()
        daemon.wait_body("Shop:Prod:Checkout", "[2]")
        busy = [begin(daemon.port, CHECKOUT_REQUEST[:-2]) for _ in range(20)]
        assert_sleeps(daemon)
        for client in busy:
            client.send(b"\r\n")
        for client in busy:
            assert client.answer().body == b"[2]"
            client.close()
        for client in idle:
            client.close()
        wait_until_gone(daemon)
