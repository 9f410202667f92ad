"""Conducts the loops against an exchange that waits: nothing moves before everything that followed has settled."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from trading.domain.events import TimerFired
from trading.runtime.execution import ExecutionLoop
from trading.runtime.market_data import MarketDataLoop
from trading.runtime.model import ModelLoop

SECOND_NS: Final = 1_000_000_000
PATIENCE_S: Final = 10.0  # longer and something is stuck


class Exchange(Protocol):
    """An exchange whose time moves only when it is told to."""

    def step(self) -> Mapping[str, Any]:
        """Match the next event, or publish the matched one; `end`, `published` and `at_ns` say which and when."""
        ...

    def set_time(self, at_ns: int) -> None:
        """Let the exchange's clock show `at_ns` until the next step."""
        ...

    @property
    def reports_sent(self) -> int:
        """How many execution reports the account's stream has been sent."""
        ...

    @property
    def is_listened_to(self) -> bool:
        """True once somebody has subscribed to the market data."""
        ...


class MovedClock(Protocol):
    """A clock that stands still until it is moved."""

    def advance(self, at_ns: int) -> None:
        """Move on to `at_ns`."""
        ...


class CountingBus(Protocol):
    """A bus that counts what was published."""

    published: int


class Conductor:
    """Moves one account's loops through a recording, event by event, in the order of `trading.domain.backtest`.

    For a market event: the venue takes it; timers that fell due; what it did to resting orders; the event; a new
    forecast, if any. After each of them everything that follows is carried out before the next.
    """

    def __init__(
        self,
        *,
        market: MarketDataLoop,
        model: ModelLoop,
        execution: ExecutionLoop,
        clock: MovedClock,
        bus: CountingBus,
        exchange: Exchange,
    ) -> None:
        self._market = market
        self._model = model
        self._execution = execution
        self._clock = clock
        self._bus = bus
        self._exchange = exchange
        self._last_ns: int | None = None
        self.events = 0

    async def run(self, *, limit: int | None = None) -> None:
        """Go through the recording, or through its first `limit` events; `execution.run` must be running.

        Raises:
            TimeoutError: something that had to follow did not.
        """
        await self._settled()
        arriving = asyncio.create_task(self._market.step())  # connects; the first event ends it
        await self._until(lambda: self._exchange.is_listened_to)
        while limit is None or self.events < limit:
            moved = self._exchange.step()
            if moved["end"]:
                break
            at_ns: int = moved["at_ns"]
            await self._timers(at_ns)
            self._clock.advance(at_ns)
            self._exchange.set_time(at_ns)
            if not moved["published"]:
                await self._settled()
                self._exchange.step()
            before = self._bus.published
            await arriving
            messages = self._bus.published - before
            await self._settled()
            for _ in range(messages):
                await self._model.step()
            await self._settled()
            self.events += 1
            arriving = asyncio.create_task(self._market.step())
        arriving.cancel()
        await asyncio.gather(arriving, return_exceptions=True)

    async def _timers(self, at_ns: int) -> None:
        last_ns, self._last_ns = self._last_ns, at_ns
        if last_ns is None:
            return
        for second in range(last_ns // SECOND_NS + 1, at_ns // SECOND_NS + 1):
            self._clock.advance(second * SECOND_NS)
            self._exchange.set_time(second * SECOND_NS)
            self._execution.tell(TimerFired(second * SECOND_NS))
            await self._idle()

    async def _settled(self) -> None:
        """Wait until every report that was sent has arrived, and nothing is left to do."""
        await self._until(lambda: self._execution.reports_seen >= self._exchange.reports_sent)
        await self._idle()

    async def _idle(self) -> None:
        await self._until(lambda: self._execution.is_idle(self._bus.published))

    async def _until(self, condition: Callable[[], bool]) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not condition():
            if self._execution.failure is not None:
                raise self._execution.failure
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError("the loop did not settle between two events.")
            await asyncio.sleep(0)
