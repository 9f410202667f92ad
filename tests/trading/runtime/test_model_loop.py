"""The model loop as the process of the loops makes it: with no model it asks who serves, and forecasts by the rule."""

import asyncio
from typing import Any

import pytest

from trading.bootstrap import World
from trading.domain.events import ForecastChanged
from trading.domain.market import BookTop
from trading.runtime.topics import COMMAND, FORECAST, MARKET

pytestmark = pytest.mark.django_db(transaction=True)
START_NS = 1_700_000_000_000_000_000


class Clock:
    now = START_NS

    def now_ns(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0.01)


async def test_without_a_model_the_rule_goes_on_and_a_hint_is_heeded() -> None:
    clock = Clock()
    world = World(base_url="http://127.0.0.1:9", clock=clock)
    lease: Any = None  # this loop asks nothing of it
    loop = await world.make_model(lease)
    heard = world.bus.subscribe(FORECAST)
    running = asyncio.create_task(loop.run())
    try:
        await world.bus.publish(COMMAND, {"cmd": "models"})
        for second in range(40):
            clock.now += 1_000_000_000
            top = BookTop("BTCUSDT", 6_000_000 + second % 3, 1, 6_000_010, 1, second, 0, clock.now)
            await world.bus.publish(MARKET, [top])
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            _, told = await anext(heard)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await loop.close()
        await world.close()

    assert isinstance(told, ForecastChanged)
    assert loop.gauges() == {"model_asks_lost": 0, "model_rows_lost": 0, "model_errors": 0}
