# SPDX-License-Identifier: Apache-2.0
"""shmconfd on a fake of AppConfig Data, for tests/e2e/test_aws*.py.

    def test_something(aws):
        aws.fake.put(NAME, "{}")
        with aws.daemon() as daemon:
            assert daemon.get(url(NAME)).status == 200
        assert aws.fake.calls(NAME).starts == 1

The fixture `aws` asserts at its end that no rule of the service was broken.
"""
import concurrent.futures
import contextlib
import http.client
import json
import socket

import pytest

from daemon import Daemon, Response, url
from fake import Fake

NAME = "Shop:Prod:Limits"

# Nothing of the machine's own that an SDK would look at.
ISOLATION = {name: None for upper in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
             for name in (upper, upper.lower())}
ISOLATION |= {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nonexistent",
              "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
              "SHMCONF_LOCAL_DEVELOPMENT_DIRECTORY": None}


class Aws:
    """A fake, and daemons that use it."""

    def __init__(self, fake, path, backend):
        self.fake = fake
        self.path = path
        self.backend = backend

    def environment(self, **more):
        return {**ISOLATION, "AWS_ENDPOINT_URL_APPCONFIGDATA": self.fake.url,
                "AWS_REGION": self.fake.region, "AWS_ACCESS_KEY_ID": self.fake.key_id,
                "AWS_SECRET_ACCESS_KEY": self.fake.secret,
                "AWS_SESSION_TOKEN": self.fake.session_token, **more}

    def daemon(self, args=(), start=True, **environment):
        """A Daemon; what is asked for in capitals goes over the variables of its environment."""
        return Daemon(self.path, self.backend, env=self.environment(**environment), args=args,
                      start=start)

    def quick(self, **environment):
        """A Daemon that polls each second, which the fake is told to allow."""
        self.fake.poll_interval_s = 1
        return self.daemon(SHMCONF_POLL_INTERVAL="1", **environment)


def make_aws(path, backend, **options):
    """A generator for a fixture with a fake of other options."""
    with Fake(**options) as fake:
        yield Aws(fake, path, backend)


@pytest.fixture
def aws(tmp_path, backend):
    yield from make_aws(tmp_path, backend)


def get_all(daemon, names, threads=50, timeout=20):
    """The Responses to requests for all of `names`, on `threads` connections at a time."""
    def get_some(share):
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=timeout)
        found = []
        for name in share:
            connection.request("GET", url(name))
            found.append(Response(connection, "GET", url(name)))
        connection.close()
        return found
    shares = [names[i::threads] for i in range(min(threads, len(names)))]
    with concurrent.futures.ThreadPoolExecutor(len(shares)) as pool:
        return [response for share in pool.map(get_some, shares) for response in share]


@contextlib.contextmanager
def deaf(fake, accepts):
    """Nobody answers at the fake's address: not even the connection is made, or that alone is."""
    fake.down()
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(contextlib.closing(fake.server.bound(fake.port)))
        listener.listen(64 if accepts else 0)
        for _ in range(0 if accepts else 4):  # more than fit: what comes then is not looked at
            client = stack.enter_context(contextlib.closing(socket.socket()))
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", fake.port))
        yield
    fake.up()


def message(response):
    """The Message of an error, which every one has."""
    assert response.headers["Content-Type"] == "application/json", response
    text = json.loads(response.body)["Message"]
    assert text
    return text
