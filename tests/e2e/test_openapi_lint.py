# SPDX-License-Identifier: Apache-2.0
"""docs/openapi.yaml before Spectral with tests/openapi/ruleset.yaml, and with mistakes."""
import json
import pathlib
import shutil
import subprocess

import pytest

from openapi import FILE

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPECTRAL = ROOT / "build" / "tools" / "openapi" / "node_modules" / ".bin" / "spectral"

# Text of the file, what is put in its place, and the rule that has to notice. It may notice more.
MISTAKES = [
    ("'#/components/schemas/Ping'", "'#/components/schemas/Pong'", "invalid-ref"),
    ("type: string, format: binary", "type: strin, format: binary", "oas3-schema"),
    ("'504': {$ref", "'604': {$ref", "oas3-schema"),
    ("      required: false\n      description: ETags", "      requird: false\n"
     "      description: ETags", "oas3-schema"),
    ("          description: It is.\n", "", "oas3-schema"),
    ("pattern: '^[1-9][0-9]*$'", "pattern: '^[1-9][0-9*$'", "oas3-schema"),
    ("      - $ref: '#/components/parameters/Application'\n", "", "path-params"),
    ("operationId: headPing", "operationId: ping", "operation-operationId-unique"),
    ("'#/components/responses/GatewayTimeout'", "'#/components/responses/BadGateway'",
     "oas3-unused-component"),
    ("enum: [shmconfd]", "enum: [7]", "typed-enum"),
    ("    Ping:\n", "    Error:\n", "parser"),
]


def lint(*files):
    """What is wrong with each file: the rule, where, and in words."""
    if not shutil.which("node") or not SPECTRAL.exists():
        pytest.skip("Spectral is not installed; tests/deps --all does it")
    ended = subprocess.run([SPECTRAL, "lint", "--ruleset", ROOT / "tests/openapi/ruleset.yaml",
                            "--fail-severity", "hint", "--format", "json", *files],
                           capture_output=True, text=True, check=False)
    assert ended.returncode in (0, 1), ended.stderr
    found = json.JSONDecoder().raw_decode(ended.stdout)[0]
    assert bool(found) == bool(ended.returncode), ended.stdout
    problems = {file.resolve(): [] for file in files}
    for one in found:
        problems[pathlib.Path(one["source"]).resolve()].append(
            (one["code"], ".".join(map(str, one["path"])), one["message"]))
    return list(problems.values())


def test_nothing_is_wrong_with_the_file():
    assert lint(FILE) == [[]]


def test_each_mistake_is_found(tmp_path):
    right = FILE.read_text(encoding="utf-8")
    files = []
    for number, (text, mistake, _) in enumerate(MISTAKES):
        assert text in right
        files.append(tmp_path / f"{number}.yaml")
        files[-1].write_text(right.replace(text, mistake, 1), encoding="utf-8")
    for (_, mistake, rule), problems in zip(MISTAKES, lint(*files)):
        assert rule in {code for code, _, _ in problems}, (mistake, problems)
