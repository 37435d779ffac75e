# SPDX-License-Identifier: Apache-2.0
"""docs/openapi.yaml, which every answer of the daemon is held against.

    api().check("GET", "/ping", 200, response.headers.items(), response.read())
"""
import email.utils
import functools
import json
import pathlib
import re
import time
import urllib.parse

import yaml

FILE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"

WORDS = {"object": {"type", "required", "properties", "additionalProperties"},
         "string": {"type", "enum", "minLength", "pattern", "format"}}


def check_value(schema, value, where):
    """A JSON value against the few words of JSON Schema that the answers in the file use."""
    kinds = {"object": dict, "string": str}
    unknown = set(schema) - WORDS[schema["type"]]
    assert not unknown, f"{where}: {unknown} in the schema would not be checked"
    assert isinstance(value, kinds[schema["type"]]), f"{where} is no {schema['type']}: {value!r}"
    assert value in schema.get("enum", [value]), f"{where}: {value!r}"
    if schema["type"] == "string":
        assert len(value) >= schema.get("minLength", 0), f"{where} is too short: {value!r}"
        assert re.search(schema.get("pattern", ""), value), f"{where}: {value!r}"
        return
    if "properties" not in schema:
        return
    properties = schema["properties"]
    assert schema["additionalProperties"] is False, where
    missing = set(schema["required"]) - set(value)
    assert not missing, f"{where} lacks {missing}"
    for name, member in value.items():
        assert name in properties, f"{where} has {name}, which is not documented"
        check_value(properties[name], member, f"{where}.{name}")


class Api:
    def __init__(self, text):
        self.document = yaml.safe_load(text)
        self.paths = {path: self.resolve(item) for path, item in self.document["paths"].items()}
        self.components = self.resolve(self.document["components"])

    def resolve(self, node):
        """With every reference replaced by what it refers to."""
        if isinstance(node, list):
            return [self.resolve(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            found = self.document
            for name in node["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            return self.resolve(found)
        return {name: self.resolve(item) for name, item in node.items()}

    def responses(self, method, target):
        """The documented answers, by their status."""
        path = urllib.parse.urlsplit(target).path
        for template, item in self.paths.items():
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
                return item.get(method.lower(), item["x-other-methods"])["responses"]
        others = dict(self.paths["/ping"]["x-other-methods"]["responses"])
        if method not in ("CONNECT", "OPTIONS"):
            del others["405"]
        return others | {"404": self.components["responses"]["NotFound"]}

    def check(self, method, target, status, headers, body, now=None):
        """An answer: `headers` as pairs of name and value, `body` as it was received; `now`, if
        the daemon goes by another clock than we."""
        where = f"{status} to {method} {target}"
        response, found = self.check_head(method, target, status, headers, body, now)
        if method == "HEAD" or status == 304:
            assert not body, f"{where} has a body: {body[:1000]!r}"
            return
        assert int(found["content-length"]) == len(body), f"{where} has {len(body)} bytes"
        self.check_body(response["content"], found["content-type"], body, where)

    def check_head(self, method, target, status, headers, body=b"", now=None):
        """The answer's description, and its headers by their names in small letters."""
        where = f"{status} to {method} {target}"
        responses = self.responses(method, target)
        assert str(status) in responses, f"{where} is not documented: {body[:1000]!r}"
        response = responses[str(status)]
        found = self.check_headers(response["headers"], headers, where)
        age_s = (now or time.time()) - email.utils.parsedate_to_datetime(found["date"]).timestamp()
        assert abs(age_s) < 600, f"{where}: Date is {found['date']}"
        return response, found

    @staticmethod
    def check_headers(documented, headers, where):
        documented = {name.lower(): header for name, header in documented.items()}
        found = {}
        for name, value in headers:
            assert name.lower() not in found, f"{where} has {name} twice"
            assert name.lower() in documented, f"{where} has {name}, which is not documented"
            found[name.lower()] = value
            check_value(documented[name.lower()]["schema"], value, f"{where}: {name}")
        for name, header in documented.items():
            assert name in found or not header["required"], f"{where} lacks {name}"
        return found

    @staticmethod
    def check_body(content, media, body, where):
        assert media in content or "*/*" in content, f"{where} has the undocumented type {media}"
        if media in content:
            check_value(content[media]["schema"], json.loads(body), where)


@functools.cache
def api():
    return Api(FILE.read_text(encoding="utf-8"))
