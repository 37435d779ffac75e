# SPDX-License-Identifier: Apache-2.0
"""The fake of AppConfig Data is honest: boto3 gets along with it, and it notices every breach."""
import email.utils
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path

import pytest

boto3 = pytest.importorskip("boto3")
from botocore.auth import SigV4Auth  # noqa: E402
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

FAKE = Path(__file__).resolve().parents[1] / "fakes" / "appconfig"
sys.path.insert(0, str(FAKE))
from fake import DAY_S, Fake  # noqa: E402

NAME = "Shop:Prod:Limits"


@pytest.fixture
def fake():
    with Fake(connections_max=None) as running:
        running.put(NAME, '{"limit": 1}', label="first")
        yield running


def make_client(fake, **more):
    values = {"endpoint_url": fake.url, "region_name": fake.region,
              "aws_access_key_id": fake.key_id, "aws_secret_access_key": fake.secret,
              "aws_session_token": fake.session_token, **more}
    return boto3.session.Session().client(
        "appconfigdata", config=Config(retries={"total_max_attempts": 1}, read_timeout=5), **values)


def start(client, name=NAME, **more):
    parts = name.split(":")
    return client.start_configuration_session(
        ApplicationIdentifier=parts[0], EnvironmentIdentifier=parts[1],
        ConfigurationProfileIdentifier=parts[2], **more)["InitialConfigurationToken"]


def get(client, token):
    answer = client.get_latest_configuration(ConfigurationToken=token)
    answer["Configuration"] = answer["Configuration"].read()
    return answer


def label(answer):
    """From the header: the models of older releases do not know it."""
    return answer["ResponseMetadata"]["HTTPHeaders"].get("version-label")


def check_against_model(client, operation, response):
    """Status, members and enumerations are those that the service's model has."""
    shapes = client.meta.service_model.operation_model(operation).error_shapes
    shape = {one.name: one for one in shapes}[response["Error"]["Code"]]
    status = response["ResponseMetadata"]["HTTPStatusCode"]
    assert status == shape.metadata["error"]["httpStatusCode"]
    members = set(response) - {"Error", "ResponseMetadata"}
    assert members <= set(shape.members)
    for member in members:
        allowed = getattr(shape.members[member], "enum", None)
        assert not allowed or response[member] in allowed
    for problem in response.get("Details", {}).get("InvalidParameters", {}).values():
        details = shape.members["Details"].members["InvalidParameters"].value
        assert problem["Problem"] in details.members["Problem"].enum


def refused(client, call, code, operation="GetLatestConfiguration"):
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"]["Code"] == code
    if hasattr(client.exceptions, code):
        check_against_model(client, operation, caught.value.response)
    return caught.value.response


def problem(response):
    assert response["Reason"] == "InvalidParameters"
    return response["Details"]["InvalidParameters"]["ConfigurationToken"]["Problem"]


# ---- Cycles -------------------------------------------------------------------------------------


def test_a_session_brings_content_then_nothing_then_news(fake):
    client = make_client(fake)
    first = get(client, start(client))
    assert (first["Configuration"], first["ContentType"], label(first)) == \
        (b'{"limit": 1}', "application/json", "first")
    assert first["NextPollIntervalInSeconds"] == 60
    fake.advance(60)
    same = get(client, first["NextPollConfigurationToken"])
    assert same["Configuration"] == b"" and label(same) is None
    fake.put(NAME, '{"limit": 2}', content_type="text/plain")
    fake.advance(60)
    news = get(client, same["NextPollConfigurationToken"])
    assert (news["Configuration"], news["ContentType"]) == (b'{"limit": 2}', "text/plain")
    assert vars(fake.calls(NAME)) == {"starts": 1, "gets": 3, "billed_starts": 1, "billed_gets": 3,
                                      "received": 2}


def test_the_promised_interval_is_announced_and_enforced(fake):
    client = make_client(fake)
    answer = get(client, start(client, RequiredMinimumPollIntervalInSeconds=15))
    assert answer["NextPollIntervalInSeconds"] == 15
    fake.advance(14)
    token = answer["NextPollConfigurationToken"]
    response = refused(client, lambda: get(client, token), "BadRequestException")
    assert response["Message"] == "Request too early"
    assert problem(response) == "PollIntervalNotSatisfied"
    assert [breach.kind for breach in fake.take_breaches()] == ["early"]
    fake.advance(1.1)
    assert get(client, token)["Configuration"] == b""  # the token is as good as before


@pytest.mark.parametrize("promise", [14, 86401])
def test_a_promise_out_of_range_is_refused(fake, promise):
    raw_start(fake, promise, 400)  # boto3 does not send such a one
    assert [breach.kind for breach in fake.take_breaches()] == ["request"]


