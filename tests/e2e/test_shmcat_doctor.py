# SPDX-License-Identifier: Apache-2.0
"""shmcat doctor."""
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from daemon import Daemon, clean_environment, program, run, wait_until
from faketime import faketime
from shmcat_region import DEADLINE_S, SHMCAT, environment, running_region  # noqa: F401


def lines_of(root, status=0, wrapper=(), **changes):
    """What doctor says: (subject, state, text) of each line. `status` None: whatever it is."""
    done = subprocess.run([*wrapper, SHMCAT, "doctor", "--json"],
                          env=clean_environment(SHMCONF_DIR=root, **changes), capture_output=True,
                          timeout=DEADLINE_S, check=False)
    assert done.returncode == status or (status is None and done.returncode in (0, 1)), done
    return [(row["subject"], row["state"], row["text"]) for row in json.loads(done.stdout)]


def diagnose(*arguments, **changes):
    """The last line of each subject: {subject: (state, text)}."""
    return {subject: (state, text) for subject, state, text in lines_of(*arguments, **changes)}


def test_doctor_of_a_running_daemon(tmp_path):
    with Daemon(tmp_path) as daemon:
        found = diagnose(daemon.root, SHMCONF_HTTP_PORT=str(daemon.port), AWS_REGION="eu-west-1",
                         AWS_ACCESS_KEY_ID="AKIA", AWS_SECRET_ACCESS_KEY="hunter2")
        assert found["daemon"] == ("ok", f"process {daemon.pid} holds the region")
        assert found["port"] == ("ok", f"shmconfd answers on {daemon.port}")
        assert found["settings"] == ("ok", "shmconfd takes those of this environment")
        assert found["credentials"][0] == found["AWS region"][0] == found["disk"][0] == "ok"
        assert "hunter2" not in str(found)


def test_doctor_knows_a_stopped_daemon(tmp_path):
    with Daemon(tmp_path) as daemon:
        daemon.send(signal.SIGSTOP)
        status = Path(f"/proc/{daemon.pid}/status")
        wait_until(lambda: "State:\tT" in status.read_text())
        found = diagnose(daemon.root, 1, SHMCONF_HTTP_PORT=str(daemon.port))
        daemon.send(signal.SIGCONT)
        assert found["daemon"] == ("bad", f"process {daemon.pid} holds the region and is stopped: "
                                          f"kill -CONT {daemon.pid}")
        state, text = found["port"]  # the last of the two addresses
        assert state == "bad" and f":{daemon.port} gives no answer: it is stopped or busy" in text


