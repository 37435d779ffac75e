# SPDX-License-Identifier: Apache-2.0
"""How requests arrive: what real clients send, in pieces, with bodies, one after the other."""
import subprocess

import pytest

from http_client import (BINARY, CHECKOUT, SHOP, Client, path_of, recorded, request,
                         shop)  # noqa: F401

BINARY_PATH = path_of("Shop", "Prod", "Binary")


def closes(head):
    return b"connection: close" in head.lower()


def exchange(client, *pieces):
    """Sends the pieces of one recorded request; the connection for the next one."""
    client.send(*pieces)
    answer = client.answer()
    assert answer.status == 200 and answer.body == CHECKOUT
    assert answer.closes == closes(b"".join(pieces))
    if answer.closes:
        client.expect_end()


@pytest.mark.parametrize("name", recorded())
def test_recorded_request_is_served_whole_and_cut_anywhere(shop, name):  # noqa: F811
    head = recorded()[name]
    client = None
    for cut in range(len(head)):
        if client is None:
            client = Client(shop.port)
        pieces = (head[:cut], head[cut:]) if cut else (head,)
        exchange(client, *pieces)
        if closes(head):
            client.close()
            client = None
    if client:
        assert client.is_open()
        client.close()


@pytest.mark.parametrize("name", recorded())
def test_recorded_request_is_served_byte_by_byte(shop, name):  # noqa: F811
    head = recorded()[name]
    with Client(shop.port) as client:
        exchange(client, *(head[at:at + 1] for at in range(len(head))))


@pytest.mark.parametrize("name", recorded())
def test_two_recorded_requests_in_one_write(shop, name):  # noqa: F811
    head = recorded()[name]
    with Client(shop.port) as client:
        client.send(head + head)
        assert client.answer().body == CHECKOUT
        if closes(head):
            client.expect_end()
        else:
            assert client.answer().body == CHECKOUT
            assert client.is_open()


CHUNKED = "Transfer-Encoding: chunked"
BODIES = [
    ("Content-Length: 0", b""),
    ("Content-Length: 3", b"abc"),
    ("Content-Length: 0003", b"abc"),
    ("Content-Length: 18", b"GET / HTTP/1.1\r\n\r\n"),
    ("Content-Length: 65536", b"\0" * 65536),
    ("CONTENT-LENGTH:\t2 ", b"\r\n"),
    (CHUNKED, b"0\r\n\r\n"),
    (CHUNKED, b"3\r\nabc\r\n0\r\n\r\n"),
    ("transfer-encoding:CHUNKED", b"1\r\n0\r\n0\r\n\r\n"),
    (CHUNKED, b"A\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"),
    (CHUNKED, b"00002\r\n\r\n\r\n000\r\n\r\n"),
    (CHUNKED, b'1;a="b;c"\r\nx\r\n0;last\r\n\r\n'),
    (CHUNKED, b"0\r\nX-Trailer: 1\r\nHost: other\r\n\r\n"),
    (CHUNKED, b"f\r\n" + b"\xff" * 15 + b"\r\n0\r\n\r\n"),
    (CHUNKED, b"10000\r\n" + b"c" * 65536 + b"\r\n0\r\n\r\n"),
]


@pytest.mark.parametrize("line,body", BODIES, ids=range(len(BODIES)))
def test_body_is_dropped_and_the_next_request_found(shop, line, body):  # noqa: F811
    with Client(shop.port) as client:
        for status, method in ((200, "GET"), (200, "HEAD"), (405, "POST"), (501, "PURGE")):
            whole = request(method, SHOP, line, body=body)
            client.send(whole + request(target=BINARY_PATH))
            assert client.answer(method).status == status
            assert client.answer(target=BINARY_PATH).body == BINARY


SMALL_BODIES = [row for row in BODIES if len(row[1]) < 100]


@pytest.mark.parametrize("line,body", SMALL_BODIES, ids=range(len(SMALL_BODIES)))
def test_body_cut_anywhere(shop, line, body):  # noqa: F811
    whole = request("POST", SHOP, line, body=body) + request()
    with Client(shop.port) as client:
        for cut in range(1, len(whole)):
            client.send(whole[:cut], whole[cut:])
            assert client.answer("POST").status == 405
            assert client.answer().body == CHECKOUT
        client.send(*(whole[at:at + 1] for at in range(len(whole))))
        assert client.answer("POST").status == 405
        assert client.answer().body == CHECKOUT
        assert client.is_open()


def test_body_may_come_after_the_buffer_has_moved_or_grown(shop):  # noqa: F811
    with Client(shop.port) as client:
        for size in [*range(1, 2200, 31), *range(2200, 16000, 1111)]:
            padding = f"X: {'x' * size}"
            client.send(request() + request("POST", SHOP, padding, "Content-Length: 5"))
            assert client.answer().body == CHECKOUT
            client.send(b"GET", b" /" + request("HEAD", SHOP, padding)[:-1])
            assert client.answer("POST").status == 405
            client.send(b"\n" + request())
            assert client.answer("HEAD").status == 200
            assert client.answer().body == CHECKOUT
        assert client.is_open()


