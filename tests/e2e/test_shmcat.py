# SPDX-License-Identifier: Apache-2.0
"""shmcat against regions that the daemon's own code publishes, and against hostile ones."""
import base64
import errno
import fcntl
import json
import os
import pty
import random
import re
import resource
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
from pathlib import Path
from urllib.parse import quote

import pytest

BIN = Path(os.environ["SHMCONF_TEST_BIN"])
SHMCAT = str(BIN / "shmcat")
NAME = "Shop:Prod:Checkout"
DEADLINE_S = 30
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


class Publisher:
    """The daemon's stand-in; holds the region's lock until close()."""

    def __init__(self, root):
        self.root = root
        self.process = subprocess.Popen([BIN / "publish", root], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.tell("check")  # answered once the region is there

    def tell(self, *words):
        line = " ".join(quote(w, safe="/:") if w else "-" for w in words)
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().decode().split()
        assert answer and answer[0] == "ok", answer
        return int(answer[1]) if len(answer) > 1 else None

    def publish(self, name, text="text", content_type="text/plain", label=""):
        return self.tell("publish", name, content_type, label, text)

    def status(self, name, failures=0, error=0, checked_ns=None, http=0, interval=0, next_ns=0):
        numbers = (failures, error, checked_ns or time.time_ns(), http, interval, next_ns)
        self.tell("status", name, *map(str, numbers))

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(DEADLINE_S) == 0


def environment(root, **changes):
    env = {k: v for k, v in os.environ.items() if not k.startswith("SHMCONF_") and k != "NO_COLOR"}
    env.update(SHMCONF_DIR=str(root), TERM="xterm")
    env.update(changes)
    return env


class Region:
    def __init__(self, root):
        self.root = root
        self.publisher = Publisher(root)
        self.publish = self.publisher.publish
        self.status = self.publisher.status

    def restart(self):
        self.publisher.close()
        self.__init__(self.root)

    def run(self, *arguments, **changes):
        """The finished process; whatever it reports is one line a message."""
        done = subprocess.run([SHMCAT, *arguments], env=environment(self.root, **changes),
                              capture_output=True, timeout=DEADLINE_S, check=False)
        assert done.returncode in range(5), (arguments, done)
        for line in done.stderr.decode().splitlines():
            assert line.startswith("shmcat: ")
        return done

    def text(self, *arguments, **changes):
        done = self.run(*arguments, **changes)
        assert done.returncode == 0, done
        return done.stdout.decode()

    def json(self, *arguments):
        return json.loads(self.text(*arguments, "--json"))

    def row(self, path):
        rows = json.loads(self.run("ls", "--json").stdout)["configurations"]
        return next(row for row in rows if row["path"] == path)

    def follow(self, *arguments, command="follow"):
        return Lines([SHMCAT, command, *arguments], environment(self.root))

    def head(self, path="Shop/Prod/Checkout"):
        return self.root / path / "head"


class Lines:
    """A running shmcat and the lines that it writes."""

    def __init__(self, command, env):
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.rest = {self.process.stdout: b"", self.process.stderr: b""}

    def read(self, stream):
        end = time.monotonic() + DEADLINE_S
        while b"\n" not in self.rest[stream]:
            ready = select.select([stream], [], [], max(0, end - time.monotonic()))[0]
            assert ready, "no line came"
            more = os.read(stream.fileno(), 65536)
            assert more, "it ended: " + self.process.stderr.read().decode()
            self.rest[stream] += more
        line, self.rest[stream] = self.rest[stream].split(b"\n", 1)
        return line.decode()

    def line(self):
        return self.read(self.process.stdout)

    def complaint(self):
        return self.read(self.process.stderr)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(DEADLINE_S) == 130

    def kill(self):
        self.process.kill()
        self.process.communicate()


class Terminal:
    """A running shmcat whose stdout is a terminal."""

    def __init__(self, command, env, rows=24, columns=200):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=slave,
                                        stderr=subprocess.PIPE)
        os.close(slave)
        self.seen = b""

    def read(self):
        assert select.select([self.master], [], [], DEADLINE_S)[0], self.seen
        try:
            more = os.read(self.master, 65536)
        except OSError as error:
            assert error.errno == errno.EIO  # nobody has the other side open any more
            more = b""
        self.seen += more
        return bool(more)

    def until(self, pattern):
        while not re.search(pattern, self.seen):
            assert self.read(), self.seen

    def end(self):
        while self.read():
            pass
        os.close(self.master)
        return self.process.wait(DEADLINE_S)


