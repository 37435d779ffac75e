# SPDX-License-Identifier: Apache-2.0
"""What is no request: refused with one answer and the end of the connection, whatever follows."""
import itertools
import os
import random
import time

import pytest

from http_client import (CHECKOUT, SHOP, Answer, Client, api, recorded, request, serve,
                         shop)  # noqa: F401

FOLLOWING = b"GET /ping HTTP/1.1\r\nHost: smuggled\r\n\r\n"


def expect_refusal(port, status, data, method="GET"):
    with Client(port) as client:
        client.send(data)
        answer = client.answer(method)
        assert answer.status == status, answer.body
        assert answer.closes
        client.expect_end()
    return answer


def raw(*lines):
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


HOST = "Host: a"
LINE = f"GET {SHOP} HTTP/1.1"

REQUEST_LINES = [
    f"GET {SHOP}", "GET", " ", f" {LINE}", f"{LINE} ", f"{LINE}x", f"GET  {SHOP} HTTP/1.1",
    f"GET {SHOP}  HTTP/1.1", f"GET\t{SHOP}\tHTTP/1.1", f"G(T {SHOP} HTTP/1.1",
    f"G\xe9T {SHOP} HTTP/1.1", f"GET {SHOP} HTTP/1", f"GET {SHOP} HTTP/1.", f"GET {SHOP} HTTP/.1",
    f"GET {SHOP} HTTP/1,1", f"GET {SHOP} http/1.1", f"GET {SHOP} HTTP 1.1", f"GET {SHOP} HTTPS/1.1",
    f"GET {SHOP} HTTP/a.b", "GET ping HTTP/1.1", "GET * HTTP/1.1", "POST * HTTP/1.1",
    "GET /ping#x HTTP/1.1", "GET /a b HTTP/1.1", "GET http:///ping HTTP/1.1",
    "GET http://u:p@a/ping HTTP/1.1", "GET ftp://a/ping HTTP/1.1", "GET http:/ping HTTP/1.1",
    "GET a:80 HTTP/1.1", "GET ?x HTTP/1.1",
]

HEADERS = [
    (), (HOST, HOST), (HOST, "HOST: b"), ("Host: a b",), ("Host: a/b",), ("Host: u@a",),
    ("Host: a?b",), ("Host: a#b",), ("Host: \xe9",), ("Host :a",), (" Host: a",), (HOST + "\0",),
    (HOST, "X : a"), (HOST, "X\t: a"), (HOST, ": a"), (HOST, "X"), (HOST, "X y: a"),
    (HOST, "X(y): a"), (HOST, "\xe9: a"), (HOST, "\xa0X: a"), (HOST, "a=b"), (HOST, " "),
    (HOST, " X: a"), (HOST, "X: a", " folded"), (HOST, "X: a", "\tfolded"), (HOST, "X: a\rb"),
    (HOST, "X: a\nb: c"), (HOST, "X: a\0b"), (HOST, "X\0: a"), (HOST, "X: \x7f"),
    (HOST, "X: \x01"), (HOST, "X: \x1b[2J"),
]

MALFORMED = [
    *(raw(line, HOST) for line in REQUEST_LINES),
    *(raw(LINE, *headers) for headers in HEADERS),
    raw(f"GET {SHOP} HTTP/1.0", HOST, HOST),
    raw(LINE, HOST).replace(b"\r\n", b"\n"), raw(LINE, HOST).replace(b"\r\n", b"\r"),
    raw(LINE, HOST)[:-2] + b"\n", raw(LINE, HOST)[:-4] + b"\n\r\n",
    *(garbage + raw(LINE, HOST) for garbage in (b"\r\n\r\n", b"\n", b"\r", b"\0", b"\xef\xbb\xbf")),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
]

