# SPDX-License-Identifier: Apache-2.0
"""The command line, the environment, every exit status, and kernels that refuse things."""
import errno
import os
import re
import socket
from pathlib import Path

import pytest

from daemon import BIN, Daemon, Reader, clean_environment, io_uring_is_allowed, run, url, wait_until

NAME = "Shop:Prod:Limits"


def settings_of(tmp_path, **more):
    return {"SHMCONF_DIR": tmp_path / "region", "SHMCONF_HTTP_PORT": "0",
            "SHMCONF_LOCAL_DEVELOPMENT_DIRECTORY": tmp_path, **more}


def check(env=None, args=()):
    """What --check says: {NAME: (value, origin)}; and the warnings."""
    ended = run("--check", *args, env={"SHMCONF_LOCAL_DEVELOPMENT_DIRECTORY": "/", **(env or {})})
    assert ended.returncode == 0, ended.stderr
    rows = re.findall(r"^(\w+) = (.*?)  \[(.+?)\]", ended.stdout, re.M)
    assert len(rows) == len(ended.stdout.splitlines())
    return {name: (value, origin) for name, value, origin in rows}, ended.stderr


def one_line(ended, status):
    """It ended so, and with one line on stderr, which is returned."""
    assert ended.returncode == status, (ended.returncode, ended.stderr)
    assert ended.stdout == ""
    assert ended.stderr.endswith("\n") and ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


def fatal_line(ended, status):
    """The same for what fails after the log was opened."""
    assert ended.returncode == status, (ended.returncode, ended.stderr)
    lines = [line for line in ended.stderr.splitlines() if " FATAL " in line]
    assert len(lines) == 1 and ended.stderr.splitlines()[-1] == lines[0], ended.stderr
    return lines[0]


# ---- Words of the command line ----------------------------------------------------------------


