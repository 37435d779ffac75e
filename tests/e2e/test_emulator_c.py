# SPDX-License-Identifier: Apache-2.0
"""The example function in C: what of Lambda's API it meets seldom."""
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("botocore")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes" / "appconfig"))
from emulated import Function  # noqa: E402
from fake import Fake  # noqa: E402

NAME = "Shop:Prod:Users"


@pytest.fixture
def fake():
    with Fake() as service:
        service.put(NAME, "[1]")
        yield service


@pytest.mark.parametrize("chunk", [1, 100, 1 << 20])
def test_an_event_may_come_in_chunks(tmp_path, fake, chunk):
    event = {"text": "x" * 1000 + "\r\n0\r\n\r\n"}
    with Function(tmp_path, fake, "c", NAME, plain=True,
                  options=["--event-chunk", str(chunk)]) as function:
        for _ in range(3):
            status, answer = function.try_invoke(json.dumps(event))
            assert status == 200 and isinstance(answer, dict), (status, answer)
            assert (answer["configuration"], answer["event"]) == ([1], event)


def test_lambda_is_told_that_it_cannot_start_and_why(tmp_path, fake):
    with Function(tmp_path, fake, "c", NAME, plain=True, APP_NAME="") as function:
        status, answer = function.try_invoke()
        assert (status, answer["errorType"]) == (502, "Sandbox.Failure")
        assert "runtime says that init failed" in answer["errorMessage"]
        assert "APP_NAME, ENV_NAME or PROFILE_NAME is missing" in answer["errorMessage"]


@pytest.mark.parametrize("content, kind", [("users: []", "application/x-yaml"),
                                           ("[1", "application/json")])
def test_what_is_no_json_fails_the_invocation_with_the_reason(tmp_path, fake, content, kind):
    fake.put(NAME, content, content_type=kind)
    with Function(tmp_path, fake, "c", NAME, plain=True) as function:
        status, answer = function.try_invoke()
        assert (status, answer["errorType"]) == (200, "Function.Failed")
        assert answer["errorMessage"] == \
            f"the configuration is no JSON, its type is {kind}: deploy a JSON document"
