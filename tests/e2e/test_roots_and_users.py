# SPDX-License-Identifier: Apache-2.0
"""Who may read the region, and which directories a daemon takes for its own."""
import errno
import os
import stat
import subprocess
from pathlib import Path

import pytest

from daemon import Daemon, Reader, run, wait_until

pytestmark = pytest.mark.usefixtures("need_root")

# Users and a group that need not exist.
DAEMON, OTHER, GROUP = 64001, 64002, 64010
NAME = "Shop:Prod:Limits"


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def make_parent(open_path, uid=DAEMON):
    """A directory that the user may make its region in."""
    parent = open_path / f"of-{uid}"
    parent.mkdir(exist_ok=True)
    os.chown(parent, uid, uid)
    return parent


def settings_of(root, files, **more):
    return {"SHMCONF_DIR": root, "SHMCONF_HTTP_PORT": "0",
            "SHMCONF_LOCAL_DEVELOPMENT_DIRECTORY": files, **more}


def private_mount(point, options):
    """A wrapper that starts its command where only that sees a tmpfs at `point`; skips without."""
    point.mkdir(exist_ok=True)
    script = f'mount -t tmpfs -o {options} none "{point}" && exec "$@"'
    wrapper = ["unshare", "-m", "sh", "-c", script, "sh"]
    probe = subprocess.run([*wrapper, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"no private mounts here: {probe.stderr.strip()}")
    return wrapper


def as_user(uid):
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]


def result(root, uid, gid=None, groups=(), owner=None, name=NAME):
    """What a reader of this user gets: 0 or an errno name."""
    with Reader(root, name, uid=uid, gid=gid, groups=groups,
                env={"SHMCONF_OWNER": owner}) as reader:
        answer = reader("enter")
        assert ("text" in answer) == (answer["rc"] == 0)
        return errno.errorcode[-answer["rc"]] if answer["rc"] else 0


# ---- Readers ----------------------------------------------------------------------------------


def test_access_says_who_may_read(open_path):
    modes = {"owner": (0o700, 0o600, 0o400), "group": (0o750, 0o640, 0o440),
             "all": (0o755, 0o644, 0o444)}
    readers = {  # (uid, gid, groups, SHMCONF_OWNER): what it gets with owner, group, all
        (DAEMON, DAEMON, (), None): (0, 0, 0),
        (OTHER, OTHER, (), None): ("EACCES", "EACCES", "EPERM"),
        (OTHER, OTHER, (), DAEMON): ("EACCES", "EACCES", 0),
        (OTHER, OTHER, (), "any"): ("EACCES", "EACCES", 0),
        (OTHER, OTHER, (), OTHER): ("EACCES", "EACCES", "EPERM"),
        (OTHER, OTHER, (GROUP,), None): ("EACCES", "EPERM", "EPERM"),
        (OTHER, OTHER, (GROUP,), DAEMON): ("EACCES", 0, 0),
        (OTHER, GROUP, (), DAEMON): ("EACCES", 0, 0),
        (0, 0, (), None): ("EPERM", "EPERM", "EPERM"),  # root trusts root, not everybody
        (0, 0, (), DAEMON): (0, 0, 0),
    }
    parent = make_parent(open_path)
    # The same region, taken over with another access each time: modes follow, readers stay.
    for index, (access, (directory, head, version)) in enumerate(modes.items()):
        with Daemon(open_path, uid=DAEMON, groups=[GROUP], root=parent / "region",
                    wrapper=["sh", "-c", f'umask {"077" if index % 2 else "0"}; exec "$@"', "sh"],
                    env={"SHMCONF_ACCESS": access, "SHMCONF_GROUP": GROUP}) as daemon:
            daemon.put(f"{NAME}.txt", f"text {index}")
            daemon.wait_body(NAME, f"text {index}")
            levels = [daemon.root, daemon.root / "Shop", daemon.root / "Shop/Prod",
                      daemon.root / "Shop/Prod/Limits"]
            for path in levels:
                assert mode(path) == directory, (access, path)
            assert mode(levels[-1] / "head") == head
            for path in levels[-1].glob("v*"):
                assert mode(path) == version or access != "owner", (access, path)
            assert mode(max(levels[-1].glob("v*"))) == version
            for path in [*levels, *levels[-1].iterdir()]:
                status = path.stat()
                assert (status.st_uid, status.st_gid) == (DAEMON, GROUP), path
            for (uid, gid, groups, owner), want in readers.items():
                assert result(daemon.root, uid, gid, groups, owner) == want[index], \
                    (access, uid, gid, groups, owner)


