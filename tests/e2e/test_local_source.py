# SPDX-License-Identifier: Apache-2.0
"""Files of the local directory become configurations, and nothing that is half written does."""
import errno
import http.client
import os
import random
import shutil
import signal
import subprocess
import threading
import time
import zlib

import pytest

from daemon import BIN, Daemon, Reader, Response, url, wait_until

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


# ---- Ways of saving -------------------------------------------------------------------------

FILES, ROUNDS = 10, 10  # of each way, all files at a time: 100 times each


def make_text(profile, turn):
    """A text that tells whether it is whole: "<size> <crc> <rest>"."""
    rest = f"{profile} {turn} " + "x" * random.randint(2000, 6000) + "\n"
    return f"{len(rest) + 18:08d} {zlib.crc32(rest.encode()):08x} {rest}"


def is_whole(body):
    size, crc, rest = body.split(b" ", 2)
    return int(size) == len(body) and int(crc, 16) == zlib.crc32(rest)


def chunks(text, count):
    size = len(text) // count + 1
    return [text[at:at + size] for at in range(0, len(text), size)]


def save_in_place(path, text):
    """Truncates and writes 20 times in 400 ms."""
    longest, last = 0, time.monotonic()
    with open(path, "w", encoding="ascii") as file:
        for chunk in chunks(text, 20):
            file.write(chunk)
            file.flush()
            time.sleep(0.02)
            now = time.monotonic()
            longest, last = max(longest, now - last), now
    return longest < 0.9


def save_by_shell(path, text):
    """Opens, appends and closes several times. How long that took stands in the files' times."""
    script = ': >"$1~"; file=$1; shift; : >"$file"; for part; do printf %s "$part" >>"$file"; done'
    subprocess.run(["sh", "-c", script, "sh", path, *chunks(text, 8)], check=True)
    begin = path.with_name(path.name + "~").stat().st_mtime_ns
    return path.stat().st_mtime_ns - begin < 80e6


def save_by_rename(path, text):
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    temporary.rename(path)
    return True


def save_by_sed(path, text):
    """sed reads a text of one line and puts another in its place."""
    if not path.exists():
        return save_by_rename(path, text)
    subprocess.run(["sed", "-i", f"1s/.*/{text[:-1]}/", path], check=True)
    return True


def save_like_vim(path, text):
    """The old file becomes the backup, a new one is written, the backup goes."""
    backup = path.with_name(path.name + "~")
    if path.exists():
        path.rename(backup)
    start = time.monotonic()
    with open(path, "w", encoding="ascii") as file:
        for chunk in chunks(text, 4):
            file.write(chunk)
            file.flush()
        os.fsync(file.fileno())
    backup.unlink(missing_ok=True)
    return time.monotonic() - start < 0.9


WAYS = {"in-place": save_in_place, "shell": save_by_shell, "rename": save_by_rename,
        "sed": save_by_sed, "vim": save_like_vim}


class Poller(threading.Thread):
    """Asks for every configuration in turn over HTTP and remembers what was not whole."""

    def __init__(self, daemon, profiles):
        super().__init__()
        self.daemon_port, self.profiles = daemon.port, profiles
        self.partial, self.asked, self.is_ending = {}, 0, False
        self.start()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon_port)
        etags = {}
        while not self.is_ending:
            for profile in self.profiles:
                headers = {"If-None-Match": etags[profile]} if profile in etags else {}
                connection.request("GET", url(f"A:B:{profile}"), headers=headers)
                response = Response(connection, "GET", url(f"A:B:{profile}"))
                self.asked += 1
                if response.status == 200:
                    etags[profile] = response.headers["ETag"]
                    if not is_whole(response.body):
                        self.partial[profile] = response.body
            time.sleep(0.02)  # what is wrong is there for longer
        connection.close()


def save_many(daemon, profile, way, turns, slow, last):
    """Half of the turns wait until the text has arrived, half fall into the one before."""
    path = daemon.files / f"A:B:{profile}.txt"
    for turn in range(turns):
        text = make_text(profile, turn)
        if not way(path, text):
            slow.add(profile)
        last[profile] = text
        if turn % 2:
            wait_until(lambda text=text: daemon.get(url(f"A:B:{profile}")).body == text.encode(),
                       60, f"{profile} is there", every=0.1)


