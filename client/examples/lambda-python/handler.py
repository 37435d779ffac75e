#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A handler as it is written for AWS's agent: it needs no change for shmconf.

Run by hand, every line on standard input is one invocation.
"""
import json
import os
import sys
import time
import urllib.parse
import urllib.request

URL = "http://localhost:{}/applications/{}/environments/{}/configurations/{}".format(
    os.environ.get("AWS_APPCONFIG_EXTENSION_HTTP_PORT", "2772"),
    *(urllib.parse.quote(os.environ[name], safe="")
      for name in ("APP_NAME", "ENV_NAME", "PROFILE_NAME")),
)


def handler(event, context):
    config = json.loads(urllib.request.urlopen(URL, timeout=2).read())
    return {"configuration": config}


if __name__ == "__main__":
    for line in sys.stdin:
        start = time.perf_counter()
        answer = handler(line, None)
        micros = (time.perf_counter() - start) * 1e6
        print(json.dumps(answer), "({:.0f} us by HTTP and JSON)".format(micros), flush=True)
