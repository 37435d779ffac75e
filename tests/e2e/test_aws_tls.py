# SPDX-License-Identifier: Apache-2.0
"""Over TLS only a server whose certificate a trusted authority has signed is talked to."""
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from daemon import run, url  # noqa: E402
from fake_daemon import NAME, make_aws, message  # noqa: E402
from test_aws_tokens import keep_session  # noqa: E402

ONE = '{"limit": 1}'


def openssl(directory, *arguments):
    subprocess.run(["openssl", *map(str, arguments)], cwd=directory, check=True,
                   capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A private authority and what it signed: for 127.0.0.1, and for another host."""
    path = tmp_path_factory.mktemp("certificates")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for name in ("ca", "other-ca"):
        openssl(path, "req", "-x509", *curve, "-keyout", f"{name}.key", "-out", f"{name}.pem",
                "-subj", f"/CN={name}", "-days", "2")
    for name, alternative in (("right", "IP:127.0.0.1,DNS:localhost"),
                              ("elsewhere", "DNS:appconfigdata.eu-west-1.amazonaws.com")):
        openssl(path, "req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", f"/CN={name}")
        (path / f"{name}.ext").write_text(f"subjectAltName={alternative}\n")
        openssl(path, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile", f"{name}.ext")
    return path


@pytest.fixture
def right(tmp_path, backend, certificates):
    yield from make_aws(tmp_path, backend,
                        tls=(certificates / "right.pem", certificates / "right.key"))


@pytest.fixture
def elsewhere(tmp_path, backend, certificates):
    yield from make_aws(tmp_path, backend,
                        tls=(certificates / "elsewhere.pem", certificates / "elsewhere.key"))


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


def test_a_private_authority_is_refused_when_not_named(right):
    refuse(right)


def test_another_authority_is_refused(right, certificates):
    refuse(right, AWS_CA_BUNDLE=certificates / "other-ca.pem")


def test_the_certificate_of_another_host_is_refused(elsewhere, certificates):
    refuse(elsewhere, AWS_CA_BUNDLE=certificates / "ca.pem")


def test_a_bundle_that_is_missing_is_named(right, tmp_path):
    right.fake.put(NAME, ONE)
    result = run(env={**right.environment(AWS_CA_BUNDLE=tmp_path / "missing.pem"),
                      "SHMCONF_DIR": tmp_path / "region", "SHMCONF_HTTP_PORT": "0"},
                 timeout=5)
    assert result.returncode == 3, result
    assert "AWS_CA_BUNDLE" in result.stderr and "missing.pem" in result.stderr


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
