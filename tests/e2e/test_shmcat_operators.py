# SPDX-License-Identifier: Apache-2.0
"""shmcat verify, dump, readers and bench."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import zlib
from pathlib import Path

import pytest

from daemon import Daemon, Reader, program, wait_until
from shmcat_region import (  # noqa: F401
    DEADLINE_S, NAME, SHMCAT, environment, running_region)

HERE = "Shop/Prod/Checkout"


def change(path, offset, data):
    """Other bytes in a file that is read-only for everybody."""
    path.chmod(0o600)
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def replace_by_directory(path):
    """One that is not empty, and so is not simply removed."""
    path.unlink()
    path.mkdir()
    (path / "file").touch()


# ---- verify ----


def test_verify_counts_what_is_sound(region):
    region.publish(NAME, "one")
    region.publish(NAME, "two", "application/json", "blue")
    region.publish("A:B:C")
    assert region.text("verify") == "2 configurations, 5 files, 0 problems\n"
    assert region.text("verify", NAME) == "1 configurations, 3 files, 0 problems\n"
    assert region.json("verify") == {"configurations": 2, "files": 5, "problems": []}


# What is changed, how, and what verify says of which file.
DAMAGE = [
    ("head", lambda path: change(path, 0, b"X"), "/head", "a file of the region is damaged"),
    ("head", lambda path: change(path, 0x40, b"\1"), "/head", "reserves are not 0"),
    ("head", lambda path: change(path, 0x108, b"\7"), "/head", "its state is none"),
    ("head", lambda path: path.chmod(0o622), "/head", "others may write it"),
    ("head", lambda path: os.truncate(path, 100), "/head", "shorter than it must be"),
    ("v00000002", lambda path: change(path, 0, b"X"), "/v00000002", "damaged"),
    ("v00000002", lambda path: change(path, 128, b"X"), "/v00000002", "the CRC of the body"),
    ("v00000002", lambda path: change(path, 0x40, b"X"), "/v00000002", "damaged"),
    ("v00000001", lambda path: change(path, 128, b"X"), "/v00000001", "the CRC of the body"),
    ("v00000002", lambda path: os.truncate(path, 130), "/v00000002", "shorter"),
    ("v00000002", lambda path: path.unlink(), "/v00000002", "the current version was removed"),
    ("v00000002", lambda path: path.chmod(0o666), "/v00000002", "others may write it"),
    (".tabc", lambda path: path.write_bytes(b"x"), "/.tabc", "nothing refers to it"),
    ("v00000009", lambda path: path.write_bytes(b"x"), "/v00000009", "nothing refers to it"),
    ("notes.txt", lambda path: path.write_bytes(b"x"), "/notes.txt", "does not belong"),
    ("head", lambda path: change(path, 0x150, b"\1"), "/head", "reserves are not 0"),
    ("head", lambda path: change(path, 4000, b"\1"), "/head", "reserves are not 0"),
    ("head", lambda path: change(path, 0x13c, b"\4"), "/v00000002", "not the one in the head"),
    ("v00000002", lambda path: change(path, 0x38, b"\xff\xff"), "/v00000002", "damaged"),
    ("head", lambda path: os.truncate(path, 8192), "/head", "longer than a head"),
    ("head", replace_by_directory, "/head", "damaged"),
    ("v00000002", replace_by_directory, "/v00000002", "damaged"),
    ("v00000009", lambda path: path.mkdir(), "/v00000009", "does not belong"),
    (".", lambda path: path.chmod(0o777), "", "others may write it"),
]


@pytest.mark.parametrize("file, damage, where, told", DAMAGE,
                         ids=[f"{i}-{row[0]}" for i, row in enumerate(DAMAGE)])
def test_verify_finds(region, file, damage, where, told):
    region.publish("A:B:C")
    region.publish(NAME, "one")
    region.publish(NAME, "two")
    damage(region.root / HERE / file)
    done = region.run("verify")
    assert (done.returncode, done.stderr) == (1, b"")
    first, last = done.stdout.decode().splitlines()
    assert first.startswith(f"{HERE}{where}: ") and told in first
    assert last.startswith("2 configurations, ") and last.endswith(" 1 problems")
    found, = json.loads(region.run("verify", NAME, "--json").stdout)["problems"]
    assert found["path"] == HERE + where and told in found["problem"]

    follow_advice(region, found["remedy"], region.root / HERE / where.strip("/"))
    # What was damaged may have become the predecessor, with advice of its own.
    for found in json.loads(region.run("verify", "--json").stdout)["problems"]:
        follow_advice(region, found["remedy"], region.root / found["path"])
    assert region.text("verify").endswith(" 0 problems\n")
    assert region.text("cat", NAME) == "two"


def follow_advice(region, remedy, path):
    """As an operator would; afterwards a daemon is there that has the current text."""
    if remedy.startswith(("remove it", "no new reader uses it")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        if "then makes it anew" in remedy:
            region.publisher.tell("check")
    else:
        assert re.search(r"restart shmconfd|shmconfd removes it when it starts", remedy)
        region.restart()
        region.publish(NAME, "two")


def test_verify_counts_what_is_beside_a_damaged_head(region):
    """Whether a version belongs there cannot be said without it."""
    region.publish(NAME, "one")
    region.publish(NAME, "two")
    for name in (".tabc", "notes"):
        (region.root / HERE / name).touch()
    change(region.head(), 0, b"X")
    *problems, last = region.run("verify").stdout.decode().splitlines()
    assert last == "1 configurations, 5 files, 3 problems"
    assert [line.split(": ")[0] for line in problems][0] == f"{HERE}/head"
    assert {line.split(": ")[0] for line in problems[1:]} == {f"{HERE}/.tabc", f"{HERE}/notes"}


def test_verify_names_what_belongs_to_somebody_else(region):
    """The head, not its directory; SHMCONF_OWNER is what helps."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    region.publish(NAME, "one")
    os.chown(region.head(), 1234, 1234)
    first = region.run("verify").stdout.decode().splitlines()[0]
    assert first.startswith(f"{HERE}/head: a directory or file belongs to another user")
    assert "set SHMCONF_OWNER" in first and "restart" not in first
    assert region.text("verify", SHMCONF_OWNER="1234").endswith(" 0 problems\n")


