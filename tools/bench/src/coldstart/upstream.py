# SPDX-License-Identifier: Apache-2.0
"""AppConfig Data as it answers a first fetch, from nginx over TLS: next to no time of its own."""
import subprocess
import time

from servers import START_S, environment, free_port

from answer import Failure

TOKEN = "AYADeN" + "x" * 1300 + "+/=="  # as long as those of the service


class Upstream:
    """`url`, and `ca`, the file of the authority that has signed for it."""

    def __init__(self, directory, core, body):
        self.directory = directory
        self.directory.mkdir()
        self.core = core
        self.ca = directory / "ca.pem"
        (directory / "body").write_bytes(body)
        self._make_certificate()
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        (directory / "conf").write_text(self._configuration())
        with open(directory / "output", "ab") as output:
            self.process = subprocess.Popen(
                ["taskset", "-c", str(core), "nginx", "-p", f"{directory}/", "-c",
                 directory / "conf", "-e", "errors"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment())
        self._await_start()

    def _make_certificate(self):
        """One certificate that is its own authority, with a key as AWS's servers have."""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
             "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", self.directory / "key.pem", "-out", self.ca],
            check=True, capture_output=True)

    def _configuration(self):
        temporary = " ".join(f"{name}_temp_path {name};"
                             for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        session = '{"InitialConfigurationToken":"' + TOKEN + '"}'
        return f"""
            user root;
            daemon off; worker_processes 1; pid pid; error_log errors warn;
            events {{ worker_connections 256; }}
            http {{
                access_log off; {temporary}
                types {{ }} default_type application/json;
                large_client_header_buffers 4 16k;
                ssl_protocols TLSv1.2 TLSv1.3; server {{
                    listen 127.0.0.1:{self.port} ssl;
                    ssl_certificate {self.ca}; ssl_certificate_key {self.directory}/key.pem;
                    location = /configurationsessions {{ return 201 '{session}'; }}
                    location = /configuration {{
                        alias {self.directory}/body;
                        add_header Next-Poll-Configuration-Token '{TOKEN}';
                        add_header Next-Poll-Interval-In-Seconds 60;
                    }}
                }}
            }}
            """

    def _await_start(self):
        end = time.monotonic() + START_S
        while not (self.directory / "pid").exists() or not (self.directory / "pid").read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                raise Failure("nginx does not start:\n" + (self.directory / "output").read_text()
                              + (self.directory / "errors").read_text())
            time.sleep(0.01)

    def stop(self):
        self.process.terminate()
        self.process.wait()
