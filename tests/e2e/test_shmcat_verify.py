# SPDX-License-Identifier: Apache-2.0
"""shmcat verify: what it finds, and that its advice helps."""
import json
import os
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

from daemon import Daemon
from shmcat_region import (  # noqa: F401
    DEADLINE_S, HERE, NAME, SHMCAT, change, environment, running_region)


def replace_by_directory(path):
    """One that is not empty, and so is not simply removed."""
    path.unlink()
    path.mkdir()
    (path / "file").touch()


def test_what_a_dead_writer_left_in_the_root_is_told_as_such(region):
    region.publish(NAME)
    (Path(region.root) / ".t0123456789abcdef").touch()
    assert region.run("verify").stdout.decode().splitlines()[0] == (
        ".t0123456789abcdef: nothing refers to it: a writer that died left it: shmconfd removes it "
        "when it starts")


def test_verify_counts_what_is_sound(region):
    region.publish(NAME, "one")
    region.publish(NAME, "two", "application/json", "blue")
    region.publish("A:B:C")
    assert region.text("verify") == "2 configurations, 5 files, 0 problems\n"
    assert region.text("verify", NAME) == "1 configuration, 3 files, 0 problems\n"
    assert region.json("verify") == {"configurations": 2, "files": 5, "problems": []}