@pytest.mark.parametrize("stray", ["notes", ".hidden", "Shop/notes", "Shop/Prod/.t0123"])
def test_verify_finds_what_stands_beside_the_configurations(region, stray):
    region.publish(NAME, "one")
    (region.root / stray).write_bytes(b"x")
    done = region.run("verify")
    assert done.returncode == 1
    assert done.stdout.decode().splitlines() == [
        f"{stray}: it does not belong into the region: remove it",
        "1 configurations, 3 files, 1 problems"]


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_verify_advises_nothing_where_there_is_no_configuration(region, arguments):
    """As of --dir /etc: what is in there is not to be removed."""
    (region.root / "Shop/Prod").mkdir(parents=True)
    (region.root / "Shop/passwd").write_bytes(b"x")
    done = region.run("verify", *arguments)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == \
        f'shmcat: {region.root}: no configuration is here, but "Shop/passwd" is, which is not ' \
        "shmconf's: set SHMCONF_DIR (or --dir) to the region\n"


LEVELS = ["", "Shop", "Shop/Prod"]
SOMETHING_ELSE = "a directory of the region is something else: remove what is there"


@pytest.mark.parametrize("level", LEVELS)
def test_verify_names_the_file_above_a_name(region, level):
    region.publish("A:B:C")
    root = region.root if level else region.root / "A/B/C/head"
    if level:
        (root / level).parent.mkdir(mode=0o755, exist_ok=True)
        (root / level).touch()
    done = region.run("verify", NAME, SHMCONF_DIR=str(root))
    assert done.returncode == 1
    if not level:
        assert done.stderr.decode().startswith(f"shmcat: {root}: {SOMETHING_ELSE}")
        return
    assert done.stdout.decode() == \
        f"{level}: it does not belong into the region: remove it, or set SHMCONF_DIR (or --dir) " \
        "to the region\n0 configurations, 1 files, 1 problems\n"
    found, = json.loads(region.run("verify", NAME, "--json").stdout)["problems"]
    assert found["path"] == level
    for command in ("cat", "status", "dump"):
        said = region.run(command, NAME).stderr.decode()
        assert SOMETHING_ELSE in said and "restart" not in said
    (root / level).unlink()
    assert "nothing was published" in region.run("verify", NAME).stderr.decode()


