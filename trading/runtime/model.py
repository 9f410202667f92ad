"""The model loop: book tops in, forecasts out; the forecaster decides, this only carries."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

from trading.domain.events import FeedLost, FeedRestored, ForecastChanged, SeamReached
from trading.domain.forecast import Forecaster
from trading.domain.market import BookTop
from trading.ports import Clock, EventBus
from trading.runtime.topics import FORECAST, MARKET, MarketBatch


class ModelLoop:
    """Feeds every book top to the forecaster and publishes what it says."""

    def __init__(
        self,
        *,
        forecaster: Forecaster,
        bus: EventBus,
        clock: Clock,
        speed: Callable[[], Awaitable[float]],
        on_close: Callable[[], Awaitable[None]],
    ) -> None:
        """`speed` says how many seconds of market pass in one of the clock; 1 where the market is no replay."""
        self._forecaster = forecaster
        self._bus = bus
        self._clock = clock
        self._ask_speed = speed
        self._on_close = on_close
        self._messages: AsyncIterator[tuple[str, object]] = bus.subscribe(MARKET)
        self.alive_at = time.monotonic()

    async def run(self) -> None:
        """Forecast until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._forever())
            tasks.create_task(self._live())

    async def _forever(self) -> None:
        while True:
            await self.step()

    async def _live(self) -> None:
        """A silent market is no dead loop; once a second ask how fast it runs."""
        while True:
            self.alive_at = time.monotonic()
            self._forecaster.set_speed(await self._ask_speed(), self._clock.now_ns())
            await self._clock.sleep(1.0)

    async def close(self) -> None:
        """Release what asks for the speed."""
        await self._on_close()

    async def step(self) -> None:
        """Take one message from the bus."""
        _, payload = await anext(self._messages)
        for forecast in self.forecasts(cast(MarketBatch, payload)):
            await self._bus.publish(FORECAST, forecast)

    def forecasts(self, batch: MarketBatch) -> list[ForecastChanged]:
        """Return the new forecasts of one batch."""
        found: list[ForecastChanged] = []
        now_ns = self._clock.now_ns()
        for item in batch:
            if isinstance(item, BookTop):
                if (new := self._forecaster.observe(item, now_ns)) is not None:
                    found.append(
                        ForecastChanged(new.symbol, new.volatility_per_second, new.spacing_floor_fraction, new.at_ns)
                    )
            elif isinstance(item, SeamReached | FeedLost | FeedRestored):
                self._forecaster.restart()
        return found
