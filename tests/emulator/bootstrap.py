#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The runtime of a function in Python: calls the handler for each invocation, in one process.

Adds the process's number to the answer, which is how a test sees that there was no new start.
"""
import importlib
import json
import os
import sys
import traceback
import urllib.request

API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime"


def call(path, value=None):
    body = None if value is None else json.dumps(value).encode()
    return urllib.request.urlopen(API + path, body)


def main():
    module, function = os.environ["_HANDLER"].rsplit(".", 1)
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    handler = getattr(importlib.import_module(module), function)
    while True:
        with call("/invocation/next") as invocation:
            identifier = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
            event = json.loads(invocation.read())
        try:
            answer, how = {**handler(event, None), "process": os.getpid()}, "response"
        except Exception as error:  # whatever a handler raises is the caller's
            traceback.print_exc()
            answer = {"errorType": type(error).__name__, "errorMessage": str(error)}
            how = "error"
        call(f"/invocation/{identifier}/{how}", answer).close()


if __name__ == "__main__":
    main()