@pytest.mark.parametrize("level", LEVELS[1:])
def test_verify_names_the_directory_above_a_name_that_others_may_write(region, level):
    region.publish(NAME, "one")
    (region.root / level).chmod(0o777)
    done = region.run("verify", NAME)
    assert (done.returncode, done.stdout.decode().splitlines()[0]) == \
        (1, f"{level}: a directory or file belongs to another user, or others may write it: "
         "take the right to write from others, or restart shmconfd, which does that")
    region.restart()
    region.publish(NAME, "two")
    assert region.text("verify", NAME).endswith(" 0 problems\n")


def test_verify_waits_once_for_all_that_is_not_in_its_place(region):
    """It would take a minute and a half otherwise."""
    region.publish(NAME, "one")
    for number in range(900):
        (region.root / HERE / f".t{number}").write_bytes(b"x")
    done = region.run("verify")
    assert done.stdout.decode().splitlines()[-1] == "1 configurations, 902 files, 900 problems"


def sealed(header):
    """A version header with the CRC of what it says."""
    return bytes(header[:124]) + zlib.crc32(header[:124]).to_bytes(4, "little")


def test_verify_knows_no_live_head_without_a_generation(region):
    region.publish(NAME, "one")
    region.publish(NAME, "two")
    change(region.head(), 0x100, bytes(8))
    found = region.run("verify").stdout.decode()
    assert "Checkout/head: it is live without a generation" in found
    assert found.count("nothing refers to it") == 2  # both versions


def test_verify_knows_where_an_index_may_be(region):
    """Readers of today do not look at it."""
    region.publish(NAME, "text")
    path = region.root / HERE / "v00000001"
    header = bytearray(path.read_bytes()[:128])
    header[0x38:0x40] = (1 << 20).to_bytes(4, "little") + (1).to_bytes(4, "little")
    change(path, 0, sealed(header))
    assert "the index lies outside of the file" in region.run("verify").stdout.decode()


def test_verify_compares_the_hash_of_the_text(region):
    """Whoever forges both CRCs is found by the SHA-256."""
    region.publish(NAME, "secret text")
    path = region.root / HERE / "v00000001"
    data = bytearray(path.read_bytes())
    data[128] ^= 1
    data[0x74:0x78] = zlib.crc32(data[128:]).to_bytes(4, "little")
    change(path, 0, sealed(data[:128]) + data[128:])
    assert "SHA-256" in region.run("verify").stdout.decode()


