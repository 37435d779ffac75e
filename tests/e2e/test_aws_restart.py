# SPDX-License-Identifier: Apache-2.0
"""The end of a daemon, and what its successor goes on with: what was followed, and no more."""
import concurrent.futures
import contextlib
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import HEAD_BOOT_ID, Daemon, Reader, place, run, url, wait_until  # noqa: E402
from fake import Fake  # noqa: E402
from fake_daemon import NAME, Aws, aws, get_all, message  # noqa: E402,F401
from virtual_clock import VirtualClock, daemon_on  # noqa: E402

ONE = '{"limit": 1}'
TWO = '{"limit": 2}'
OTHER = "Shop:Prod:Other"
DAY = 86400
POLL = 45  # the default interval


def numbers(calls):
    """StartConfigurationSession, GetLatestConfiguration, and how often content was received."""
    return calls.starts, calls.gets, calls.received


def asked_for(aws, names, **environment):
    """A daemon that was asked for these and has ended."""
    for name in names:
        aws.fake.put(name, ONE)
    daemon = aws.daemon(**environment)
    with daemon:
        for name in names:
            assert daemon.get(url(name)).text == ONE
    return daemon


# ---- What is followed on ------------------------------------------------------------------------


def test_what_was_only_asked_for_is_followed_by_the_successor(aws):
    aws.fake.poll_interval_s = 1
    daemon = asked_for(aws, [NAME], SHMCONF_POLL_INTERVAL="1")
    aws.fake.put(NAME, TWO)
    with daemon, Reader(daemon.root, NAME) as reader:
        assert reader.wait_text(TWO)["generation"] == 2
    calls = aws.fake.calls()
    assert (calls.starts, calls.received) == (2, 2)


def test_its_check_comes_when_the_predecessor_had_planned_it(aws):
    """With a new session it will bring the content once more, so an earlier one would only cost."""
    aws.fake.poll_interval_s = 5
    daemon = asked_for(aws, [NAME], SHMCONF_POLL_INTERVAL="5", SHMCONF_PREFETCH_LIST=OTHER)
    aws.fake.put(NAME, TWO)
    with Reader(daemon.root, NAME) as reader:
        due_s = reader("status")["next_ns"] / 1e9
        with daemon:
            aws.fake.put(OTHER, ONE)
            daemon.wait_body(OTHER, ONE)
            text = daemon.get(url(NAME)).text
            if time.time() < due_s:  # else this machine stood still
                assert text == ONE and numbers(aws.fake.calls(NAME)) == (1, 1, 1)
            reader.wait_text(TWO)
            assert time.time() >= due_s
            assert reader("status")["next_ns"] / 1e9 >= due_s + 5
    assert aws.fake.calls(NAME).starts == 2 and aws.fake.calls(NAME).received == 2


def test_a_shorter_interval_counts_from_the_restart_on(aws):
    aws.fake.poll_interval_s = 1
    daemon = asked_for(aws, [NAME], SHMCONF_POLL_INTERVAL="3600")
    aws.fake.put(NAME, TWO)
    daemon.environment["SHMCONF_POLL_INTERVAL"] = "1"
    with daemon, Reader(daemon.root, NAME) as reader:
        reader.wait_text(TWO)
    assert numbers(aws.fake.calls(NAME))[0] == 2


def test_what_has_lost_its_version_is_fetched_at_once(aws):
    daemon = asked_for(aws, [NAME], SHMCONF_POLL_INTERVAL="3600")
    (place(daemon.root, NAME) / "v00000001").unlink()
    with daemon, Reader(daemon.root, NAME) as reader:
        assert reader.wait_text(ONE)["generation"] == 2
        daemon.wait_log(f"WARN {NAME}: its version 1 in the region is damaged or was removed")
    assert aws.fake.calls(NAME).received == 2


