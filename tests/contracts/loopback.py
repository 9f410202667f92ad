"""A server on the loopback that answers as it is told, down to the last byte, and remembers what it was asked."""

import asyncio
import contextlib
import json
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qs, urlsplit


class End(Enum):
    """What happens to the connection after the bytes."""

    CLOSE = "close"
    RESET = "reset"
    HANG = "hang"


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply; `missing` bytes are announced and never sent."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json;charset=UTF-8"
    missing: int = 0
    end: End = End.CLOSE
    silent: bool = False  # not even a status line

    def head(self) -> bytes:
        """Return status line and headers."""
        named = {"Content-Type": self.content_type, "Content-Length": str(len(self.body) + self.missing)}
        lines = [f"{name}: {value}" for name, value in {**named, **self.headers}.items()]
        return "\r\n".join([f"HTTP/1.1 {self.status} whatever", *lines, "Connection: close", "", ""]).encode()


def says(document: object, status: int = 200, **headers: str) -> Answer:
    """Return `document` as JSON; underscores in header names stand for dashes."""
    return Answer(status, json.dumps(document).encode(), {k.replace("_", "-"): v for k, v in headers.items()})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    parameters: dict[str, str]


class Loopback:
    """Answers each request with what `answer` returns for it."""

    def __init__(self, answer: Callable[[Asked], Answer]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.url = ""

    def count(self, method: str) -> int:
        """Return how many requests of `method` arrived."""
        return sum(asked.method == method for asked in self.asked)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request, answer it, end the connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            asked = await _read(reader)
            self.asked.append(asked)
            answer = self.answer(asked)
            if not answer.silent:
                writer.write(answer.head() + answer.body)
                await writer.drain()
            if answer.end is End.HANG:
                await reader.read()  # until the client gives up
            if answer.end is End.RESET:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    method, target, _ = head.split("\r\n", 1)[0].split(" ")
    fields = (line.partition(":") for line in head.split("\r\n")[1:])
    headers = {name.lower(): value.strip() for name, _, value in fields}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    address = urlsplit(target)
    found = {**parse_qs(address.query), **parse_qs(body.decode())}
    return Asked(method, address.path, {name: values[0] for name, values in found.items()})


@contextlib.asynccontextmanager
async def loopback(answer: Callable[[Asked], Answer] | list[Answer]) -> AsyncIterator[Loopback]:
    """Serve on a free port; a list is answered in order, its last entry for ever."""
    if isinstance(answer, list):
        queue = deque(answer)
        server = Loopback(lambda _: queue.popleft() if len(queue) > 1 else queue[0])
    else:
        server = Loopback(answer)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