@pytest.mark.parametrize("command", ["ls", "verify", "readers"])
def test_region_that_is_not_there_is_named(region, tmp_path, command):
    done = region.run(command, "--dir", str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == (
        f"shmcat: {tmp_path}/none: there is no region: start shmconfd, or set SHMCONF_DIR (or "
        "--dir) to the directory that it uses\n")


def test_verify_of_nothing_is_a_failure(region, tmp_path):
    assert region.run("verify", NAME).returncode == 1
    done = region.run("verify", "--dir", str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (1, b"")


def test_verify_is_quiet_while_the_daemon_publishes(tmp_path):
    with Daemon(tmp_path) as daemon:
        daemon.put(f"{NAME}.txt", "0")
        daemon.wait_body(NAME, "0")
        writer = subprocess.Popen(
            ["sh", "-c", f"i=0; while :; do echo $((i += 1)) > '{daemon.files}/n'; "
             f"mv '{daemon.files}/n' '{daemon.files}/{NAME}.txt'; sleep 0.002; done"])
        try:
            for _ in range(30):
                done = subprocess.run([SHMCAT, "verify"], env=environment(daemon.root),
                                      capture_output=True, timeout=DEADLINE_S, check=False)
                assert done.stdout == b"1 configurations, 3 files, 0 problems\n" or \
                    done.stdout == b"1 configurations, 2 files, 0 problems\n", done
        finally:
            writer.kill()
            writer.wait()


# ---- dump ----


def test_dump_shows_all_bytes(region):
    region.publish(NAME, "hello, world")
    text = region.text("dump", NAME)
    head, version = text.split(f"{HERE}/v00000001: ")
    assert head.startswith(f"{HERE}/head: 4096 bytes\n000000   53 48 4d 43 48 45 41 44")
    shown = bytearray()
    for line in version.splitlines()[1:]:
        assert line != "*"
        shown += bytes.fromhex(line[7:58])
    assert shown == (region.root / HERE / "v00000001").read_bytes()


def test_dump_annotates_every_field_of_the_format(region):
    region.publish(NAME, "one")
    region.publish(NAME, "hello, world", "text/plain", "blue")
    text = region.text("dump", NAME, "--annotate")
    source = (Path(__file__).parents[2] / "include/shmconf/format.h").read_text(encoding="utf-8")
    for struct in ("shmconf_record", "shmconf_head", "shmconf_version_header"):
        body = re.search(rf"struct {struct} {{(.*?)}};", source, re.S).group(1)
        for field in re.findall(r"^\s+\w+ (\w+)(?:\[\w+\])?;", body, re.M):
            if not field.startswith("reserved"):
                assert re.search(rf"\b{field}\b", text), field
    assert re.search(r"^000080 +4  seq +2 ", text, re.M)
    assert re.search(r"^000100 +8  cells\[0\]\.generation +2 ", text, re.M)
    assert "cell 0, current" in text and "cell 1, filled next" in text
    assert re.search(r"text +hello, world$", text, re.M)
    assert re.search(r"label +blue$", text, re.M)


def test_dump_of_the_predecessor_and_of_what_is_not_there(region):
    region.publish(NAME, "one")
    region.publish(NAME, "two")
    assert re.search(r"text +one$", region.text("dump", NAME, "--annotate", "--version", "1"), re.M)
    assert region.run("dump", NAME, "--version", "7").returncode == 1
    assert region.run("dump", "A:B:C").returncode == 1
    assert region.run("dump", NAME, "--json").returncode == 2


def test_dump_shows_a_damaged_head(region):
    region.publish(NAME)
    change(region.head(), 0, b"\x1b[31m")
    done = region.run("dump", NAME, "--annotate")
    assert done.returncode == 1 and b"\x1b" not in done.stdout
    assert "\\x1b[31m" in done.stdout.decode()


# ---- readers ----


def test_readers_tells_who_is_behind(tmp_path):
    with Daemon(tmp_path) as daemon, Reader(daemon.root, NAME) as late, \
            Reader(daemon.root, NAME) as early, Reader(daemon.root, NAME, flags=["--private"]) as own:
        daemon.put(f"{NAME}.txt", "one")
        daemon.wait_body(NAME, "one")
        late.wait_text("one")
        daemon.put(f"{NAME}.txt", "two")
        early.wait_text("two")
        own.wait_text("two")

        def readers(*arguments):
            done = subprocess.run([SHMCAT, "readers", "--json", *arguments],
                                  env=environment(daemon.root), capture_output=True,
                                  timeout=DEADLINE_S, check=False)
            assert done.returncode == 0, done
            return {row["pid"]: row for row in json.loads(done.stdout)["readers"]}

        found = readers(NAME)
        assert found == readers()
        assert set(found) == {daemon.pid, late.pid, early.pid, own.pid}
        assert [found[one.pid]["state"] for one in (daemon, late, early)] == [
            "writes", "behind", "current"]
        assert "copies" in found[own.pid]["state"]
        assert found[late.pid]["command"] == "region_reader"
        assert (found[late.pid]["newest"], found[late.pid]["current"]) == (1, 2)
        assert {row["removed"] for row in found.values()} == {0}
        daemon.put(f"{NAME}.txt", "three")
        own.wait_text("three")
        found = readers()
        assert [found[one.pid]["removed"] for one in (late, early, own)] == [1, 0, 0]
        text = subprocess.run([SHMCAT, "readers"], env=environment(daemon.root), text=True,
                              capture_output=True, timeout=DEADLINE_S, check=True).stdout
        line, = [line for line in text.splitlines() if line.startswith(f"{late.pid} ")]
        assert line.endswith(f"{HERE}  behind; 1 removed version")
        assert readers("A:B:C") == {}
        shutil.rmtree(daemon.root / "Shop")
        wait_until(lambda: readers()[late.pid]["state"] == "reads a head that was replaced")


def test_readers_of_an_unread_region(region):
    assert region.text("readers", "A:B:C") in (
        "nobody has it mapped\n", "nobody who could be looked at has it mapped\n")


def test_readers_without_proc(region, need_mounts):
    """Where it does not see even itself nobody can be said to read."""
    done = subprocess.run(["unshare", "--mount", "sh", "-c",
                           'mount -t tmpfs none /proc && exec "$0" readers', SHMCAT],
                          env=environment(region.root), capture_output=True, timeout=DEADLINE_S,
                          check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == \
        b"shmcat: /proc: no process is shown there: shmcat readers needs it mounted\n"


def test_readers_says_when_it_may_not_look(open_path, need_root):
    """Who may look at nobody sees nobody, which does not mean that there is nobody."""
    done = subprocess.run([program("shmcat", True), "readers"], env=environment(open_path),
                          capture_output=True, user=12345, group=12345, extra_groups=[],
                          check=True)
    assert done.stdout == b"nobody who could be looked at has it mapped\n"
    assert re.fullmatch(rb"shmcat: readers: \d+ process(es)? could not be looked at: .*\n",
                        done.stderr)


# ---- bench ----


def test_bench_compares_with_http(tmp_path):
    with Daemon(tmp_path) as daemon:
        daemon.put(f"{NAME}.txt", "text")
        daemon.wait_body(NAME, "text")
        env = environment(daemon.root, SHMCONF_HTTP_PORT=str(daemon.port))
        done = subprocess.run([SHMCAT, "bench", NAME, "--json"], env=env, capture_output=True,
                              timeout=DEADLINE_S, check=False)
        measured = json.loads(done.stdout)
        assert measured["http_ns"] > measured["read_ns"] > 0 and measured["load_ns"] > 0
        text = subprocess.run([SHMCAT, "bench", NAME], env=env, capture_output=True, text=True,
                              timeout=DEADLINE_S, check=True).stdout
        assert len(text.splitlines()) == 3


def test_bench_says_why_there_is_no_http(region, tmp_path):
    region.publish(NAME)
    (tmp_path / "other").mkdir()
    with Daemon(tmp_path / "other") as daemon:

        def bench():
            return region.text("bench", NAME, SHMCONF_HTTP_PORT=str(daemon.port))

        assert f"port {daemon.port} does not serve it: see shmcat doctor\n" in bench()
        daemon.send(signal.SIGSTOP)
        assert f"port {daemon.port} gives no answer: see shmcat doctor\n" in bench()
        daemon.send(signal.SIGCONT)


def test_bench_does_without_a_daemon(region):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        region.publish(NAME)
        done = region.run("bench", NAME, SHMCONF_HTTP_PORT=str(port))
        assert done.returncode == 0
        assert f"port {port} has no daemon that listens\n" in done.stdout.decode()
        assert region.run("bench", "A:B:C", SHMCONF_HTTP_PORT=str(port)).returncode == 1
        assert region.run("bench", "A:B").returncode == 2


def test_nothing_of_this_writes_to_the_region(region):
    region.publish(NAME)

    def state():
        return {p: (p.stat().st_mtime_ns, p.is_file() and p.read_bytes())
                for p in sorted(region.root.rglob("*"))}

    before = state()
    for arguments in (["verify"], ["dump", NAME], ["readers"], ["bench", NAME], ["doctor"]):
        region.run(*arguments, SHMCONF_HTTP_PORT="1")
    assert state() == before
