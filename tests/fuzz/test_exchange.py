"""Whatever a program asks the simulated exchange or its control plane, it answers; never with an error of its own."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from random import Random
from typing import Any, Final

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from tests.fuzz.hostile import INPUTS, many, promptly, value, wire
from tests.trading.simulator.conftest import QUIET
from tests.trading.simulator.scene import TRADE, sign
from trading.simulator.operations import REST
from trading.simulator.server import RunningExchange, running_exchange

REQUESTS: Final = max(min(INPUTS, 500), INPUTS // 10)  # as many as per address of the console
SEEDS: Final = st.integers(0, 2**64 - 1)
enough = settings(many, max_examples=REQUESTS)

CONTROL: Final[dict[str, dict[str, Any]]] = {
    "speed": {"speed": 10},
    "pause": {"paused": True},
    "dataset": {"dataset": "ticks"},
    "step": {},
    "fault": {"kind": "latency", "latency_ms": 1, "count": 1, "target": "GET /api/v3/time"},
}
KINDS: Final = (
    "latency", "error", "html", "empty", "drop_request", "drop_response", "truncated", "garbage", "throttle", "ban",
    "round_trip", "silent_market", "silent_user", "duplicate_user", "reorder_user", "lose_market", "garbage_market",
    "disconnect_user", "reset",
)  # fmt: skip
FIELDS: Final = (
    "speed",
    "paused",
    "kind",
    "seed",
    "count",
    "latency_ms",
    "status",
    "code",
    "text",
    "bytes",
    "target",
    "on",
)
ORDER: Final = {
    "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001", "price": "59000",
    "newClientOrderId": "gc-1", "recvWindow": "2000", "limit": "5", "orderId": "1", "origClientOrderId": "gc-1",
    "symbols": '["BTCUSDT"]', "fromId": "1", "startTime": "1", "endTime": "2",
}  # fmt: skip


class Venue:
    """One exchange and a client, in a loop of their own; ten minutes pass between requests, so no limit is reached."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._stack = AsyncExitStack()
        self._now_s = 0.0
        self._runner.run(self._start())

    async def _start(self) -> None:
        exchange = running_exchange(recording=QUIET, lockstep=True, monotonic=lambda: self._now_s)
        self.running: RunningExchange = await self._stack.enter_async_context(exchange)
        self.running.player.step()
        self._session = await self._stack.enter_async_context(aiohttp.ClientSession())

    def ask(self, method: str, target: str, body: bytes = b"") -> int:
        """Return the status of one request, sent as it stands."""
        self._now_s += 600.0
        return self._runner.run(self._ask(method, target, body))

    async def _ask(self, method: str, target: str, body: bytes) -> int:
        url = URL(f"{self.running.url}{target}", encoded=True)
        async with self._session.request(method, url, data=body, headers={"X-MBX-APIKEY": TRADE}) as reply:
            await reply.read()
            return reply.status

    def close(self) -> None:
        """Stop both."""
        self._runner.run(self._stack.aclose())


@pytest.fixture(scope="module")
def venue() -> Iterator[Venue]:
    with asyncio.Runner() as runner:
        opened = Venue(runner)
        yield opened
        opened.close()


@enough
@given(seed=SEEDS)
def test_a_hostile_order_to_the_control_plane_is_obeyed_or_refused(venue: Venue, seed: int) -> None:
    random = Random(seed)
    deed, body = _order_to_control(random)

    with promptly():
        status = venue.ask("POST", f"/sim/{deed}", body)
        after = venue.ask("GET", "/sim/status")
    venue.ask("POST", "/sim/fault", b'{"kind":"reset"}')

    assert (status, after) in {(200, 200), (400, 200), (404, 200)}, body[:300]


def _order_to_control(random: Random) -> tuple[str, bytes]:
    deed = random.choice((*CONTROL, "fault", "fault", "fault", "nothing"))
    document = dict(CONTROL.get(deed, {}))
    if deed == "fault":
        document["kind"] = random.choice(KINDS)
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        document[random.choice((*document, *FIELDS))] = value(random)
    body = wire(document)
    return deed, body if random.random() < 0.8 else body[: random.randrange(len(body) + 1)] + random.randbytes(2)


@enough
@given(seed=SEEDS)
def test_a_hostile_request_to_the_exchange_is_answered_in_its_dialect(venue: Venue, seed: int) -> None:
    random = Random(seed)
    method, path = random.choice(
        (*REST, ("POST", "/api/v3/order"), ("PUT", "/api/v3/order"), ("GET", "/%00"), ("GET", "/.."))
    )
    asked = {name: ORDER[name] for name in random.sample(sorted(ORDER), random.randrange(len(ORDER)))}
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        asked[random.choice(sorted(ORDER))] = _text(random)
    query = sign(asked) if random.random() < 0.9 else f"{sign(asked)}&%ff=%00&=&"

    with promptly():
        status = venue.ask(
            method, f"{path}?{query}", random.choice((b"", b"", b"", b"\xff", b"a=b&a=c", b"x" * 70_000))
        )

    assert status < 500, f"{method} {path} {query[:300]}"


def _text(random: Random) -> str:
    try:
        return str(value(random)).encode("utf-8", "ignore").decode()
    except ValueError:  # a number too long to print
        return "9" * 5_000
