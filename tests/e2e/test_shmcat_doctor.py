# SPDX-License-Identifier: Apache-2.0
"""shmcat doctor."""
import http.server
import json
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from daemon import Daemon, program
from shmcat_region import DEADLINE_S, SHMCAT, environment, running_region  # noqa: F401


def diagnose(root, status=0, wrapper=(), **changes):
    """What doctor says: {subject: (state, text)}."""
    changes = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_REGION": "",
               "AWS_DEFAULT_REGION": "", **changes}
    done = subprocess.run([*wrapper, SHMCAT, "doctor", "--json"], env=environment(root, **changes),
                          capture_output=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == status, done
    return {row["subject"]: (row["state"], row["text"]) for row in json.loads(done.stdout)}


def test_doctor_of_a_running_daemon(tmp_path):
    with Daemon(tmp_path) as daemon:
        found = diagnose(daemon.root, SHMCONF_HTTP_PORT=str(daemon.port), AWS_REGION="eu-west-1",
                         AWS_ACCESS_KEY_ID="AKIA", AWS_SECRET_ACCESS_KEY="hunter2")
        assert found["daemon"] == ("ok", f"process {daemon.pid} holds the region")
        assert found["port"] == ("ok", f"shmconfd answers on {daemon.port}")
        assert found["credentials"][0] == found["AWS region"][0] == found["disk"][0] == "ok"
        assert "hunter2" not in str(found)


def test_doctor_knows_a_stopped_daemon(tmp_path):
    with Daemon(tmp_path) as daemon:
        daemon.send(signal.SIGSTOP)
        found = diagnose(daemon.root, 1, SHMCONF_HTTP_PORT=str(daemon.port))
        daemon.send(signal.SIGCONT)
        assert found["daemon"] == ("bad", f"process {daemon.pid} holds the region and is stopped: "
                                          f"kill -CONT {daemon.pid}")
        state, text = found["port"]  # the last of the two addresses
        assert state == "bad" and f":{daemon.port} gives no answer: it is stopped or busy" in text


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


def test_doctor_text_is_a_line_each(region):
    done = region.run("doctor", SHMCONF_HTTP_PORT="1")
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 10
    assert all(re.match(r"(ok|note|BAD) +(AWS )?[a-z_]+ +\S", line) for line in lines)
