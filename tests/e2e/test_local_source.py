# SPDX-License-Identifier: Apache-2.0
"""Files of the local directory become configurations, and nothing that is half written does."""
import errno
import os
import signal
import time


from daemon import Daemon, Reader, url, wait_until

NOBODY = 65534
MIB = 1024 * 1024


def test_extension_says_content_type(tmp_path, backend):
    kinds = {
        "json": ("Shop:Types:json.json", "{}", "application/json"),
        "yaml": ("Shop:Types:yaml.yaml", "a: 1", "application/x-yaml"),
        "yml": ("Shop:Types:yml.yml", "a: 1", "application/x-yaml"),
        "txt": ("Shop:Types:txt.txt", "text", "text/plain"),
        "xml": ("Shop:Types:xml.xml", "<a/>", "application/xml"),
        "toml": ("Shop:Types:toml.toml", "a = 1", "application/toml"),
        "none": ("Shop:Types:none", "\x00\xff bytes", "application/octet-stream"),
        "ion": ("Shop:Types:ion.application%ion%type=AWS.AppConfig.FeatureFlags", "x",
                "application/ion;type=AWS.AppConfig.FeatureFlags"),
        "api": ("Shop:Types:api.application%vnd.api+json", "{not checked",
                "application/vnd.api+json"),
        "two.dots": ("Shop:Types:two.dots.json", "[]", "application/json"),
    }
    with Daemon(tmp_path, backend) as daemon:
        for file, text, _ in kinds.values():
            daemon.put(file, text)
        for profile, (_, text, kind) in kinds.items():
            response = daemon.wait_body(f"Shop:Types:{profile}", text)
            assert response.headers["Content-Type"] == kind, profile
            with Reader(daemon.root, f"Shop:Types:{profile}") as reader:
                answer = reader("enter")
                assert (answer["type"], answer["size"]) == (kind, len(text.encode()))
                assert answer["kind"] == (1 if kind == "application/json" else 0)
        daemon.assert_backend()


def test_name_that_needs_encoding(tmp_path, backend):
    names = ["Ä b&c:Prod=1:Grün 100", "A:B:.hidden", "A:B:..", "~:-:_", "a b:c?d#e:f+g",
             "Ä" * 75 + ":B:C", "\U0001f600:\n:\x7f"]
    with Daemon(tmp_path, backend) as daemon:
        for i, name in enumerate(names):
            daemon.put(f"{name}.json", f"[{i}]")
        for i, name in enumerate(names):
            daemon.wait_body(name, f"[{i}]")
            with Reader(daemon.root, name) as reader:
                assert reader("enter")["text"] == f"[{i}]", name


def test_name_that_is_no_configuration_gives_one_line_or_none(tmp_path, backend):
    silent = ["A:B:C.json~", ".A:B:C.json.swp", "A:B:C.json.tmp", "#A:B:C.json#", "A:B:C.json.bak",
              "readme.txt", "4913"]
    mistakes = ["A:B.json", "A:B:C:D.json", "A:B:C.jsn", "A:B:C%2.json", ":B:C.json", "A::C.json",
                "A:B:.json", "A:B:C.%json"]
    with Daemon(tmp_path, backend, start=False) as daemon:
        for name in silent + mistakes[:4]:
            daemon.put(name, "{}")
        daemon.start()
        for name in mistakes[4:]:
            daemon.put(name, "{}")
        daemon.put("A:B:Good.json", "{}")
        daemon.wait_body("A:B:Good", "{}")
        for name in mistakes:  # again: still no second line
            daemon.put(name, "[]")
        with Reader(daemon.root, "A:B:Good") as reader:
            reader.wait_checks(2)
        log = daemon.log()
        for name in mistakes:
            assert log.count(f"{name}: ignored: ") == 1, name
        assert log.count("ignored: ") == len(mistakes), log
        # What has no colon is another's file; at the start one line tells of them all.
        assert log.count("4913: ignored, and 1 more like it") == 1 == log.count("4913"), log
        assert "readme" not in log, log
        assert daemon.get(url("A:B:C")).status == 404


