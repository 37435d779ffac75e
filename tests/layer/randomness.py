#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The keys of the layer's TLS connections come from the kernel alone, each time anew.

A restored snapshot is a copy of the daemon's memory: a random generator in there would give each
copy the same keys. So shmconfd runs with a kernel whose random bytes are always the same: then its
connections have to begin alike, byte by byte, or something in its memory took part. With the real
kernel no two of them do. What has a generator of its own must be found so: the ordinary daemon is
one, by OpenSSL.

    tests/layer/randomness.py SHMCONFD SAME_RANDOM ORDINARY_SHMCONFD
"""
import contextlib
import os
import socket
import struct
import subprocess
import sys
import tempfile

NAMES = "Shop:Prod:A,Shop:Prod:B,Shop:Prod:C"  # so that there are three connections
KEY_SHARE = 0x33


def receive(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        assert part, "the connection ended in the middle of its ClientHello"
        data += part
    return data


def client_hello(connection):
    """Its body, behind the version: random, session, cipher suites, compression, extensions."""
    kind, _, size = struct.unpack("!BHH", receive(connection, 5))
    record = receive(connection, size)
    assert kind == 22 and record[0] == 1, "this is no ClientHello"
    return record[6:]


def key_share(hello):
    at = 32                                              # the random
    at += 1 + hello[at]                                  # session
    at += 2 + int.from_bytes(hello[at:at + 2], "big")    # cipher suites
    at += 1 + hello[at]                                  # compression
    at += 2                                              # the extensions' size
    while at < len(hello):
        kind, size = struct.unpack("!HH", hello[at:at + 4])
        if kind == KEY_SHARE:
            return hello[at + 4:at + 4 + size]
        at += 4 + size
    raise AssertionError("no key share: this is not TLS 1.3")


@contextlib.contextmanager
def daemon(command, port, folder):
    environment = {
        "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL_APPCONFIGDATA": f"https://127.0.0.1:{port}", "SHMCONF_DIR": folder,
        "SHMCONF_HTTP_PORT": "0", "SHMCONF_LOOP": "epoll", "SHMCONF_PREFETCH_LIST": NAMES}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.terminate()
        log = process.communicate(timeout=20)[1].decode(errors="replace")
        if process.returncode == 77:
            print("SKIP", log)
            sys.exit(77)
        if sys.exc_info()[0]:
            print(log)


def hellos(command):
    """The first messages of three connections of one process."""
    with socket.create_server(("127.0.0.1", 0)) as server, tempfile.TemporaryDirectory() as folder:
        server.settimeout(20)
        with daemon(command, server.getsockname()[1], os.path.join(folder, "region")):
            found = []
            for _ in range(3):
                with server.accept()[0] as connection:
                    connection.settimeout(20)
                    found.append(client_hello(connection))
            return found


def different(command):
    """How many different randoms and key shares three connections have."""
    found = hellos(command)
    return {"randoms": len({hello[:32] for hello in found}),
            "key shares": len(set(map(key_share, found)))}


def main():
    shmconfd, same_random, ordinary = sys.argv[1:]
    real, same = different([shmconfd]), different([same_random, shmconfd])
    print(f"three connections have different ones: {real}, with the same random bytes: {same}")
    assert set(real.values()) == {3}, "they repeat"
    assert set(same.values()) == {1}, "some come from the process's memory"
    found = different([same_random, ordinary])
    print(f"found: a generator in the process's memory: {found}")
    assert set(found.values()) == {3}, "a generator of the process's own is not found"


if __name__ == "__main__":
    main()