def test_tokens_look_like_the_real_ones(fake):
    client = make_client(fake)
    token = start(client)
    following = get(client, token)["NextPollConfigurationToken"]
    assert (len(token), len(following)) == (836, 876)
    for text in (token, following):
        assert "+" in text and "/" in text and "=" in text


def test_a_token_is_good_once_and_for_a_day(fake):
    client = make_client(fake)
    token = start(client)
    following = get(client, token)["NextPollConfigurationToken"]
    response = refused(client, lambda: get(client, token), "BadRequestException")
    assert problem(response) == "Corrupted"
    assert [breach.kind for breach in fake.take_breaches()] == ["token"]
    refused(client, lambda: get(client, "dW5rbm93bg=="), "BadRequestException")
    assert [breach.kind for breach in fake.take_breaches()] == ["token"]
    fake.advance(DAY_S)
    assert problem(refused(client, lambda: get(client, following), "BadRequestException")) == \
        "Expired"


def test_a_token_whose_answer_was_lost_is_spent(fake):
    client = make_client(fake)
    token = start(client)
    fake.fault(operation="get", reset_at="request", lost=True)
    with pytest.raises(Exception, match="(?i)connection"):
        get(client, token)
    response = refused(client, lambda: get(client, token), "BadRequestException")
    assert problem(response) == "Corrupted"
    assert [breach.kind for breach in fake.take_breaches()] == ["token"]
    assert fake.calls(NAME).billed_gets == 1


# ---- Errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, kind", [
    ("Other:Prod:Limits", "Application"), ("Shop:Prod:Other", "ConfigurationProfile"),
    ("Shop:Other:Limits", "Environment"), ("Shop:Prod:Planned", "Deployment"),
    ("abc1234:def1234:ghi1234", "Deployment")])
def test_what_is_missing_is_named(fake, name, kind):
    fake.put("Shop:Prod:Planned", None)
    client = make_client(fake)
    response = refused(client, lambda: start(client, name), "ResourceNotFoundException",
                       "StartConfigurationSession")
    assert response["ResourceType"] == kind
    assert response["ReferencedBy"]["ApplicationIdentifier"] == name.split(":")[0]


@pytest.mark.parametrize("error, code, status", [
    ("throttled", "ThrottlingException", 429), ("internal", "InternalServerException", 500),
    ("internal_empty", "InternalServerException", 500), ("denied", "AccessDeniedException", 403),
    ("bad_request", "BadRequestException", 400), ("expired", "BadRequestException", 400),
    ("corrupted", "BadRequestException", 400), ("too_early", "BadRequestException", 400),
    ("no_environment", "ResourceNotFoundException", 404), ("bad_gateway", "502", 502),
    ("expired_credentials", "ExpiredTokenException", 403)])
@pytest.mark.parametrize("operation", ["StartConfigurationSession", "GetLatestConfiguration"])
def test_injected_errors_are_those_of_the_model(fake, operation, error, code, status):
    client = make_client(fake)
    token = start(client)
    fake.fault(error=error)
    call = (lambda: start(client)) if operation.startswith("Start") else lambda: get(client, token)
    response = refused(client, call, code, operation)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
    call()  # once only, and the token was not touched
    assert vars(fake.calls())["received"] == (0 if operation.startswith("Start") else 1)


def test_the_rate_is_limited(fake):
    fake.rate_max = 2
    client = make_client(fake)
    for _ in range(2):
        get(client, start(client))
    token = start(client)
    refused(client, lambda: get(client, token), "ThrottlingException")
    fake.advance(2)
    assert get(client, token)["Configuration"]


@pytest.mark.parametrize("more, code, kind", [
    ({"aws_secret_access_key": "wrong"}, "InvalidSignatureException", "signature"),
    ({"region_name": "us-east-1"}, "InvalidSignatureException", "signature"),
    ({"aws_access_key_id": "AKIAUNKNOWN"}, "UnrecognizedClientException", "credentials"),
    ({"aws_session_token": "wrong"}, "UnrecognizedClientException", "credentials"),
    ({"aws_session_token": None}, "UnrecognizedClientException", "credentials")])
def test_only_the_right_signature_is_let_in(fake, more, code, kind):
    client = make_client(fake, **more)
    response = refused(client, lambda: start(client), code)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert [breach.kind for breach in fake.take_breaches()] == [kind]


@pytest.mark.parametrize("skew, text", [(3600, "Signature expired"), (-3600, "not yet current"),
                                        (290, None), (-290, None)])
def test_clocks_may_differ_by_five_minutes(fake, skew, text):
    fake.skew_s = skew
    client = make_client(fake)
    if not text:
        start(client)
        return
    response = refused(client, lambda: start(client), "InvalidSignatureException")
    assert text in response["Error"]["Message"]
    assert [breach.kind for breach in fake.take_breaches()] == ["skew"]
    date = response["ResponseMetadata"]["HTTPHeaders"]["date"]
    ahead = email.utils.parsedate_to_datetime(date).timestamp() - time.time()
    assert abs(ahead - skew) < 60


