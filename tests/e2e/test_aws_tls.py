# SPDX-License-Identifier: Apache-2.0
"""Over TLS only a server whose certificate a trusted authority has signed is talked to."""
import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import run, url, wait_until  # noqa: E402
from fake_daemon import NAME, make_aws, message  # noqa: E402
from test_aws_tokens import keep_session  # noqa: E402
from virtual_clock import WallClock  # noqa: E402

ONE = '{"limit": 1}'
HOST = "appconfigdata.eu-west-1.amazonaws.com"


def openssl(directory, *arguments):
    subprocess.run(["openssl", *map(str, arguments)], cwd=directory, check=True,
                   capture_output=True, timeout=60)


def curve(name):
    return "-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{name}"


def make_authority(path, name, *kind):
    openssl(path, "req", "-x509", *kind, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem",
            "-subj", f"/CN={name}", "-days", "2")


def sign(path, authority, name, alternative, *options):
    """A certificate `name` for the hosts of `alternative`."""
    openssl(path, "req", *curve("P-256"), "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
            "-subj", f"/CN={name}")
    (path / f"{name}.ext").write_text(f"subjectAltName={alternative}\n")
    openssl(path, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey",
            f"{authority}.key", "-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile",
            f"{name}.ext", *options)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A private authority and what it signed: for 127.0.0.1, and for another host."""
    path = tmp_path_factory.mktemp("certificates")
    make_authority(path, "ca", *curve("P-256"))
    make_authority(path, "other-ca", *curve("P-256"))
    sign(path, "ca", "right", "IP:127.0.0.1,DNS:localhost")
    sign(path, "ca", "elsewhere", f"DNS:{HOST}")
    return path


@pytest.fixture
def right(tmp_path, backend, certificates):
    yield from make_aws(tmp_path, backend,
                        tls=(certificates / "right.pem", certificates / "right.key"))


@pytest.fixture
def elsewhere(tmp_path, backend, certificates):
    for aws in make_aws(tmp_path, backend,
                        tls=(certificates / "elsewhere.pem", certificates / "elsewhere.key")):
        aws.fake.hosts.append(HOST)
        yield aws


def refuse(aws, **environment):
    """The daemon does not get as far as a request, and says why."""
    aws.fake.put(NAME, ONE)
    with aws.daemon(**environment) as daemon:
        response = daemon.get(url(NAME))
        assert response.status == 502, response
        assert "certificate" in message(response).lower()
        assert "certificate" in daemon.log().lower()
    assert aws.fake.calls().starts == 0


def test_a_private_authority_is_trusted_when_named(right, certificates):
    right.fake.put(NAME, ONE)
    with right.quick(AWS_CA_BUNDLE=certificates / "ca.pem") as daemon:
        daemon.assert_backend()
        assert daemon.get(url(NAME)).text == ONE
        right.fake.wait_calls(lambda calls: calls.gets == 2)
        right.fake.put(NAME, "x" * (4 << 20))
        daemon.wait_body(NAME, "x" * (4 << 20))
    assert right.fake.calls().starts == 1 and right.fake.notes["handshake_failures"] == 0


# As Amazon's are: the key's kind, and the hash of what it signs.
AUTHORITIES = {"RSA": (("-newkey", "rsa:2048"), "-sha256"), "P-256": (curve("P-256"), "-sha256"),
               "P-384": (curve("P-384"), "-sha384")}


@pytest.mark.parametrize("kind", AUTHORITIES)
def test_an_authority_may_have_a_key_like_any_of_amazons(tmp_path, backend, kind):
    key, digest = AUTHORITIES[kind]
    make_authority(tmp_path, "ca", *key, digest)
    sign(tmp_path, "ca", "server", "IP:127.0.0.1", digest)
    for aws in make_aws(tmp_path, backend, tls=(tmp_path / "server.pem", tmp_path / "server.key")):
        aws.fake.put(NAME, ONE)
        with aws.daemon(AWS_CA_BUNDLE=tmp_path / "ca.pem") as daemon:
            assert daemon.get(url(NAME)).text == ONE
        assert aws.fake.notes["handshake_failures"] == 0


def test_a_new_connection_goes_on_with_the_session_of_an_old_one(right, certificates):
    """Which saves both sides most of the handshake's arithmetic."""
    right.fake.put(NAME, ONE)
    with right.quick(AWS_CA_BUNDLE=certificates / "ca.pem") as daemon:
        assert daemon.get(url(NAME)).text == ONE
        for number in range(3):
            gets = right.fake.calls().gets
            right.fake.drop_connections()
            right.fake.put(NAME, f'"{number}"')
            right.fake.wait_calls(lambda calls: calls.gets > gets)
            daemon.wait_body(NAME, f'"{number}"')
            assert right.fake.notes["resumed_sessions"] == number + 1
        assert daemon.count_log(" ERROR ") == 0, daemon.log()
    assert right.fake.notes["handshake_failures"] == 0