# What is changed, how, and what verify says of which file.
DAMAGE = [
    ("head", lambda path: change(path, 0, b"X"), "/head", "a file of the region is damaged"),
    ("head", lambda path: change(path, 0x40, b"\1"), "/head", "reserves are not 0"),
    ("head", lambda path: change(path, 0x108, b"\7"), "/head", "its state is none"),
    ("head", lambda path: change(path, 0x107, b"\x80"), "/head", "damaged"),
    ("head", lambda path: path.chmod(0o622), "/head", "others may write it"),
    ("head", lambda path: os.truncate(path, 100), "/head", "shorter than it must be"),
    ("v00000002", lambda path: change(path, 0, b"X"), "/v00000002", "damaged"),
    ("v00000002", lambda path: change(path, 128, b"X"), "/v00000002", "the CRC of the body"),
    ("v00000002", lambda path: change(path, 0x40, b"X"), "/v00000002", "damaged"),
    ("v00000001", lambda path: change(path, 128, b"X"), "/v00000001", "the CRC of the body"),
    ("v00000002", lambda path: os.truncate(path, 130), "/v00000002", "shorter"),
    ("v00000002", lambda path: path.unlink(), "/v00000002", "the current version was removed"),
    ("v00000002", lambda path: path.chmod(0o666), "/v00000002", "others may write it"),
    (".t0123456789abcdef", lambda path: path.write_bytes(b"x"), "/.t0123456789abcdef", "nothing refers to it"),
    ("v00000009", lambda path: path.write_bytes(b"x"), "/v00000009", "nothing refers to it"),
    ("notes.txt", lambda path: path.write_bytes(b"x"), "/notes.txt", "does not belong"),
    ("head", lambda path: change(path, 0x150, b"\1"), "/head", "reserves are not 0"),
    ("head", lambda path: change(path, 4000, b"\1"), "/head", "reserves are not 0"),
    ("head", lambda path: change(path, 0xff, b"\1"), "/head", "reserves are not 0"),
    ("head", lambda path: change(path, 0x1c0, b"\1"), "/head", "reserves are not 0"),
    ("head", lambda path: change(path, 0x204, b"\1"), "/head", "reserves are not 0"),
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
    assert last.startswith("2 configurations, ") and last.endswith(" 1 problem")
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
    elif remedy.startswith("move it away"):
        path.rename(region.root.parent / "moved away")
    else:
        assert re.search(r"restart shmconfd|shmconfd removes it when it starts", remedy)
        region.restart()
        region.publish(NAME, "two")


def replace_by_link(path):
    path.rename(path.with_suffix(".away"))
    path.symlink_to(path.with_suffix(".away"))


# Nobody can read it then.
REFUSED = [
    ("head", lambda path: path.chmod(0o666), "take the right to write from others"),
    ("head", replace_by_link, "remove it"),
    ("head", replace_by_directory, "remove it"),
    ("head", lambda path: os.truncate(path, 100), "restart shmconfd"),
    ("v00000002", lambda path: path.chmod(0o666), "take the right to write from others"),
    ("v00000002", replace_by_link, "remove it"),
    ("v00000002", replace_by_directory, "remove it"),
    ("v00000002", lambda path: os.truncate(path, 100), "restart shmconfd"),
    ("v00000002", lambda path: path.unlink(), "restart shmconfd"),
    ("", lambda path: path.chmod(0o777), "take the right to write from others"),
]


@pytest.mark.parametrize("file, damage, remedy", REFUSED,
                         ids=[f"{i}-{row[0]}" for i, row in enumerate(REFUSED)])
def test_who_reads_is_told_what_verify_says(region, file, damage, remedy):
    region.publish(NAME, "one")
    region.publish(NAME, "two")
    damage(region.root / HERE / file)
    found = region.run("verify").stdout.decode().splitlines()
    line, = [line for line in found if line.startswith(f"{Path(HERE) / file}: ")]
    assert line.split(": ")[2].startswith(remedy)
    for command in ("cat", "status", "dump"):
        done = region.run(command, NAME)
        assert (done.returncode, done.stderr.decode()) in ((1, f"shmcat: {line}\n"),
                                                           (3, f"shmcat: {line}\n"))
    assert region.run("bench", NAME).stderr.decode().endswith(
        ": shmcat verify says which file it is, and what to do\n")


def test_verify_counts_what_is_beside_a_damaged_head(region):
    """Whether a version belongs there cannot be said without it."""
    region.publish(NAME, "one")
    region.publish(NAME, "two")
    for name in (".t0123456789abcdef", "notes"):
        (region.root / HERE / name).touch()
    change(region.head(), 0, b"X")
    *problems, last = region.run("verify").stdout.decode().splitlines()
    assert last == "1 configuration, 5 files, 3 problems"
    assert [line.split(": ")[0] for line in problems][0] == f"{HERE}/head"
    assert {line.split(": ")[0] for line in problems[1:]} == {f"{HERE}/.t0123456789abcdef", f"{HERE}/notes"}


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


def test_a_volumes_own_directory_is_no_problem(region):
    region.publish(NAME)
    (region.root / "lost+found").mkdir()
    (region.root / "lost+found/#12345").touch()
    done = region.run("verify")
    assert (done.returncode, b"0 problems" in done.stdout) == (0, True), done


@pytest.mark.parametrize("stray", ["notes", ".hidden", "Shop/notes", "Shop/Prod/.t0123456789abcdef"])
def test_verify_finds_what_stands_beside_the_configurations(region, stray):
    region.publish(NAME, "one")
    (region.root / stray).write_bytes(b"x")
    done = region.run("verify")
    assert done.returncode == 1
    assert done.stdout.decode().splitlines() == [
        f"{stray}: it does not belong into the region: move it away, or give shmconfd a directory of "
        "its own",
        "1 configuration, 3 files, 1 problem"]


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


@pytest.mark.parametrize("arguments", [(), (NAME,)])
def test_verify_finds_versions_where_there_is_no_head(region, arguments):
    """Not mended by a daemon that never asks for this name again."""
    region.publish("A:B:C")
    region.publish(NAME, "one")
    region.head().unlink()
    done = region.run("verify", *arguments)
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.decode().startswith(
        f"{HERE}/v00000001: nothing refers to it, since there is no head: a daemon that follows it ")
    shutil.rmtree(region.root / HERE)
    if arguments:
        assert "nothing was published" in region.run("verify", NAME).stderr.decode()


LEVELS = ["", "Shop", "Shop/Prod"]
SOMETHING_ELSE = "a directory of the region is something else: "
TO_THE_REGION = "set SHMCONF_DIR (or --dir) to the region\n"


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
        assert done.stderr.decode() == f"shmcat: {root}: {SOMETHING_ELSE}{TO_THE_REGION}"
        return
    assert done.stdout.decode() == \
        f"{level}: it does not belong into the region: remove it, or {TO_THE_REGION}" \
        "0 configurations, 1 file, 1 problem\n"
    found, = json.loads(region.run("verify", NAME, "--json").stdout)["problems"]
    assert found["path"] == level
    for command in ("cat", "status", "dump"):
        assert region.run(command, NAME).stderr.decode() == \
            f"shmcat: {level}: {SOMETHING_ELSE}remove it, or {TO_THE_REGION}"
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
    assert done.stdout.decode().splitlines()[-1] == "1 configuration, 902 files, 900 problems"


def sealed(header):
    """A version header with the CRC of what it says."""
    return bytes(header[:124]) + zlib.crc32(header[:124]).to_bytes(4, "little")


def test_verify_takes_a_live_head_without_a_generation_for_damaged(region):
    region.publish(NAME, "one")
    region.publish(NAME, "two")
    change(region.head(), 0x100, bytes(8))
    found = region.run("verify").stdout.decode()
    assert "Checkout/head: a file of the region is damaged" in found
    assert found.endswith(" 1 problem\n")  # each version may be the one that it named


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


@pytest.mark.parametrize("spoil, problem", [
    (lambda path: change(path, 0, b"X"), "damaged"),
    (lambda path: path.write_bytes(b"1 " + b"x" * 2000 + b"\n"), "damaged"),
    (lambda path: path.write_bytes(b""), "shorter than it must be"),
    (lambda path: path.chmod(0o666), "others may write it"),
    (lambda path: (path.unlink(), path.mkdir()), "damaged"),
], ids=["garbage", "long", "empty", "mode", "directory"])
def test_verify_looks_at_what_tells_the_source(tmp_path, spoil, problem):
    with Daemon(tmp_path) as daemon:
        daemon.put(f"{NAME}.txt", "0")
        daemon.wait_body(NAME, "0")
        daemon.stop()
        os.chmod(daemon.root / ".source", 0o600)
        spoil(daemon.root / ".source")
        done = subprocess.run([SHMCAT, "verify"], env=environment(daemon.root),
                              capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        first, last = done.stdout.splitlines()
        assert done.returncode == 1 and first.startswith(".source: ") and problem in first, done
        assert last == "1 configuration, 3 files, 1 problem"
        daemon.start()
        done = subprocess.run([SHMCAT, "verify"], env=environment(daemon.root),
                              capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        assert done.stdout == "1 configuration, 3 files, 0 problems\n"


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
                assert done.stdout == b"1 configuration, 4 files, 0 problems\n" or \
                    done.stdout == b"1 configuration, 3 files, 0 problems\n", done
        finally:
            writer.kill()
            writer.wait()