# ---- Breaches -----------------------------------------------------------------------------------


def sign(fake, method, target, body=b"", headers=None, sign_target=None):
    """The headers of a request that botocore's signer signs, as the service reads the target."""
    request = AWSRequest(method=method, url=fake.url + (sign_target or target), data=body or None,
                         headers=headers or {})
    SigV4Auth(Credentials(fake.key_id, fake.secret, fake.session_token), "appconfig",
              fake.region).add_auth(request)
    return dict(request.headers.items())


def exchange(fake, method, target, body=b"", headers=None, sign_target=None, connection=None):
    connection = connection or http.client.HTTPConnection("127.0.0.1", fake.port, timeout=10)
    connection.request(method, target, body=body or None,
                       headers=sign(fake, method, target, body, headers, sign_target))
    response = connection.getresponse()
    return response, response.read()


def session_body(promise=None, **more):
    members = {"ApplicationIdentifier": "Shop", "EnvironmentIdentifier": "Prod",
               "ConfigurationProfileIdentifier": "Limits", **more}
    if promise is not None:
        members["RequiredMinimumPollIntervalInSeconds"] = promise
    return json.dumps(members).encode()


JSON = {"Content-Type": "application/json"}


def raw_start(fake, promise=None, status=201):
    response, body = exchange(fake, "POST", "/configurationsessions", session_body(promise), JSON)
    assert response.status == status
    return json.loads(body).get("InitialConfigurationToken")


def poll_path(token):
    return "/configuration?configuration_token=" + urllib.parse.quote(token, safe="-_.~")


def kinds(fake):
    return [breach.kind for breach in fake.take_breaches()]


def test_escaping_that_only_some_accept_is_a_breach(fake):
    token = raw_start(fake)
    right = poll_path(token)
    lower = right.replace("%2B", "%2b").replace("%2F", "%2f").replace("%3D", "%3d")
    response, _ = exchange(fake, "GET", lower, sign_target=right)
    assert response.status == 200 and kinds(fake) == ["escaping"]

    token = raw_start(fake)
    response, _ = exchange(fake, "GET", poll_path(token).replace("%2F", "/"),
                           sign_target=poll_path(token))
    assert response.status == 200 and kinds(fake) == ["escaping"]

    token = raw_start(fake)  # a raw '+' is a space there: neither signature nor token fit
    response, _ = exchange(fake, "GET", "/configuration?configuration_token=" + token,
                           sign_target=poll_path(token))
    assert response.status == 403 and kinds(fake) == ["escaping", "signature"]


@pytest.mark.parametrize("method, path, body, headers, expected", [
    ("GET", "/configurationsessions", b"", {}, ["method"]),
    ("POST", "/configuration", b"", {}, ["method"]),
    ("GET", "/elsewhere", b"", {}, ["path"]),
    ("POST", "/configurationsessions", session_body(), {}, ["headers"]),
    ("POST", "/configurationsessions", b"{", JSON, ["request"]),
    ("POST", "/configurationsessions", session_body(More=1), JSON, ["request"]),
    ("POST", "/configurationsessions", session_body(ApplicationIdentifier="x" * 129), JSON,
     ["request"])])
def test_a_request_of_another_shape_is_a_breach(fake, method, path, body, headers, expected):
    exchange(fake, method, path, body, headers)
    assert kinds(fake) == expected


def test_two_polls_of_one_session_at_once_are_a_breach(fake):
    token = raw_start(fake)
    stalled = fake.fault(operation="get", stall="request")
    thread = threading.Thread(target=exchange, args=(fake, "GET", poll_path(token)))
    thread.start()
    fake.wait_calls(lambda calls: calls.gets == 1)
    response, _ = exchange(fake, "GET", poll_path(token))
    assert response.status == 400 and kinds(fake) == ["parallel", "token"]
    stalled.release()
    thread.join()


def test_connections_are_counted_until_the_client_closes_them(fake):
    fake.connections_max = 2
    held = []
    for _ in range(2):
        held.append(http.client.HTTPConnection("127.0.0.1", fake.port))
        exchange(fake, "POST", "/configurationsessions", session_body(), JSON, connection=held[-1])
    held.pop().close()
    raw_start(fake)
    assert fake.breaches == []
    held += [http.client.HTTPConnection("127.0.0.1", fake.port) for _ in range(2)]
    for connection in held:
        exchange(fake, "POST", "/configurationsessions", session_body(), JSON,
                 connection=connection)
    assert kinds(fake) == ["connections"]
    for connection in held:
        connection.close()


# ---- Faults -------------------------------------------------------------------------------------


