# SPDX-License-Identifier: Apache-2.0
"""What the HTTP API answers: statuses, headers and bodies, each held against docs/openapi.yaml."""
import json

import pytest

from http_client import (BIG, BINARY, CHECKOUT, CONFIGURATION_PATH, SHOP, Client, api, path_of,
                         request, serve, shop)  # noqa: F401

OTHER_METHODS = ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"]


@pytest.fixture
def client(shop):  # noqa: F811
    with Client(shop.port) as connection:
        yield connection
        assert connection.is_open()


def without_date(answer):
    return {name: value for name, value in answer.headers.items() if name != "date"}


def test_configuration_comes_byte_by_byte_with_its_headers(client):
    answer = client.expect(200)
    assert answer.reason == "OK"
    assert answer.body == CHECKOUT
    assert answer["Content-Type"] == "application/json"
    assert answer["Configuration-Version"] == answer["ConfigurationVersion"] == "1"
    assert answer["Server"] is answer["Version-Label"] is answer["Connection"] is None


def test_bytes_that_are_no_text_come_unchanged(client):
    answer = client.expect(200, "GET", path_of("Shop", "Prod", "Binary"))
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer.body == BINARY


@pytest.mark.parametrize("target", [
    "/ping", SHOP, path_of("Shop", "Prod", "Big"), path_of("Shop", "Prod", "Broken"),
    path_of("Shop", "Prod", "No"), "/", SHOP + "?flag=x", SHOP.replace("Prod", "%"),
])
def test_head_is_get_without_the_body(client, target):
    get = client.ask("GET", target)
    head = client.ask("HEAD", target)
    assert head.status == get.status
    assert without_date(head) == without_date(get)
    assert int(head["Content-Length"]) > 0
    client.expect(200, "GET", "/ping")


def test_ping_says_name_and_version(client):
    answer = client.expect(200, "GET", "/ping?from=probe")
    assert json.loads(answer.body)["name"] == "shmconfd"


CONTENT_TYPES = {
    "a.json": "application/json", "a.yaml": "application/x-yaml", "a.yml": "application/x-yaml",
    "a.txt": "text/plain", "a.xml": "application/xml", "a.toml": "application/toml",
    "a": "application/octet-stream", "a.text%html": "text/html",
    "a.application%ion%type=AWS.AppConfig.FeatureFlags":
        "application/ion;type=AWS.AppConfig.FeatureFlags",
}


def test_content_type_is_the_one_that_the_file_says(tmp_path):
    with serve(tmp_path, start_later=True, big=False) as daemon:
        for number, (name, content_type) in enumerate(CONTENT_TYPES.items()):
            daemon.put(f"Types:{number}:{name}", f"[{number}]")
        daemon.start()
        with Client(daemon.port) as connection:
            for number, content_type in enumerate(CONTENT_TYPES.values()):
                answer = connection.expect(200, "GET", path_of("Types", str(number), "a"))
                assert answer["Content-Type"] == content_type
                assert answer.body == b"[%d]" % number


NAMES = ["my app:pre prod:a b", "Käse:日本:\U0001f600", "a+b:c&d=e:f?g#h", "100%:%25:a",
         "a;b:~:'\"", "\udcff\udcfe:x:y"]


def test_names_are_percent_encoded_segments(tmp_path):
    with serve(tmp_path, start_later=True, big=False) as daemon:
        for name in NAMES:
            daemon.put(f"{name}.txt", name.encode("utf-8", "surrogateescape"))
        daemon.start()
        with Client(daemon.port) as connection:
            for name in NAMES:
                raw = name.encode("utf-8", "surrogateescape")
                for spell in ("%{:02x}", "%{:02X}"):
                    parts = ["".join(map(spell.format, part)) for part in raw.split(b":")]
                    target = "/applications/{}/environments/{}/configurations/{}".format(*parts)
                    assert connection.expect(200, "GET", target).body == raw
            plain = "/applications/a+b/environments/c&d=e/configurations/f%3Fg%23h"
            connection.expect(200, "GET", plain)
            connection.expect(404, "GET", plain.replace("a+b", "a%20b"))
            unencoded = "/applications/Käse/environments/日本/configurations/\U0001f600"
            connection.expect(200, "GET", unencoded)


