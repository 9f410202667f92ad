"""Whatever a browser says on its socket, whoever it is: pause, resume, or a close with the reason; never an error."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import pytest
from asgiref.testing import ApplicationCommunicator
from hypothesis import given

from gridconsole.asgi import application
from tests.fuzz.console.requests import ORIGINS, OWN_ORIGIN, SESSIONS, cookies
from tests.fuzz.console.test_endpoints import SEEDS, enough
from tests.fuzz.console.world import PEOPLE, World, difference
from tests.fuzz.hostile import promptly, text, value, wire
from trading.consumers import BAD_FRAME, FRAMES_PER_WINDOW, NOT_SIGNED_IN, TOO_MANY
from trading.live.hub import Subscriber, hub

LIMIT_S: Final = 10.0
NOT_ACCEPTED: Final = 0
POLITE: Final = ('{"pause":1}', '{"resume":1}', ' {"pause": 1}\n')
IMPOLITE: Final = ("", "{", "[" * 50_000, '{"pause":1,"resume":1}', '{"pause":2}', '{"pause":1}' * 2, "x" * 65_000)
PATHS: Final = ("/ws/live", "/ws/live//", "/ws/", "/", "/risk/halt/", "/ws/live/\x00", "/ws/live/\u202e", "")
QUERIES: Final = (
    b"", b"desk=", b"desk=nobody", b"desk=%00", b"desk=micro%00", b"desk=%ff", b"desk=%ED%A0%80", b"\xff\xfe",
    b"&" * 10_000, b"desk=nobody&desk=micro", b"desk[]=micro", b"desk=" + b"a" * 10_000, b"desk=%F0%9F%98%80",
    b"desk=MICRO", b"%", b"desk=*",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One socket: how it is opened, what is said, and how it must end."""

    scope: dict[str, Any]
    frames: list[dict[str, Any]]
    ends_with: int | None  # None: stays open until the browser goes


def call(world: World, random: Random) -> Call:
    """Return a socket with something wrong, mostly; now and then one that is right until it says something."""
    shut = "" if random.random() < 0.6 else random.choice(("origin", "person", "desk", "path"))
    person = random.choice(PEOPLE if shut != "person" else ("", "left", "expired", "forged"))
    session = random.choice(SESSIONS) if person == "forged" else world.cookie(person)
    origins = [OWN_ORIGIN] if shut != "origin" else random.choice(([], [OWN_ORIGIN] * 2, [random.choice(ORIGINS)]))
    headers = [("cookie", cookies(session)), ("host", random.choice(("127.0.0.1:8000", "\xff", "x")))]
    headers += [("origin", origin) for origin in origins]
    scope = {
        "type": "websocket", "path": random.choice(PATHS) if shut == "path" else "/ws/live/",
        "query_string": random.choice(QUERIES if shut == "desk" else (b"desk=micro", b"a=b&desk=production")),
        "headers": [(name.encode(), content.encode("latin-1")) for name, content in headers],
        "subprotocols": random.choice(([], [], ["graphql-ws"], [""], ["x" * 1_000, "\xff"])),
    }  # fmt: skip
    frames = [_frame(random) for _ in range(random.choice((0, 1, 1, 2, 3, 21, 30)))]
    if r"\000" in session:
        shut = "cookie"
    refused = {"person": NOT_SIGNED_IN, "desk": BAD_FRAME}.get(shut, NOT_ACCEPTED if shut else None)
    return Call(scope, frames, _first_offence(frames) if refused is None else refused)


def _frame(random: Random) -> dict[str, Any]:
    said: str | None
    data: bytes | None = None
    kind = random.random()
    if kind < 0.75:
        said = random.choice(POLITE)
    elif kind < 0.85:
        said = wire(value(random)).decode("utf-8", "replace")
    elif kind < 0.9:
        said = text(random, 60).encode("utf-8", "ignore").decode()
    elif kind < 0.97:
        said = random.choice(IMPOLITE)
    else:
        said, data = None, random.randbytes(random.choice((0, 1, 60_000)))
    return {"type": "websocket.receive", "text": said, "bytes": data}


def _first_offence(frames: list[dict[str, Any]]) -> int | None:
    """Return the code that the first frame earns which is no pause or resume, or one too many."""
    for number, frame in enumerate(frames):
        if number >= FRAMES_PER_WINDOW:
            return TOO_MANY
        if not _is_polite(frame["text"]):
            return BAD_FRAME
    return None


def _is_polite(said: str | None) -> bool:
    try:
        return said is not None and len(said) <= 200 and json.loads(said) in ({"pause": 1}, {"resume": 1})
    except ValueError:
        return False


@pytest.fixture
def loop(world: World) -> Iterator[asyncio.Runner]:
    """An event loop in which one quiet browser keeps the hub open."""
    stack = AsyncExitStack()

    async def read(frame: str) -> None:
        """Read and forget."""

    async def open_hub() -> None:
        await stack.enter_async_context(hub().subscribed(Subscriber("micro", read)))

    with asyncio.Runner() as runner:
        runner.run(open_hub())
        yield runner
        runner.run(stack.aclose())


def test_hostile_sockets_end_with_the_reason_and_change_nothing(world: World, loop: asyncio.Runner) -> None:
    world.settle("riskops:risk")

    @enough
    @given(seed=SEEDS)
    def open_and_talk(seed: int) -> None:
        made = call(world, Random(seed))

        with promptly():
            ended = loop.run(_conversation(made))

        assert ended == made.ends_with, f"{made.scope} {made.frames[:3]}"[:2_000]
        assert not difference(world.state, world.digest())
        assert not world.audited()

    open_and_talk()


async def _conversation(made: Call) -> int | None:
    """Return the code of the close, or None where the socket stays open; raise what the server raised."""
    socket = ApplicationCommunicator(application, made.scope)
    await socket.send_input({"type": "websocket.connect"})
    first = await socket.receive_output(timeout=LIMIT_S)
    if first["type"] == "websocket.close":
        await socket.wait(timeout=LIMIT_S)
        return NOT_ACCEPTED
    for frame in made.frames:
        await socket.send_input(frame)
    code = await _close_code(socket) if made.ends_with else None
    await socket.send_input({"type": "websocket.disconnect", "code": 1_000})
    await socket.wait(timeout=LIMIT_S)
    while code is None and not socket.output_queue.empty():
        code = socket.output_queue.get_nowait().get("code")
    return code


async def _close_code(socket: ApplicationCommunicator) -> int:
    async with asyncio.timeout(LIMIT_S):
        while (message := await socket.receive_output(timeout=LIMIT_S))["type"] != "websocket.close":
            pass
    return int(message["code"])
