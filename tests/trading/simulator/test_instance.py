"""An exchange answers under its own name only: two consoles on one port never share their books."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.contracts.conftest import ACCOUNT, ASK, BID, LOTS, START_NS, SYMBOL, instruments
from tests.trading.simulator.scene import Rest, soon
from trading.adapters.cancel_http import CancelClient, UnableToCancel
from trading.adapters.clock_system import SystemClock
from trading.adapters.feed_ccxt import BinanceFeed
from trading.adapters.keys_paper import paper_key
from trading.adapters.venue_ccxt import BinanceVenue
from trading.domain.orders import Order, OrderType, Purpose, Side
from trading.ports import FateUnknown, FeedBroken
from trading.simulator import INSTANCE_PATH
from trading.simulator.replay import BOOK, Row, RowRecording
from trading.simulator.server import RunningExchange, running_exchange

OURS, THEIRS = "ours", "theirs"
STILL = RowRecording("still", (SYMBOL,), (Row(START_NS, 0, BOOK, BID, LOTS, ASK, LOTS),))
BUY = Order(
    f"gc-{ACCOUNT}-1-1", SYMBOL, Side.BUY, OrderType.LIMIT, 100, BID - 100, None, Purpose.GRID, START_NS, BID
)  # fmt: skip


@pytest.fixture(params=[OURS, THEIRS, ""], ids=["ours", "another console's", "one without a name"])
async def exchange(request: pytest.FixtureRequest) -> AsyncIterator[RunningExchange]:
    async with running_exchange(recording=STILL, lockstep=True, instance=request.param) as running:
        running.player.step()
        yield running


@pytest.fixture
async def url(exchange: RunningExchange) -> str:
    """Where a console that names its own exchange sends everything."""
    return exchange.url + INSTANCE_PATH.format(OURS)


@pytest.fixture
def is_ours(request: pytest.FixtureRequest) -> bool:
    return bool(request.node.callspec.params["exchange"] == OURS)


@asynccontextmanager
async def trading_at(url: str) -> AsyncIterator[BinanceVenue]:
    key, secret = paper_key(ACCOUNT, "trade")
    venue = BinanceVenue(url, account=ACCOUNT, key=key, secret=secret, instruments=instruments())
    try:
        yield venue
    finally:
        await venue.close()


def resting(exchange: RunningExchange) -> int:
    return len(exchange.exchange.venue.open_orders(ACCOUNT))


async def test_an_order_reaches_its_own_exchange_and_no_other(
    exchange: RunningExchange, url: str, is_ours: bool
) -> None:
    async with trading_at(url) as venue:
        if is_ours:
            await venue.submit(BUY)
        else:
            with pytest.raises(FateUnknown, match=r"HTTP 421.*Another simulated exchange listens here: 'ours' was"):
                await venue.submit(BUY)

    assert resting(exchange) == is_ours


@pytest.mark.parametrize("ask", [lambda venue: venue.open_orders(), lambda venue: venue.balances()])
async def test_what_another_exchange_holds_is_never_read_as_ours(
    exchange: RunningExchange, url: str, is_ours: bool, ask: Callable[[BinanceVenue], Any]
) -> None:
    async with trading_at(exchange.url) as somebody:
        await somebody.submit(BUY)
    async with trading_at(url) as venue:
        if is_ours:
            assert await ask(venue)
        else:
            with pytest.raises(FateUnknown, match="HTTP 421"):
                await ask(venue)


async def test_the_account_stream_opens_at_its_own_exchange_alone(url: str, is_ours: bool) -> None:
    async with trading_at(url) as venue:
        events = venue.user_events()
        if is_ours:
            assert (await soon(anext(events))).events == ()
        else:
            with pytest.raises(FeedBroken):
                await soon(anext(events))
        await events.aclose()  # type: ignore[attr-defined]  # an async generator


async def test_prices_and_the_state_of_the_replay_come_from_its_own_exchange_alone(
    exchange: RunningExchange, url: str, is_ours: bool
) -> None:
    feed = BinanceFeed(url, clock=SystemClock(), instruments=instruments(), is_replay=True)
    try:
        if is_ours:
            assert await feed.replay_status() is not None
            return
        with pytest.raises(FateUnknown, match="HTTP 421"):
            await feed.replay_status()
        with pytest.raises(FeedBroken):
            await soon(anext(aiter(feed.events([SYMBOL]))))
    finally:
        await feed.close()


async def test_the_watchdog_cancels_at_its_own_exchange_alone(
    exchange: RunningExchange, url: str, is_ours: bool
) -> None:
    async with trading_at(exchange.url) as somebody:
        await somebody.submit(BUY)
    key, secret = paper_key(ACCOUNT, "cancel")
    cancel = asyncio.to_thread(CancelClient(url, key=key, secret=secret).cancel_all, SYMBOL)
    if is_ours:
        assert await cancel == 1
    else:
        with pytest.raises(UnableToCancel, match="HTTP 421"):
            await cancel

    assert resting(exchange) == (not is_ours)


async def test_the_control_plane_says_its_name_and_steers_only_under_it(
    exchange: RunningExchange, session: aiohttp.ClientSession, url: str, is_ours: bool
) -> None:
    status, said = await Rest(session, url).sim("fault", {"kind": "round_trip", "latency_ms": 5})

    assert status == (200 if is_ours else 421), said
    assert exchange.gate.latency_ms == (5 if is_ours else 0)
    named = (await Rest(session, exchange.url).status())["instance"]
    assert (named == OURS) is is_ours
