# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 over plain sockets, so that an answer can go wrong at every byte."""
import select
import socket
import struct
import threading
import time

HEAD_MAX = 64 * 1024
BODY_MAX = 1 << 20
GONE = (OSError, ValueError)  # an SSL socket that was closed meanwhile raises ValueError

REASONS = {200: "OK", 201: "Created", 400: "Bad Request", 403: "Forbidden", 404: "Not Found",
           405: "Method Not Allowed", 429: "Too Many Requests", 500: "Internal Server Error",
           502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


class Malformed(Exception):
    """Not an HTTP request."""


class Request:
    def __init__(self, line, headers):
        try:
            self.method, self.target, version = line.split(" ")
        except ValueError:
            raise Malformed(f"request line {line[:80]!r}") from None
        if version != "HTTP/1.1" or not self.target.startswith("/"):
            raise Malformed(f"request line {line[:80]!r}")
        self.path, _, self.query = self.target.partition("?")
        self.headers = headers
        self.body = b""

    def header(self, name):
        """The header's values, joined as if they were one; None without it."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ",".join(values) if values else None


class Answer:
    def __init__(self, status, headers=None, body=b""):
        self.status = status
        self.headers = list((headers or {}).items())
        self.body = body

    def head(self, date, chunked, connection=None):
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Status')}", f"Date: {date}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines.append("Transfer-Encoding: chunked" if chunked else
                     f"Content-Length: {len(self.body)}")
        if connection:
            lines.append(f"Connection: {connection}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Cut(Exception):
    """The fault ends the connection here."""


class Connection:
    """One accepted connection, read and written as the service and its faults ask for."""

    def __init__(self, raw, server):
        self.raw = raw
        self.sock = raw
        self.server = server
        self.buffer = b""
        self.counted = False
        self.answered = False  # or about to be: from now on the client may know

    def peer_is_gone(self):
        """Whether the client has closed, even behind bytes that were not read yet."""
        try:
            poll = select.poll()
            poll.register(self.raw.fileno(), select.POLLRDHUP)
            return bool(poll.poll(0))
        except GONE:
            return True

    def reset(self):
        """Closes with RST: what was sent and not yet read may be lost to the client as well."""
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except GONE:
            pass
        self.close()

    def close(self):
        for sock in (self.sock, self.raw):
            try:
                sock.close()
            except GONE:
                pass

    def interrupt(self):
        """From another thread: whatever waits on this connection ends."""
        try:
            self.raw.shutdown(socket.SHUT_RDWR)
        except GONE:
            pass

    def receive(self):
        part = self.sock.recv(1 << 16)
        if not part:
            raise EOFError
        self.buffer += part

    def read_request(self):
        """The next request; EOFError where the client, or the idle limit, ends the connection."""
        self.answered = False
        self.sock.settimeout(self.server.service.idle_s)
        idle_since = time.monotonic()
        while b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > HEAD_MAX:
                raise Malformed("the head is too long")
            try:
                self.receive()
            except TimeoutError:
                if self.buffer:
                    raise Malformed("the head was not sent whole") from None
                self.server.service.note("idle_closes")
                raise EOFError from None
        self.sock.settimeout(60)
        silent_s = self.server.service.silent_s
        if silent_s is not None and time.monotonic() - idle_since > silent_s:
            self.pause(None)
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        line, *rest = head.decode("latin-1").split("\r\n")
        headers = []
        for text in rest:
            name, colon, value = text.partition(":")
            if not colon or not name or name != name.strip():
                raise Malformed(f"header {text[:60]!r}")
            headers.append((name, value.strip()))
        request = Request(line, headers)
        if request.header("Transfer-Encoding"):
            raise Malformed("Transfer-Encoding in a request")
        size = int(request.header("Content-Length") or 0)
        if size > BODY_MAX:
            raise Malformed("the body is too long")
        if request.header("Expect") and len(self.buffer) < size:
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(self.buffer) < size:
            self.receive()
        request.body, self.buffer = self.buffer[:size], self.buffer[size:]
        return request

    def pause(self, seconds, fault=None):
        """Waits so long, or forever (None): Cut when the client or the server ends it before."""
        end = None if seconds is None else time.monotonic() + seconds
        while end is None or time.monotonic() < end:
            if self.server.stopping or self.peer_is_gone():
                raise Cut
            if fault and fault.released:
                self.answered = True
                return
            left = 0.02 if end is None else min(0.02, end - time.monotonic())
            time.sleep(max(left, 0))

    def send_body(self, body, fault):
        chunked = fault.chunked
        size = fault.drip[0] if fault.drip else chunked or 1 << 18
        for start in range(0, len(body), size):
            part = body[start:start + size]
            if fault.drip and start + size >= len(body):
                self.answered = True
            self.sock.sendall(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
            if fault.drip:
                self.pause(fault.drip[1], fault)
        if chunked and fault.cut is None and fault.reset_at != "body":
            self.sock.sendall(b"0\r\n\r\n")

    def send(self, answer, fault, date):
        """Sends the answer as the fault says; whether the client got it whole."""
        try:
            if fault.delay:
                self.pause(fault.delay, fault)
            if fault.stall == "request":
                self.pause(None, fault)
            if fault.reset_at == "request":
                self.reset()
                raise Cut
            if fault.raw is not None:
                self.sock.sendall(fault.raw)
                self.close()
                raise Cut
            if self.peer_is_gone():
                raise Cut
            head = answer.head(date, fault.chunked, fault.connection)
            self.answered = not fault.stall and not (fault.drip and answer.body)
            if fault.reset_at == "head":
                self.sock.sendall(head[:len(head) // 2])
                self.reset()
                raise Cut
            self.sock.sendall(head)
            if fault.reset_at == "headers":
                self.reset()
                raise Cut
            if fault.stall == "headers":
                self.pause(None, fault)
            body, end = answer.body, None
            if fault.cut is not None:
                body, end = body[:fault.cut], self.close
            if fault.reset_at == "body" or fault.stall == "body":
                body, end = body[:len(body) // 2], self.reset
            self.send_body(body, fault)
            if fault.stall == "body":
                self.pause(None, fault)
                self.sock.sendall(answer.body[len(body):])
                end = None
            if end:
                time.sleep(0.02 if end == self.reset else 0)  # let the client read the first half
                end()
                raise Cut
            if fault.connection == "close":
                self.close()
            return True
        except (Cut, *GONE):
            self.close()
            return False


class Server:
    """Accepts connections, a thread each. `service` is told of each request."""

    def __init__(self, service, port=0, tls=None, address="127.0.0.1"):
        self.service = service
        self.address = address
        self.tls = tls
        self.stopping = False
        self.connections = set()
        self.threads = []
        self.lock = threading.Lock()
        self.listener = None
        # Keeps the port ours while nobody listens on it.
        self.holder = self.bound(port)
        self.port = self.holder.getsockname()[1]

    def bound(self, port):
        sock = socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((self.address, port))
        return sock

    def listen(self):
        self.listener = self.bound(self.port)
        self.listener.listen(512)
        thread = threading.Thread(target=self.accept, args=(self.listener,), daemon=True)
        thread.start()
        self.threads.append(thread)

    def unlisten(self):
        """New connections are refused from now on, and the open ones end."""
        listener, self.listener = self.listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.interrupt()

    def interrupt(self):
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            connection.interrupt()

    def accept(self, listener):
        while True:
            try:
                raw, _ = listener.accept()
            except GONE:
                return
            connection = Connection(raw, self)
            if self.service.take_fault(stage="accept"):
                connection.reset()
                continue
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections.add(connection)
            threading.Thread(target=self.run, args=(connection,), daemon=True).start()

    def run(self, connection):
        try:
            if self.tls:
                connection.raw.settimeout(10)
                try:
                    # A duplicate stays with `raw`: poll and shutdown must not pass TLS.
                    connection.sock = self.tls.wrap_socket(connection.raw.dup(), server_side=True)
                except GONE:
                    self.service.note("handshake_failures")
                    return
                if connection.sock.session_reused:
                    self.service.note("resumed_sessions")
            while not self.stopping:
                request = connection.read_request()
                if not self.service.serve(connection, request):
                    return
        except Malformed as error:
            self.service.breach("http", str(error))
        except (EOFError, Cut, *GONE):
            pass
        finally:
            connection.close()
            with self.lock:
                self.connections.discard(connection)

    def open_connections(self):
        """How many connections that have sent a request the client still holds."""
        with self.lock:
            connections = list(self.connections)
        return sum(1 for c in connections if c.counted and not c.peer_is_gone())

    def stop(self):
        self.stopping = True
        self.unlisten()
        self.holder.close()