def test_help_version_and_reference():
    ended = run("--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Usage: shmconfd")
    assert all(len(line) <= 100 for line in ended.stdout.splitlines())
    for word in ("--local-development-directory", "--http-port", "Exit status",
                 "SHMCONF_LOG_LEVEL"):
        assert word in ended.stdout
    ended = run("--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.fullmatch(r"shmconfd \d+\.\d+\.\d+\n", ended.stdout)
    reference = Path(__file__).parents[2] / "docs" / "configuration.md"
    assert run("--print-configuration-reference").stdout == reference.read_text()
    # They say the same whatever the environment holds.
    assert run("--version", env={"SHMCONF_HTTP_PORT": "nonsense"}).returncode == 0


def test_check_prints_values_with_origins_and_no_secret(tmp_path):
    values, warnings = check()
    assert warnings == ""
    assert values["HTTP_PORT"] == ("2772", "default")
    assert values["DIR"] == ("/tmp/shmconf", "default")
    assert values["LOG_PATH"] == ("(standard error)", "default")
    assert values["POLL_INTERVAL"] == ("45s", "default")
    values, warnings = check({"SHMCONF_DIR": tmp_path, "LOG_LEVEL": "DEBUG",
                              "AWS_APPCONFIG_EXTENSION_HTTP_PORT": "1234",
                              "PROXY_HEADERS": "authorization: hunter2",
                              "ROLE_EXTERNAL_ID": "hunter2"}, ["--http-host", "::1"])
    assert values["DIR"] == (str(tmp_path), "SHMCONF_DIR")
    assert values["LOG_LEVEL"] == ("DEBUG", "LOG_LEVEL")
    assert values["HTTP_PORT"] == ("1234", "AWS_APPCONFIG_EXTENSION_HTTP_PORT")
    assert values["HTTP_HOST"] == ("::1", "--http-host")
    assert values["PROXY_HEADERS"] == ("(secret)", "PROXY_HEADERS")
    assert "PROXY_HEADERS: has no effect without PROXY_URL" in warnings
    assert "hunter2" not in str(values) + warnings
    # It starts nothing and makes nothing.
    assert list(tmp_path.iterdir()) == []


def test_check_finds_what_would_keep_the_daemon_from_starting(tmp_path):
    for env, reason in [
            ({}, "AWS_REGION: is not set"),
            ({"AWS_REGION": "eu-central-1"}, "AWS_ACCESS_KEY_ID"),
            ({"LOCAL_DEVELOPMENT_DIRECTORY": tmp_path / "no"}, "cannot open the local directory"),
            ({"LOCAL_DEVELOPMENT_DIRECTORY": tmp_path, "LOG_PATH": "/no/log"}, "/no/log")]:
        ended = run("--check", env=env)
        assert ended.returncode == 3 and reason in ended.stderr, ended.stderr
        assert ended.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_precedence(tmp_path):
    sources = [({}, ["--http-port", "1"], "1", "--http-port"),
               ({"SHMCONF_HTTP_PORT": "2"}, [], "2", "SHMCONF_HTTP_PORT"),
               ({"AWS_APPCONFIG_EXTENSION_HTTP_PORT": "3"}, [], "3",
                "AWS_APPCONFIG_EXTENSION_HTTP_PORT"),
               ({"HTTP_PORT": "4"}, [], "4", "HTTP_PORT")]
    for first in range(len(sources)):
        env, args = {}, []
        for more_env, more_args, _, _ in sources[first:]:
            env.update(more_env)
            args += more_args
        assert check(env, args)[0]["HTTP_PORT"] == sources[first][2:]
    # Only the one that counts is checked, an empty one is none, and of options the last counts.
    assert check({"HTTP_PORT": "nonsense"}, ["--http-port=5"])[0]["HTTP_PORT"][0] == "5"
    assert check({"SHMCONF_HTTP_PORT": "", "HTTP_PORT": "6"})[0]["HTTP_PORT"][1] == "HTTP_PORT"
    assert check({}, ["--http-port=7", "--http-port", "8"])[0]["HTTP_PORT"][0] == "8"
    # In Lambda a function's own variables are not meant for us.
    lambda_only = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001", "HTTP_PORT": "nonsense"}
    assert check(lambda_only)[0]["HTTP_PORT"] == ("2772", "default")
    # And the daemon does what --check says.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        taken = free.getsockname()[1]
    with Daemon(tmp_path, env={"HTTP_PORT": str(taken)}, args=["--log-format", "json"]) as daemon:
        assert daemon.port != taken  # SHMCONF_HTTP_PORT is 0
        assert daemon.log().startswith('{"time":')


# ---- Exit statuses ----------------------------------------------------------------------------


def test_wrong_command_line():
    assert "did you mean --http-port" in one_line(run("--http-prot", "1"), 2)
    assert "try 'shmconfd --help'" in one_line(run("--nonsense"), 2)
    assert "superfluous" in one_line(run("superfluous"), 2)
    line = one_line(run("line\nbreak\x1b[31m"), 2)
    assert "\x1b" not in line


@pytest.mark.parametrize("name, value, hint", [
    ("SHMCONF_HTTP_PORT", "65536", "0 to 65535"), ("SHMCONF_HTTP_PORT", "80 ", "0 to 65535"),
    ("HTTP_PORT", "-1", "0 to 65535"), ("SHMCONF_ACCESS", "world", "owner, group, all"),
    ("SHMCONF_LOOP", "kqueue", "auto, epoll, io_uring"), ("LOG_LEVEL", "loud", "debug"),
    ("AWS_APPCONFIG_EXTENSION_POLL_INTERVAL_SECONDS", "0", "1"),
    ("SHMCONF_GROUP", "no-such-group-here", "group"), ("SHMCONF_MAX_CONFIGURATIONS", "0", "1"),
    ("SHMCONF_HTTP_HOST", "no such host", "host"),
    ("SHMCONF_CLIENT_TIMEOUT_MS", "1.5555s", "ms"),
])
def test_malformed_setting_is_named(tmp_path, name, value, hint):
    env = settings_of(tmp_path)
    if name.startswith(("HTTP", "LOG")):
        env.pop("SHMCONF_" + name, None)
    line = one_line(run(env={**env, name: value}), 3)
    assert line.startswith(f"shmconfd: {name}: ") and hint in line


@pytest.mark.parametrize("name", ["ACCESS_TOKEN", "ROLE_ARN", "PROXY_URL", "MANIFEST"])
def test_setting_that_cannot_be_ignored_is_refused(tmp_path, name):
    for spelling in (name, f"AWS_APPCONFIG_EXTENSION_{name}", f"SHMCONF_{name}"):
        line = one_line(run(env=settings_of(tmp_path, **{spelling: "hunter2"})), 3)
        assert line.startswith(f"shmconfd: {spelling}: ") and "not implemented yet" in line
        assert "hunter2" not in line
    option = "--" + name.lower().replace("_", "-")
    assert option in one_line(run(option, "hunter2", env=settings_of(tmp_path)), 3)
    assert not (tmp_path / "region").exists()


def test_warnings_do_not_keep_it_from_starting(tmp_path):
    env = {"SHMCONF_HTTP_PROT": "1", "AWS_APPCONFIG_EXTENSION_NONSENSE": "hunter2",
           "BACKUP_DIRECTORY": "/x", "WAIT_ON_MANIFEST": "1", "SHMCONF_GROUP": str(os.getegid())}
    with Daemon(tmp_path, env=env) as daemon:
        log = daemon.log()
        assert "WARN SHMCONF_HTTP_PROT: unknown variable, did you mean SHMCONF_HTTP_PORT?" in log
        assert "WARN AWS_APPCONFIG_EXTENSION_NONSENSE: unknown variable\n" in log
        for name in ("BACKUP_DIRECTORY", "WAIT_ON_MANIFEST"):
            assert f"WARN {name}: not implemented yet, ignored" in log
        assert "WARN SHMCONF_GROUP: gives the group no access unless" in log
        assert daemon.count_log("WARN") == 5
        assert "hunter2" not in log


def test_local_directory_must_exist(tmp_path):
    env = settings_of(tmp_path)
    file = tmp_path / "file"
    file.touch()
    line = fatal_line(run(env={**env, "SHMCONF_LOCAL_DEVELOPMENT_DIRECTORY": None}), 3)
    assert "AWS_REGION: is not set" in line and "LOCAL_DEVELOPMENT_DIRECTORY" in line
    for path, reason in [(tmp_path / "missing", "No such file or directory"),
                         (file, "Not a directory"), (tmp_path / "file/below", "Not a directory")]:
        line = fatal_line(run(env={**env, "SHMCONF_LOCAL_DEVELOPMENT_DIRECTORY": path}), 3)
        assert f"FATAL {path}: cannot open the local directory: {reason}" in line


def test_log_file_must_be_writable(tmp_path):
    for path, reason in [(tmp_path, "Is a directory"),
                         (tmp_path / "missing/log", "No such file or directory")]:
        line = one_line(run(env=settings_of(tmp_path, SHMCONF_LOG_PATH=path)), 3)
        assert line == f"shmconfd: {path}: the log file cannot be opened: {reason}\n"
    with Daemon(tmp_path, env={"SHMCONF_LOG_PATH": tmp_path / "log"}) as daemon:
        daemon.put(f"{NAME}.txt", "text")
        daemon.wait_body(NAME, "text")
        assert daemon.log_path.read_text() == ""  # nothing on stderr
    assert (tmp_path / "log").read_text().count("ending") == 1


def test_region_that_cannot_be_made(tmp_path):
    line = fatal_line(run(env=settings_of(tmp_path, SHMCONF_DIR=tmp_path / "a/b")), 4)
    assert f"{tmp_path}/a/b: cannot make the region's directory: No such file" in line


def test_port_that_cannot_be_had(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        line = fatal_line(run(env=settings_of(tmp_path, SHMCONF_HTTP_PORT=port)), 5)
        assert str(port) in line
    # An address that is not ours is a wrong setting.
    line = fatal_line(run(env=settings_of(tmp_path, SHMCONF_HTTP_HOST="192.0.2.1")), 3)
    assert "192.0.2.1" in line


# ---- Kernels that refuse things ---------------------------------------------------------------


def denying(code, *calls):
    return [BIN / "seccomp_deny", code, *calls, "--"]


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EPERM, errno.ENOMEM])
@pytest.mark.parametrize("call", ["io_uring_setup", "io_uring_enter", "io_uring_register"])
def test_auto_takes_epoll_where_io_uring_is_refused(tmp_path, code, call):
    if not io_uring_is_allowed():
        pytest.skip("the kernel does not allow io_uring here")
    with Daemon(tmp_path, wrapper=denying(code, call)) as daemon:
        assert daemon.running_backend() == "epoll"
        assert not any("io_uring" in kind for kind in daemon.descriptors())
        daemon.put(f"{NAME}.txt", "text")
        daemon.wait_body(NAME, "text")
        line = daemon.wait_log(r"INFO event loop: (.*)").group(1)
        assert line.startswith("epoll (io_uring: ")
        if call != "io_uring_register":  # whose failure is "Operation not supported"
            assert os.strerror(code) in line
    line = fatal_line(run(env=settings_of(tmp_path, SHMCONF_LOOP="io_uring"),
                          wrapper=denying(code, call)), 3)
    assert "FATAL io_uring: not available here (" in line
    assert "set SHMCONF_LOOP to auto or epoll" in line