@pytest.mark.parametrize("target", [
    path_of("Shop", "Prod", "Unknown"), path_of("Shop", "prod", "Checkout"),
    path_of("Shop/Prod", "Prod", "Checkout"), path_of("Shop:Prod", "Prod", "Checkout"),
    path_of("x" * 512, "y" * 512, "z" * 512), path_of("Shop", "Prod", "Checkout.json"),
])
def test_unknown_configuration_is_404_and_says_so(client, target):
    assert "No such configuration" in client.expect(404, "GET", target).message


@pytest.mark.parametrize("target", [
    "/", "//", "/Ping", "/ping/", "//ping", "/ping/x", "/applications", SHOP + "/", SHOP + "/x",
    SHOP.replace("/Prod", "/"), SHOP.replace("/Shop", "//Shop"), SHOP.replace("Checkout", ""),
    "/" + SHOP,
    SHOP.replace("applications", "application"), "/x/../ping", "/%2Fping", "/" * 100, "/?/ping",
])
def test_unknown_path_is_404_and_says_so(client, target):
    assert client.expect(404, "GET", target).message == "Unrecognized or malformed path"
    client.expect(404, "HEAD", target)
    client.expect(404, "POST", target)


@pytest.mark.parametrize("name", ["%", "%4", "%zz", "a%", "%4g", "%00", "a%00b", "%%41", "%u0041",
                                  "x" * 513, "%41" * 513])
def test_malformed_name_is_400_and_the_connection_stays(client, name):
    for place in ("Shop", "Prod", "Checkout"):
        client.expect(400, "GET", SHOP.replace(place, name))


@pytest.mark.parametrize("method", OTHER_METHODS)
@pytest.mark.parametrize("target", [SHOP, "/ping"])
def test_other_methods_are_405_and_allowed_ones_named(client, method, target):
    assert client.expect(405, method, target)["Allow"] == "GET, HEAD"
    client.expect(405, method, target, "Content-Length: 5", body=b"GET /")
    client.expect(200, "GET", "/ping")


@pytest.mark.parametrize("method,target", [("CONNECT", "example.com:443"), ("OPTIONS", "*")])
def test_targets_that_are_no_path_are_405(shop, method, target):  # noqa: F811
    with Client(shop.port) as connection:
        assert connection.expect(405, method, target)["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("method", ["get", "Get", "BREW", "GETT", "G", "M-SEARCH",
                                    "!#$%&'*+.^_`|~"])
def test_unknown_method_is_501_and_the_connection_stays(client, method):
    client.expect(501, method, SHOP)
    client.expect(501, method, "/nowhere")


@pytest.mark.parametrize("query,body", [
    ("flag=limit", b"10"), ("flag=on", b"true"), ("x=1&flag=limit", b"10"), ("&&flag=on", b"true"),
    ("flag=on&flag=limit", b'{"on":true,"limit":10}'), ("flag=l%69mit", b"10"),
])
def test_flags_are_their_own_bytes(client, query, body):
    assert client.expect(200, "GET", f"{SHOP}?{query}").body == body


@pytest.mark.parametrize("query,missing", [
    ("flag=a", ["a"]), ("flag", [""]), ("flag=", [""]), ("flag=limit&flag=b&flag=a", ["b", "a"]),
])
def test_flag_that_is_not_there_is_named(client, query, missing):
    answer = json.loads(client.expect(400, "GET", f"{SHOP}?{query}").body)
    assert answer == {"Details": {"Value": {name: {"Problem": "NoSuchFlag"} for name in missing}},
                      "Message": "Configuration data missing one or more flag values",
                      "Reason": "InvalidParameters"}


