"""Real receivers on this machine: a web server and a mail server that keep what they are told, and answer as they are bid."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, count: int) -> list[Received]:
        """Return what came once there are `count` of it."""
        with self.told:
            assert self.told.wait_for(lambda: len(self.received) >= count, timeout=60), self.received
            return list(self.received)


@contextmanager
def web(*statuses: int, hold: threading.Event | None = None) -> Iterator[WebReceiver]:
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
        receiver.port = server.server_address[1]
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
    port: int = 0


@contextmanager
def mail(**replies: str) -> Iterator[MailReceiver]:
    """Run a mail server (RFC 5321, as far as a submission needs) until the block ends."""
    receiver = MailReceiver(replies)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 mail.test ESMTP")
            sender, to = "", []
            while line := self.rfile.readline().decode().strip():
                verb = line.split(" ")[0].upper()
                receiver.verbs.append(verb)
                if verb in receiver.replies:
                    self.say(receiver.replies[verb])
                elif verb == "EHLO":
                    self.say("250-mail.test\r\n250 SIZE 1000000")
                elif verb == "DATA":
                    self.say("354 go on")
                    receiver.messages.append(message_from_bytes(self.text()))
                    receiver.envelopes.append((sender, to))
                    self.say("250 taken")
                else:
                    sender = line.partition(":")[2].split()[0] if verb == "MAIL" else sender
                    to = [*to, line.partition(":")[2]] if verb == "RCPT" else to
                    self.say("221 bye" if verb == "QUIT" else "250 ok")

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
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield receiver
        finally:
            server.shutdown()