@pytest.fixture(name="region")
def running_region(tmp_path):
    region = Region(tmp_path / "region")
    yield region
    region.publisher.close()


@pytest.fixture(name="follow")
def followers(region):
    started = []

    def start(*arguments, **options):
        started.append(region.follow(*arguments, **options))
        return started[-1]

    yield start
    for one in started:
        one.kill()


def on_terminal(region, *arguments, **changes):
    terminal = Terminal([SHMCAT, *arguments], environment(region.root, **changes))
    status = terminal.end()
    return status, terminal.seen.replace(b"\r\n", b"\n")


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
    (region.root / "Shop/Prod/Checkout/v00000001").unlink()
    done = region.run("status", NAME)
    assert done.returncode == 3 and b"the region was removed" in done.stderr


def test_status_of_nothing_exits_with_1(region):
    for arguments in (("status", NAME), ("status", NAME, "--json"), ("cat", NAME)):
        done = region.run(*arguments)
        assert done.returncode == 1
        assert done.stderr.startswith(f"shmcat: {NAME}: nothing was published".encode())


# ---- follow ----


LINE = TIME + rf"  {NAME}  generation (\d+)  (\d+) bytes  fetched \S+ ago"


def test_follow_shows_the_current_and_every_new_version(region, follow):
    region.publish(NAME, "a")
    following = follow(NAME)
    assert re.fullmatch(LINE, following.line()).groups() == ("1", "1")
    region.publish(NAME, "bb")
    assert re.fullmatch(LINE, following.line()).groups() == ("2", "2")
    following.interrupt()


def test_follow_says_how_many_it_missed(region, follow):
    for arguments in ((NAME,), ()):
        region.publish(NAME, "start" + "".join(arguments))
        following = follow(*arguments)
        following.line()
        following.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, following.process.pid, os.WSTOPPED | os.WNOWAIT)
        for text in ("one", "two", "three", "four"):
            region.publish(NAME, text)
        following.process.send_signal(signal.SIGCONT)
        assert following.line().endswith("  skipped 3")


def test_follow_without_a_name_takes_up_new_configurations(region, follow):
    following = follow("--json")
    region.publish("A:B:C")
    assert json.loads(following.line())["name"] == "A:B:C"
    region.publish("D:E:F", "12345", "text/html", "l")
    document = json.loads(following.line())
    assert (document["name"], document["size"], document["label"]) == ("D:E:F", 5, "l")
    assert document["skipped"] == 0 and document["latency_ms"] >= 0
    assert re.fullmatch(TIME, document["time"])


def test_follow_ends_after_n_lines(region):
    region.publish(NAME)
    assert len(region.text("follow", NAME, "-n", "1").splitlines()) == 1
    region.publish("A:B:C")
    region.publish("A:B:D")
    assert len(region.text("follow", "-n", "2").splitlines()) == 2


def test_follow_waits_for_the_first_version(region, follow):
    following = follow(NAME)
    assert "waiting" in following.complaint()
    region.publish(NAME)
    assert "generation 1 " in following.line()


@pytest.mark.parametrize("arguments", [(), (NAME,)])
def test_follow_goes_on_across_restart_and_removal(region, follow, arguments):
    region.publish(NAME, "one")
    following = follow(*arguments, "--json")
    first = json.loads(following.line())
    region.restart()
    region.publish(NAME, "two")
    assert json.loads(following.line())["generation"] == 2
    shutil.rmtree(region.root)
    region.publisher.tell("check")
    again = json.loads(following.line())
    assert (again["instance"], again["generation"]) > (first["instance"], 2)
    region.publisher.close()
    shutil.rmtree(region.root)
    region.__init__(region.root)
    region.publish(NAME, "three")
    assert json.loads(following.line())["size"] == 5