def test_new_changed_deleted_and_restored_file(tmp_path, backend):
    name = "Shop:Prod:Limits"
    with Daemon(tmp_path, backend) as daemon, Reader(daemon.root, name) as reader:
        assert daemon.get(url(name)).status == 404
        assert reader("enter")["rc"] == -errno.ENOENT
        assert reader("wait", 1)["rc"] == -errno.ETIMEDOUT
        reader.send("wait", 20000)
        daemon.put(f"{name}.json", '{"limit": 1}')
        assert reader.receive()["rc"] == 0
        first = reader.wait_text('{"limit": 1}')
        assert first["generation"] == 1
        daemon.wait_log(f"retrieved initial data for '{name}'")

        reader.send("wait", 20000)
        start = time.monotonic()
        daemon.put(f"{name}.json", '{"limit": 2}')
        assert reader.receive()["rc"] == 0
        assert time.monotonic() - start < 4, "not woken: it looks by itself every 5 s"
        second = reader.wait_text('{"limit": 2}')
        assert (second["generation"], second["instance"]) == (2, first["instance"])
        assert second["fetched_ns"] > first["fetched_ns"]
        status = reader("status")
        assert status["next_ns"] - status["tried_ns"] == status["interval_s"] * 10**9 > 0
        etag = daemon.wait_body(name, '{"limit": 2}').headers["ETag"]
        daemon.wait_log(f"updated cache data for '{name}'")
        assert reader("status")["error"] == 0

        (daemon.files / f"{name}.json").unlink()
        wait_until(lambda: reader("status")["failures"] >= 2)
        status = reader("status")
        assert (status["rc"], status["error"]) == (0, errno.ENOENT)
        assert status["tried_ns"] > status["checked_ns"] >= second["fetched_ns"]
        assert reader("enter")["text"] == '{"limit": 2}'
        assert daemon.get(url(name)).body == b'{"limit": 2}'
        assert daemon.count_log(f"{name}.json: is gone") == 1

        daemon.put(f"{name}.json", '{"limit": 2}')  # the same again: good, but nothing new
        wait_until(lambda: reader("status")["failures"] == 0)
        status = reader("status")
        assert (status["error"], status["generation"]) == (0, 2)
        assert daemon.get(url(name)).headers["ETag"] == etag
        daemon.wait_log(f"'{name}' is good again")
        daemon.put(f"{name}.json", '{"limit": 3}')
        assert reader.wait_text('{"limit": 3}')["generation"] == 3


def test_bad_text_is_not_published(tmp_path, backend):
    bad = {"A:B:Comma.json": ('{"good": 2,}', "is not JSON: line 1, column 12: "),
           "A:B:Emptied.json": ("", "is empty"),
           "A:B:Tail.json": ('{"good": 2} x', "is not JSON: line 1, column 13: "),
           "A:B:Mark.json": ("\ufeff{}", "is not JSON: line 1, column 1: "),
           "A:B:Nul.json": ("{}\x00", "is not JSON: line 1, column 3: ")}
    with Daemon(tmp_path, backend, start=False) as daemon:
        for file in bad:
            daemon.put(file, '{"good": 1}')
        daemon.put("A:B:Never.json", '{\n  "a": 1,\n  "b": [1,, 2]\n}')
        daemon.put("A:B:Empty.txt", "")
        daemon.put("A:B:Text.txt", "{ not JSON, and need not be")
        daemon.start()
        # Never good: the reason goes to whoever asks.
        answer = daemon.wait_status("A:B:Never", 500)
        assert "line 3, column 11" in answer.text and "Never.json" in answer.text
        assert "is empty" in daemon.wait_status("A:B:Empty", 500).text
        daemon.wait_body("A:B:Text", "{ not JSON, and need not be")
        with Reader(daemon.root, "A:B:Never") as reader:
            assert reader("enter")["rc"] == -errno.ENOENT
            daemon.put("A:B:Never.json", "[]")
            reader.wait_text("[]")

        # Once good: what there is stays, and one line says why.
        for file, (text, _) in bad.items():
            daemon.put(file, text)
        for file, (_, reason) in bad.items():
            with Reader(daemon.root, file.removesuffix(".json")) as reader:
                wait_until(lambda reader=reader: reader("status")["failures"] >= 3)
                assert reader("status")["error"] == errno.EINVAL
                assert reader("enter")["text"] == '{"good": 1}'
            assert daemon.get(url(file.removesuffix(".json"))).body == b'{"good": 1}'
            assert daemon.count_log(f"ERROR {file}: {reason}.*; the last version stays$") == 1
            assert daemon.count_log(file) == 1
            daemon.put(file, '{"good": 3}')
        for file in bad:
            with Reader(daemon.root, file.removesuffix(".json")) as reader:
                assert reader.wait_text('{"good": 3}')["generation"] == 2
                assert reader("status")["failures"] == 0


