# SPDX-License-Identifier: Apache-2.0
"""shmcat ls, cat, status, and its manners."""
import base64
import errno
import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from shmcat_region import (  # noqa: F401
    DEADLINE_S, NAME, SHMCAT, TIME, environment, followers, on_terminal, running_region)


# ---- ls ----


def test_ls_is_the_default_and_shows_every_configuration(region):
    region.publish(NAME, "x" * 1234, "application/json", "blue")
    region.publish("A:B:C")
    region.publish("A:B:C", "two")
    assert region.text().splitlines()[0].split() == [
        "NAME", "GENERATION", "SIZE", "TYPE", "LABEL", "UPDATED", "CHECKED", "STATE"]
    first, second = (line.split() for line in region.text("ls").splitlines()[1:])
    assert first[:5] + first[7:] == ["A:B:C", "2", "3", "text/plain", "-", "ok"]
    assert second[:5] + second[7:] == [NAME, "1", "1234", "application/json", "blue", "ok"]


def test_ls_json_is_one_document(region):
    region.publish(NAME, "{}", "application/json", "blue")
    region.status(NAME, checked_ns=1_700_000_000_123_456_789)
    document = region.json("ls")
    assert document["dir"] == str(region.root)
    row, = document["configurations"]
    assert (row["name"], row["path"], row["state"]) == (NAME, "Shop/Prod/Checkout", "ok")
    assert (row["generation"], row["size"], row["label"]) == (1, 2, "blue")
    assert re.fullmatch("[0-9a-f]{16}", row["instance"])
    assert row["checked"] == "2023-11-14T22:13:20.123Z"
    assert row["next"] is None
    assert re.fullmatch(TIME, row["updated"])


def test_states_tell_failing_and_overdue_polls(region):
    now = time.time_ns()
    region.publish("A:B:failing")
    region.status("A:B:failing", 3, errno.EIO, http=404)
    region.publish("A:B:refused")
    region.status("A:B:refused", 1, errno.ECONNREFUSED)
    region.publish("A:B:overdue")
    region.status("A:B:overdue", checked_ns=now - 300 * 10**9, interval=45,
                  next_ns=now - 255 * 10**9)
    region.publish("A:B:waiting")
    region.status("A:B:waiting", checked_ns=now - 40 * 10**9, interval=45, next_ns=now + 5 * 10**9)
    text = region.text("ls")
    assert "failing (3, HTTP 404)" in text
    assert "failing (1, Connection refused)" in text
    assert "stale? (last check 5m ago)" in text
    assert re.search("A:B:waiting .* ok\n", text)


@pytest.mark.parametrize("command", ["ls", "readers", "watch"])
def test_nothing_published_by_a_daemon_that_runs_is_asked_for(region, command):
    arguments = ["watch", "--json", "-n", "1"] if command == "watch" else [command]
    nothing = f"shmcat: {region.root}: nothing is published: "
    line, = region.run(*arguments).stderr.decode().splitlines()
    assert line == (f"{nothing}ask shmconfd, which runs, for a configuration over HTTP, or give it "
                    "a prefetch list or a local directory")
    region.publisher.close()
    line, = region.run(*arguments).stderr.decode().splitlines()
    assert line.startswith(f"{nothing}start shmconfd, or set SHMCONF_DIR")


