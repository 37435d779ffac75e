# SPDX-License-Identifier: Apache-2.0
"""shmcat dump, readers and bench."""
import contextlib
import json
import mmap
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from daemon import Daemon, Reader, program, wait_until
from shmcat_region import (  # noqa: F401
    DEADLINE_S, HERE, NAME, SHMCAT, Region, change, environment, running_region)

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
            assert re.search(rf"\b{field}\b", text), field
    assert re.search(r"^000080 +4  seq +2 ", text, re.M)
    assert re.search(r"^000100 +8  cells\[0\]\.generation +2 ", text, re.M)
    assert re.search(r"^000180 +8  cells\[1\]\.generation +1 ", text, re.M)
    assert "cell 0, current" in text and "cell 1, filled next" in text
    assert re.search(r"text +hello, world$", text, re.M)
    assert re.search(r"label +blue$", text, re.M)
    assert re.search(r"^000000 +0  index +$", text, re.M)


RESERVED = [(0x40, "reserved0"), (0xff, "reserved1"), (0x150, r"cells\[0\]\.reserved"),
            (0x1ff, r"cells\[1\]\.reserved"), (0x204, "reserved2"), (4000, "behind the name")]


@pytest.mark.parametrize("offset, field", RESERVED)
def test_dump_annotates_what_is_reserved(region, offset, field):
    """verify says that it is not 0, and this where."""
    region.publish(NAME, "one")
    row = rf"^[0-9a-f]{{6}} +\d+  {field} +%s  "
    assert re.search(row % "0", region.text("dump", NAME, "--annotate"), re.M)
    change(region.head(), offset, b"\x5a")
    assert re.search(row % f"5a at {offset:06x}", region.text("dump", NAME, "--annotate"), re.M)
    assert region.run("verify").returncode == 1


def test_dump_of_the_predecessor_and_of_what_is_not_there(region):
    region.publish(NAME, "one")
    region.publish(NAME, "two")
    assert re.search(r"text +one$", region.text("dump", NAME, "--annotate", "--version", "1"), re.M)
    for missing in ("7", "3"):
        done = region.run("dump", NAME, "--version", missing)
        assert done.returncode == 1 and done.stdout.startswith(f"{HERE}/head: ".encode())
        assert done.stderr == region.run("cat", NAME, "--version", missing).stderr
        assert f"generation {missing} is not there: use 2 and 1".encode() in done.stderr
    done = region.run("dump", "A:B:C")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"nothing was published" in done.stderr
    assert region.run("dump", NAME, "--json").returncode == 2


def test_dump_shows_a_damaged_head(region):
    region.publish(NAME)
    change(region.head(), 0, b"\x1b[31m")
    done = region.run("dump", NAME, "--annotate")
    assert done.returncode == 1 and b"\x1b" not in done.stdout
    assert "\\x1b[31m" in done.stdout.decode()


def test_dump_shows_a_version_behind_a_damaged_head(region):
    """The head does not say which one: the caller has to."""
    region.publish(NAME, "one")
    change(region.head(), 0, b"X")
    done = region.run("dump", NAME)
    assert done.returncode == 1 and b"/v00000001" not in done.stdout
    damaged = f"shmcat: {HERE}/head: a file of the region is damaged: "
    assert done.stderr.decode().startswith(damaged)
    done = region.run("dump", NAME, "--annotate", "--version", "1")
    assert done.returncode == 1 and re.search(rb"text +one$", done.stdout, re.M)
    assert done.stderr.decode().startswith(damaged)
    done = region.run("dump", NAME, "--version", "2")
    assert f"shmcat: {NAME}: generation 2 is not there, nor" in done.stderr.decode()


@pytest.mark.parametrize("file, size", [("head", 100), ("head", 0), ("v00000001", 60),
                                        ("v00000001", 0)])
@pytest.mark.parametrize("arguments", [(), ("--annotate",)])
def test_dump_shows_a_file_that_is_too_short(region, file, size, arguments):
    region.publish(NAME, "one")
    os.truncate(region.root / HERE / file, size)
    done = region.run("dump", NAME, *arguments)
    assert done.returncode == 1
    assert done.stderr.decode().startswith(
        f"shmcat: {HERE}/{file}: a file of the region is shorter than it must be: ")
    shown = done.stdout.decode().split(f"{HERE}/{file}: {size} bytes\n")[1]
    assert bool(shown) == bool(size)
    assert not size or shown.startswith("000000   53 48 4d 43")


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
        assert line.endswith(f" {NAME}  behind; 1 removed version")
        shutil.rmtree(daemon.root / "Shop")
        wait_until(lambda: readers()[late.pid]["state"] == "reads a head that was replaced")


def test_readers_of_an_unread_region(region):
    region.publish("A:B:C")
    region.publisher.close()
    for arguments in ((), ("A:B:C",)):
        assert region.text("readers", *arguments) in (
            "nobody has it mapped\n", "nobody who could be looked at has it mapped\n")