def test_a_restored_snapshot_begins_a_session_of_its_own(right, certificates, tmp_path):
    """Copies of it have nothing in common. Another wall clock, and the same monotonic one, is what
    a restored one sees."""
    clock = WallClock(tmp_path / "clock")
    fake = right.fake
    fake.put(NAME, ONE)
    with right.quick(AWS_CA_BUNDLE=certificates / "ca.pem", SHMCONF_PREFETCH_LIST=NAME,
                     **clock.environment()) as daemon:
        for turn in (1, 2):
            gets = fake.calls().gets
            fake.wait_calls(lambda calls: calls.gets > gets)
            time.sleep(0.2)  # nothing is under way, and will not be for the rest of a second
            daemon.send(signal.SIGSTOP)
            fake.skew_s = 600 * turn
            clock.write(f"+{fake.skew_s}")
            daemon.send(signal.SIGCONT)
            wait_until(lambda: daemon.count_log("the wall clock jumped") == turn)
            gets = fake.calls().gets
            fake.wait_calls(lambda calls: calls.gets > gets)
            assert fake.notes["resumed_sessions"] == turn - 1
            gets = fake.calls().gets
            fake.drop_connections()
            fake.wait_calls(lambda calls: calls.gets > gets)
            assert fake.notes["resumed_sessions"] == turn


NAMES = [f"Shop:Prod:C{i}" for i in range(6)]


def start_with_six(aws, certificates):
    for name in NAMES:
        aws.fake.put(name, ONE)
    return aws.quick(AWS_CA_BUNDLE=certificates / "ca.pem", SHMCONF_PREFETCH_LIST=",".join(NAMES))


def test_at_the_start_one_connection_is_made_before_the_others(right, certificates):
    """Which then go on with its session. On a machine that is busy or emulated the first call may
    take longer than the others wait."""
    fake = right.fake
    fake.fault(operation="get", delay=0.05, times=None)  # so that there is something for three to do
    for _ in range(5):
        resumed, gets = fake.notes["resumed_sessions"], fake.calls().gets
        with start_with_six(right, certificates) as daemon:
            fake.wait_calls(lambda calls: calls.gets >= gets + 6)
            for name in NAMES:
                assert daemon.get(url(name)).text == ONE
        if fake.notes["resumed_sessions"] == resumed + 2:
            break
        shutil.rmtree(daemon.root)
    else:
        raise AssertionError(dict(fake.notes))
    assert fake.most_connections == 3


def test_at_the_start_a_slow_answer_holds_up_nobody(right, certificates):
    slow = right.fake.fault(stall="request")
    with start_with_six(right, certificates) as daemon:
        right.fake.wait_calls(lambda calls: calls.gets == 5)
        slow.release()
        for name in NAMES:
            assert daemon.get(url(name)).text == ONE
        assert daemon.count_log(" ERROR ") == 0, daemon.log()


def test_a_private_authority_is_refused_when_not_named(right):
    refuse(right)


def test_another_authority_is_refused(right, certificates):
    refuse(right, AWS_CA_BUNDLE=certificates / "other-ca.pem")


def test_the_certificate_of_another_host_is_refused(elsewhere, certificates):
    refuse(elsewhere, AWS_CA_BUNDLE=certificates / "ca.pem")


@pytest.mark.parametrize("bundle", ["missing.pem", "directory.pem", "pipe.pem"])
def test_a_bundle_that_is_missing_or_none_is_named(right, tmp_path, bundle):
    (tmp_path / "directory.pem").mkdir()
    os.mkfifo(tmp_path / "pipe.pem")
    right.fake.put(NAME, ONE)
    result = run(env={**right.environment(AWS_CA_BUNDLE=tmp_path / bundle),
                      "SHMCONF_DIR": tmp_path / "region", "SHMCONF_HTTP_PORT": "0"},
                 timeout=5)
    assert result.returncode == 3, result
    assert "AWS_CA_BUNDLE" in result.stderr and bundle in result.stderr


