# SPDX-License-Identifier: Apache-2.0
"""The extensions that are measured: shmconfd as it is built here, and the least in Go and Node."""
import os
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

from answer import Failure
from servers import environment

PEERS = Path(__file__).parent / "peers"


@dataclass
class Program:
    word: str
    title: str
    command: list        # what is executed
    size: int            # bytes of the files that only this program brings
    zip_size: int        # of the same as a layer's zip
    has_region: bool     # shmconfd, which also publishes
    version: str


def zipped(directory, *files):
    target = directory / "size.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in files:
            archive.write(file, Path(file).name)
    size = target.stat().st_size
    target.unlink()
    return size


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def shmconfd(word, title, binary, directory):
    return Program(word, title, [binary], binary.stat().st_size, zipped(directory, binary), True,
                   output_of(binary, "--version").split("\n")[0])


def static(options, directory):
    """The one in the layer's zip, stripped and static."""
    if not options.layer.exists():
        return None
    binary = directory / "static" / "shmconfd"
    binary.parent.mkdir()
    with zipfile.ZipFile(options.layer) as archive:
        binary.write_bytes(archive.read("extensions/shmconfd"))
    binary.chmod(0o755)
    return shmconfd("static", "shmconfd, static", binary, directory)


def ordinary(options, directory):
    return shmconfd("ordinary", "shmconfd, ordinary build", options.bin / "shmconfd", directory)


def go(_options, directory):
    compiler = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if not compiler:
        return None
    binary = directory / "extension-go"
    cache = {} if os.environ.get("HOME") else {"GOCACHE": str(directory / "go-cache")}
    built = subprocess.run(
        [compiler, "build", "-trimpath", "-ldflags=-s -w", "-o", binary, PEERS / "extension.go"],
        capture_output=True, text=True, cwd=directory,
        env=environment(GOFLAGS="", GO111MODULE="off", CGO_ENABLED="0", GOTOOLCHAIN="local", **cache))
    if built.returncode:
        raise Failure(f"go build: {built.stderr}")
    return Program("go", "the least in Go", [binary], binary.stat().st_size,
                   zipped(directory, binary), False,
                   output_of(compiler, "version").removeprefix("go version "))


def node(_options, directory):
    runtime = shutil.which("node")
    if not runtime:
        return None
    script = PEERS / "extension.mjs"
    return Program("node", "the least in Node.js", [runtime, script], script.stat().st_size,
                   zipped(directory, script), False, "node " + output_of(runtime, "--version"))


KINDS = {"static": static, "ordinary": ordinary, "go": go, "node": node}
MISSING = {"static": "no layer: ./tools/layer/build x86_64 makes it",
           "go": "no go; tests/deps --all installs it", "node": "no node; tests/deps --all installs it"}


def variables(program, names, api, upstream, directory):
    """What Lambda gives an extension, and where the other sides are."""
    return {"PATH": os.environ["PATH"], "TZ": ":UTC", "AWS_REGION": "eu-central-1",
            "AWS_LAMBDA_RUNTIME_API": api.address, "AWS_LAMBDA_FUNCTION_NAME": "f",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2Vj" + "x" * 800,
            "AWS_ENDPOINT_URL_APPCONFIGDATA": upstream.url, "AWS_CA_BUNDLE": str(upstream.ca),
            "AWS_APPCONFIG_EXTENSION_PREFETCH_LIST": ",".join(names),
            **({"AWS_APPCONFIG_EXTENSION_HTTP_PORT": "0", "SHMCONF_DIR": str(directory / "region")}
               if program.has_region else {})}