def test_file_that_cannot_be_read(open_path, backend):
    """At the start as well as later; and each becomes readable."""
    uid = NOBODY if os.geteuid() == 0 else None
    own = open_path / "own"
    own.mkdir()
    if uid:
        os.chown(own, uid, uid)
    with Daemon(open_path, backend, uid=uid, root=own / "region", start=False) as daemon:
        files = daemon.files

        def aside(name, make):
            """What gets its name by a rename is looked at without a pause."""
            make(files / ".aside")
            (files / ".aside").rename(files / name)

        def make(when):
            (files / f"A:{when}:Secret.txt").write_text("secret")
            (files / f"A:{when}:Secret.txt").chmod(0)
            with open(files / f"A:{when}:Big.txt", "wb") as big:
                big.truncate(16 * MIB + 1)
            aside(f"A:{when}:Fifo.txt", os.mkfifo)
            aside(f"A:{when}:Directory.txt", os.mkdir)
            aside(f"A:{when}:Dangling.txt", lambda path: path.symlink_to(f"missing-{when}"))
            (files / f"target-{when}").write_text("through a link")
            aside(f"A:{when}:Link.txt", lambda path: path.symlink_to(f"target-{when}"))

        make("Start")
        daemon.start()
        make("Later")
        reasons = {"Secret": "cannot be read: Permission denied", "Big": "is larger than 16 MiB",
                   "Fifo": "is not a regular file", "Directory": "is not a regular file",
                   "Dangling": "is gone"}
        for when in ("Start", "Later"):
            daemon.wait_body(f"A:{when}:Link", "through a link")
            for profile, reason in reasons.items():
                wait_until(lambda w=when, p=profile, r=reason:
                           r in daemon.get(url(f"A:{w}:{p}")).text, what=f"{when} {profile}")
                assert daemon.get(url(f"A:{when}:{profile}")).status == 500
        with Reader(daemon.root, "A:Start:Link", uid=uid) as reader:
            reader.wait_checks(1)
        for when in ("Start", "Later"):
            for profile, reason in reasons.items():
                assert daemon.count_log(f"A:{when}:{profile}.txt: {reason}") == 1, (when, profile)

            (files / f"A:{when}:Secret.txt").chmod(0o644)
            with open(files / f"A:{when}:Big.txt", "r+b") as big:
                big.truncate(16 * MIB)
            (files / f"A:{when}:Fifo.txt").unlink()
            (files / f"A:{when}:Fifo.txt").write_text("file")
            (files / f"A:{when}:Directory.txt").rmdir()
            daemon.put(f"A:{when}:Directory.txt", "file")
            (files / f"missing-{when}").write_text("not missing")
            (files / f"target-{when}").write_text("changed")
        for when in ("Start", "Later"):
            daemon.wait_body(f"A:{when}:Secret", "secret")
            daemon.wait_body(f"A:{when}:Big", bytes(16 * MIB))
            daemon.wait_body(f"A:{when}:Fifo", "file")
            daemon.wait_body(f"A:{when}:Directory", "file")
            daemon.wait_body(f"A:{when}:Dangling", "not missing")
            daemon.wait_body(f"A:{when}:Link", "changed")


def test_two_files_for_one_configuration(tmp_path, backend):
    with Daemon(tmp_path, backend, start=False) as daemon:
        daemon.put("A:B:C.json", "[1]")
        daemon.put("A:B:C.txt", "text")
        daemon.put("A:B:C.yaml", "a: 1")
        daemon.start()
        with Reader(daemon.root, "A:B:C") as reader:
            reader.wait_text("[1]")
            daemon.put("A:B:C.txt", "text 2")
            reader.wait_checks(2)
            assert reader("enter")["text"] == "[1]"
            for other in ("txt", "yaml"):
                assert daemon.count_log(f"A:B:C.{other}: ignored: the same configuration stands in "
                                        "A:B:C.json") == 1
            (daemon.files / "A:B:C.yaml").unlink()
            (daemon.files / "A:B:C.json").unlink()
            assert reader.wait_text("text 2")["type"] == "text/plain"
            daemon.put("A:B:C.txt", "text 3")
            reader.wait_text("text 3")
            daemon.put("A:B:C.json", "[2]")  # too late: the second one has it now
            daemon.wait_log("A:B:C.json: ignored: the same configuration stands in A:B:C.txt")
            (daemon.files / "A:B:C.txt").unlink()
            daemon.send(signal.SIGHUP)
            assert reader.wait_text("[2]")["type"] == "application/json"
            wait_until(lambda: reader("status")["failures"] == 0)


def test_equal_content_is_no_new_version(tmp_path, backend):
    ways = {"Written": lambda path: path.write_text("same"), "Touched": lambda path: path.touch(),
            "Renamed": lambda path: daemon.put(path.name, "same"),
            "Chmodded": lambda path: path.chmod(0o600)}
    with Daemon(tmp_path, backend) as daemon:
        etags = {}
        for way in ways:
            daemon.put(f"A:B:{way}.txt", "same")
        for way in ways:
            etags[way] = daemon.wait_body(f"A:B:{way}", "same").headers["ETag"]
        for way, act in ways.items():
            act(daemon.files / f"A:B:{way}.txt")
        for way in ways:
            with Reader(daemon.root, f"A:B:{way}") as reader:
                fetched = reader("enter")["fetched_ns"]
                wait_until(lambda reader=reader, fetched=fetched:
                           reader("status")["checked_ns"] > fetched + 1.5e9)
                status = reader("status")
                assert (status["generation"], status["failures"]) == (1, 0), way
                assert status["fetched_ns"] == fetched
                assert daemon.get(url(f"A:B:{way}")).headers["ETag"] == etags[way]
        # Another content type is another version, also of the same bytes.
        (daemon.files / "A:B:Written.txt").rename(daemon.files / "A:B:Written.yaml")
        with Reader(daemon.root, "A:B:Written") as reader:
            wait_until(lambda: reader("enter")["generation"] == 2)
            answer = reader("enter")
            assert (answer["type"], answer["text"]) == ("application/x-yaml", "same")
