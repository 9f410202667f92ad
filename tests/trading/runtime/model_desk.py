"""A model loop with a champion, moved bar by bar: whatever is wrong with the model is put in from outside."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.trading.tiny_card import BAR_S, card, shipped_like
from trading.adapters.bus_inprocess import InProcessBus
from trading.domain.advice import Facts
from trading.domain.bars import SECOND_NS, Bars
from trading.domain.events import AdviceChanged, ForecastChanged
from trading.domain.forecast import Forecaster
from trading.domain.learned import HORIZONS_S, ModelFault, Named
from trading.domain.market import BookTop, Trade
from trading.domain.model_roster import Batch, Member, Roster
from trading.domain.serving import Asked
from trading.runtime.learned import LearnedForecasts, Parts
from trading.runtime.model import ModelLoop
from trading.runtime.topics import ADVICE, FORECAST, MARKET

SYMBOL, TICK, LOT = "BTCUSDT", 1e-6, 1e-6
BAR_NS = BAR_S * SECOND_NS
DAY = 86_400 // BAR_S
FIRST = DAY + 300  # the bar at which the loop begins
Floats32 = NDArray[np.float32]
BARS = shipped_like(2 * DAY + 400)


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: int) -> None:
        self.now = now

    def now_ns(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")


class Model:
    """Says what its newest bar says, unless it is spoiled."""

    def __init__(self) -> None:
        self.card = card()
        self.fails: Exception | None = None
        self.value: float | None = None
        self.hangs: threading.Event | None = None

    def predict(self, x: Floats32, known: Floats32) -> Named:
        if self.hangs is not None:
            self.hangs.wait()
        if self.fails is not None:
            raise self.fails
        level = float(x[0, -1, 0]) if self.value is None else self.value
        return {"log_rv": np.full((1, len(HORIZONS_S)), level)}

    def step(self, x: Floats32, known: Floats32, state: Floats32 | None) -> tuple[Named, Floats32]:
        raise NotImplementedError


made: "list[ModelDesk]" = []  # so that a test can end the threads of all of them


@dataclass
class ModelDesk:
    """The loop, the bus it publishes on, and what it stored."""

    model: Asked | ModelFault = field(default_factory=Model)
    state: str = "CHAMPION"
    canary_symbol: str = ""
    is_halted: bool = False
    warm: bool = True
    key: int = 1
    first: int = FIRST
    said: Any = field(default_factory=card)
    database_fails: bool = False
    batches: list[Batch] = field(default_factory=list)

    def __post_init__(self) -> None:
        made.append(self)
        self.number = self.first
        self.clock = Clock(int(BARS.at_ns[self.first - 1]))
        self.bus = InProcessBus()
        self.roster_of: tuple[str, ...] = ("m",)
        self.heard = self.bus.subscribe(ADVICE, FORECAST)
        parts = Parts(self._roster, self._load, self._steps, self._warm, self._grids, self._store)
        self.learned = LearnedForecasts(parts=parts, bus=self.bus, clock=self.clock, on_close=self._nothing)
        self.loop = ModelLoop(
            forecaster=Forecaster(),
            bus=self.bus,
            clock=self.clock,
            speed=self._speed,
            on_close=self._nothing,
            learned=self.learned,
        )

    async def bar(self, scale: float = 1.0) -> list[object]:
        """Let the next bar happen and close; return what was published."""
        number, end_ns = self.number, int(BARS.at_ns[self.number])
        prices = (BARS.open[number], BARS.high[number], BARS.low[number], BARS.close[number])
        for quarter, price in enumerate(prices):
            self.clock.now = end_ns - BAR_NS + quarter * BAR_NS // 4
            ticks, lots = round(float(price) * scale / TICK), round(float(BARS.volume[number]) / 4 / LOT)
            now = self.clock.now
            batch = [
                BookTop(SYMBOL, ticks, 1, ticks + 1, 1, number * 4 + quarter, 0, now),
                Trade(SYMBOL, ticks, lots, False, number * 4 + quarter, now, now),
            ]
            await self.bus.publish(MARKET, batch)
            await self.loop.step()
        self.clock.now = end_ns
        self.number += 1
        await self.learned.look()
        await self.learned.answer_all()
        return await self.published()

    async def published(self) -> list[object]:
        """Return what the loop told since the last time."""
        await self.bus.publish(ADVICE, "end")
        found: list[object] = []
        async for _, payload in self.heard:
            if payload == "end":
                return found
            found.append(payload)
        return found

    async def stored(self) -> Batch:
        """Return everything that was handed to the database."""
        await self.learned.store_all()
        joined = Batch()
        for batch in self.batches:
            joined.heard += batch.heard
            joined.came += batch.came
        return joined

    # --- what the loop asks ---------------------------------------------------------------------------------------

    async def _roster(self) -> Roster:
        members = [
            Member(self.key + n, digest, "line", self.state, self.canary_symbol, self.said)
            for n, digest in enumerate(self.roster_of)
        ]
        return Roster(tuple(members), self.is_halted)

    async def _load(self, member: Member) -> Asked | ModelFault:
        return self.model

    async def _steps(self) -> Mapping[str, tuple[float, float]]:
        return {SYMBOL: (TICK, LOT)}

    async def _warm(self, symbol: str, bar_s: int) -> Bars | None:
        return BARS.between(0, int(BARS.at_ns[self.first])) if self.warm else None

    async def _grids(self) -> Mapping[str, Facts]:
        return {SYMBOL: Facts(0, 0.0002, 10)}

    async def _store(self, batch: Batch) -> None:
        if self.database_fails:
            raise ConnectionError("the database is away")
        self.batches.append(replace(batch))

    async def _speed(self) -> float:
        return 1.0

    async def _nothing(self) -> None: ...


def advices(published: list[object]) -> list[AdviceChanged]:
    return [one for one in published if isinstance(one, AdviceChanged)]


def forecasts(published: list[object]) -> list[ForecastChanged]:
    return [one for one in published if isinstance(one, ForecastChanged)]