def test_region_of_root_is_for_everybody_where_access_says_so(open_path):
    with Daemon(open_path, env={"SHMCONF_ACCESS": "all"}) as daemon:
        daemon.put(f"{NAME}.txt", "text")
        daemon.wait_body(NAME, "text")
        assert result(daemon.root, OTHER) == 0
        assert result(daemon.root, 0) == 0
        with Reader(daemon.root, NAME, uid=OTHER) as reader:
            first = reader.wait_text("text")
            reader.send("wait", 20000)
            daemon.put(f"{NAME}.txt", "text 2")
            assert reader.receive()["rc"] == 0
            assert reader.wait_text("text 2")["generation"] == first["generation"] + 1
            # Somebody else's mapping cannot be written, nor the files.
            maps = Path(f"/proc/{reader.pid}/maps").read_text().splitlines()
            assert any("r--s" in line for line in maps)
            assert not any("rw-s" in line for line in maps)


def test_reader_without_permission_says_so_also_after_waiting(open_path):
    parent = make_parent(open_path)
    with Daemon(open_path, uid=DAEMON, root=parent / "region") as daemon:
        daemon.put(f"{NAME}.txt", "text")
        daemon.wait_body(NAME, "text")
        with Reader(daemon.root, NAME, uid=OTHER) as reader:
            assert reader("wait", 20)["rc"] == -errno.EACCES
            assert reader("status")["rc"] == -errno.EACCES
            assert reader("fresh", 1000, 20)["rc"] == -errno.EACCES
            wait_until(lambda: reader("enter")["rc"] == -errno.EACCES)
            assert "SHMCONF_ACCESS" in reader("enter")["what"]
    # Permission that comes later is taken up by the same reader.
    with Daemon(open_path, uid=DAEMON, root=parent / "region") as daemon:
        with Reader(daemon.root, NAME, uid=OTHER, env={"SHMCONF_OWNER": DAEMON}) as reader:
            assert reader("enter")["rc"] == -errno.EACCES
            daemon.stop()
            daemon.environment["SHMCONF_ACCESS"] = "all"
            daemon.start()
            reader.wait_text("text")


def test_reason_is_that_of_the_last_look(open_path):
    """Whoever waits, finds no version and asks why shall not be told that nothing was published."""
    with Daemon(open_path, uid=DAEMON, root=make_parent(open_path) / "region") as daemon:
        daemon.put(f"{NAME}.txt", "text")
        daemon.wait_body(NAME, "text")
        with Reader(daemon.root, NAME, uid=OTHER) as reader:
            assert reader("wait", 20)["rc"] == -errno.EACCES
            assert reader("enter")["rc"] == -errno.EACCES


def test_reader_refuses_what_others_may_write(open_path):
    with Daemon(open_path, env={"SHMCONF_ACCESS": "all"}) as daemon:
        daemon.put(f"{NAME}.txt", "text")
        daemon.wait_body(NAME, "text")
    profile = daemon.root / "Shop/Prod/Limits"
    attached = Reader(daemon.root, NAME, uid=OTHER)
    attached.wait_text("text")
    for path in (daemon.root / "Shop", daemon.root / "Shop/Prod", profile, profile / "head",
                 profile / "v00000001"):
        before = mode(path)
        for more in (0o020, 0o002):
            path.chmod(before | more)
            assert result(daemon.root, OTHER) == "EPERM", path
            assert attached("enter")["text"] == "text"  # has it already
        path.chmod(before)
        os.chown(path, DAEMON, 0)
        assert result(daemon.root, OTHER) == "EPERM", path
        os.chown(path, 0, 0)
        assert result(daemon.root, OTHER) == 0
    # The root itself was named by SHMCONF_DIR: its mode is the administrator's affair.
    daemon.root.chmod(0o777)
    assert result(daemon.root, OTHER) == 0
    attached.close()

    def swapped(path, make, want):
        path.rename(open_path / "away")
        make(path)
        try:
            assert result(daemon.root, OTHER) == want, path
        finally:
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            (open_path / "away").rename(path)

    swapped(daemon.root / "Shop", lambda path: path.symlink_to(open_path / "away"), "ELOOP")
    swapped(daemon.root / "Shop", lambda path: path.write_text("file"), "ENOTDIR")
    swapped(profile / "head", lambda path: path.symlink_to(open_path / "away"), "ELOOP")
    swapped(profile / "head", os.mkfifo, "EBADMSG")
    swapped(profile / "head", lambda path: path.write_text("short"), "ENODATA")
    swapped(profile / "v00000001", lambda path: path.write_text("short"), "ENODATA")
    swapped(daemon.root, lambda path: path.symlink_to(open_path / "away"), "ELOOP")