def test_flag_of_what_is_no_object_is_400(client):
    target = path_of("Shop", "Prod", "Binary") + "?flag=a"
    assert "JSON object" in client.expect(400, "GET", target).message


@pytest.mark.parametrize("query", ["", "x", "x=flag", "flags=a", "Flag=a", "a=%", "a=/b/c",
                                   "?flag=a", "&"])
def test_other_parameters_are_ignored(client, query):
    assert client.expect(200, "GET", f"{SHOP}?{query}").body == CHECKOUT


def test_500_says_what_is_wrong_with_the_file(client):
    answer = client.expect(500, "GET", path_of("Shop", "Prod", "Broken"))
    assert "Broken.json" in answer.message and "JSON" in answer.message


def matching(etag):
    return [etag, "W/" + etag, f'"x", {etag}', f'"x",{etag},"y"', f'W/"x" ,\t W/{etag}', "*",
            f", {etag},"]


def test_if_none_match_gives_304_without_a_body(client):
    full = client.expect(200)
    for value in matching(full["ETag"]):
        for method in ("GET", "HEAD"):
            answer = client.expect(304, method, SHOP, f"If-None-Match: {value}")
            for name in ("ETag", "Configuration-Version", "ConfigurationVersion", "Version-Label"):
                assert answer[name] == full[name]
    client.expect(304, "GET", SHOP, 'if-none-match: "x"', f"IF-NONE-MATCH: {full['ETag']}")


def test_if_none_match_that_does_not_match_gives_200(client):
    etag = client.expect(200)["ETag"]
    other = client.expect(200, "GET", path_of("Shop", "Prod", "Binary"))["ETag"]
    assert other != etag
    for value in ['"x"', "", other, etag.strip('"'), etag[:-1], etag[:-1] + '0"', "W/", '"', ","]:
        assert client.expect(200, "GET", SHOP, f"If-None-Match: {value}").body == CHECKOUT
    client.expect(200, "GET", SHOP, f"If-Match: {etag}")
    client.expect(200, "GET", "/ping", "If-None-Match: *")
    client.expect(404, "GET", path_of("Shop", "Prod", "No"), "If-None-Match: *")


def test_comma_and_asterisk_inside_of_a_tag_are_part_of_it(client):
    client.expect(200, "GET", SHOP, 'If-None-Match: "a,*"')


def test_new_version_has_a_new_number_and_a_new_tag_also_across_a_restart(tmp_path):
    with serve(tmp_path, big=False) as daemon:
        with Client(daemon.port) as connection:
            first = connection.expect(200)
            daemon.put("Shop:Prod:Checkout.json", "[2]")
            daemon.wait_body("Shop:Prod:Checkout", "[2]")
            second = connection.expect(200, "GET", SHOP, f"If-None-Match: {first['ETag']}")
            assert second["Configuration-Version"] == "2" and second["ETag"] != first["ETag"]
            daemon.put("Shop:Prod:Checkout.json", CHECKOUT)
            daemon.wait_body("Shop:Prod:Checkout", CHECKOUT)
            third = connection.expect(200)
            assert third["Configuration-Version"] == "3"
            assert third["ETag"] not in (first["ETag"], second["ETag"])
        daemon.stop()
        daemon.start()
        with Client(daemon.port) as connection:
            again = connection.expect(304, "GET", SHOP, f"If-None-Match: {third['ETag']}")
            assert again["Configuration-Version"] == "3"


@pytest.mark.parametrize("line", ["Range: bytes=0-1", "Range: bytes=-1", "Range: bytes=9999-",
                                  "Accept: text/html", "Accept-Encoding: gzip, br;q=1",
                                  "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",
                                  "Context: a=b", "Entity-Id: 7", "Authorization: Bearer x",
                                  "Cookie: " + "c" * 4000, "X-Bytes: \udcff\udc80\t~", "X-Empty:",
                                  "Upgrade: websocket", "TE: trailers", "Content-Type: text/plain"])
