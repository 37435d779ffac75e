# SPDX-License-Identifier: Apache-2.0
"""For a while: freezes, and every fault at random."""
import os
import random
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import wait_until  # noqa: E402
from fake_daemon import aws, get_all  # noqa: E402,F401
from test_aws_clocks import freeze  # noqa: E402
from test_aws_many import share_three_connections  # noqa: E402

SECONDS = float(os.environ.get("SHMCONF_TEST_SECONDS", "40"))

FAULTS = [{"error": "throttled"}, {"error": "internal"}, {"error": "internal_empty"},
          {"error": "bad_gateway"}, {"error": "denied"}, {"error": "too_early"},
          {"error": "corrupted"}, {"error": "expired"}, {"error": "no_deployment"},
          {"error": "bad_request"}, {"delay": 0.2}, {"delay": 0.7}, {"stall": "request"},
          {"stall": "headers"}, {"stall": "body"}, {"reset_at": "accept"}, {"reset_at": "request"},
          {"reset_at": "request", "lost": True}, {"reset_at": "head"}, {"reset_at": "headers"},
          {"reset_at": "body"}, {"cut": 0}, {"cut": 1000}, {"drip": (500, 0.05)}, {"chunked": 100},
          {"cut": 700, "chunked": 100}, {"connection": "close"}, {"raw": b"garbage"}, {"raw": b""}]


def test_1000_configurations_share_three_connections_without_starving(aws):
    share_three_connections(aws, 1000, 120)


def test_two_hundred_freezes_are_survived(aws):
    freeze(aws, 200)


def test_every_fault_at_random_leaves_whole_versions_in_order(aws):
    names = [f"Shop:Prod:C{i}" for i in range(12)]
    count = dict.fromkeys(names, 0)
    seen = dict.fromkeys(names, -1)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)

    def text(name, number):
        return f"{number} {name} " + f"{number % 10}" * 5000

    for name in names:
        aws.fake.put(name, text(name, 0), content_type="text/plain")

    def look(daemon):
        for name, response in zip(names, get_all(daemon, names, threads=1)):
            if response.status == 200:
                number = int(response.text.split()[0])
                assert response.text == text(name, number), (name, len(response.body))
                assert seen[name] <= number <= count[name]
                seen[name] = number
            else:
                assert seen[name] < 0, (name, response)

    aws.fake.idle_s = 0.5
    with aws.quick(SHMCONF_PREFETCH_LIST=",".join(names),
                   SHMCONF_REQUEST_TIMEOUT="500ms") as daemon:
        descriptors = len(daemon.descriptors())
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if len([fault for fault in aws.fake.faults if fault.left]) < 6:
                aws.fake.fault(name=chance.choice(names),
                               operation=chance.choice(["start", "get", "get", None]),
                               **chance.choice(FAULTS))
            if chance.random() < 0.3:
                name = chance.choice(names)
                count[name] += 1
                aws.fake.put(name, text(name, count[name]), content_type="text/plain")
            if chance.random() < 0.02:
                aws.fake.expire_tokens()
            look(daemon)
            time.sleep(0.03)
        aws.fake.clear_faults()
        wait_until(lambda: look(daemon) or seen == count, timeout=90, every=0.1)
        assert len(daemon.descriptors()) <= descriptors + 6
    calls = aws.fake.calls()
    assert calls.gets <= len(names) * (SECONDS + 60) * 1.5