def test_readers_knows_what_is_not_there(region):
    """That nobody has it would be no answer to a mistake in the name or the directory."""
    (region.root / "notes").touch()
    region.publish(NAME)
    region.publisher.close()
    done = region.run("readers", "A:B:C")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().startswith("shmcat: A:B:C: nothing was published yet under ")
    done = region.run("readers", "A:B:C", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["readers"] == []
    shutil.rmtree(region.root / "Shop")
    done = region.run("readers")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().startswith(f"shmcat: {region.root}: nothing is published: ")


@pytest.mark.parametrize("spoil", [lambda path: path.chmod(0o777),
                                   lambda path: os.chown(path, 12345, 12345)],
                         ids=["writable", "of another"])
def test_readers_tells_what_is_refused_from_nothing(region, need_root, spoil):
    region.publish(NAME)
    region.publisher.close()
    spoil(region.root / "Shop")
    done = region.run("readers")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == (f"shmcat: {region.root}: readers refuse what is there: shmcat "
                                    "verify says why, and what to do\n")
    assert b"Shop: " in region.run("verify").stdout


@contextlib.contextmanager
def mapping(*paths):
    """Has these files mapped."""
    with contextlib.ExitStack() as stack:
        for path in paths:
            file = stack.enter_context(open(path, "rb"))
            stack.enter_context(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
        yield


def test_readers_names_who_has_what_as_other_commands_do(region):
    name = "A b:P:C;D"
    directory = region.root / "A%20b/P/C%3BD"
    region.publish(name, "one")
    with mapping(directory / "v00000001"):
        region.publish(name, "two")
        region.publish(name, "three")
        with mapping(directory / "v00000003"):
            row, = (row for row in region.json("readers", name)["readers"]
                    if row["pid"] == os.getpid())
            line, = (line for line in region.text("readers").splitlines()
                     if line.startswith(f"{os.getpid()} "))
    assert (row["oldest"], row["newest"], row["versions"], row["removed"]) == (1, 3, 2, 1)
    assert (row["name"], row["path"]) == (name, "A%20b/P/C%3BD")
    assert re.search(rf" 1\.\.\.3 \(2\) +{name}  current; 1 removed version$", line)


@pytest.fixture(name="shared")
def region_for_all(open_path, need_root):
    """Other users may read it."""
    region = Region(open_path / "region")
    region.publish(NAME)
    for path in (region.root, *region.root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o444)
    yield region
    region.publisher.close()


def test_readers_tells_whose_they_are(shared):
    with Reader(shared.root, NAME, uid=12345) as reader:
        reader.wait_text("text")
        row, = (row for row in shared.json("readers")["readers"] if row["pid"] == reader.pid)
        assert row["uid"] == 12345


@pytest.mark.parametrize("arguments", [(), (NAME,)])
def test_readers_sees_that_a_daemon_is_out_of_sight(region, need_root, arguments):
    """From the PID namespace of another container, where nobody can be said to have it."""
    region.publish(NAME)
    wrapper = ["unshare", "--pid", "--fork", "--mount-proc"]
    probe = subprocess.run([*wrapper, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"no PID namespaces here: {probe.stderr.strip()}")

    def elsewhere(*more):
        return subprocess.run([*wrapper, SHMCAT, "readers", *arguments, *more],
                              env=environment(region.root), capture_output=True,
                              timeout=DEADLINE_S, check=True)

    done = elsewhere()
    assert done.stdout == b"nobody who could be looked at has it mapped\n"
    assert done.stderr.startswith(b"shmcat: readers: shmconfd holds the region and is not seen ")
    assert json.loads(elsewhere("--json").stdout)["held_unseen"] is True
    assert region.json("readers")["held_unseen"] is False
    region.publisher.close()
    done = elsewhere()
    assert (done.stdout, done.stderr) == (b"nobody has it mapped\n", b"")


def test_readers_sees_a_daemon_that_has_nothing_mapped(region, tmp_path):
    """As one that follows nothing of what there is."""
    region.publish(NAME)
    (region.root / "Shop").rename(tmp_path / "Shop")
    region.restart()
    (tmp_path / "Shop").rename(region.root / "Shop")
    assert region.json("readers")["readers"] == []
    assert region.json("readers")["held_unseen"] is False
    done = region.run("readers")
    assert done.returncode == 0 and b"is not seen here" not in done.stderr


def test_readers_without_proc(region, need_mounts):
    """Where it does not see even itself nobody can be said to read."""
    region.publish(NAME)
    done = subprocess.run(["unshare", "--mount", "sh", "-c",
                           'mount -t tmpfs none /proc && exec "$0" readers', SHMCAT],
                          env=environment(region.root), capture_output=True, timeout=DEADLINE_S,
                          check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == \
        b"shmcat: /proc: no process is shown there: shmcat readers needs it mounted\n"


UNPRIVILEGED = [
    (["setpriv", "--reuid=12346", "--regid=12346", "--clear-groups"], "root may look at most"),
    (["setpriv", "--bounding-set=-all"], "it takes CAP_SYS_PTRACE"),
]


@pytest.mark.parametrize("wrapper, told", UNPRIVILEGED, ids=["user", "root"])
def test_readers_says_when_it_may_not_look(shared, wrapper, told):
    """Who may look at nobody sees nobody, which does not mean that there is nobody."""
    shared.publisher.close()
    with Reader(shared.root, NAME, uid=12345) as reader:
        reader.wait_text("text")
        done = subprocess.run([*wrapper, program("shmcat", True), "readers"],
                              env=environment(shared.root), capture_output=True, check=True)
    assert done.stdout == b"nobody who could be looked at has it mapped\n"
    assert re.fullmatch(rf"shmcat: readers: \d+ process(es)? could not be looked at: {told}\n",
                        done.stderr.decode())


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
