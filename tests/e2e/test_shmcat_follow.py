# SPDX-License-Identifier: Apache-2.0
"""shmcat follow and watch."""
import fcntl
import json
import os
import re
import shutil
import signal
import struct
import termios

import pytest

from shmcat_region import (  # noqa: F401
    DEADLINE_S, HERE, NAME, Publisher, SHMCAT, TIME, Terminal, environment, followers, running_region)


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


def test_follow_tells_the_same_trouble_again_when_it_comes_back(region, follow):
    """Healed without a new version: of the head nothing has to be shown."""
    region.publish(NAME)
    following = follow()
    following.line()
    for _ in range(2):
        region.head().chmod(0o666)
        assert f"{HERE}/head: " in following.complaint()
        region.head().chmod(0o600)
        region.publish("A:B:C")  # another line: it has looked at both meanwhile
        following.line()
        region.publish("A:B:C", "again")
        following.line()


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


@pytest.mark.parametrize("is_ignored", [False, True])
@pytest.mark.parametrize("arguments", [(), (NAME,), ("--json",)])
def test_follow_ends_quietly_when_nobody_reads(region, follow, arguments, is_ignored):
    """Also as the child of somebody who ignores SIGPIPE, as Python does."""
    region.publish(NAME)
    following = follow(*arguments, restore_signals=not is_ignored)
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
    for directory, told, remedy in ((region.root, "nothing is published", "ask shmconfd"),
                                    ("/nonexistent", "there is no region", "start shmconfd")):
        done = region.run("watch", "-n", "1", "--dir", directory)
        assert (done.returncode, done.stdout.decode(), done.stderr) == (1, f"{told}\n", b"")
        done = region.run("watch", "-n", "2", "--interval", "1ms", "--json", "--dir", directory)
        assert done.returncode == 1 and len(done.stdout.splitlines()) == 2
        line, = done.stderr.decode().splitlines()  # told once
        assert line.startswith(f"shmcat: {directory}: {told}: {remedy}")
    region.publish(NAME)
    assert region.run("watch", "-n", "1", "--json").stderr == b""


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
    assert "there is no region" in watching.complaint()
    other.publish(NAME)
    while not json.loads(watching.line())["configurations"]:
        pass
    other.close()
