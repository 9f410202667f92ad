import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.trading.simulator.scene import Rest, book, printed, recording
from trading.simulator.server import RunningExchange, running_exchange

QUIET = recording(
    book(0),
    printed(10, 6_000_000),
    book(20, 6_000_000, 6_000_001, bid_lots=50_000),
    printed(30, 5_999_000, 40_000),
    book(40, 5_998_999, 5_999_000),
)


@pytest.fixture
async def frozen() -> AsyncIterator[RunningExchange]:
    """An exchange in lockstep whose first top is 60000.00 / 60000.01."""
    async with running_exchange(recording=QUIET, lockstep=True, monotonic=lambda: 600.0) as running:
        running.player.step()
        yield running


@pytest.fixture
async def playing() -> AsyncIterator[RunningExchange]:
    """An exchange on the wall clock, paused after its first event."""
    async with running_exchange(recording=QUIET, seam_pause_s=0.0) as running:
        while running.player.events_played < 1:
            await asyncio.sleep(0)
        running.player.pause(True)
        yield running


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def rest(session: aiohttp.ClientSession, frozen: RunningExchange) -> Rest:
    return Rest(session, frozen.url)


@pytest.fixture
def rest_playing(session: aiohttp.ClientSession, playing: RunningExchange) -> Rest:
    return Rest(session, playing.url)