def raw_poll(fake, timeout=5):
    """What a plain socket gets for a poll, and whether the end was a reset."""
    target = poll_path(raw_start(fake))
    lines = [f"GET {target} HTTP/1.1", f"Host: 127.0.0.1:{fake.port}"]
    lines += [f"{name}: {value}" for name, value in sign(fake, "GET", target).items()]
    with socket.create_connection(("127.0.0.1", fake.port), timeout) as client:
        parts = []
        try:
            client.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            while part := client.recv(1 << 16):
                parts.append(part)
            end = "closed"
        except ConnectionError:
            end = "reset"
        except TimeoutError:
            end = "open"
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    return head, body, end


@pytest.mark.parametrize("fault, has_head, size, end", [
    ({"cut": 100}, True, 100, "closed"), ({"cut": 0}, True, 0, "closed"),
    ({"reset_at": "request"}, False, 0, "reset"), ({"reset_at": "head"}, False, 0, "reset"),
    ({"reset_at": "headers"}, None, 0, "reset"), ({"reset_at": "body"}, True, 500, "reset"),
    ({"connection": "close"}, True, 1000, "closed"), ({"raw": b"nonsense"}, False, 0, "closed"),
    ({"stall": "headers"}, True, 0, "open"), ({"stall": "body"}, True, 500, "open"),
    ({"stall": "request"}, False, 0, "open"),
    ({"drip": [100, 0.01], "connection": "close"}, True, 1000, "closed")])
def test_faults_go_wrong_where_they_say(fake, fault, has_head, size, end):
    fake.put(NAME, b"x" * 1000)
    fake.fault(operation="get", **fault)
    head, body, was = raw_poll(fake, timeout=0.3)
    assert was == end
    assert len(body) == size
    if has_head is not None:
        assert head.startswith(b"HTTP/1.1 200 OK") == has_head or fault.get("reset_at") == "head"


def test_chunks_bytes_and_sizes_of_an_answer_can_be_chosen(fake):
    client = make_client(fake)
    fake.put(NAME, b"y" * 1000)
    fake.fault(operation="get", chunked=7)
    assert get(client, start(client))["Configuration"] == b"y" * 1000
    fake.fault(operation="get", body_is=b"z" * (17 << 20))
    assert len(get(client, start(client))["Configuration"]) == 17 << 20


def test_faults_are_for_one_configuration_and_some_calls(fake):
    fake.put("Shop:Prod:Other", "{}")
    client = make_client(fake)
    fault = fake.fault(name=NAME, operation="start", error="throttled", times=2)
    start(client, "Shop:Prod:Other")
    for _ in range(2):
        refused(client, lambda: start(client), "ThrottlingException", "StartConfigurationSession")
    start(client)
    assert fault.hits == 2


def test_idle_connections_are_closed(fake):
    fake.idle_s = 0.05
    connection = http.client.HTTPConnection("127.0.0.1", fake.port, timeout=5)
    exchange(fake, "POST", "/configurationsessions", session_body(), JSON, connection=connection)
    assert connection.sock.recv(1) == b""
    connection.close()


def test_down_refuses_and_up_has_the_same_port(fake):
    client = make_client(fake)
    fake.down()
    with pytest.raises(Exception, match="(?i)connect"):
        start(client)
    fake.up()
    start(client)
    fault = fake.fault(reset_at="accept", times=None)
    with pytest.raises(ConnectionError):
        raw_start(fake)
    fake.clear_faults()
    assert fault.hits == 1


# ---- As a program -------------------------------------------------------------------------------


def control(port, call, values=()):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("POST", "/_control", json.dumps({"call": call, "with": values}))
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def test_the_program_is_controlled_over_http():
    process = subprocess.Popen([sys.executable, str(FAKE / "fake.py"), "--port", "0"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = int(process.stdout.readline())
        assert control(port, "put", {"name": NAME, "content": {"base64": "e30="}})[0] == 200
        assert control(port, "fault", {"error": "throttled"})[0] == 200
        assert control(port, "nothing")[0] == 400

        class Remote:
            url, region = f"http://127.0.0.1:{port}", "eu-west-1"
            from fake import KEY_ID as key_id, SECRET as secret, SESSION_TOKEN as session_token
        client = make_client(Remote)
        refused(client, lambda: start(client), "ThrottlingException", "StartConfigurationSession")
        assert get(client, start(client))["Configuration"] == b"{}"
        state = control(port, "set", {"poll_interval_s": 1})[1]
        assert state["calls"][NAME] == {"starts": 2, "gets": 1, "billed_starts": 1,
                                        "billed_gets": 1, "received": 1}
        assert state["breaches"] == [] and state["connections"] <= 1
    finally:
        process.terminate()
        assert process.wait(10) == 0
        process.stdout.close()