# ---- Roots ------------------------------------------------------------------------------------


@pytest.mark.parametrize("uid", [DAEMON, 0])
@pytest.mark.parametrize("bits", [0o755, 0o777, 0o1777])
def test_root_of_somebody_else_is_refused(open_path, uid, bits):
    root = open_path / "foreign"
    root.mkdir()
    os.chown(root, OTHER, OTHER)
    root.chmod(bits)
    ended = run(env=settings_of(root, open_path), uid=uid)
    assert ended.returncode == 4, ended.stderr
    assert ended.stderr.count("FATAL") == 1
    assert f"FATAL {root}: belongs to uid {OTHER}, and this daemon runs as uid {uid}" \
        in ended.stderr
    assert "SHMCONF_DIR" in ended.stderr
    assert list(root.iterdir()) == [] and mode(root) == bits


def test_root_that_is_no_directory_is_refused(open_path):
    parent = make_parent(open_path)
    real = parent / "real"
    real.mkdir()
    os.chown(real, DAEMON, DAEMON)
    (parent / "link").symlink_to(real)
    (parent / "dangling").symlink_to(parent / "missing")
    (parent / "file").write_text("")
    os.chown(parent / "file", DAEMON, DAEMON)
    locked = parent / "locked"
    locked.mkdir(mode=0o700)
    for root, message in [("link", "is a symbolic link"), ("link/", "is a symbolic link"),
                          ("dangling", "is a symbolic link"), ("file", "is not a directory"),
                          ("missing/below", "No such file or directory"),
                          ("file/below", "Not a directory"), ("locked/below", "Permission denied")]:
        ended = run(env=settings_of(f"{parent}/{root}", open_path), uid=DAEMON)
        assert ended.returncode == 4, (root, ended.stderr)
        assert ended.stderr.count("FATAL") == 1 and message in ended.stderr, ended.stderr
    assert list(real.iterdir()) == [] and not (parent / "missing").exists()


def test_region_in_a_sticky_directory(open_path):
    """As in /tmp: what is made first is its maker's; nobody is led astray by a link."""
    shared = open_path / "sticky"
    shared.mkdir()
    shared.chmod(0o1777)
    victim = make_parent(open_path)
    link = shared / "planted"
    link.symlink_to(victim)
    os.lchown(link, OTHER, OTHER)
    ended = run(env=settings_of(link, open_path), uid=DAEMON)
    assert ended.returncode == 4 and ended.stderr.count("FATAL") == 1
    assert list(victim.iterdir()) == []
    first, second = (Daemon(open_path, uid=uid, root=shared / f"region-{uid}")
                     for uid in (DAEMON, OTHER))
    with first, second:
        first.put(f"{NAME}.txt", "text")
        for daemon, uid, other in ((first, DAEMON, OTHER), (second, OTHER, DAEMON)):
            daemon.wait_body(NAME, "text")
            assert result(daemon.root, uid) == 0
            assert result(daemon.root, other) == "EACCES"
            taken = run(env=settings_of(daemon.root, open_path), uid=other)
            assert taken.returncode == 4 and f"belongs to uid {uid}" in taken.stderr