def test_headers_without_a_meaning_here_change_nothing(client, line):
    answer = client.expect(200, "GET", SHOP, line)
    assert answer.body == CHECKOUT
    assert answer["Content-Encoding"] is answer["Content-Range"] is answer["Vary"] is None


def test_absolute_target_is_served_whatever_its_host(client):
    for target in ("http://localhost:2772", "HTTP://elsewhere.example", "https://[::1]:1"):
        assert client.expect(200, "GET", target + SHOP).body == CHECKOUT
        client.expect(404, "GET", target)
        client.expect(404, "GET", target + "?x")


def test_every_documented_status_is_documented_for_head_as_well():
    for path in (CONFIGURATION_PATH, "/ping"):
        item = api().paths[path]
        assert item["get"]["responses"] == item["head"]["responses"]


def test_100_requests_in_one_write_are_answered_in_order(client):
    etag = client.expect(200)["ETag"]
    turns = [
        (200, "GET", SHOP), (404, "GET", path_of("Shop", "Prod", "No")), (200, "HEAD", SHOP),
        (405, "POST", SHOP, "Content-Length: 21"),
        (304, "GET", SHOP, f"If-None-Match: {etag}"),
        (400, "GET", "/applications/%/environments/%/configurations/%"), (200, "GET", "/ping"),
        (400, "GET", SHOP + "?flag=x"), (405, "PUT", "/ping", "Transfer-Encoding: chunked"),
        (500, "GET", path_of("Shop", "Prod", "Broken")),
        (200, "GET", path_of("Shop", "Prod", "Binary")), (501, "FETCH", SHOP),
    ]
    bodies = {"Content-Length: 21": b"GET /smuggled HTTP/1.", "Transfer-Encoding: chunked":
              b"a;x=y\r\nGET /b HTT\r\n0\r\nTrailer: x\r\n\r\n"}
    turns = [turns[number % len(turns)] for number in range(100)]
    client.send(b"".join(request(*turn[1:], body=bodies.get(turn[-1], b"")) for turn in turns))
    for turn in turns:
        answer = client.answer(turn[1], turn[2])
        assert answer.status == turn[0]
        if turn[1:] == ("GET", SHOP):
            assert answer.body == CHECKOUT


def test_thousands_of_answers_on_one_connection(client):
    for _ in range(20):
        client.send(request() * 100)
        for _ in range(100):
            assert client.answer().body == CHECKOUT


def test_big_body_reaches_a_slow_reader_exactly(shop):  # noqa: F811
    target = path_of("Shop", "Prod", "Big")
    with Client(shop.port, receive_buffer=4096) as slow, Client(shop.port) as other:
        slow.send(request(target=target) + request())
        answer = slow.read_head()
        pieces = []
        left = int(answer["Content-Length"])
        while left:
            # Others are served meanwhile.
            if len(pieces) % 64 == 0:
                other.expect(200)
            pieces.append(slow.read(min(left, 16384)))
            left -= len(pieces[-1])
        assert b"".join(pieces) == BIG
        assert slow.answer().body == CHECKOUT


def test_version_is_served_to_its_end_after_a_newer_one(shop):  # noqa: F811
    target = path_of("Shop", "Prod", "Replaced")
    shop.put("Shop:Prod:Replaced", BIG)
    shop.wait_status("Shop:Prod:Replaced", 200)
    with Client(shop.port, receive_buffer=4096) as slow:
        slow.send(request(target=target))
        slow.read_head()
        for number in range(3):
            shop.put("Shop:Prod:Replaced", b"newer %d" % number)
            shop.wait_body("Shop:Prod:Replaced", b"newer %d" % number)
        assert slow.read(len(BIG)) == BIG
        assert slow.expect(200, "GET", target).body == b"newer 2"