SMUGGLING = [
    ("Content-Length: 5", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding: chunked", "Content-Length: 5"),
    ("Content-Length: 0", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding: chunked", " , gzip"), ("Transfer-Encoding : chunked",),
    ("Transfer-Encoding: chunked\0",), ("Transfer-Encoding: \x0bchunked",),
    ("Transfer-Encoding\0: chunked",), ("X: y\r Transfer-Encoding: chunked",),
    ("X: y\nTransfer-Encoding: chunked",), ("Content-Length: 5", "Content-Length: 6"),
    ("Content-Length: 0", "content-length: 5"), ("Content-Length: 5", " 0"),
    *((f"Content-Length:{value}",) for value in (
        "", " 5, 5", " 5, 6", " +5", " -5", " 0x5", " 5 5", " 5.0", " five", " 5\t;", " \xb2")),
    ("Content-Length : 5",),
]

BAD_CHUNKS = [
    b"x\r\n", b"\r\n", b" 3\r\n", b"3 \r\nabc\r\n0\r\n\r\n", b"-1\r\n", b"+3\r\n",
    b"0x3\r\nabc\r\n", b"3\nabc\r\n",
    b"3\r\nabcX", b"3\r\nabc\n0\r\n\r\n", b"3\r\nabc\rX", b"3\r\rabc", b"3;\0\r\n", b"3;a\nabc",
    b";a\r\n", b"g\r\n",
    b"0\r\n\n", b"0\r\n\rX", b"0\r\nA: \0\r\n\r\n", b"0\r\nA: b\n\r\n", b"0\r\nA: b\rX",
]


@pytest.mark.parametrize("data", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_request_is_400(shop, data):  # noqa: F811
    expect_refusal(shop.port, 400, data + FOLLOWING)


@pytest.mark.parametrize("lines", SMUGGLING, ids=range(len(SMUGGLING)))
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_ambiguous_length_is_400_and_hides_no_request(shop, method, lines):  # noqa: F811
    data = raw(f"{method} {SHOP} HTTP/1.1", HOST, *lines) + b"0\r\n\r\n"
    expect_refusal(shop.port, 400, data + FOLLOWING, method)


@pytest.mark.parametrize("value", ["gzip", "gzip, chunked", "chunked, gzip", "identity", "xchunked",
                                   "chunked;x", "chunked, chunked", '"chunked"', ""])
def test_other_transfer_encodings_are_501(shop, value):  # noqa: F811
    data = raw(LINE, HOST, f"Transfer-Encoding: {value}") + b"0\r\n\r\n"
    expect_refusal(shop.port, 501, data + FOLLOWING)


def test_chunks_in_http_1_0_are_400(shop):  # noqa: F811
    data = raw(f"GET {SHOP} HTTP/1.0", "Connection: keep-alive", "Transfer-Encoding: chunked")
    expect_refusal(shop.port, 400, data + b"0\r\n\r\n" + FOLLOWING)


@pytest.mark.parametrize("body", BAD_CHUNKS, ids=range(len(BAD_CHUNKS)))
def test_malformed_chunk_is_400(shop, body):  # noqa: F811
    data = raw(f"POST {SHOP} HTTP/1.1", HOST, "Transfer-Encoding: chunked")
    expect_refusal(shop.port, 400, data + body + FOLLOWING, "POST")


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/0.9", "HTTP/3.0", "HTTP/9.9"])
def test_other_versions_are_505(shop, version):  # noqa: F811
    expect_refusal(shop.port, 505, raw(f"GET {SHOP} {version}", HOST) + FOLLOWING)


def test_preface_of_http_2_is_505(shop):  # noqa: F811
    expect_refusal(shop.port, 505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", "PRI")


@pytest.mark.parametrize("value", ["200-ok", "100-continue, x", "100-continued", "", "100"])
def test_other_expectations_are_417(shop, value):  # noqa: F811
    expect_refusal(shop.port, 417, raw(LINE, HOST, f"Expect: {value}") + FOLLOWING)


@pytest.mark.parametrize("value", ["65537", "99999999", "18446744073709551615",
                                   "18446744073709551616", "9" * 100])
def test_too_long_body_is_413(shop, value):  # noqa: F811
    head = raw(f"POST {SHOP} HTTP/1.1", HOST, f"Content-Length: {value}")
    expect_refusal(shop.port, 413, head + FOLLOWING, "POST")
    # Nobody is asked to send what is refused anyway.
    expect_refusal(shop.port, 413, head[:-2] + b"Expect: 100-continue\r\n\r\n", "POST")


LONG_CHUNKS = [
    b"10001\r\n", b"ffffffff\r\n", b"000000001\r\n", b"fffffffffffffffff\r\n",
    b"8000\r\n" + b"x" * 32768 + b"\r\n8001\r\n", b"1;" + b"e" * 65536,
    b"0\r\n" + b"T: t\r\n" * 11000,
]


@pytest.mark.parametrize("body", LONG_CHUNKS, ids=range(len(LONG_CHUNKS)))
def test_too_long_chunks_are_413(shop, body):  # noqa: F811
    data = raw(f"POST {SHOP} HTTP/1.1", HOST, "Transfer-Encoding: chunked")
    expect_refusal(shop.port, 413, data + body + FOLLOWING, "POST")


def test_refusal_reaches_a_client_that_is_still_sending(shop):  # noqa: F811
    head = raw(f"POST {SHOP} HTTP/1.1", HOST, "Content-Length: 200000")
    while True:
        with Client(shop.port) as client:
            start = time.monotonic()
            client.send(head)
            while client.is_open():
                pass
            # The answer is there, yet the client goes on as if it had not looked. A reset would
            # make these fail; it comes rightly when this takes a second.
            try:
                client.send(*[b"x" * 1000] * 100)
                assert client.answer("POST").status == 413
                client.expect_end()
                client.send(*[b"x" * 1000] * 100)
                return
            except ConnectionError:
                assert time.monotonic() - start > 0.8


def line_of(size):
    """A request line of that many bytes, its end included."""
    return "GET /{} HTTP/1.1".format("x" * (size - len("GET / HTTP/1.1\r\n")))


def test_request_line_may_have_8192_bytes(shop):  # noqa: F811
    with Client(shop.port) as client:
        client.send(raw(line_of(8192), HOST))
        assert client.answer(target="/x").status == 404
        client.send(b"\r\n" + raw(line_of(8192), HOST))
        assert client.answer(target="/x").status == 404
        assert client.is_open()
    for size in (8193, 9000, 16384, 100000):
        expect_refusal(shop.port, 414, raw(line_of(size), HOST) + FOLLOWING)
    expect_refusal(shop.port, 414, b"A" * 8192)


def head_of(size, line=LINE):
    """A head of that many bytes."""
    head = raw(line, HOST, "X: ")
    return head[:-4] + b"x" * (size - len(head)) + b"\r\n\r\n"


def test_head_may_have_16384_bytes(shop):  # noqa: F811
    with Client(shop.port) as client:
        for line in (LINE, f"GET {SHOP}?{'x' * 8000} HTTP/1.1"):
            client.send(head_of(16384, line))
            assert client.answer().body == CHECKOUT
            client.send(*[head_of(16384, line)[at:at + 1000] for at in range(0, 16384, 1000)])
            assert client.answer().body == CHECKOUT
        client.send(head_of(16384) * 20)
        for _ in range(20):
            assert client.answer().body == CHECKOUT
        assert client.is_open()
    for size in (16385, 16386, 17000, 100000):
        expect_refusal(shop.port, 431, head_of(size) + FOLLOWING)


def test_100_headers_are_allowed(shop):  # noqa: F811
    with Client(shop.port) as client:
        client.expect(200, "GET", SHOP, *[f"X-{number}: {number}" for number in range(99)])
        assert client.is_open()
    many = [f"X-{number}: {number}" for number in range(100)]
    expect_refusal(shop.port, 431, raw(LINE, HOST, *many) + FOLLOWING)


def test_answers_before_a_malformed_request_are_complete(shop):  # noqa: F811
    with Client(shop.port) as client:
        client.send(request() * 10 + raw("GARBAGE") + request() * 10)
        for _ in range(10):
            assert client.answer().body == CHECKOUT
        assert client.answer().status == 400
        client.expect_end()


def mutate(chance, head):
    """A few random changes: of bytes, of places, of lengths."""
    data = bytearray(head)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        size = chance.choice([1, 1, 1, 2, 4, 16, 64])
        kind = chance.randrange(7)
        if kind == 0:
            data[at:at + size] = chance.randbytes(size)
        elif kind == 1:
            data[at:at] = chance.choice(b"\0\r\n \t:/%?#,;\x7f\x80\xff").to_bytes(1, "big") * size
        elif kind == 2:
            del data[at:at + size]
        elif kind == 3:
            data[at:at] = data[chance.randrange(len(data) + 1):][:size]
        elif kind == 4:
            data[at:at] = chance.choice(WORDS)
        elif kind == 5:
            data = data[:at] if at else data
        else:
            data += chance.choice(list(recorded().values()))[chance.randrange(20):]
    return bytes(data)


WORDS = [b"Content-Length: 7\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n",
         b"HTTP/1.0",
         b"Connection: close\r\n", b"\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"%2F", b"%00",
         b"?flag=", b"A" * 9000,
         b"X: y\r\n" * 120, b"18446744073709551616", b"HEAD ", b"POST ", b"http://a/",
         b"If-None-Match: *\r\n"]


def check_answers(data):
    """Everything between one request and the end of the connection must be answers, if anything."""
    statuses = []
    while data:
        head, found, data = data.partition(b"\r\n\r\n")
        assert found, head
        answer = Answer(head)
        statuses.append(answer.status)
        if answer.status == 100:
            continue
        size = 0 if answer.status == 304 else int(answer["Content-Length"])
        # The answer to a HEAD cannot be told from others here, but no body begins like an answer.
        if answer.status != 304 and not data.startswith(b"HTTP/1.1 ") and data:
            assert len(data) >= size
            answer.body, data = data[:size], data[size:]
        assert is_documented(answer), (answer.status, answer.headers, answer.body)
    return statuses


def is_documented(answer):
    """Whether it is the answer to any request at all."""
    for method, target in itertools.product(("GET", "HEAD", "OPTIONS"), (SHOP, "/ping")):
        try:
            api().check(method, target, answer.status, answer.headers.items(), answer.body)
            return True
        except AssertionError:
            pass
    return False


def test_random_mutations_of_requests_do_no_harm(tmp_path):
    seed = int(os.environ.get("SHMCONF_TEST_SEED", "20261122"))
    chance = random.Random(seed)
    heads = list(recorded().values())
    seen = {}
    with serve(tmp_path, big=False) as daemon:
        for number in range(2000):
            data = mutate(chance, chance.choice(heads))
            print(f"SHMCONF_TEST_SEED={seed}, request {number}: {data!r}")
            with Client(daemon.port) as client:
                client.send(data)
                client.socket.shutdown(1)
                received = []
                while got := client.socket.recv(1 << 16):
                    received.append(got)
            for status in check_answers(b"".join(received)):
                seen[status] = seen.get(status, 0) + 1
            if number % 100 == 0:
                with Client(daemon.port) as client:
                    client.expect(200)
        assert daemon.process.poll() is None
    # Otherwise the mutations were too wild or too tame.
    assert {200, 400, 404} <= set(seen), seen
