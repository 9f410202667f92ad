"""A loop that is told to stop stops, whatever its libraries were doing."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from django.conf import settings
from redis.asyncio import Redis

from trading.adapters.cancellation import steadfast
from trading.bootstrap import LivePublisher

TRIES = 60


@pytest.fixture
async def publisher() -> AsyncIterator[LivePublisher]:
    client = Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
    yield LivePublisher(client)
    await client.aclose()


async def test_a_publishing_loop_ends_at_its_first_cancellation(publisher: LivePublisher) -> None:
    async def publish_for_ever() -> None:
        while True:
            await publisher.values({"a": 1})

    for turns in range(TRIES):
        task = asyncio.create_task(publish_for_ever())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()

        done, _ = await asyncio.wait([task], timeout=5)

        assert done, f"the cancellation after {turns} turns was lost"


async def test_what_is_not_cancelled_returns_its_result() -> None:
    async def answer() -> int:
        return 42

    assert await steadfast(answer()) == 42


async def test_a_lost_cancellation_is_raised() -> None:
    async def careless() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    task = asyncio.create_task(steadfast(careless()))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