@pytest.mark.parametrize("bits", ["0777", "1777"])
def test_volume_of_somebody_else_is_used(open_path, bits):
    """A mount point that SHMCONF_DIR names, as containers share it."""
    mount = open_path / "mount"
    wrapper = private_mount(mount, f"size=4m,mode={bits},uid={OTHER},gid={OTHER}")
    with Daemon(open_path, wrapper=[*wrapper, *as_user(DAEMON)], root=mount,
                public=True) as daemon:
        daemon.put(f"{NAME}.txt", "text")
        daemon.wait_body(NAME, "text")
        inside = Path(f"/proc/{daemon.pid}/root{mount}")
        assert inside.stat().st_uid == OTHER and mode(inside) == int(bits, 8)
        assert (inside / "Shop").stat().st_uid == DAEMON
        assert mode(inside / "Shop") == 0o700
        assert result(inside, 0, owner=DAEMON) == 0


def test_names_that_a_stranger_took_in_a_shared_volume(open_path):
    """Those cannot be published, with one line that says so; the others can."""
    mount = open_path / "mount"
    wrapper = private_mount(mount, f"size=4m,mode=0777,uid={OTHER}")
    with Daemon(open_path, wrapper=[*wrapper, *as_user(DAEMON)], root=mount, public=True,
                env={"SHMCONF_OWNER": DAEMON}) as daemon:
        inside = Path(f"/proc/{daemon.pid}/root{mount}")
        (inside / "Taken").mkdir()
        os.chown(inside / "Taken", OTHER, OTHER)
        (inside / "Linked").symlink_to("/")
        (inside / "File").touch()
        names = [f"{taken}:Prod:Limits" for taken in ("Taken", "Linked", "File")]
        for name in [*names, NAME]:
            daemon.put(f"{name}.txt", "text")
        daemon.wait_body(NAME, "text")
        assert "belongs to another user" in daemon.wait_status(names[0], 500).text
        for name in names:
            daemon.wait_status(name, 500)
        with Reader(inside, NAME, env={"SHMCONF_OWNER": DAEMON}) as reader:
            reader.wait_text("text")
            reader.wait_checks(3)
        lines = [daemon.count_log(f"ERROR {name}: cannot publish a version") for name in names]
        (inside / "Taken").rmdir()
        (inside / "Linked").unlink()
        (inside / "File").unlink()
        for name in names:
            daemon.wait_body(name, "text")
        assert lines == [1, 1, 1], daemon.log()


def test_foreign_directory_inside_a_mount_is_no_volume(open_path):
    mount = open_path / "mount"
    wrapper = private_mount(mount, f"size=1m,mode=0777,uid={OTHER}")
    script = f'mkdir -m 0777 "{mount}/below" && chown {OTHER} "{mount}/below" && exec "$@"'
    ended = run(wrapper=[*wrapper, "sh", "-c", script, "sh", *as_user(DAEMON)], public=True,
                env=settings_of(mount / "below", open_path))
    assert ended.returncode == 4 and f"belongs to uid {OTHER}" in ended.stderr, ended.stderr


def test_group_that_the_user_is_not_in_is_refused(open_path):
    parent = make_parent(open_path)
    ended = run(env=settings_of(parent / "region", open_path, SHMCONF_ACCESS="group",
                                SHMCONF_GROUP=GROUP), uid=DAEMON)
    assert ended.returncode == 4
    assert ended.stderr.count("FATAL") == 1 and "cannot set mode or group" in ended.stderr


@pytest.mark.parametrize("uid", [DAEMON, 0])
def test_application_directory_of_somebody_else(open_path, uid):
    """Nothing goes in there, also where the daemon could write it."""
    root = make_parent(open_path, uid) / "region"
    root.mkdir(0o700)
    (root / "Taken").mkdir()
    (root / ".source").touch()  # it is a region already
    os.chown(root, uid, uid)
    os.chown(root / "Taken", OTHER, OTHER)
    with Daemon(open_path, uid=uid, root=root, start=False) as daemon:
        daemon.put("Taken:Prod:Limits.txt", "text")
        daemon.put(f"{NAME}.txt", "text")
        daemon.start()
        daemon.wait_body(NAME, "text")
        assert "belongs to another user" in daemon.wait_status("Taken:Prod:Limits", 500).text
        assert result(root, uid) == 0
        assert list((root / "Taken").iterdir()) == []
        assert (root / "Taken").stat().st_uid == OTHER