def read_continue(client):
    expected = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert client.read(len(expected)) == expected


@pytest.mark.parametrize("line,body", [("Content-Length: 3", b"abc"),
                                       (CHUNKED, b"3\r\nabc\r\n0\r\n\r\n")], ids=range(2))
def test_100_continue_comes_before_the_body_and_only_then(shop, line, body):  # noqa: F811
    expect = "Expect: 100-Continue"
    with Client(shop.port) as client:
        for status, method in ((405, "POST"), (200, "GET"), (200, "HEAD")):
            client.send(request(method, SHOP, expect, line))
            read_continue(client)
            assert client.is_open()
            client.send(body)
            assert client.answer(method).status == status
        # The body is there already, or there is none, or the client would not understand.
        client.expect(405, "POST", SHOP, expect, line, body=body)
        client.expect(200, "GET", SHOP, expect)
        client.expect(200, "GET", SHOP, expect, "Content-Length: 0")
        old = client.expect(405, "POST", SHOP, expect, "Content-Length: 3", body=b"abc",
                            version="1.0")
        assert old.closes
        client.expect_end()


def test_curl_waits_for_100_continue(shop, tmp_path):  # noqa: F811
    (tmp_path / "body").write_bytes(b"b" * 60000)
    ended = subprocess.run(
        ["curl", "-sSv", "--max-time", "30", "--expect100-timeout", "30", "-H",
         "Expect: 100-continue",
         "--data-binary", f"@{tmp_path}/body", "-o", "/dev/null", "-w", "%{http_code}",
         f"http://127.0.0.1:{shop.port}{SHOP}"], capture_output=True, text=True, check=True)
    assert "< HTTP/1.1 100 Continue" in ended.stderr
    assert ended.stdout == "405"


@pytest.mark.parametrize("lines,version,stays,says", [
    ((), "1.1", True, None),
    (("Connection: keep-alive",), "1.1", True, None),
    (("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
     "1.1", True, None),
    (("Connection: TE, Foo", "Connection:"), "1.1", True, None),
    (("Connection: closed",), "1.1", True, None),
    (("Proxy-Connection: close",), "1.1", True, None),
    (("Connection: close",), "1.1", False, "close"),
    (("CONNECTION:CLOSE",), "1.1", False, "close"),
    (("Connection: keep-alive, close",), "1.1", False, "close"),
    (("Connection: keep-alive", "Connection: close"), "1.1", False, "close"),
    (("Connection: ,TE\t,\tclose ,",), "1.1", False, "close"),
    ((), "1.0", False, "close"),
    (("Connection: Keep-Alive",), "1.0", True, "keep-alive"),
    (("Connection: keep-alive, close",), "1.0", False, "close"),
])
def test_connection_stays_as_the_client_asks(shop, lines, version, stays, says):  # noqa: F811
    client = Client(shop.port)
    for status, method, target in ((200, "GET", SHOP), (404, "GET", "/no"), (200, "HEAD", SHOP)):
        answer = client.expect(status, method, target, *lines, version=version)
        assert answer["Connection"] == says
        if stays:
            assert client.is_open()
        else:
            client.expect_end()
            client.close()
            client = Client(shop.port)
    client.close()


def test_what_follows_connection_close_is_not_answered(shop):  # noqa: F811
    with Client(shop.port) as client:
        client.send(request("GET", SHOP, "Connection: close") + request() * 50)
        assert client.answer().closes
        client.expect_end()


def test_client_that_has_closed_its_side_gets_all_answers(shop):  # noqa: F811
    with Client(shop.port) as client:
        client.send(request() * 3 + request(target=path_of("Shop", "Prod", "Big")))
        client.socket.shutdown(1)
        for _ in range(3):
            assert client.answer().body == CHECKOUT
        assert len(client.answer().body) == 4 << 20
        client.expect_end()


def test_host_may_be_missing_in_http_1_0_only(shop):  # noqa: F811
    with Client(shop.port) as client:
        client.send(f"GET {SHOP} HTTP/1.0\r\n\r\n".encode())
        assert client.answer().body == CHECKOUT
        client.expect_end()


@pytest.mark.parametrize("line", ["Host:", "Host: a", "HOST:a:1", "host: [::1]:2772",
                                  "Host: x.example.",
                                  "Host: \t127.0.0.1:2772 \t"])
def test_any_host_will_do(shop, line):  # noqa: F811
    with Client(shop.port) as client:
        client.expect(200, "GET", SHOP, line)


def test_one_empty_line_before_a_request_is_skipped(shop):  # noqa: F811
    with Client(shop.port) as client:
        client.send(request() + b"\r\n" + request() + b"\r\n", request())
        for _ in range(3):
            assert client.answer().body == CHECKOUT


def test_minor_versions_after_1_are_treated_as_1(shop):  # noqa: F811
    with Client(shop.port) as client:
        client.expect(200, "GET", SHOP, version="1.2")
        assert client.is_open()