def test_follow_exec_gets_the_text_and_the_environment(region, follow, tmp_path):
    out = tmp_path / "out"
    text = "x" * 300_000
    region.publish(NAME, text, "application/json", "blue")
    command = f'cat > {out}; echo "$SHMCONF_NAME $SHMCONF_GENERATION $SHMCONF_CONTENT_TYPE ' \
              f'$SHMCONF_LABEL"'
    following = follow(NAME, "--exec", command)
    following.line()
    assert following.line() == f"{NAME} 1 application/json blue"
    assert out.read_text() == text
    region.publish(NAME, "two", "", "")
    following.line()
    assert following.line() == f"{NAME} 2  "
    assert out.read_text() == "two"


@pytest.mark.parametrize("command, told", [("exit 7", "status 7"), ("kill -9 $$", "signal 9"),
                                           ("exec < /dev/null; exit 9", "status 9")])
def test_follow_goes_on_when_the_command_fails(region, follow, command, told):
    region.publish(NAME, "x" * 300_000)
    following = follow("--exec", command)
    for text in ("two", "three"):
        following.line()
        complaint = following.complaint()
        assert complaint.startswith(f"shmcat: {NAME}: ") and told in complaint
        region.publish(NAME, text)
    following.line()


@pytest.mark.parametrize("arguments", [(), (NAME,), ("--json",)])
def test_follow_ends_quietly_when_nobody_reads(region, arguments):
    region.publish(NAME)
    following = region.follow(*arguments)
    following.line()
    following.process.stdout.close()
    assert following.process.wait(DEADLINE_S) == -signal.SIGPIPE
    assert following.process.stderr.read() == b""


# ---- watch ----


def test_watch_prints_tables_separated_by_an_empty_line(region):
    region.publish(NAME)
    first, second = region.text("watch", "-n", "2", "--interval", "10ms").split("\n\n")
    assert first.splitlines()[0] == second.splitlines()[0]
    assert NAME in first and NAME in second and "\x1b" not in first + second


def test_watch_json_is_one_object_a_line(region):
    region.publish(NAME)
    lines = region.text("watch", "--json", "-n", "3", "--interval", "1ms").splitlines()
    assert [json.loads(line)["configurations"][0]["name"] for line in lines] == [NAME] * 3


def test_watch_redraws_in_place_and_restores_the_screen(region):
    region.publish(NAME)
    region.publish("A:B:C")
    terminal = Terminal([SHMCAT, "watch", "--interval", "20ms"], environment(region.root))
    terminal.until(rb"\x1b\[H[^\x1b]*" + str(region.root).encode())
    region.publish(NAME, "changed")
    terminal.until(rb"\x1b\[1m" + NAME.encode() + rb" +2 ")
    region.publish("D:E:F")
    terminal.until(rb"\x1b\[1mD:E:F")
    assert not re.search(rb"\x1b\[1mA:B:C", terminal.seen)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert terminal.seen.endswith(b"\x1b[0m\r\n")
    assert b"\x1b[?" not in terminal.seen  # no mode was set that would have to be put back


def test_watch_redraws_at_once_when_the_window_changes(region):
    region.publish(NAME)
    terminal = Terminal([SHMCAT, "watch", "--interval", "1h"], environment(region.root), 24, 80)
    terminal.until(rb"\x1b\[J")
    terminal.seen = b""
    fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
    terminal.process.send_signal(signal.SIGWINCH)  # the terminal is not its controlling one
    terminal.until(rb"\x1b\[J")
    assert NAME.encode() + b"  \x1b" in terminal.seen
    terminal.process.kill()
    terminal.end()