@pytest.mark.parametrize("made", [False, True])
def test_ls_of_nothing_says_where_it_looked(region, tmp_path, made):
    directory = tmp_path / "elsewhere"
    if made:
        directory.mkdir()
    done = region.run("ls", "--dir", str(directory))
    assert done.returncode == 1
    line, = done.stderr.decode().splitlines()
    assert str(directory) in line and "start shmconfd" in line and "SHMCONF_DIR" in line
    done = region.run("--dir", str(directory), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["configurations"] == []


# ---- cat ----


BINARY = bytes(range(256)) * 3


def publish_bytes(region, name, data):
    words = "".join(f"%{byte:02x}" for byte in data)
    region.publisher.process.stdin.write(f"publish {name} - - {words}\n".encode())
    region.publisher.process.stdin.flush()
    assert region.publisher.process.stdout.readline().startswith(b"ok")


@pytest.mark.parametrize("data", [b"", b"no newline", b"newline\n", b"a\0b\0", BINARY])
def test_cat_writes_the_exact_bytes(region, data):
    publish_bytes(region, NAME, data)
    assert region.run("cat", NAME).stdout == data


def test_cat_understands_both_spellings(region):
    region.publish("/applications/a%3Ab/environments/e/configurations/%2Fetc", "odd")
    assert region.text("cat", "/applications/a%3Ab/environments/e/configurations/%2Fetc") == "odd"
    name = region.json("ls")["configurations"][0]["name"]
    assert region.text("cat", name) == "odd"


def test_cat_adds_a_newline_only_on_a_terminal(region):
    region.publish(NAME, "text")
    assert on_terminal(region, "cat", NAME) == (0, b"text\n")
    region.publish(NAME, "text\n")
    assert on_terminal(region, "cat", NAME) == (0, b"text\n")


def test_cat_json_has_text_or_base64(region):
    region.publish(NAME, 'quoted "é" \\ \n', "application/json", "l")
    document = region.json("cat", NAME)
    assert document["text"] == 'quoted "é" \\ \n'
    assert (document["content_type"], document["label"]) == ("application/json", "l")
    for size in range(4):
        data = b"\xff\x00\xfe\x01"[:size + 1]
        publish_bytes(region, NAME, data)
        assert base64.b64decode(region.json("cat", NAME)["base64"], validate=True) == data
    publish_bytes(region, NAME, b"a\0b")
    assert region.json("cat", NAME)["text"] == "a\0b"


def test_cat_version_is_current_or_predecessor(region):
    for text in ("one", "two", "three"):
        region.publish(NAME, text)
    assert region.text("cat", NAME, "--version", "3") == "three"
    assert region.text("cat", NAME, "--version=2") == "two"
    for missing in ("1", "4"):
        done = region.run("cat", NAME, "--version", missing)
        assert done.returncode == 1 and done.stdout == b""
        assert b"3 and 2" in done.stderr


def test_cat_wait_sleeps_until_it_exists(region, follow):
    waiting = follow(NAME, "--wait", "30s", command="cat")
    later = follow(NAME, "--wait", "30s", "--version", "2", command="cat")
    region.publish(NAME, "first\n")
    assert waiting.line() == "first"
    assert waiting.process.wait(DEADLINE_S) == 0
    region.publish(NAME, "second\n")
    assert later.line() == "second"


def test_cat_wait_ends_when_the_time_is_over(region):
    done = region.run("cat", NAME, "--wait", "50ms")
    assert done.returncode == 4
    assert b"50ms" in done.stderr
    region.publish(NAME)
    assert region.run("cat", NAME, "--wait", "50ms", "--version", "2").returncode == 4
    region.publish(NAME, "two")
    region.publish(NAME, "three")
    assert region.run("cat", NAME, "--wait", "1h", "--version", "1").returncode == 1


def test_cat_of_a_damaged_text_writes_nothing(region):
    region.publish(NAME, "abcdef")
    version = region.root / "Shop/Prod/Checkout/v00000001"
    data = version.read_bytes()
    version.chmod(0o600)
    version.write_bytes(data.replace(b"abcdef", b"abcdeg"))
    done = region.run("cat", NAME)
    assert (done.returncode, done.stdout) == (1, b"")
    assert region.row("Shop/Prod/Checkout")["state"] == "damaged"


# ---- status ----


def test_status_prints_a_key_and_a_value_a_line(region):
    region.publish(NAME, "x" * 10, "text/plain", "blue")
    region.status(NAME, 2, errno.ETIMEDOUT, interval=45, checked_ns=time.time_ns() - 90 * 10**9)
    text = region.text("status", NAME)
    lines = dict(line.split(None, 1) for line in text.splitlines())
    assert list(lines) == ["name", "state", "generation", "instance", "size", "content-type",
                           "label", "updated", "checked", "tried", "next", "interval", "failures",
                           "last-error", "age"]
    assert lines["name"] == NAME and lines["generation"] == "1" and lines["size"] == "10 bytes"
    assert lines["label"] == "blue" and lines["interval"] == "45s" and lines["failures"] == "2"
    assert lines["last-error"] == "Connection timed out"
    assert re.fullmatch(r"9\ds", lines["age"])
    assert re.fullmatch(TIME + r" \(9\ds ago\)", lines["checked"])
    document = region.json("status", NAME)
    assert document["failures"] == 2 and document["last_error"] == "Connection timed out"


def test_status_exits_with_3_when_it_is_stale(region):
    region.publish(NAME)
    assert region.run("status", NAME, "--max-age", "1h").returncode == 0
    region.status(NAME, checked_ns=time.time_ns() - 3 * 3600 * 10**9)
    done = region.run("status", NAME, "--max-age", "2h")
    assert done.returncode == 3 and b"3h old" in done.stderr
    assert region.run("status", NAME, "--max-age", "4h").returncode == 0
    region.status(NAME, checked_ns=time.time_ns() + 3 * 3600 * 10**9)  # the clock was set back
    assert region.run("status", NAME, "--max-age", "2h").returncode == 3
    (region.root / "Shop/Prod/Checkout/v00000001").unlink()
    done = region.run("status", NAME)
    assert done.returncode == 3 and b"the current version was removed" in done.stderr


def test_status_of_nothing_exits_with_1(region):
    for arguments in (("status", NAME), ("status", NAME, "--json"), ("cat", NAME)):
        done = region.run(*arguments)
        assert done.returncode == 1
        assert done.stderr.startswith(f"shmcat: {NAME}: nothing was published".encode())


# ---- manners ----


def test_colour_is_for_terminals_only(region):
    region.publish(NAME)
    assert "\x1b" not in region.text("ls")
    assert "\x1b" in region.text("ls", "--color=always")
    assert b"\x1b[32mok" in on_terminal(region, "ls")[1]
    assert b"\x1b" not in on_terminal(region, "ls", "--color", "never")[1]
    assert b"\x1b" not in on_terminal(region, "ls", NO_COLOR="1")[1]
    assert b"\x1b" in on_terminal(region, "ls", NO_COLOR="")[1]
    assert b"\x1b" not in on_terminal(region, "ls", TERM="dumb")[1]
    assert b"\x1b" not in on_terminal(region, "watch", "-n", "2", "--interval", "1ms",
                                      TERM="dumb")[1]
    assert region.run("ls", "--color=blue").returncode == 2


HOSTILE = "\x1b[31mred\x07\x9b1m\u202etxet\r\n"


def test_no_escape_sequence_of_the_region_reaches_the_terminal(region):
    name = f"A:\x1b[2J:{HOSTILE}"
    region.publish(name, "t", HOSTILE, HOSTILE)
    for arguments in (("ls",), ("status", name), ("follow", "-n", "1"), ("cat", name + "x"),
                      ("follow", name, "-n", "1"), ("watch", "-n", "1"), ("status", "x" + name)):
        done = region.run(*arguments)
        for character in (done.stdout + done.stderr).decode():
            assert character == "\n" or character.isprintable(), (arguments, done)
    status, seen = on_terminal(region, "ls", "--color=never")
    assert status == 0 and b"\x1b" not in seen and b"\\x1b[31mred\\x07" in seen
    row, = region.json("ls")["configurations"]
    assert row["name"] == name and row["label"] == HOSTILE
    assert region.json("follow", "-n", "1")["name"] == name


def test_bytes_that_are_not_utf8_are_escaped(region):
    words = "publish A:B:%ff%c0%80 - %fe x\n"
    region.publisher.process.stdin.write(words.encode())
    region.publisher.process.stdin.flush()
    assert region.publisher.process.stdout.readline() == b"ok 1\n"
    assert "A:B:\\xff\\xc0\\x80" in region.text("ls")
    assert region.json("ls")["configurations"][0]["label"] == "\ufffd"
    assert region.run("cat", b"A:B:\xff\xc0\x80").stdout == b"x"


@pytest.mark.parametrize("arguments, told", [
    (["lst"], "did you mean ls?"),
    (["stauts"], "did you mean status?"),
    (["Shop:Prod:Checkout"], "did you mean shmcat cat"),
    (["frobnicate"], "shmcat --help"),
    (["cat"], "takes NAME"),
    (["cat", "A:B:C", "D:E:F"], "takes NAME"),
    (["ls", "x"], "takes no arguments"),
    (["cat", "A:B"], "/applications/A/environments/E/configurations/P"),
    (["cat", "A:B:C", "--frob"], "--frob: unknown option"),
    (["cat", "A:B:C", "-z"], "-z: unknown option"),
    (["cat", "A:B:C", "--wait"], "--wait: needs a value"),
    (["cat", "A:B:C", "--wait", "5"], "500ms, 5s, 2m or 1h"),
    (["cat", "A:B:C", "--wait", "99999999999999999h"], "500ms"),
    (["cat", "A:B:C", "--wait", "-1s"], "500ms"),
    (["cat", "A:B:C", "--version", "0"], "number"),
    (["cat", "A:B:C", "--version", "1x"], "number"),
    (["follow", "-n", "0"], "number"),
    (["ls", "--dir", ""], "--dir"),
    (["ls", "--json=1"], "takes no value"),
])
def test_wrong_usage_exits_with_2_and_one_line(region, arguments, told):
    done = region.run(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    line, = done.stderr.decode().splitlines()
    assert told in line


def test_help_of_everything(region):
    overall = region.text("--help")
    assert overall == region.text("help") == region.text("-h") == region.text("help", "help")
    for command in ("ls", "cat", "status", "follow", "watch", "verify", "dump", "readers", "bench",
                    "doctor"):
        assert f"  {command} " in overall
        text = region.text(command, "--help")
        assert text == region.text("help", command) == region.text("--help", command)
        assert text.startswith(f"Usage: shmcat {command}") and "Exit status" in text
        assert max(map(len, text.splitlines())) <= 100
    assert region.text("--version") == region.text("--version", "ls")
    assert re.fullmatch(r"shmcat \d+\.\d+\.\d+\n", region.text("--version"))


def test_dir_goes_before_or_behind_the_command(region, tmp_path):
    region.publish(NAME, "here")
    elsewhere = {"SHMCONF_DIR": str(tmp_path / "none")}
    assert region.text("--dir", str(region.root), "cat", NAME, **elsewhere) == "here"
    assert region.text("cat", NAME, "--dir", str(region.root), **elsewhere) == "here"


def test_output_that_cannot_be_written_is_a_failure(region):
    region.publish(NAME)
    for arguments in (["ls"], ["cat", NAME], ["follow", NAME]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([SHMCAT, *arguments], env=environment(region.root), stdout=full,
                                  stderr=subprocess.PIPE, timeout=DEADLINE_S, check=False)
        assert done.returncode == 1
        assert done.stderr == b"shmcat: stdout: cannot be written: No space left on device\n"


def test_nothing_is_written_to_the_region(region):
    region.publish(NAME)
    region.publish(NAME, "two")

    def state():
        return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in region.root.rglob("*")
                if p.is_file()}

    before = state()
    for arguments in (["ls"], ["cat", NAME], ["status", NAME], ["follow", "-n", "1"],
                      ["follow", NAME, "-n", "1"], ["watch", "-n", "1"]):
        region.text(*arguments)
    assert state() == before
