#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/verification.md names tests that exist, and for each guarantee one that plants mistakes.

    verification.py BUILD    the folder of a configured build with all tests

Each row quotes what one of its tests plants: the name of a mutation, or a switch of the models. And
what the README promises stands in it: each test that is named there is in a row. The switches of the
models stand in it, each of them and no others.
"""
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"`((?:unit|integration|e2e|faults|soak|fuzz|examples|models|layer)(?:\.[a-z0-9_*]+)*)`")


def tests_of(build):
    """{name: labels}; those of the presets fuzz and asan are in no other."""
    listed = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"],
                            capture_output=True, text=True, check=True).stdout
    tests = {}
    for test in json.loads(listed[listed.index("{"):])["tests"]:
        labels = next((p["value"] for p in test["properties"] if p["name"] == "LABELS"), [])
        tests[re.sub(r"\.(epoll|io_uring)$", "", test["name"])] = labels
    for fuzzer in (ROOT / "tests/fuzz").glob("*.c"):
        tests.setdefault(f"fuzz.{fuzzer.stem}", [])
    tests.setdefault("fuzz.planted", ["mutations"])
    tests.setdefault("integration.hostile_million", [])
    return tests


def rows_of(text, columns):
    """The cells of the tables that have so many columns, without their heads."""
    rows = [[cell.strip() for cell in line.strip("|\n").split(" | ")]
            for line in re.findall(r"^\|.*\|$", text, re.M)]
    return [row for row in rows if len(row) == columns and not re.match(r"[-|]+$|guarantee|promise$",
                                                                        row[0])]


def switches():
    """What tests/models/run plants."""
    text = (ROOT / "tests/models/run").read_text(encoding="utf-8")
    return set(re.findall(r"^    mutation ([A-Z_0-9]+)", text, re.M))


# Where mistakes are planted, and what their names look like there.
PLANTERS = {
    "tests/*/mutations": r'^mutation "([^"]+)"',
    "tests/*/*_mutations": r'^mutation "([^"]+)"',
    "tests/integration/sigv4/mutations": r'^mutation "([^"]+)"',
    "tests/fuzz/planted": r'^mutation "([^"]+)"',
    "tests/layer/*": r'^    "([^"]+)": lambda tree|"found: ([^"{:]+)',
    "tests/integration/instructions": r'"found: ([^"]+)',
    "tests/examples/test_cdk.py": r'^    \("([^"]+)", ',
}


def planted_by():
    """{test: names of the mistakes that it plants}."""
    named = {"tests/integration/sigv4/mutations": "integration.sigv4_mutations",
             "tests/examples/test_cdk.py": "examples.cdk"}
    planted = {}
    for pattern, mistake in PLANTERS.items():
        for path in filter(Path.is_file, ROOT.glob(pattern)):
            place = path.relative_to(ROOT).as_posix()
            test = named.get(place, ".".join(Path(place).with_suffix("").parts[1:]))
            texts = re.findall(mistake, path.read_text(encoding="utf-8"), re.M)
            planted[test] = {"".join(text) for text in texts} | planted.get(test, set())
    return planted


def matches(pattern, tests):
    return [name for name in tests if re.fullmatch(pattern.replace(".", r"\.").replace("*", ".*"),
                                                   name)]


def problems(verification, readme, tests):
    rows = rows_of(verification, 3)
    planted = planted_by()
    if len(rows) < 30:
        yield f"verification.md has {len(rows)} rows of three cells"
    for guarantee, shown, mutation in rows:
        names = NAME.findall(shown + mutation)
        # A test without its folder's name would be compared with nothing.
        for word in re.findall(r"`([a-z0-9]+_[a-z0-9_*]+)`", shown):
            yield f'"{guarantee}" names {word}, without its folder'
        for name in names:
            if not matches(name, tests):
                yield f'"{guarantee}" names {name}, which is no test'
        # What plants the mistakes of a test may have its name and "_mutations".
        planting = [test for name in names for test in matches(name, tests) +
                    matches(f"{name}_mutations", tests) if "mutations" in tests[test]]
        known = set().union(*(planted.get(test, set()) for test in planting))
        quoted = set(re.findall(r'"([^"]+)"', mutation))
        for text in sorted(quoted - known):
            yield f'"{guarantee}" quotes "{text}", which none of its tests plants'
        if not quoted and not set(re.findall(r"`([A-Z_0-9]+)`", mutation)) & switches():
            yield f'"{guarantee}" has no planted mistake'
    told = {word for row in rows for word in re.findall(r"`([A-Z_0-9]+)`", row[2])}
    for word in sorted(told - {"SHMCONF_PRIVATE"} ^ switches()):
        yield f"{word} is not both a switch of the models and in a row"
    named = {name for row in rows for cell in row[1:] for name in NAME.findall(cell)}
    covered = {test for name in named for test in matches(name, tests)}
    promises = readme[readme.index("| promise | shown by |"):].split("\n\n")[0]
    for promise, shown in rows_of(promises, 2):
        for name in NAME.findall(shown):
            if not set(matches(name, tests)) & covered:
                yield f'README.md: "{promise}" is shown by {name}, which is in no row'


def main():
    tests = tests_of(sys.argv[1])
    verification = (ROOT / "docs/verification.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = list(problems(verification, readme, tests))
    for problem in found:
        print(f"FAILED: {problem}")
    # It sees a row without a mistake, with an invented one, or with another test's, one that names
    # nothing or half of a name, a switch that is not told or that is none, and a promise without a
    # row.
    planted = (re.sub(r"(.*`layer\.pins`.*\|).*\|\n", r"\1 |\n", verification),
               verification.replace('"an empty file is published"', '"empty"'),
               verification.replace('"one instruction more"', '"ten instructions more"'),
               verification.replace('"one instruction more"', '"a group may write"'),
               verification.replace("`integration.instructions`", "`integration.instruction`"),
               verification.replace("`integration.crash_1000`", "`crash_1000`"),
               verification.replace("(`NO_WAKE_AT_START`)", ""),
               verification.replace("`NO_SWEEP`", "`NO_BROOM`"),
               re.sub(r".*`e2e\.local_saving`.*\n", "", verification))
    sound = len(found)
    for number, spoilt in enumerate(planted):
        if spoilt == verification or len(list(problems(spoilt, readme, tests))) == sound:
            print(f"FAILED: planted mistake {number} is not found")
            found.append("planted")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