def test_way_of_saving_never_shows_part_of_a_text(tmp_path, backend):
    """Where the machine paused the writer for longer than the daemon waits, that file is not
    judged: it was as good as complete."""
    profiles = {f"{way}-{i}": WAYS[way] for way in WAYS for i in range(FILES)}
    slow, last = set(), {}
    with Daemon(tmp_path, backend) as daemon:
        readers = {name: Reader(daemon.root, f"A:B:{name}") for name in profiles}
        poller = Poller(daemon, list(profiles))
        for reader in readers.values():
            reader.send("verify", 0)
        writers = [threading.Thread(target=save_many, args=(daemon, name, way, ROUNDS, slow, last))
                   for name, way in profiles.items()]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        for name, text in last.items():
            daemon.wait_body(f"A:B:{name}", text)
        poller.is_ending = True
        poller.join()
        assert len(last) == len(profiles) and poller.asked > 0
        for name, reader in readers.items():
            reader.send("enter")  # ends verify
            seen = reader.receive()
            assert seen["bad"] == 0 or name in slow, (name, seen)
            assert seen["back"] == 0 and seen["versions"] > 0, (name, seen)
            assert reader.receive()["text"] == last[name]
            reader.close()
        assert set(poller.partial) <= slow, poller.partial
        unjudged = [way for way in WAYS if all(f"{way}-{i}" in slow for i in range(FILES))]
        if unjudged:
            pytest.skip(f"the machine was too slow to judge {unjudged}")


# ---- Trouble with the directory ---------------------------------------------------------------


def test_lost_events_do_not_lose_a_change(tmp_path, backend):
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as file:
        most = int(file.read())
    if most > 200000:
        pytest.skip(f"fs.inotify.max_queued_events is {most}")
    with Daemon(tmp_path, backend) as daemon:
        daemon.put("A:B:Old.txt", "before")
        daemon.put("A:B:Gone.txt", "gone")
        daemon.wait_body("A:B:Old", "before")
        daemon.wait_body("A:B:Gone", "gone")
        others = [daemon.files / "one", daemon.files / "two"]
        for other in others:
            other.touch()
        daemon.send(signal.SIGSTOP)
        for i in range(most + 100):
            os.utime(others[i % 2])
        daemon.put("A:B:Old.txt", "after")
        daemon.put("A:B:New.txt", "new")
        (daemon.files / "A:B:Gone.txt").unlink()
        daemon.send(signal.SIGCONT)
        daemon.wait_body("A:B:Old", "after")
        daemon.wait_body("A:B:New", "new")
        daemon.wait_log("the kernel lost file events")
        daemon.wait_log("A:B:Gone.txt: is gone, or a link to nothing; the last version stays")


def test_directory_is_replaced_while_running(tmp_path, backend):
    with Daemon(tmp_path, backend) as daemon:
        daemon.put("A:B:C.txt", "first")
        daemon.wait_body("A:B:C", "first")
        # Moved away, with a new one in its place.
        daemon.files.rename(tmp_path / "away")
        daemon.files.mkdir()
        daemon.put("A:B:C.txt", "second")
        daemon.put("A:B:D.txt", "other")
        daemon.wait_body("A:B:C", "second")
        daemon.wait_body("A:B:D", "other")
        (tmp_path / "away" / "A:B:C.txt").write_text("of no interest")
        daemon.put("A:B:C.txt", "third")
        daemon.wait_body("A:B:C", "third")
        # Removed for a while.
        shutil.rmtree(daemon.files)
        daemon.wait_log("cannot open the local directory")
        assert daemon.get(url("A:B:C")).body == b"third"
        with Reader(daemon.root, "A:B:C") as reader:
            wait_until(lambda: reader("status")["error"] == errno.ENOENT)
            assert daemon.count_log("cannot open the local directory") == 1
            daemon.files.mkdir()
            daemon.put("A:B:C.txt", "fourth")
            daemon.send(signal.SIGHUP)  # sooner than the next look
            reader.wait_text("fourth")
            # The new one is followed by events again, not only by the look each second.
            for i in range(20):
                start = time.monotonic()
                daemon.put("A:B:C.txt", f"quick {i}")
                reader.wait_text(f"quick {i}")
                if time.monotonic() - start < 0.5:
                    break
            else:
                raise AssertionError("changes arrive by the look each second alone")


