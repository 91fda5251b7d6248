"""Real receivers on this machine: a web server and a mail server that keep what they are told, and answer as they are bid."""

import base64
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class WebReceiver:
    """Answers each POST with the next of `statuses`, the last one for ever; `told` is set by each."""

    statuses: list[int] = field(default_factory=lambda: [200])
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    hold: threading.Event | None = None
    told: threading.Condition = field(default_factory=threading.Condition)
    port: int = 0
    secure: bool = False

    @property
    def url(self) -> str:
        return f"http{'s' if self.secure else ''}://127.0.0.1:{self.port}"

    def wait_for(self, count: int) -> list[Received]:
        """Return what came once there are `count` of it."""
        with self.told:
            assert self.told.wait_for(lambda: len(self.received) >= count, timeout=60), self.received
            return list(self.received)


@contextmanager
def web(*statuses: int, hold: threading.Event | None = None, tls: ssl.SSLContext | None = None) -> Iterator[WebReceiver]:
    """Run a web server until the block ends. With `hold` it takes the request but does not answer before that is set."""
    receiver = WebReceiver(list(statuses) or [200], hold=hold)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with receiver.told:
                status = receiver.statuses[min(len(receiver.received), len(receiver.statuses) - 1)]
                receiver.received.append(Received(self.path, dict(self.headers.items()), body))
                receiver.told.notify_all()
            if receiver.hold is not None:
                receiver.hold.wait(60)
            try:
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")
            except OSError:
                pass

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver.port, receiver.secure = server.server_address[1], tls is not None
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield receiver
        finally:
            if receiver.hold is not None:
                receiver.hold.set()
            server.shutdown()


@dataclass
class MailReceiver:
    """Keeps messages with their envelope; `replies` overrides the answer to a verb: {"RCPT": "550 no such mailbox"}."""

    replies: dict[str, str] = field(default_factory=dict)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    verbs: list[str] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0


@contextmanager
def mail(tls: ssl.SSLContext | None = None, *, at_once: bool = False, **replies: str) -> Iterator[MailReceiver]:
    """Run a mail server (RFC 5321, as far as a submission needs) until the block ends.

    With `tls` it offers STARTTLS (RFC 3207), and then takes AUTH PLAIN (RFC 4954); `at_once` it speaks nothing but TLS.
    """
    receiver = MailReceiver(replies)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            secured = False
            if tls is not None and at_once:
                secured = self.secure(tls)
            self.say("220 mail.test ESMTP")
            sender, to = "", []
            while line := self.rfile.readline().decode().strip():
                verb = line.split(" ")[0].upper()
                receiver.verbs.append(verb)
                if verb in receiver.replies:
                    self.say(receiver.replies[verb])
                elif verb == "EHLO":
                    offers = "250 AUTH PLAIN" if secured else "250 STARTTLS" if tls is not None else "250 SIZE 1000000"
                    self.say(f"250-mail.test\r\n{offers}")
                elif verb == "STARTTLS" and tls is not None:
                    self.say("220 go on")
                    secured = self.secure(tls)
                elif verb == "AUTH":
                    _, user, password = base64.b64decode(line.split(" ")[2]).decode().split("\0")
                    receiver.logins.append((user, password))
                    self.say("235 welcome")
                elif verb == "DATA":
                    self.say("354 go on")
                    receiver.messages.append(message_from_bytes(self.text()))
                    receiver.envelopes.append((sender, to))
                    self.say("250 taken")
                else:
                    sender = line.partition(":")[2].split()[0] if verb == "MAIL" else sender
                    to = [*to, line.partition(":")[2]] if verb == "RCPT" else to
                    self.say("221 bye" if verb == "QUIT" else "250 ok")

        def finish(self) -> None:
            try:
                super().finish()
            except OSError:  # the other side left
                pass
            finally:
                self.request.close()

        def secure(self, tls: ssl.SSLContext) -> bool:
            self.request = tls.wrap_socket(self.request, server_side=True)
            self.setup()
            return True

        def text(self) -> bytes:
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line.removeprefix(b"."))
            return b"".join(lines)

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver.port = server.server_address[1]
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield receiver
        finally:
            server.shutdown()


@dataclass(frozen=True)
class Authority:
    """A certificate authority of our own, and how a server of the names below it speaks TLS."""

    file: Path
    server: ssl.SSLContext

    @property
    def pem(self) -> str:
        return self.file.read_text("ascii")


def authority(folder: Path, name: str = "IP:127.0.0.1") -> Authority:
    """Make an authority with openssl, and a certificate of it for `name`."""
    key = ("-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj")
    ca = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    leaf = ("-addext", f"subjectAltName={name}", "-addext", "basicConstraints=critical,CA:FALSE")
    _openssl(folder, "req", "-x509", *key, "/CN=An authority of our own", *ca, "-keyout", "ca.key", "-out", "ca.pem")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key")
    _openssl(folder, "req", "-x509", *key, "/CN=a receiver", *leaf, *signed, "-keyout", "leaf.key", "-out", "leaf.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "leaf.pem", folder / "leaf.key")
    return Authority(folder / "ca.pem", context)


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(("openssl", *words), cwd=folder, check=True, capture_output=True, timeout=60)