def test_a_handshake_that_nobody_answers_keeps_the_session(right, certificates):
    keep_session(right, accepts=True, AWS_CA_BUNDLE=certificates / "ca.pem")


def test_a_plain_server_where_tls_is_expected_is_a_failure(tmp_path, backend):
    for plain in make_aws(tmp_path, backend):
        plain.fake.put(NAME, ONE)
        address = plain.fake.url.replace("http:", "https:")
        with plain.daemon(AWS_ENDPOINT_URL_APPCONFIGDATA=address,
                          SHMCONF_REQUEST_TIMEOUT="500ms") as daemon:
            assert daemon.get(url(NAME)).status in (502, 504)
        assert plain.fake.calls().starts == 0


# ---- AWS's own names ----------------------------------------------------------------------------

@pytest.fixture
def private(tmp_path, certificates):
    """What runs a daemon where HOST is this machine and the system's bundle is the private authority
    (or, with `bundle`, another one)."""
    def wrapper(bundle="ca.pem"):
        hosts = tmp_path / "hosts"
        hosts.write_text(f"127.0.0.1 {HOST}\n")
        script = (f'mount --bind "{hosts}" /etc/hosts && mount --bind "{certificates / bundle}" '
                  '/etc/ssl/certs/ca-certificates.crt && exec "$@"')
        return ["unshare", "-m", "sh", "-c", script, "sh"]
    return wrapper


def handshake_failures(fake):
    """Their number once the daemon has ended: the fake is done with every connection then."""
    wait_until(lambda: not fake.server.connections)
    return fake.notes["handshake_failures"]


def test_for_aws_itself_the_built_in_roots_come_first_and_then_the_bundle(
        elsewhere, private, need_mounts):
    aws = elsewhere
    aws.fake.put(NAME, ONE)
    address = f"https://{HOST}:{aws.fake.port}"
    daemon = aws.daemon(start=False, AWS_ENDPOINT_URL_APPCONFIGDATA=address)
    daemon.command = [*private(), *daemon.command]
    with daemon:
        daemon.start()
        assert daemon.get(url(NAME)).text == ONE
        assert daemon.count_log("trusting Amazon's roots") == 1
        assert daemon.count_log("WARN .*/etc/ssl/certs/ca-certificates.crt decides") == 1
        assert daemon.get(url(NAME.replace("Limits", "None"))).status == 404
    assert handshake_failures(aws.fake) == 1  # of the built-in ones, once for all
    assert aws.fake.calls(NAME).starts == 1


def test_what_neither_vouches_for_is_refused(elsewhere, private, need_mounts):
    aws = elsewhere
    daemon = aws.daemon(start=False,
                        AWS_ENDPOINT_URL_APPCONFIGDATA=f"https://{HOST}:{aws.fake.port}")
    daemon.command = [*private("other-ca.pem"), *daemon.command]
    with daemon:
        daemon.start()
        response = daemon.get(url(NAME))
        assert response.status == 502 and "certificate" in message(response).lower()
        told = message(response)
        assert "AWS_CA_BUNDLE" in told and "\\n" not in told and "\n" not in told
    assert handshake_failures(aws.fake) == 2 and aws.fake.calls().starts == 0


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_bundle_that_was_named_is_the_only_one(elsewhere, private, certificates, need_mounts,
                                                 variable):
    aws = elsewhere
    aws.fake.put(NAME, ONE)
    address = f"https://{HOST}:{aws.fake.port}"
    daemon = aws.daemon(start=False, AWS_ENDPOINT_URL_APPCONFIGDATA=address,
                        **{variable: certificates / "ca.pem"})
    daemon.command = [*private("other-ca.pem"), *daemon.command]
    with daemon:
        daemon.start()
        assert daemon.get(url(NAME)).text == ONE
    assert handshake_failures(aws.fake) == 0


def test_the_built_in_roots_are_amazons():
    """By the SHA-256 fingerprints that Amazon Trust Services publishes."""
    path = Path(__file__).resolve().parents[2] / "daemon" / "upstream" / "amazon_roots.pem"
    found = []
    for certificate in path.read_text().split("-----END CERTIFICATE-----\n")[:-1]:
        der = base64.b64decode("".join(certificate.splitlines()[1:]))
        found.append(hashlib.sha256(der).hexdigest())
    assert found == [
        "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
        "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
        "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
        "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
        "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5"]