def test_after_a_power_cut_the_newest_whole_version_is_there_until_it_is_fetched(aws):
    """Nothing is synced to the disk: of two versions the first one was written out."""
    daemon = asked_for(aws, [NAME], SHMCONF_POLL_INTERVAL="1")
    aws.fake.poll_interval_s = 1
    aws.fake.put(NAME, TWO)
    with daemon:
        daemon.wait_body(NAME, TWO)
    directory = place(daemon.root, NAME)
    with open(directory / "head", "r+b") as head:
        head.seek(HEAD_BOOT_ID)
        head.write(b"an earlier boot.")
    (directory / "v00000002").chmod(0o600)
    (directory / "v00000002").write_bytes(b"")
    aws.fake.fault(times=None, error="internal")
    with Reader(daemon.root, NAME) as reader:
        for _ in range(2):
            with daemon:
                assert reader.wait_text(ONE)["generation"] == 4
                assert daemon.get(url(NAME)).text == ONE
                assert daemon.count_log(f"WARN {NAME}: not all of it in the region came to") == 1
        aws.fake.clear_faults()
        with daemon:
            reader.wait_text(TWO)


def test_also_where_the_region_was_made_anew_meanwhile(aws):
    aws.fake.put(NAME, ONE)
    daemon = aws.quick()
    with daemon:
        daemon.wait_body(NAME, ONE)
        shutil.rmtree(daemon.root)
        daemon.wait_log("made it anew")
        with Reader(daemon.root, NAME) as reader:
            assert reader("wait", 20000)["rc"] == 0
    aws.fake.put(NAME, TWO)
    with daemon, Reader(daemon.root, NAME) as reader:
        reader.wait_text(TWO)


# ---- What is not --------------------------------------------------------------------------------


def assert_is_left_alone(aws, daemon, name):
    """Nobody asks the service for it while OTHER is polled three times, also after a restart."""
    before = numbers(aws.fake.calls(name))
    aws.fake.put(OTHER, ONE)
    for _ in range(2):
        polls = aws.fake.calls(OTHER).gets
        with daemon, Reader(daemon.root, name) as reader:
            aws.fake.wait_calls(lambda calls: calls.gets >= polls + 3, OTHER)
            assert reader("enter")["text"] == ONE
    assert numbers(aws.fake.calls(name)) == before


def test_what_a_local_directory_left_is_no_name_of_the_services(aws):
    with Daemon(aws.path, aws.backend) as local:
        local.put(f"{NAME}.json", ONE)
        local.wait_body(NAME, ONE)
    daemon = aws.quick(SHMCONF_PREFETCH_LIST=OTHER)
    assert_is_left_alone(aws, daemon, NAME)
    aws.fake.put(NAME, TWO)
    with daemon:  # but who asks for it gets it
        daemon.wait_body(NAME, TWO)
    aws.fake.put(NAME, ONE)
    with daemon, Reader(daemon.root, NAME) as reader:
        reader.wait_text(ONE)


def test_what_another_service_left_is_no_name_of_this_ones(aws):
    with Fake() as fake:
        asked_for(Aws(fake, aws.path, aws.backend), [NAME])
    assert_is_left_alone(aws, aws.quick(SHMCONF_PREFETCH_LIST=OTHER), NAME)


def test_once_fetches_what_is_named_and_nothing_of_the_region(aws):
    aws.fake.poll_interval_s = 1
    asked_for(aws, [NAME], SHMCONF_POLL_INTERVAL="1")
    aws.fake.put(OTHER, ONE)
    aws.fake.fault(name=OTHER, operation="get", delay=1.5)  # NAME's check becomes due
    result = run("--once", OTHER, env={**aws.environment(), "SHMCONF_DIR": aws.path / "region"})
    assert result.returncode == 0, result
    assert numbers(aws.fake.calls(NAME)) == (1, 1, 1)


def test_a_name_has_the_place_of_one_that_nobody_asked_for_since(aws):
    names = [f"Shop:Prod:C{i}" for i in range(6)]
    daemon = asked_for(aws, names[:4], SHMCONF_MAX_CONFIGURATIONS="4")
    aws.fake.put(names[4], ONE)
    aws.fake.put(names[5], ONE)
    daemon.environment["SHMCONF_MAX_CONFIGURATIONS"] = "3"
    with daemon:
        assert daemon.count_log(r"3 configurations of the region are followed on") == 1
        assert daemon.count_log(r"1 more are not, beyond SHMCONF_MAX_CONFIGURATIONS") == 1
        for name in (names[3], names[4], names[5]):  # the first of these is one of the three
            assert daemon.get(url(name)).text == ONE
        assert daemon.count_log(f"{names[2]}.*followed no longer") == 1
        assert daemon.count_log(f"{names[1]}.*followed no longer") == 1
        assert daemon.count_log("followed no longer") == 2
        response = daemon.get(url(names[0]))
        assert response.status == 500 and "MAX_CONFIGURATIONS" in message(response)
        assert {one.status for one in get_all(daemon, names[3:])} == {200}
    assert numbers(aws.fake.calls()) == (6, 6, 6)