def test_default_is_io_uring_where_it_is_allowed(tmp_path):
    with Daemon(tmp_path) as daemon:
        assert daemon.running_backend() == ("io_uring" if io_uring_is_allowed() else "epoll")
        assert daemon.count_log(f"event loop: {daemon.running_backend()}") == 1


@pytest.mark.parametrize("code, call", [
    (errno.EPERM, "fallocate"), (errno.ENOSYS, "fallocate"), (errno.ENOSYS, "statx"),
    (errno.EPERM, "linkat"), (errno.ENOENT, "linkat"), (errno.ENOSYS, "getrandom"),
    (errno.EMFILE, "inotify_init1"),
])
def test_refused_call_is_done_without(tmp_path, code, call):
    with Daemon(tmp_path, wrapper=denying(code, call), start=False) as daemon:
        daemon.put(f"{NAME}.txt", "text")
        daemon.start()
        daemon.wait_body(NAME, "text")
        daemon.put(f"{NAME}.txt", "text 2")
        daemon.wait_body(NAME, "text 2")
        with Reader(daemon.root, NAME) as reader:
            answer = reader("enter")
            assert (answer["text"], answer["rc"]) == ("text 2", 0)
        names = [path.name for path in (daemon.root / "Shop/Prod/Limits").iterdir()]
        assert "head" in names and not any(name.startswith(".t") for name in names)
        if call == "inotify_init1":
            assert daemon.count_log(f"WARN no inotify .{os.strerror(code)}") == 1


def test_region_that_cannot_be_locked_is_refused(tmp_path):
    line = fatal_line(run(env=settings_of(tmp_path), wrapper=denying(errno.ENOLCK, "flock")), 4)
    assert "cannot lock the region: No locks available" in line


def test_clean_environment_is_clean():
    """The tests themselves: nothing of the caller's shell steers the daemon."""
    assert not any(name.startswith(("SHMCONF_", "AWS_")) for name in clean_environment())
    assert wait_until(lambda: True) and url("A b:B:C/") == \
        "/applications/A%20b/environments/B/configurations/C%2F"
