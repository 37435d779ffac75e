# SPDX-License-Identifier: Apache-2.0
"""A fake of the endpoint that gives a container its credentials. Each answer has new keys, which the
fake of AppConfig Data, `fake`, lets in from then on.

    with ContainerEndpoint(fake) as endpoint:
        ... AWS_CONTAINER_CREDENTIALS_FULL_URI=endpoint.url,
            AWS_CONTAINER_AUTHORIZATION_TOKEN=endpoint.token ...
    # leaving the `with` asserts endpoint.breaches == []
"""
import http.server
import json
import threading
import time

PATH = "/2021-04-23/credentials"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        endpoint = self.server.endpoint
        answer = endpoint.serve(self)
        if answer is None:
            self.close_connection = True
            return
        status, body = answer
        self.send_response_only(status)
        self.send_header("Date", self.date_time_string(time.time() + endpoint.skew_s))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class ContainerEndpoint:
    """Its attributes may be changed while it runs.

    life_s     how long its keys live, by its own clock; None: it does not say
    skew_s     of its clock against the machine's
    answers    (status, body), used up in order instead of keys; None in place of one: no answer
    stall      an Event: nothing is answered until it is set
    """

    def __init__(self, fake, life_s=3600):
        self.fake = fake
        self.life_s = life_s
        self.skew_s = 0
        self.answers = []
        self.stall = None
        self.token = "Pod-Token/of=tests"
        self.lock = threading.Lock()
        self.requests = 0
        self.running = 0
        self.breaches = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.endpoint = self

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}{PATH}"

    @property
    def environment(self):
        """For a process that has no other credentials."""
        return {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_SESSION_TOKEN": None,
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": self.url,
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": self.token}

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind, value, trace):
        self.server.shutdown()
        self.server.server_close()
        if kind is None:
            assert self.breaches == [], self.breaches

    def check(self, request):
        if request.path != PATH:
            self.breaches.append(f"GET {request.path}")
        if request.headers.get("Authorization") != self.token:
            self.breaches.append("another token")
        if request.headers.get("Accept") != "application/json":
            self.breaches.append(f"Accept: {request.headers.get('Accept')}")
        if self.running > 1:
            self.breaches.append("two requests at a time")

    def serve(self, request):
        with self.lock:
            self.requests += 1
            self.running += 1
            self.check(request)
            stall = self.stall
        if stall:
            stall.wait(30)
        with self.lock:
            self.running -= 1
            return self.answers.pop(0) if self.answers else (200, self.make_keys())

    def make_keys(self):
        number = self.requests
        key, secret, token = f"ASIAFAKE{number:08}", f"secret/{number}", f"session+{number}=="
        with self.fake.lock:
            self.fake.keys[key] = (secret, token)
        keys = {"AccessKeyId": key, "SecretAccessKey": secret, "Token": token}
        if self.life_s is not None:
            end = time.gmtime(time.time() + self.skew_s + self.life_s)
            keys["Expiration"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", end)
        return json.dumps(keys).encode()