def test_watch_says_when_nothing_is_published(region):
    assert region.text("watch", "-n", "1") == "nothing is published\n"
    assert region.text("watch", "-n", "1", "--dir", "/nonexistent") == "there is no region\n"


def test_watch_keeps_within_the_window(region):
    for i in range(30):
        region.publish(f"Application{i}:Environment:Profile")
    terminal = Terminal([SHMCAT, "watch", "-n", "1"], environment(region.root), 10, 40)
    assert terminal.end() == 0
    text = re.sub(rb"\x1b\[\??[0-9;]*[a-zA-Z]", b"", terminal.seen).decode().splitlines()
    assert len(text) < 10 and "and 24 more" in text
    assert max(map(len, text)) <= 40


def test_watch_goes_on_without_a_region(region, follow, tmp_path):
    watching = follow("--interval", "10ms", "--dir", str(tmp_path / "none"), "--json",
                      command="watch")
    assert json.loads(watching.line())["configurations"] == []
    other = Publisher(tmp_path / "none")
    other.publish(NAME)
    while not json.loads(watching.line())["configurations"]:
        pass
    other.close()


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
    assert overall == region.text("help") == region.text("-h")
    for command in ("ls", "cat", "status", "follow", "watch"):
        assert f"  {command} " in overall
        text = region.text(command, "--help")
        assert text == region.text("help", command) == region.text("--help", command)
        assert text.startswith(f"Usage: shmcat {command}") and "Exit status" in text
        assert max(map(len, text.splitlines())) <= 100
    assert region.text("--version") == region.text("--version", "ls")
    assert re.fullmatch(r"shmcat \d+\.\d+\.\d+\n", region.text("--version"))


def test_the_man_page_names_every_option(region):
    page = (Path(__file__).parents[2] / "docs/man/shmcat.1").read_text(encoding="utf-8")
    for command in ("ls", "cat", "status", "follow", "watch"):
        for option in re.findall(r"--[a-z-]+", region.text(command, "--help")):
            assert option.replace("-", "\\-") in page, option


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


# ---- hostile regions ----


def test_what_is_no_configuration_is_listed_with_its_reason(region, tmp_path):
    region.publish(NAME)
    root = region.root
    (root / "file").write_text("x")
    os.mkfifo(root / "fifo")
    (root / "link").symlink_to(tmp_path)
    (root / "A/B/empty").mkdir(parents=True)
    for kind in ("fifo", "link", "short", "open", "other", "directory"):
        (root / "A/B" / kind).mkdir()
    os.mkfifo(root / "A/B/fifo/head")
    (root / "A/B/link/head").symlink_to(region.head())
    (root / "A/B/short/head").write_bytes(region.head().read_bytes()[:4095])
    (root / "A/B/directory/head").mkdir()
    shutil.copy(region.head(), root / "A/B/open/head")
    (root / "A/B/open/head").chmod(0o666)
    shutil.copy(region.head(), root / "A/B/other/head")
    (root / "A/B/writable").mkdir()
    (root / "A/B/writable").chmod(0o777)
    reasons = {row["path"]: row["reason"] or row["state"]
               for row in region.json("ls")["configurations"]}
    assert reasons == {
        "Shop/Prod/Checkout": "ok",
        "file": "a directory of the region is something else",
        "fifo": "a directory of the region is something else",
        "link": "a directory or file of the region is a symbolic link",
        "A/B/empty": "nothing was published yet under this name",
        "A/B/fifo": "a file of the region is damaged",
        "A/B/directory": "a file of the region is damaged",
        "A/B/link": "a directory or file of the region is a symbolic link",
        "A/B/short": "a file of the region is shorter than it must be",
        "A/B/open": "a directory or file belongs to another user, or others may write it",
        "A/B/other": "the region's head is that of another configuration",
        "A/B/writable": "a directory or file belongs to another user, or others may write it",
    }
    assert region.run("follow", "-n", "1").returncode == 0
    for name in ("A:B:fifo", "A:B:link", "A:B:short", "A:B:open", "A:B:other"):
        for command in ("cat", "status"):
            assert region.run(command, name).returncode == 1
        assert region.run("cat", name, "--wait", "20ms").returncode == 4


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_a_strangers_configuration_is_not_trusted(region):
    region.publish(NAME)
    os.chown(region.root / "Shop/Prod", 12345, 12345)
    row = region.row("Shop/Prod")
    assert row["name"] is None and "another user" in row["reason"]
    done = region.run("cat", NAME)
    assert done.returncode == 1 and b"SHMCONF_OWNER" in done.stderr
    assert region.text("cat", NAME, SHMCONF_OWNER="12345") == "text"
    assert NAME in region.text("ls", SHMCONF_OWNER="any")
    os.chown(region.root / "Shop/Prod", 0, 0)