def test_the_prefetch_list_has_its_places_first(aws):
    daemon = asked_for(aws, [NAME, OTHER], SHMCONF_MAX_CONFIGURATIONS="2")
    aws.fake.put("Shop:Prod:Listed", ONE)
    daemon.environment["SHMCONF_PREFETCH_LIST"] = "Shop:Prod:Listed"
    with daemon:
        daemon.wait_body("Shop:Prod:Listed", ONE)
        assert daemon.count_log(r"\b1 configurations of the region are followed on") == 1


# ---- In virtual time ----------------------------------------------------------------------------


@contextlib.contextmanager
def in_virtual_time(path, backend):
    clock = VirtualClock(path / "clock")
    with Fake(clock=clock) as fake:
        yield clock, Aws(fake, path, backend)


def once(aws, *names):
    environment = {**aws.environment(**aws.fake.clock.environment()),
                   "SHMCONF_DIR": aws.path / "region"}
    result = run("--once", *names, env=environment)
    assert result.returncode == 0, result


@pytest.mark.parametrize("pause_s, is_followed", [(DAY, True), (DAY + 3 * POLL, False)])
def test_what_was_not_checked_for_a_day_before_the_end_is_not_followed(
        tmp_path, backend, pause_s, is_followed):
    """Of two, NAME alone is fetched again after `pause_s`. How long there is no daemon after that
    does not matter."""
    with in_virtual_time(tmp_path, backend) as (clock, aws):
        aws.fake.put(NAME, ONE)
        aws.fake.put(OTHER, ONE)
        once(aws, NAME, OTHER)
        clock.advance(pause_s)
        once(aws, NAME)
        clock.advance(10 * DAY)
        with daemon_on(clock, aws) as daemon, Reader(daemon.root, NAME) as one, \
                Reader(daemon.root, OTHER) as other:
            for seconds in (1, POLL, POLL):
                clock.advance(seconds)
                assert daemon.get("/ping").status == 200
                for reader in (one, other) if is_followed else (one,):
                    wait_until(lambda: reader("status")["next_ns"] > clock.daemon_ns())
            assert numbers(aws.fake.calls(NAME)) == (3, 5, 3)
            assert numbers(aws.fake.calls(OTHER)) == ((2, 4, 2) if is_followed else (1, 1, 1))


def test_what_is_late_is_checked_by_and_by_and_at_once_where_asked_for(tmp_path, backend):
    """After an hour without a daemon 40 checks are late: one each 100 ms, the first at once."""
    names = [f"Shop:Prod:C{i}" for i in range(40)]
    with in_virtual_time(tmp_path, backend) as (clock, aws):
        for name in names:
            aws.fake.put(name, ONE)
        once(aws, *names)
        clock.advance(3600)
        for name in names:
            aws.fake.put(name, TWO)
        with daemon_on(clock, aws, SHMCONF_FRESH_WAIT_MS="20000",
                       SHMCONF_REQUEST_TIMEOUT="60s") as daemon:
            def settled():
                return aws.fake.calls().gets - 40
            wait_until(lambda: settled() == 1)
            clock.advance(1)
            assert daemon.get("/ping").status == 200
            wait_until(lambda: settled() == 11)
            unasked = [name for name in names if aws.fake.calls(name).gets == 1]
            assert len(unasked) == 29
            assert daemon.get(url(unasked[-1])).text == TWO
            assert settled() == 12
            for most in (21, 31, 40):
                clock.advance(1)
                assert daemon.get("/ping").status == 200
                wait_until(lambda: settled() >= most)
            for name in names:
                daemon.wait_body(name, TWO)
        assert numbers(aws.fake.calls()) == (80, 80, 80)


# ---- The end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_waits_for_a_first_fetch_is_told_that_the_daemon_ends(aws, number):
    aws.fake.put(NAME, ONE)
    stalled = aws.fake.fault(operation="get", stall="request")
    with aws.daemon() as daemon, concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(daemon.get, url(NAME))
        wait_until(lambda: stalled.hits)
        daemon.send(number)
        response = answer.result()
        assert response.status == 503 and "shutting down" in message(response)
        assert response.headers["Connection"] == "close"
        assert daemon.wait_end() == 0