def test_link_that_is_turned_elsewhere(tmp_path, backend):
    """A directory, and a file in it, are switched by renaming a link, as volumes do it."""
    for version in ("1", "2"):
        (tmp_path / f"files-{version}").mkdir()
        (tmp_path / f"files-{version}" / "A:B:InDirectory.txt").write_text(version)
        (tmp_path / f"files-{version}" / "A:B:Linked.txt").symlink_to("../data/text")
        (tmp_path / f"data-{version}").mkdir()
        (tmp_path / f"data-{version}" / "text").write_text(f"data {version}")

    def turn(link, target):
        (tmp_path / "link").symlink_to(target)
        (tmp_path / "link").rename(tmp_path / link)

    turn("files", "files-1")
    turn("data", "data-1")
    with Daemon(tmp_path, backend) as daemon:
        daemon.wait_body("A:B:InDirectory", "1")
        daemon.wait_body("A:B:Linked", "data 1")
        turn("data", "data-2")
        turn("files", "files-2")
        daemon.wait_body("A:B:Linked", "data 2")
        daemon.wait_body("A:B:InDirectory", "2")
        (tmp_path / "files-2" / "A:B:InDirectory.txt").write_text("3")
        daemon.wait_body("A:B:InDirectory", "3")


def test_directory_that_is_gone_at_sighup_is_reported(tmp_path, backend):
    with Daemon(tmp_path, backend) as daemon:
        daemon.put("A:B:C.txt", "first")
        daemon.wait_body("A:B:C", "first")
        shutil.rmtree(daemon.files)
        daemon.send(signal.SIGHUP)
        daemon.wait_log("SIGHUP")
        daemon.wait_log("cannot open the local directory", timeout=4)


def test_thousand_files(tmp_path, backend):
    with Daemon(tmp_path, backend, start=False) as daemon:
        for i in range(1000):
            (daemon.files / f"Many:Files:p{i}.json").write_text(f'{{"number": {i}}}')
        daemon.start()
        descriptors = len(daemon.descriptors())
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port)

        def get(i):
            connection.request("GET", url(f"Many:Files:p{i}"))
            response = Response(connection, "GET", url(f"Many:Files:p{i}"))
            return response.status, response.body

        for i in range(1000):
            assert get(i) == (200, f'{{"number": {i}}}'.encode())
        for i in range(1000):
            (daemon.files / f"Many:Files:p{i}.json").write_text(f'{{"number": -{i + 1}}}')
        for i in range(1000):
            want = (200, f'{{"number": -{i + 1}}}'.encode())
            wait_until(lambda i=i, want=want: get(i) == want)
        connection.close()
        assert descriptors < 32
        wait_until(lambda: len(daemon.descriptors()) <= descriptors)
        assert daemon.status_field("VmRSS") < 64 * 1024  # KiB
        assert daemon.count_log("ERROR|WARN") == 0
        with Reader(daemon.root, "Many:Files:p999") as reader:
            assert reader("enter")["text"] == '{"number": -1000}'


def test_limit_of_configurations(tmp_path, backend):
    with Daemon(tmp_path, backend, env={"SHMCONF_MAX_CONFIGURATIONS": "3"}, start=False) as daemon:
        for i in range(5):
            daemon.put(f"A:B:p{i}.txt", "text")
        daemon.start()
        for i in range(3):
            daemon.wait_body(f"A:B:p{i}", "text")
        with Reader(daemon.root, "A:B:p0") as reader:
            reader.wait_checks(2)
        for i in (3, 4):
            assert daemon.get(url(f"A:B:p{i}")).status == 404
            assert daemon.count_log(f"A:B:p{i}.txt: ignored: .*SHMCONF_MAX_CONFIGURATIONS=3") == 1
        daemon.put("A:B:p1.txt", "changed")
        daemon.wait_body("A:B:p1", "changed")


@pytest.mark.parametrize("denied", ["inotify_init1", "inotify_add_watch"])
def test_without_inotify_the_look_each_second_finds_changes(tmp_path, backend, denied):
    wrapper = [BIN / "seccomp_deny", errno.ENOSPC, denied, "--"]
    with Daemon(tmp_path, backend, wrapper=wrapper, start=False) as daemon:
        daemon.put("A:B:Changed.json", "[1]")
        daemon.put("A:B:Gone.json", "[1]")
        daemon.start()
        daemon.assert_backend()
        (daemon.files / "A:B:New.json").write_text("[2]")
        (daemon.files / "A:B:Changed.json").write_text("[2]")
        (daemon.files / "A:B:Gone.json").unlink()
        daemon.wait_body("A:B:Changed", "[2]")
        daemon.wait_body("A:B:New", "[2]")
        daemon.wait_log("A:B:Gone.json: is gone")
        assert daemon.count_log("WARN .*inotify.*No space left on device") == 1