def test_random_heads_and_versions_never_crash_or_hang(tmp_path):
    dice = random.Random(1)
    region = Region(tmp_path / "region")
    names = [f"A:B:c{i}" for i in range(120)]
    for name in names:
        region.publish(name, "text" * 50, "text/plain", "label")
    region.publisher.close()
    for i, name in enumerate(names):
        path = region.root / name.replace(":", "/") / ("head" if i % 3 else "v00000001")
        data = bytearray(path.read_bytes())
        if i % 5 == 0:
            data = bytearray(dice.randbytes(dice.choice([0, 100, 4095, 4096, 5000])))
        for _ in range(dice.choice([1, 5, 50])):
            if data:
                data[dice.randrange(min(len(data), 0x400))] = dice.randrange(256)
        path.chmod(0o600)
        path.write_bytes(data)
    rows = json.loads(region.run("ls", "--json").stdout)["configurations"]
    assert len(rows) == len(names)
    region.run("ls")
    region.run("watch", "-n", "2", "--interval", "1ms")
    for name in names:
        region.run("cat", name)
        region.run("status", name, "--json")
        region.run("cat", name, "--version", "1", "--wait", "1ms")


def test_a_huge_version_file_is_no_danger(region):
    region.publish(NAME)
    version = region.root / "Shop/Prod/Checkout/v00000001"
    version.chmod(0o600)
    os.truncate(version, 1 << 40)
    assert region.row("Shop/Prod/Checkout")["state"] == "damaged"
    assert region.run("cat", NAME).returncode == 1


@pytest.mark.parametrize("arguments", [(), (NAME,)])
def test_a_head_that_is_truncated_while_it_is_followed_is_damage(region, follow, arguments):
    region.publish(NAME, "one")
    following = follow(*arguments)
    following.line()
    os.truncate(region.head(), 0)
    assert following.complaint().startswith("shmcat: Shop")
    region.restart()
    region.publish(NAME, "three")
    assert " 5 bytes " in following.line()


def test_a_hundred_thousand_directories_are_listed():
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a disk takes a minute
    with tempfile.TemporaryDirectory(dir=memory) as root:
        region = Region(Path(root) / "region")
        region.publish(NAME)
        for i in range(100_000):
            os.mkdir(region.root / f"Shop/Prod/p{i:06}")
        done = region.run("ls")
        assert done.returncode == 0 and done.stdout.count(b"\n") == 100_002
        region.publisher.close()


def test_few_descriptors_are_enough(region):
    region.publish(NAME)
    for i in range(50):
        (region.root / f"Shop/Prod/p{i}").mkdir()

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))

    done = subprocess.run([SHMCAT, "ls"], env=environment(region.root), capture_output=True,
                          preexec_fn=limit, timeout=DEADLINE_S, check=True)
    assert b" ok\n" in done.stdout and b"too many" not in done.stdout


def test_long_names_are_shown_in_full(region):
    name = ":".join(letter * 512 for letter in "abc")
    region.publish(name)
    assert name in region.text("ls")
    assert region.text("cat", name) == "text"
    assert region.run("cat", name + "c").returncode == 2
