"""Every fault of a model, put into a loop that runs: how long until the grids hear that the rule goes on alone."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.listening import BAR_S, DAYS, FACTS
from trading.adapters.bus_inprocess import InProcessBus
from trading.adapters.predictor_onnx import OnnxPredictor
from trading.domain.advice import Facts
from trading.domain.bars import SECOND_NS, Bars
from trading.domain.events import AdviceChanged
from trading.domain.forecast import Forecaster
from trading.domain.learned import Fault, ModelFault, Named
from trading.domain.market import Trade
from trading.domain.model_card import Card
from trading.domain.model_drift import FeatureDrift
from trading.domain.model_roster import CHAMPION, Batch, Member, Roster
from trading.domain.serving import Asked
from trading.runtime.learned import LearnedForecasts, Parts
from trading.runtime.model import ModelLoop
from trading.runtime.topics import ADVICE, MARKET

if TYPE_CHECKING:
    from benchmarks.nets import Made

TICK: Final = 1e-8
TIMES: Final = 5  # each fault

Spoil = Callable[["Desk"], object]


class Clock:
    """Stands still until it is moved."""

    now = 0

    def now_ns(self) -> int:
        """Return the time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let others run."""
        await asyncio.sleep(0)


class Spoiled:
    """The real model, until something is wrong with it."""

    def __init__(self, sound: OnnxPredictor) -> None:
        self._sound, self.card = sound, sound.card
        self.fails: Exception | None = None
        self.factor = 1.0
        self.shift = 0.0
        self.hangs: threading.Event | None = None

    def predict(self, x: Any, known: Any) -> Named:
        """Return what the model says, spoiled."""
        return self._said(self._sound.predict(x, known))

    def step(self, x: Any, known: Any, state: Any) -> tuple[Named, Any]:
        """Return what the model says, spoiled, and the state."""
        said, after = self._sound.step(x, known, state)
        return self._said(said), after

    def _said(self, said: Named) -> Named:
        if self.hangs is not None:
            self.hangs.wait(10)
        if self.fails is not None:
            raise self.fails
        return {name: values * self.factor + self.shift for name, values in said.items()}


class Desk:
    """A model loop with this model as champion of one symbol."""

    def __init__(self, made: "Made", bars: Bars) -> None:
        self.model: Asked | ModelFault = Spoiled(OnnxPredictor(made.files))
        self.card: Card = made.card
        self.bars, self.number, self.digest, self.is_halted = bars, DAYS * 1_440, "m", False
        self.known = True
        self.clock, self.bus, self.stored = Clock(), InProcessBus(), list[Batch]()
        self.clock.now = int(bars.at_ns[self.number - 1])
        self.heard = self.bus.subscribe(ADVICE)
        parts = Parts(self._roster, self._load, self._steps, self._warm, self._grids, self._store)
        self.learned = LearnedForecasts(parts=parts, bus=self.bus, clock=self.clock, on_close=self._nothing)
        self.loop = ModelLoop(
            forecaster=Forecaster(), bus=self.bus, clock=self.clock, speed=self._speed, on_close=self._nothing,
            learned=self.learned,
        )  # fmt: skip

    @property
    def spoiled(self) -> Spoiled:
        """The model, while it is loaded."""
        assert isinstance(self.model, Spoiled)
        return self.model

    async def bar(self) -> tuple[list[AdviceChanged], float]:
        """Let the next bar happen; return what the grids were told of it, and ms from its end until they were."""
        bars, number = self.bars, self.number
        end_ns = int(bars.at_ns[number])
        for quarter, column in enumerate((bars.open, bars.high, bars.low, bars.close)):
            self.clock.now = end_ns - BAR_S * SECOND_NS + quarter * SECOND_NS
            price, lots = round(float(column[number]) / TICK), round(float(bars.volume[number]) / 4 / TICK)
            trade = Trade(bars.symbol, price, lots, False, number, self.clock.now, self.clock.now)
            await self.bus.publish(MARKET, [trade])
            await self.loop.step()
        self.number += 1
        self.clock.now = end_ns
        began = time.perf_counter()
        await self.learned.look()
        await self.learned.answer_all()
        took_ms = (time.perf_counter() - began) * 1e3
        return await self.told(), took_ms

    async def told(self) -> list[AdviceChanged]:
        """Return what the grids were told since the last time."""
        await self.bus.publish(ADVICE, None)
        found: list[AdviceChanged] = []
        async for _, payload in self.heard:
            if payload is None:
                return found
            found.append(payload)  # type: ignore[arg-type]  # nothing else is on this topic
        return found

    async def reason(self) -> str:
        """Return the fault of the newest row."""
        await self.learned.store_all()
        return self.stored[-1].heard[-1].fault

    async def _roster(self) -> Roster:
        return Roster((Member(1, self.digest, "m", CHAMPION, "", self.card),), self.is_halted)

    async def _load(self, member: Member) -> Asked | ModelFault:
        return self.model

    async def _steps(self) -> Mapping[str, tuple[float, float]]:
        return {self.bars.symbol: (TICK, TICK)}

    async def _warm(self, symbol: str, bar_s: int) -> Bars | None:
        return self.bars.between(0, self.clock.now + 1) if self.known else None

    async def _grids(self) -> Mapping[str, Facts]:
        return {self.bars.symbol: FACTS}

    async def _store(self, batch: Batch) -> None:
        self.stored.append(batch)

    async def _speed(self) -> float:
        return 1.0

    async def _nothing(self) -> None: ...


def _raises(error: Exception) -> Spoil:
    return lambda desk: setattr(desk.spoiled, "fails", error)


def _other(desk: Desk, **changes: Any) -> None:
    """The next model is like this one but for its card."""
    desk.card = replace(desk.card, **changes)
    desk.spoiled.card, desk.digest = desk.card, "n"


def _gone(desk: Desk) -> None:
    desk.model, desk.digest = ModelFault(Fault.MISSING, "there is no such artefact"), "n"


def _calm(desk: Desk) -> None:
    _other(desk, spread=tuple(value / 1e3 for value in desk.card.spread))


def _elsewhere(desk: Desk) -> None:
    """The last week was where one bar in ten of the training was, feature by feature."""
    symbol = desk.bars.symbol
    drift = FeatureDrift(desk.card.features, desk.card.bins, desk.card.bar_s, (symbol,))
    highest = np.array([row[-1] + 1.0 for row in desk.card.bins], np.float32)
    for _ in range(DAYS * 1_440):
        drift.observe(symbol, highest)
    assert desk.learned._serving is not None
    desk.learned._serving._drifts[desk.digest] = drift


def _old(desk: Desk) -> None:
    desk.clock.now += desk.card.ttl_s * SECOND_NS + SECOND_NS


FAULTS: Final[Mapping[Fault, Spoil]] = {
    Fault.BROKEN: _raises(ZeroDivisionError("1/0")),
    Fault.MISMATCH: _raises(ModelFault(Fault.MISMATCH, "another shape")),
    Fault.NOT_FINITE: lambda desk: setattr(desk.spoiled, "factor", float("nan")),
    Fault.DISAGREEMENT: lambda desk: setattr(desk.spoiled, "shift", 9.0),
    Fault.LATE: lambda desk: setattr(desk.spoiled, "hangs", threading.Event()),
    Fault.HALTED: lambda desk: setattr(desk, "is_halted", True),
    Fault.MISSING: _gone,
    Fault.OUTLIER: _calm,
    Fault.DRIFT: _elsewhere,
    Fault.STALE: _old,
}


def injected(made: "Made", bars: Mapping[str, Bars]) -> dict[str, Any]:
    """Return the share of faults after which the grids were told within a bar, with a reason, and the slowest of them.

    On a busy host another fault may come first: an answer that was late besides is told as late.
    """
    first = next(iter(bars.values()))
    found = [(fault, *asyncio.run(_one(made, first, fault))) for fault in FAULTS for _ in range(TIMES)]
    missed = [f"{fault}: {words}" for fault, is_told, _, words in found if not is_told]
    return {
        "faults_injected": len(found),
        "faults_to_rule": round(1 - len(missed) / len(found), 4),
        "fault_worst_ms": round(max(took for _, _, took, _ in found), 1),
        "faults_missed": missed,
    }


async def _one(made: "Made", bars: Bars, fault: Fault) -> tuple[bool, float, str]:
    desk = Desk(made, bars)
    await desk.learned.refresh()
    before, _ = await _heard(desk)
    FAULTS[fault](desk)
    if fault is Fault.STALE:
        began = time.perf_counter()
        await desk.learned.look()
        told, took_ms, reason = await desk.told(), (time.perf_counter() - began) * 1e3, str(fault)
    else:
        await desk.learned.refresh()
        told, took_ms = await desk.bar()
        reason = await desk.reason()
    if isinstance(desk.model, Spoiled) and desk.model.hangs is not None:
        desk.model.hangs.set()
    await desk.learned.close()
    advices = [one.advice for one in told]
    is_rule = advices == [None] and reason in {fault, Fault.LATE} and desk.learned.errors == 0
    words = f"heard before: {before}, told: {advices}, the row says: {reason!r}, errors: {desk.learned.errors}"
    return before and is_rule, took_ms, words


async def _heard(desk: Desk) -> tuple[bool, float]:
    """Let bars happen until the model is heard."""
    for _ in range(200):
        told, took_ms = await desk.bar()
        if told and told[-1].advice is not None:
            return True, took_ms
    return False, 0.0
