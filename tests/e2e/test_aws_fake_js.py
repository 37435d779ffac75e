# SPDX-License-Identifier: Apache-2.0
"""The fake of AppConfig Data is honest: the AWS SDK for JavaScript gets along with it as well."""
import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daemon import clean_environment

TESTS = Path(__file__).resolve().parents[1]
PACKAGES = TESTS.parent / "build" / "tools" / "npm" / "node_modules"
sys.path.insert(0, str(TESTS / "fakes" / "appconfig"))
from fake import DAY_S, Fake  # noqa: E402

NAME = "Shop:Prod:Limits"

if not shutil.which("node"):
    pytest.skip("there is no node; tests/deps --all installs it", allow_module_level=True)
if not (PACKAGES / "@aws-sdk" / "client-appconfigdata").is_dir():
    pytest.skip("there is no @aws-sdk/client-appconfigdata; tests/deps --all installs it",
                allow_module_level=True)


class Refused(Exception):
    """The SDK threw: `error` is what it made of the service's answer."""

    def __init__(self, error):
        super().__init__(error)
        self.error = error


class Client:
    """A client of the SDK in a process of its own, which keeps its connections."""

    def __init__(self, fake, credentials=None, **more):
        configuration = {
            "endpoint": fake.url, "region": fake.region, "maxAttempts": 1,
            "credentials": {"accessKeyId": fake.key_id, "secretAccessKey": fake.secret,
                            "sessionToken": fake.session_token, **(credentials or {})}, **more}
        environment = clean_environment(
            NODE_PATH=PACKAGES, AWS_EC2_METADATA_DISABLED="true",
            AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null")
        program = Path(__file__).with_name("appconfigdata_client.js")
        self.process = subprocess.Popen(
            ["node", program, json.dumps(configuration)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def call(self, operation, **members):
        """The whole reply; raises Refused."""
        self.process.stdin.write(json.dumps({"operation": operation, "input": members}) + "\n")
        self.process.stdin.flush()
        reply = json.loads(self.process.stdout.readline())
        if "error" in reply:
            raise Refused(reply["error"])
        return reply

    def start(self, name=NAME, **more):
        parts = name.split(":")
        reply = self.call("StartConfigurationSession", ApplicationIdentifier=parts[0],
                          EnvironmentIdentifier=parts[1], ConfigurationProfileIdentifier=parts[2],
                          **more)
        assert reply["status"] == 201
        return reply["answer"]["InitialConfigurationToken"]

    def get(self, token):
        reply = self.call("GetLatestConfiguration", ConfigurationToken=token)
        assert reply["status"] == 200
        answer = reply["answer"]
        # An empty body is null there, neither bytes nor left out.
        answer["Configuration"] = base64.b64decode(answer["Configuration"] or "")
        return answer

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(20) == 0
        self.process.stdout.close()


@pytest.fixture
def fake():
    with Fake() as running:
        running.put(NAME, '{"limit": 1}', label="first")
        yield running


@pytest.fixture
def connect(fake):
    """Makes clients of the fake that end with the test."""
    clients = []

    def make(**more):
        clients.append(Client(fake, **more))
        return clients[-1]
    yield make
    for client in clients:
        client.close()


def refused(call, name, status):
    """What the SDK threw, which is one of its own classes where the service's model has it."""
    with pytest.raises(Refused) as caught:
        call()
    error = caught.value.error
    assert (error["name"], error["status"]) == (name, status)
    assert error["is_from_service"] and error["is_within_model"]
    return error


def kinds(fake):
    return [breach.kind for breach in fake.take_breaches()]


def problem(error):
    assert error["is_modeled"] and error["Reason"] == "InvalidParameters"
    return error["Details"]["InvalidParameters"]["ConfigurationToken"]["Problem"]


# ---- Cycles -------------------------------------------------------------------------------------


def test_a_session_brings_content_then_nothing_then_news(fake, connect):
    client = connect()
    first = client.get(client.start())
    assert first.pop("NextPollConfigurationToken")
    assert first == {"Configuration": b'{"limit": 1}', "ContentType": "application/json",
                     "VersionLabel": "first", "NextPollIntervalInSeconds": 60}
    fake.put(NAME, "plain text", content_type="text/plain; charset=utf-8", label="second")
    token = client.start()
    first = client.get(token)
    fake.advance(60)
    same = client.get(first["NextPollConfigurationToken"])
    assert same["Configuration"] == b"" and "VersionLabel" not in same
    assert same["NextPollIntervalInSeconds"] == 60
    fake.put(NAME, bytes(range(256)), content_type="application/octet-stream")
    fake.advance(60)
    news = client.get(same["NextPollConfigurationToken"])
    assert (news["Configuration"], news["ContentType"]) == \
        (bytes(range(256)), "application/octet-stream")
    assert "VersionLabel" not in news
    assert vars(fake.calls(NAME)) == {"starts": 2, "gets": 4, "billed_starts": 2, "billed_gets": 4,
                                      "received": 3}
    assert fake.most_connections == 1


def test_the_promised_interval_is_announced_and_enforced(fake, connect):
    client = connect()
    answer = client.get(client.start(RequiredMinimumPollIntervalInSeconds=15))
    assert answer["NextPollIntervalInSeconds"] == 15
    token = answer["NextPollConfigurationToken"]
    error = refused(lambda: client.get(token), "BadRequestException", 400)
    assert error["message"] == "Request too early"
    assert problem(error) == "PollIntervalNotSatisfied"
    assert kinds(fake) == ["early"]
    fake.advance(15)
    assert client.get(token)["Configuration"] == b""


def test_the_longest_token_goes_back_and_forth(fake, connect):
    fake.token_length = 8192
    client = connect()
    token = client.get(client.start())["NextPollConfigurationToken"]
    assert len(token) == 8192 and "+" in token and "/" in token
    fake.advance(60)
    assert client.get(token)["Configuration"] == b""


def test_names_of_any_characters_arrive(fake, connect):
    name = 'Größe "1"/+%20:Prod\\:😀 &='
    fake.put(name, "{}")
    client = connect()
    assert client.get(client.start(name))["Configuration"] == b"{}"
    assert fake.calls(name).received == 1


# ---- Errors -------------------------------------------------------------------------------------


def test_a_token_is_good_once_and_for_a_day(fake, connect):
    client = connect()
    token = client.start()
    following = client.get(token)["NextPollConfigurationToken"]
    error = refused(lambda: client.get(token), "BadRequestException", 400)
    assert (problem(error), error["message"]) == ("Corrupted", "Token not valid")
    assert kinds(fake) == ["token"]
    fake.advance(DAY_S)
    error = refused(lambda: client.get(following), "BadRequestException", 400)
    assert (problem(error), error["message"]) == ("Expired", "Configuration token has expired")


@pytest.mark.parametrize("promise", [14, 86401])
def test_a_promise_out_of_range_is_refused(fake, connect, promise):
    client = connect()
    error = refused(lambda: client.start(RequiredMinimumPollIntervalInSeconds=promise),
                    "BadRequestException", 400)
    assert error["is_modeled"]
    assert kinds(fake) == ["request"]


@pytest.mark.parametrize("name, kind", [
    ("Other:Prod:Limits", "Application"), ("Shop:Prod:Other", "ConfigurationProfile"),
    ("Shop:Other:Limits", "Environment"), ("abc1234:def1234:ghi1234", "Deployment")])
def test_what_is_missing_is_named(connect, name, kind):
    client = connect()
    error = refused(lambda: client.start(name), "ResourceNotFoundException", 404)
    assert error["is_modeled"] and error["ResourceType"] == kind
    members = ("ApplicationIdentifier", "EnvironmentIdentifier", "ConfigurationProfileIdentifier")
    assert error["ReferencedBy"] == dict(zip(members, name.split(":")))


@pytest.mark.parametrize("error, name, status, is_modeled, message", [
    ("throttled", "ThrottlingException", 429, True, "Rate exceeded"),
    ("internal", "InternalServerException", 500, True, "Internal server error"),
    ("internal_empty", "InternalServerException", 500, True, None),
    ("bad_request", "BadRequestException", 400, True, "Invalid request"),
    ("denied", "AccessDeniedException", 403, False, None),
    ("expired_credentials", "ExpiredTokenException", 403, False,
     "The security token included in the request is expired")])
@pytest.mark.parametrize("operation", ["start", "get"])
def test_errors_are_of_the_sdks_own_classes(fake, connect, operation, error, name, status,
                                            is_modeled, message):
    client = connect()
    token = client.start()
    fake.fault(error=error)
    call = client.start if operation == "start" else lambda: client.get(token)
    thrown = refused(call, name, status)
    assert thrown["is_modeled"] == is_modeled
    assert thrown["fault"] == ("server" if status == 500 else "client")
    assert message is None or thrown["message"] == message
    call()  # once only, and the token was not touched


@pytest.mark.parametrize("error", ["throttled", "internal", "bad_gateway", "unavailable"])
def test_what_may_be_tried_again_is_tried_again(fake, connect, error):
    client = connect(maxAttempts=3)
    token = client.start()
    fault = fake.fault(operation="get", error=error)
    reply = client.call("GetLatestConfiguration", ConfigurationToken=token)
    assert reply["attempts"] == 2 and fault.hits == 1
    assert vars(fake.calls(NAME)) == {"starts": 1, "gets": 2, "billed_starts": 1, "billed_gets": 1,
                                      "received": 1}


@pytest.mark.parametrize("error", ["bad_request", "denied", "no_profile"])
def test_what_is_final_is_asked_once(fake, connect, error):
    client = connect(maxAttempts=3)
    fake.fault(operation="start", error=error)
    with pytest.raises(Refused) as caught:
        client.start()
    assert caught.value.error["attempts"] == 1 and fake.calls(NAME).starts == 1


@pytest.mark.parametrize("more, name, kind", [
    ({"credentials": {"secretAccessKey": "wrong"}}, "InvalidSignatureException", "signature"),
    ({"region": "us-east-1"}, "InvalidSignatureException", "signature"),
    ({"credentials": {"accessKeyId": "AKIAUNKNOWN"}}, "UnrecognizedClientException", "credentials"),
    ({"credentials": {"sessionToken": None}}, "UnrecognizedClientException", "credentials")])
def test_only_the_right_signature_is_let_in(fake, connect, more, name, kind):
    client = connect(**more)
    refused(client.start, name, 403)
    assert kinds(fake) == [kind]


@pytest.mark.parametrize("skew", [3600, -3600])
def test_the_date_of_a_refusal_sets_the_sdks_clock(fake, connect, skew):
    fake.skew_s = skew
    client = connect(maxAttempts=2)
    assert client.get(client.start())["Configuration"] == b'{"limit": 1}'
    assert kinds(fake) == ["skew"]
    assert fake.calls().starts == 2 and fake.calls().gets == 1
