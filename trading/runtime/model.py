"""The model loop: book tops in, forecasts out; the forecaster decides, this only carries."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import cast

from trading.domain.events import FeedLost, FeedRestored, ForecastChanged, SeamReached
from trading.domain.forecast import Forecaster
from trading.domain.market import BookTop
from trading.ports import Clock, EventBus
from trading.runtime.learned import LearnedForecasts
from trading.runtime.topics import COMMAND, FORECAST, MARKET, MarketBatch, Message


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
        learned: LearnedForecasts | None = None,
    ) -> None:
        """`speed` says how many seconds of market pass in one of the clock; 1 where the market is no replay.

        `learned` serves the models, where there are any, beside the rule-based forecast and never in its way.
        """
        self._forecaster = forecaster
        self._bus = bus
        self._clock = clock
        self._ask_speed = speed
        self._on_close = on_close
        self._learned = learned
        topics = (MARKET,) if learned is None else (MARKET, COMMAND)
        self._messages: AsyncIterator[tuple[str, object]] = bus.subscribe(*topics)
        self.alive_at = time.monotonic()

    async def run(self) -> None:
        """Forecast until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._forever())
            tasks.create_task(self._live())
            if self._learned is not None:
                tasks.create_task(self._learned.run())

    async def _forever(self) -> None:
        while True:
            await self.step()

    async def _live(self) -> None:
        """A silent market is no dead loop; once a second ask how fast it runs."""
        while True:
            self.alive_at = time.monotonic()
            speed = await self._ask_speed()
            self._forecaster.set_speed(speed, self._clock.now_ns())
            if self._learned is not None:
                self._learned.set_speed(speed)
            await self._clock.sleep(1.0)

    async def close(self) -> None:
        """Release what asks for the speed, and the models."""
        if self._learned is not None:
            await self._learned.close()
        await self._on_close()

    def gauges(self) -> Mapping[str, float]:
        """Return what was lost of models."""
        return {} if self._learned is None else self._learned.gauges()

    async def step(self) -> None:
        """Take one message from the bus."""
        topic, payload = await anext(self._messages)
        if topic == COMMAND:
            self._heed(cast(Message, payload))
            return
        for forecast in self.forecasts(cast(MarketBatch, payload)):
            await self._bus.publish(FORECAST, forecast)
        if self._learned is not None:
            self._learned.observe(cast(MarketBatch, payload))

    def _heed(self, message: Message) -> None:
        if self._learned is not None and message.get("cmd") == "models":
            self._learned.wake()

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
