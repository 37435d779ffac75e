#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One function of AWS Lambda on this machine: extensions of /opt/extensions, a runtime, invocations.

Takes the options and the environment of AWS's Runtime Interface Emulator, so that either can run a
test, and can do what that one cannot: with --freeze everything is stopped the moment the runtime
and the extensions wait for events, as Lambda does it, and continues with the next invocation.

    curl http://127.0.0.1:8080/2015-03-31/functions/function/invocations -d '{}'
    curl http://127.0.0.1:8080/_state
"""
import argparse
import os
import signal
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from api import Api, Front, Server  # noqa: E402
from processes import Programs  # noqa: E402
from sandbox import Sandbox  # noqa: E402


def say(text):
    print(f"emulator: {text}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runtime-interface-emulator-address", default="127.0.0.1:8080")
    parser.add_argument("--runtime-api-address", default="127.0.0.1:9001")
    parser.add_argument("--log-level")
    parser.add_argument("--freeze", action="store_true")
    parser.add_argument("--extension-variable", action="append", default=[], metavar="NAME=VALUE",
                        help="for extensions only")
    parser.add_argument("--event-chunk", type=int, metavar="BYTES",
                        help="invocations reach the runtime in chunks of so many bytes")
    parser.add_argument("bootstrap")
    parser.add_argument("handler", nargs="?", default="")
    options = parser.parse_args()
    timeout_s = int(os.environ.get("AWS_LAMBDA_FUNCTION_TIMEOUT", "300"))
    programs = Programs(options.runtime_api_address, options.bootstrap, options.handler,
                        dict(pair.split("=", 1) for pair in options.extension_variable))
    sandbox = Sandbox(programs, timeout_s, options.freeze, say)
    Api.event_chunk = options.event_chunk
    asked_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked_to_end.set())
    for address, handler in ((options.runtime_api_address, Api),
                             (options.runtime_interface_emulator_address, Front)):
        server = Server(address, handler, sandbox)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    while not asked_to_end.wait(0.02):  # a signal that another thread takes does not end a wait
        pass
    sandbox.shut_down()


if __name__ == "__main__":
    main()
