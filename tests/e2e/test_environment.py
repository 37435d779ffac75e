# SPDX-License-Identifier: Apache-2.0
"""Full, read-only and unusual file systems, no /proc, no descriptors: real ones, for root.

A full tmpfs and a full table of descriptors are in test_region_taken.py, refused system calls in
test_settings.py; a file system without O_TMPFILE is made up by faults.region.
"""
import contextlib
import errno
import os
import resource
import subprocess
from pathlib import Path

import pytest

from daemon import BIN, HEAD_BOOT_ID, Daemon, Reader, clean_environment, run, wait_until

pytestmark = pytest.mark.usefixtures("need_root")

NAME = "Shop:Prod:Limits"
FILE = f"{NAME}.txt"


def in_private(script):
    """A wrapper that runs its command after a script of mounts that nobody else sees."""
    script += ' && exec "$@"'
    wrapper = ["unshare", "-m", "sh", "-ec", script, "sh"]
    probe = subprocess.run([*wrapper, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"cannot be mounted here: {probe.stderr.strip()}")
    return wrapper


def remount(daemon, mount, options):
    subprocess.run(["nsenter", "-t", str(daemon.pid), "-m", "mount", "-o", f"remount,{options}",
                    mount], check=True)


def inside(daemon, path):
    return Path(f"/proc/{daemon.pid}/root{path}")


def names(place):
    return sorted(path.name for path in (place / "Shop/Prod/Limits").iterdir())


@contextlib.contextmanager
def filled(place):
    """Every block is taken."""
    ballast = place / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        for size in (65536, 4096, 1024):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    yield
    ballast.unlink()


@contextlib.contextmanager
def without_inodes(place):
    """Every inode is taken."""
    made = []
    with pytest.raises(OSError, match="No space left"):
        while True:
            path = place / f"empty{len(made)}"
            path.touch()
            made.append(path)
    yield
    for path in made:
        path.unlink()


@contextlib.contextmanager
def over_quota(place):
    """There is space, but not for this daemon; nor for a store into what was written out."""
    subprocess.run(["btrfs", "qgroup", "limit", "16K", "0/256", place.parent], check=True)
    subprocess.run(["btrfs", "filesystem", "sync", place], check=True)
    yield
    lift_quota(place)


def lift_quota(place):
    """By way of the parent, whose own quota the call is charged to: that of 0/256, the first
    subvolume, may leave nothing for it."""
    subprocess.run(["btrfs", "qgroup", "limit", "none", "0/256", place.parent], check=True)


def make_image(image, size, *command):
    """A file with a file system in it."""
    with open(image, "wb") as file:
        file.truncate(size)
    subprocess.run([*command, image], check=True)


def on_btrfs(own, script="true"):
    """A wrapper with quotas in the subvolume `own`, which is that of 0/256; `script` prepares it.

    Of btrfs: kernels without CONFIG_QFMT_V2 know no quotas of ext4. It copies on write.
    """
    mount, image = own.parent, own.parent.with_name("image")
    mount.mkdir()
    make_image(image, 128 << 20, "mkfs.btrfs", "-q", "--mixed")
    return in_private(f'mount -o loop "{image}" "{mount}"; '
                      f'if ! [ -e "{own}" ]; then btrfs -q subvolume create "{own}"; '
                      f'btrfs -q quota enable "{mount}"; {script}; fi')


def assert_shortage_is_survived(tmp_path, wrapper, mount, shortage, code):
    """`shortage` is a context manager of the directory `mount`, as the daemon sees it."""
    words = os.strerror(code)
    with Daemon(tmp_path, wrapper=wrapper, root=mount / "region") as daemon:
        place = inside(daemon, mount)
        daemon.put(FILE, "a" * 1000)
        daemon.wait_body(NAME, "a" * 1000)
        with Reader(place / "region", NAME) as reader:
            assert reader("enter")["size"] == 1000
            head = place / "region/Shop/Prod/Limits/head"
            inode = head.stat().st_ino
            with shortage(place):
                daemon.put(FILE, "b" * 300000)
                daemon.put("A:B:New.txt", "new" * 10000)
                daemon.wait_log(f"{NAME}: cannot publish a version in .*{words}")
                assert words in daemon.wait_status("A:B:New", 500).text
                if code == errno.ENOSPC:
                    wait_until(lambda: reader("status")["failures"] >= 2)
                    assert reader("status")["error"] == code
                else:
                    daemon.wait_log(f"{NAME}: cannot store the status in .*: No space left")
                assert reader("enter")["text"] == "a" * 1000
                daemon.wait_body(NAME, "a" * 1000)
                assert names(place / "region") == ["head", "v00000001"]
                assert daemon.count_log(f"{NAME}: .*{words}") == 1
            daemon.wait_body(NAME, "b" * 300000)
            daemon.wait_body("A:B:New", "new" * 10000)
            wait_until(lambda: reader("enter")["size"] == 300000)
            assert names(place / "region") == ["head", "v00000001", "v00000002"]
            assert head.stat().st_ino == inode


@pytest.mark.parametrize("shortage", [filled, without_inodes])
def test_full_ext4_keeps_the_last_version(tmp_path, shortage):
    """Unlike tmpfs it has a journal, allocates late, and runs out of inodes by themselves."""
    mount, image = tmp_path / "mount", tmp_path / "image"
    mount.mkdir()
    make_image(image, 4 << 20, "mkfs.ext4", "-q", "-m", "0", "-N", "64")
    wrapper = in_private(f'mount -o loop "{image}" "{mount}"')
    assert_shortage_is_survived(tmp_path, wrapper, mount, shortage, errno.ENOSPC)


def test_quota_keeps_the_last_version(tmp_path):
    own = tmp_path / "mount/own"
    assert_shortage_is_survived(tmp_path, on_btrfs(own), own, over_quota, errno.EDQUOT)


def test_doctor_knows_a_daemon_in_a_subvolume(tmp_path):
    """To stat() it has a device of its own, and to /proc/locks that of its file system."""
    own = tmp_path / "mount/own"
    with Daemon(tmp_path, wrapper=on_btrfs(own), root=own / "region") as daemon:
        done = subprocess.run(["nsenter", "-t", str(daemon.pid), "-m", BIN / "shmcat", "doctor"],
                              env=clean_environment(SHMCONF_DIR=own / "region"), text=True,
                              capture_output=True, timeout=20, check=False)
        assert f" process {daemon.pid} holds the region\n" in done.stdout


def test_head_that_cannot_be_marked_is_not_replaced_unseen(tmp_path):
    """Its readers look at nothing else: the head of an earlier boot, on a disk that is full."""
    own = tmp_path / "mount/own"
    head = own / "region/Shop/Prod/Limits/head"
    wrapper = on_btrfs(
        own,
        f'echo "publish {NAME} text - before" | "{BIN.resolve()}/publish" "{own}/region" >&2; '
        f'printf "an earlier boot." | dd of="{head}" bs=1 seek={HEAD_BOOT_ID} conv=notrunc; '
        f'btrfs qgroup limit 16K 0/256 "{own.parent}"; btrfs filesystem sync "{own}"')
    with Daemon(tmp_path, wrapper=wrapper, root=own / "region", start=False) as daemon:
        daemon.put(FILE, "after")
        daemon.start()
        with Reader(inside(daemon, own) / "region", NAME) as reader:
            assert reader("enter")["text"] == "before"
            daemon.wait_log(f"{NAME}: cannot .*Disk quota exceeded")
            inode = inside(daemon, head).stat().st_ino
            lift_quota(inside(daemon, own))
            daemon.wait_body(NAME, "after")
            wait_until(lambda: reader("enter")["text"] == "after")
            assert inside(daemon, head).stat().st_ino == inode


def test_read_only_region_is_taken_over_once_it_can_be_written(tmp_path):
    """A predecessor's readers stay with its version, and come along when there are newer ones."""
    mount = tmp_path / "mount"
    mount.mkdir()
    wrapper = in_private(
        f'mount -t tmpfs -o size=1m,mode=0755 none "{mount}"; '
        f'echo "publish {NAME} text - before" | "{BIN.resolve()}/publish" "{mount}/region" >&2; '
        f'mount -o remount,ro "{mount}"')
    with Daemon(tmp_path, wrapper=wrapper, root=mount / "region", start=False) as daemon:
        daemon.put(FILE, "after")
        daemon.start()
        with Reader(inside(daemon, mount) / "region", NAME) as reader:
            reader.wait_text("before")
            daemon.wait_log(f"{NAME}: cannot .*Read-only file system")
            assert daemon.wait_status(NAME, 500)
            assert reader("enter")["text"] == "before"
            assert daemon.count_log("ERROR") == 1, daemon.log()
            remount(daemon, mount, "rw")
            reader.wait_text("after")
            daemon.wait_body(NAME, "after")
            daemon.put(FILE, "later")
            reader.wait_text("later")
            assert reader("enter")["generation"] == 3
            assert names(inside(daemon, mount) / "region") == ["head", "v00000002", "v00000003"]


def test_region_that_cannot_be_made_on_a_read_only_file_system(tmp_path):
    mount = tmp_path / "mount"
    mount.mkdir()
    wrapper = in_private(f'mount -t tmpfs -o ro none "{mount}"')
    ended = run(wrapper=wrapper, env={"SHMCONF_DIR": mount / "region", "SHMCONF_HTTP_PORT": "0",
                                      "SHMCONF_LOCAL_DEVELOPMENT_DIRECTORY": tmp_path})
    assert ended.returncode == 4, ended.stderr
    assert ended.stderr.count("FATAL") == 1
    assert f"FATAL {mount}/region: cannot make the region's directory: Read-only" in ended.stderr


@pytest.mark.parametrize("what, script", [
    ("overlay", 'mount -t tmpfs none "$M"; mkdir "$M/lower" "$M/upper" "$M/work" "$M/over"; '
                'mount -t overlay -o lowerdir="$M/lower",upperdir="$M/upper",workdir="$M/work" '
                'none "$M/over"'),
    ("no /proc", 'mkdir -p "$M/over"; mount -t tmpfs none /proc'),
])
def test_unusual_place(tmp_path, what, script):
    """Publications, a removed head, and a restart."""
    mount = tmp_path / "mount"
    mount.mkdir()
    wrapper = in_private(f'M="{mount}"; cd /; {script}')
    region = mount / "over/region"
    with Daemon(tmp_path, wrapper=wrapper, root=region) as daemon:
        daemon.put(FILE, "text 0")
        with Reader(inside(daemon, region), NAME) as reader:
            for turn in range(1, 4):
                daemon.put(FILE, f"text {turn}")
                reader.wait_text(f"text {turn}")
            daemon.wait_body(NAME, "text 3")
            place = inside(daemon, region)
            last = max(path for path in names(place) if path != "head")
            (place / "Shop/Prod/Limits/head").unlink()
            daemon.wait_log(f"{NAME}: was removed or damaged in the region: published it again")
            wait_until(lambda: max(names(place)) > last)
            daemon.put(FILE, "the last")
            reader.wait_text("the last")
            wait_until(lambda: len(names(place)) == 3)
            assert daemon.count_log("ERROR") == 0, what


def test_reader_that_cannot_tell_the_boot_checks_every_text(tmp_path):
    """Without /proc a region may be from before a reboot, which nobody had written out."""
    with Daemon(tmp_path) as daemon:
        daemon.put(FILE, "the text")
        daemon.wait_body(NAME, "the text")
    version = daemon.root / "Shop/Prod/Limits/v00000001"
    version.chmod(0o600)
    version.write_bytes(version.read_bytes().replace(b"the text", b"The text"))
    with Reader(daemon.root, NAME) as reader:
        assert reader("enter")["text"] == "The text"
    with Reader(daemon.root, NAME, wrapper=in_private("mount -t tmpfs none /proc")) as reader:
        assert reader("enter")["rc"] == -errno.EBADMSG


def test_no_descriptors_left(tmp_path):
    """Of a running daemon; what it cannot read or publish now it does when there are some again."""
    with Daemon(tmp_path) as daemon, Reader(daemon.root, NAME) as reader:
        daemon.put(FILE, "before")
        reader.wait_text("before")
        daemon.wait_body(NAME, "before")
        limits = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (0, limits[1]))
        daemon.put(FILE, "after")
        daemon.put("A:B:New.txt", "new")
        daemon.wait_log(f"ERROR {FILE}: cannot be read: Too many open files")
        assert reader("enter")["text"] == "before"
        assert daemon.count_log(f"ERROR {FILE}") == 1
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limits)
        reader.wait_text("after")
        daemon.wait_body("A:B:New", "new")
        assert names(daemon.root) == ["head", "v00000001", "v00000002"]
