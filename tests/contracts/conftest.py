"""Every adapter of a port, ready to be tried by the port's suite."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal

import pytest

from trading.adapters.clock_system import SystemClock
from trading.adapters.keys_paper import paper_key
from trading.adapters.venue_ccxt import BinanceVenue
from trading.adapters.venue_simulated import InProcessExchange, SimulatedDoor
from trading.domain.fees import DEMO_FEES
from trading.domain.instruments import Instrument
from trading.domain.market import BookTop
from trading.domain.matching import SimulatedVenue
from trading.ports import Venue
from trading.simulator import listing
from trading.simulator.replay import BOOK, Row, RowRecording
from trading.simulator.server import running_exchange

SYMBOL = "BTCUSDT"
ACCOUNT = "production"
BID, ASK = 6_000_000, 6_000_001  # ticks of 0.01
LOTS = 1_000  # displayed on each side, 0.00001 BTC each
START_NS = 1_700_000_000_000_000_000


def instruments() -> dict[str, Instrument]:
    found = listing.load().instruments
    return {symbol: found[symbol] for symbol in ("BTCUSDT", "ETHUSDT")}


@dataclass(slots=True)
class Door:
    """One way to a venue whose book stands still until `move` is called."""

    venue: Venue
    move: Callable[[int], Awaitable[None]]  # shift the book by so many ticks


@pytest.fixture(params=["sockets", "in process"])
async def door(request: pytest.FixtureRequest) -> AsyncIterator[Door]:
    make = _over_sockets if request.param == "sockets" else _in_process
    async with make() as made:
        yield made


def _top(shift: int) -> BookTop:
    return BookTop(SYMBOL, BID + shift, LOTS, ASK + shift, LOTS, 1, START_NS, START_NS)


@contextlib.asynccontextmanager
async def _over_sockets() -> AsyncIterator[Door]:
    recording = RowRecording("still", (SYMBOL,), (Row(START_NS, 0, BOOK, BID, LOTS, ASK, LOTS),))
    async with running_exchange(recording=recording, lockstep=True) as running:
        running.player.step()

        async def move(shift: int) -> None:
            running.exchange.match(_top(shift))

        key, secret = paper_key(ACCOUNT, "trade")
        venue = BinanceVenue(running.url, account=ACCOUNT, key=key, secret=secret, instruments=instruments())
        yield Door(venue, move)
        await venue.close()


@contextlib.asynccontextmanager
async def _in_process() -> AsyncIterator[Door]:
    matching = SimulatedVenue(instruments(), DEMO_FEES)
    matching.open_account(ACCOUNT, {"USDT": Decimal(25_000)})
    exchange = InProcessExchange(matching)

    async def move(shift: int) -> None:
        exchange.on_market(_top(shift))

    await move(0)
    yield Door(SimulatedDoor(exchange, account=ACCOUNT, clock=SystemClock()), move)


async def until(condition: Callable[[], bool], *, within_s: float = 5.0) -> None:
    """Wait until `condition` holds; fail when it does not in time."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)
