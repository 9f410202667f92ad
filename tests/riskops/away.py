"""Where messages arrive in the tests: a real webhook and a real mail server on loopback, and a sender to kill."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

WAIT_S: Final = 20.0


@dataclass(slots=True)
class Webhook:
    """What arrived, and how the next request is answered."""

    port: int = 0
    heard: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    reached: threading.Event = field(default_factory=threading.Event)
    may_answer: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"json://127.0.0.1:{self.port}/desk"


@contextmanager
def webhook() -> Iterator[Webhook]:
    """Listen on a free port until the block ends; answers at once unless `may_answer` is cleared."""
    place = Webhook()
    place.may_answer.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            place.heard.append(json.loads(body))
            place.reached.set()
            place.may_answer.wait(WAIT_S)
            self.send_response(place.status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        place.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield place
        finally:
            place.may_answer.set()
            server.shutdown()


@contextmanager
def mail_server() -> Iterator[tuple[int, list[str]]]:
    """Take mail on a free port until the block ends; gives the port and the texts that arrive."""
    letters: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 desk")
            for line in self.rfile:
                word = line.split(b" ")[0].strip().upper()
                if word == b"DATA":
                    self.say("354 go on")
                    letters.append(self.letter())
                self.say("221 bye" if word == b"QUIT" else "250 yes")
                if word == b"QUIT":
                    return

        def letter(self) -> str:
            lines: list[bytes] = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line)
            return b"".join(lines).decode()

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1], letters
        finally:
            server.shutdown()


def send_all(database: str, key_file: str) -> None:
    """Send what is due, in a process of its own."""
    import django
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = database
    settings.SECRETS_KEY_FILE = key_file
    django.setup()

    from datetime import UTC, datetime

    from riskops.services import routing

    routing.deliver(lambda: datetime.now(UTC))
