# SPDX-License-Identifier: Apache-2.0
"""shmcat on regions that are damaged, hostile or just large."""
import json
import os
import random
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from shmcat_region import (  # noqa: F401
    DEADLINE_S, NAME, Region, SHMCAT, environment, followers, running_region)


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