def test_doctor_doubts_a_root_that_others_may_write(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    assert "access" not in diagnose(root)
    root.chmod(0o777)
    (root / "lost+found").mkdir()
    state, text = diagnose(root)["access"]
    assert state == "note" and f"others may write in {root}: shmconfd of uid" in text
    (root / "something").touch()
    state, text = diagnose(root, 1)["access"]
    assert state == "bad" and "is neither empty nor a region" in text


@pytest.mark.parametrize("wrapper", [
    ["unshare", "-p", "-f", "--mount-proc"],
    ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"],
], ids=["another PID namespace", "no /proc"])
def test_doctor_tells_nobody_from_somebody_who_is_not_seen(tmp_path, need_mounts, wrapper):
    with Daemon(tmp_path) as daemon:
        found = diagnose(daemon.root, wrapper=wrapper, SHMCONF_HTTP_PORT="1")
        assert found["daemon"] == ("ok", "a process holds the region; from here its pid cannot be "
                                         "seen")
    found = diagnose(daemon.root, wrapper=wrapper, SHMCONF_HTTP_PORT="1")
    assert found["daemon"] == ("note", "nobody holds the region: start shmconfd")


@pytest.mark.parametrize("owner, state, text", [
    (None, "note", "readers of other users need SHMCONF_OWNER"),
    ("12345x", "bad", "SHMCONF_OWNER is neither a user id nor any, so that readers of other users "
                      "refuse what lies below"),
    ("12346", "note", "SHMCONF_OWNER is another, whom what lies below must belong to"),
    ("12345", "ok", "mode 755"),
    ("any", "ok", "mode 755"),
])
def test_doctor_tells_of_a_region_of_another_user(open_path, need_root, owner, state, text):
    root = open_path / "region"
    root.mkdir()
    os.chown(root, 12345, 12345)
    found = diagnose(root, state == "bad", SHMCONF_HTTP_PORT="1", SHMCONF_OWNER=owner)
    assert found["region"][0] == state and found["region"][1].endswith(text)
    assert ("is not allowed" in found["settings"][1]) == (owner == "12345x")


@pytest.mark.parametrize("variable, value", [
    ("ROLE_ARN", "arn:aws:iam::123456789012:role/reader"),
    ("AWS_APPCONFIG_EXTENSION_PROXY_URL", "http://proxy.example"),
    ("SHMCONF_POLL_INTERVAL", "0"),
    ("LOCAL_DEVELOPMENT_DIRECTORY", "/nonexistent"),
    ("LOCAL_DEVELOPMENT_DIRECTORY", "/dev/null"),
])
def test_doctor_says_which_setting_shmconfd_refuses(tmp_path, variable, value):
    found = diagnose(tmp_path, 1, SHMCONF_HTTP_PORT="1", **{variable: value})
    refusal = run("--check", env={variable: value}).stderr.removeprefix("shmconfd: ").rstrip()
    assert refusal.startswith((variable, value))
    assert found["settings"] == ("bad", f"shmconfd does not start with them: {refusal}")


def test_doctor_has_the_warnings_of_shmconfd(tmp_path):
    notes = [text for subject, state, text in
             lines_of(tmp_path, SHMCONF_HTTP_PORT="1", SHMCONF_OWNER="nobody", SHMCONF_LOOPS="epoll")
             if (subject, state) == ("settings", "note")]
    assert sorted(notes) == ["SHMCONF_LOOPS: unknown variable, did you mean SHMCONF_LOOP?",
                             'SHMCONF_OWNER: "nobody" is not allowed; allowed: a user id or any']


NEAR = "allowed: https, or http to loopback, 169.254.170.2, 169.254.170.23 or [fd00:ec2::23]"


@pytest.mark.parametrize("uri, refusal", [
    ("/v2/credentials", None),
    ("v2", "allowed: /path"),
    ("https://keys.example/x", None),
    ("http://localhost:1234/x", None),
    ("http://169.254.170.23/v1/credentials", None),
    ("http://[::1]:1234/x", None),
    ("http://keys.example/x", NEAR),
    ("http://127.0.0.1.keys.example/x", NEAR),
    ("http://127.0.0.1:word@keys.example/x", NEAR),
    ("http://[fd00:ec2::254]/x", NEAR),
    ("ftp://127.0.0.1/x", NEAR),
])
def test_doctor_says_of_a_containers_endpoint_what_shmconfd_does(tmp_path, uri, refusal):
    kind = "FULL" if "//" in uri else "RELATIVE"
    variable = f"AWS_CONTAINER_CREDENTIALS_{kind}_URI"
    daemons = run("--check", env={variable: uri, "AWS_REGION": "eu-west-1"})
    assert (daemons.returncode != 0) == (refusal is not None), daemons
    found = diagnose(tmp_path, refusal is not None, SHMCONF_HTTP_PORT="1", **{variable: uri})
    assert found["credentials"] == (
        ("bad", f"{variable}: keys are not fetched from there; {refusal}") if refusal else
        ("ok", f"{variable} names a container's endpoint, which is not asked"))


@pytest.mark.parametrize("variable, value", [
    ("AWS_ENDPOINT_URL", "foo"),
    ("AWS_ENDPOINT_URL_APPCONFIGDATA", "https://user@aws.example"),
    ("AWS_DEFAULT_REGION", "Ireland"),
    ("SERVICE_REGION", "moon-1"),
])
def test_doctor_says_which_endpoint_shmconfd_refuses(tmp_path, variable, value):
    env = {variable: value} if "REGION" in variable else {variable: value, "AWS_REGION": "eu-west-1"}
    found = diagnose(tmp_path, 1, SHMCONF_HTTP_PORT="1", **env)
    refusal = run("--check", env=env).stderr.removeprefix("shmconfd: ").rstrip()
    assert refusal.startswith(variable)
    assert found["AWS endpoint"] == ("bad", f"shmconfd does not start with it: {refusal}")
    assert "AWS region" not in found


def test_doctor_knows_when_aws_is_not_asked(tmp_path):
    found = diagnose(tmp_path, SHMCONF_HTTP_PORT="1", LOCAL_DEVELOPMENT_DIRECTORY=tmp_path,
                     AWS_ACCESS_KEY_ID="AKIA")
    assert found["credentials"] == ("ok", f"not needed: configurations come from {tmp_path}")
    assert "AWS region" not in found
    found = diagnose(tmp_path, SHMCONF_HTTP_PORT="1", SERVICE_REGION="eu-west-1")
    assert found["AWS region"] == ("ok", "eu-west-1")


def test_doctor_names_what_is_in_the_way(tmp_path):
    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    root = tmp_path / "region"
    root.mkdir(mode=0o777)
    root.chmod(0o777)
    server = http.server.HTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = str(server.server_address[1])
    try:
        found = diagnose(root / "none", 1, SHMCONF_HTTP_PORT=port, AWS_ACCESS_KEY_ID="AKIA")
    finally:
        server.shutdown()
        server.server_close()
    assert found["port"][0] == "bad" and "something else answers" in found["port"][1]
    assert found["credentials"][0] == "bad" and "AWS_SECRET_ACCESS_KEY" in found["credentials"][1]
    assert found["region"] == ("note", f"{root / 'none'} is not there: shmconfd makes it when it "
                                       "starts")
    assert found["AWS region"][0] == "note"
    found = diagnose(root / "none/below", 1, SHMCONF_HTTP_PORT="1")
    assert found["region"][0] == "bad" and "make the directory above" in found["region"][1]
    link = tmp_path / "link"
    link.symlink_to(root)
    found = diagnose(link, 1, SHMCONF_HTTP_PORT="1")
    assert found["region"][0] == "bad" and "symbolic link" in found["region"][1]


class Dripping(threading.Thread):
    """Listens, and answers a byte now and then; on the other loopback address on request."""

    def __init__(self, family=socket.AF_INET, host="127.0.0.1", answer=b"HTTP/1.0 200 OK\r\n"):
        super().__init__(daemon=True)
        self.listener = socket.create_server((host, 0), family=family)
        self.port = str(self.listener.getsockname()[1])
        self.answer = answer
        self.start()

    def run(self):
        client, _ = self.listener.accept()
        try:
            for byte in self.answer * 100:
                client.sendall(bytes([byte]))
                time.sleep(0.3)
        except OSError:
            pass  # it has had enough


def test_doctor_does_not_wait_for_who_answers_slowly(tmp_path):
    dripping = Dripping()
    begun = time.monotonic()
    found = diagnose(tmp_path, 1, SHMCONF_HTTP_PORT=dripping.port)
    assert "something else answers on 127.0.0.1" in found["port"][1]
    assert time.monotonic() - begun < 10  # of minutes


def test_doctor_asks_both_loopback_addresses(tmp_path):
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    dripping = Dripping(socket.AF_INET6, "::1")
    found = diagnose(tmp_path, 1, SHMCONF_HTTP_PORT=dripping.port)
    assert found["port"] == ("bad", f"something else answers on [::1]:{dripping.port}: end it "
                                    "(AWS's agent?), or set SHMCONF_HTTP_PORT")


def test_doctor_knows_a_daemon_that_readers_in_c_do_not_reach(tmp_path):
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with Daemon(tmp_path, env={"SHMCONF_HTTP_HOST": "::1"}) as daemon:
        found = diagnose(daemon.root, SHMCONF_HTTP_PORT=str(daemon.port))
        assert found["port"] == ("note", f"shmconfd answers on [::1]:{daemon.port} only: "
                                         "shmconf_request asks 127.0.0.1")


@pytest.mark.parametrize("more, asked", [({}, 2772), ({"SHMCONF_HTTP_PORT": "1"}, None),
                                         ({"AWS_APPCONFIG_EXTENSION_HTTP_PORT": "1"}, None),
                                         ({"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"}, None)])
def test_doctor_tells_of_a_port_that_readers_do_not_look_at(tmp_path, more, asked):
    told = [text for _, _, text in lines_of(tmp_path, None, HTTP_PORT="28772", **more)
            if "readers do not look at" in text]
    assert told == ([f"shmconfd takes 28772 from HTTP_PORT, which readers do not look at: set "
                     f"SHMCONF_HTTP_PORT as well, or they ask {asked}"] if asked else [])


@pytest.mark.parametrize("options, state, text", [
    ("size=64m", "ok", "64 MiB are free in"),
    ("size=8m", "note", "8 MiB are free in"),
    ("size=64k", "bad", "0 MiB are free in"),
    ("size=64m,nr_inodes=1", "bad", "it has no inodes left"),
    ("ro", "bad", "is read-only: set SHMCONF_DIR"),
])
def test_doctor_looks_at_the_disk(tmp_path, need_mounts, options, state, text):
    mount = tmp_path / "mount"
    mount.mkdir()
    script = f'mount -t tmpfs -o {options} none "{mount}" && exec "$@"'
    found = diagnose(mount / "region", state == "bad", SHMCONF_HTTP_PORT="1",
                     wrapper=["unshare", "-m", "sh", "-c", script, "sh"])
    assert found["disk"][0] == state and text in found["disk"][1]


def test_doctor_tells_files_that_cannot_be_made_from_those_without_a_name(tmp_path):
    file = tmp_path / "file"
    file.touch()
    found = diagnose(file / "region", 1, SHMCONF_HTTP_PORT="1")
    assert found["files"] == ("note", f"no file can be made in {file}: Not a directory; shmconfd's "
                                      "user must be able to")


def test_doctor_lets_readers_have_a_region_that_is_read_only(region, need_mounts):
    """As in a container of readers; where nobody holds it shmconfd is still to come."""
    script = f'mount --bind -o ro "{region.root}" "{region.root}" && exec "$@"'
    readers = {"SHMCONF_HTTP_PORT": "1", "wrapper": ["unshare", "-m", "sh", "-c", script, "sh"]}
    assert diagnose(region.root, **readers)["disk"] == (
        "note", f"{region.root} is read-only here, which is enough for readers")
    region.publisher.close()
    assert diagnose(region.root, 1, **readers)["disk"] == (
        "bad", f"{region.root} is read-only: set SHMCONF_DIR to where one may write")


@pytest.mark.parametrize("value", ["http", "0", "65536", "8080x", "-1"])
def test_doctor_names_a_port_that_is_none(tmp_path, value):
    done = subprocess.run([SHMCAT, "doctor"], capture_output=True, text=True, check=False,
                          env=environment(tmp_path, SHMCONF_HTTP_PORT=value), timeout=DEADLINE_S)
    assert done.returncode == 1
    assert f'SHMCONF_HTTP_PORT: "{value}" is not allowed; allowed: 1 to 65535' in done.stdout


@pytest.mark.parametrize("call", ["io_uring_setup", "io_uring_enter"])
def test_doctor_says_what_the_daemon_will_find_of_io_uring(tmp_path, call):
    done = subprocess.run([program("seccomp_deny", False), "1", call, "--", SHMCAT, "doctor"],
                          env=environment(tmp_path), capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False)
    assert re.search(r"^note +io_uring +not allowed here; shmconfd uses epoll", done.stdout, re.M)


def test_doctor_doubts_a_date_before_its_own(tmp_path):
    found = diagnose(tmp_path, 1, SHMCONF_HTTP_PORT="1",
                     **faketime(FAKETIME="@2025-12-31 23:00:00", FAKETIME_DONT_FAKE_MONOTONIC="1"))
    assert found["clocks"][0] == "bad" and "date is before 2026" in found["clocks"][1]


def test_doctor_tells_of_few_descriptors(tmp_path):
    found = diagnose(tmp_path, SHMCONF_HTTP_PORT="1",
                     wrapper=["sh", "-c", 'ulimit -n 256 && exec "$@"', "sh"])
    assert found["descriptors"] == ("note", "ulimit -n is 256: shmconfd keeps few HTTP connections; "
                                            "raise it to 1024")


def test_doctor_text_is_a_line_each(region):
    done = region.run("doctor", SHMCONF_HTTP_PORT="1")
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 11
    assert all(re.match(r"(ok|note|BAD) +(AWS )?[a-z_]+ +\S", line) for line in lines)
