"""The market-data loop hands its recorder exactly what the traders accept, and marks where it does not continue."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from trading.adapters.bus_inprocess import InProcessBus
from trading.domain.events import SeamReached
from trading.domain.market import BookTop, MarketEvent, MarketState, Trade
from trading.ports import FeedBroken, ReplayStatus
from trading.runtime.market_data import MarketDataLoop

NOW_NS = 1_800_000_000_000_000_000


def top(number: int, bid: int = 100, ask: int = 101) -> BookTop:
    return BookTop("BTCUSDT", bid, 1, ask, 1, number, 0, NOW_NS + number)


def trade(number: int, price: int = 100) -> Trade:
    return Trade("BTCUSDT", price, 1, False, number, NOW_NS, NOW_NS + number)


class Recorder:
    """Remembers what it was handed, marks as text."""

    def __init__(self) -> None:
        self.tape: list[MarketEvent | str] = []
        self.closed = False

    def keep(self, events: Sequence[MarketEvent]) -> None:
        self.tape += events

    def mark(self, reason: str, at_ns: int) -> None:
        self.tape.append(reason)

    def gauges(self) -> Mapping[str, float]:
        return {"recorded_events": 7}

    async def close(self) -> None:
        self.closed = True


class Feed:
    """Gives batches, then breaks."""

    def __init__(self, *batches: Sequence[Any]) -> None:
        self._batches = list(batches)

    async def events(self, symbols: Sequence[str]) -> AsyncIterator[Sequence[Any]]:
        while self._batches:
            yield self._batches.pop(0)
        raise FeedBroken("closed")

    async def replay_status(self) -> ReplayStatus | None:
        return None

    async def close(self) -> None: ...


class Clock:
    def now_ns(self) -> int:
        return NOW_NS

    async def sleep(self, seconds: float) -> None: ...


class Publisher:
    async def values(self, values: Any) -> None: ...
    async def events(self, *names: Any) -> None: ...
    async def prices(self, prices: Any) -> None: ...


def loop_of(*batches: Sequence[Any], recorder: Recorder | None) -> MarketDataLoop:
    return MarketDataLoop(
        feed=Feed(*batches),
        instruments={"BTCUSDT": None},  # type: ignore[dict-item]  # only shown prices need the steps
        bus=InProcessBus(),
        clock=Clock(),
        publisher=Publisher(),
        recorder=recorder,
    )


async def recorded(*batches: Sequence[Any]) -> list[MarketEvent | str]:
    recorder = Recorder()
    loop = loop_of(*batches, recorder=recorder)
    for _ in batches:
        await loop.step()
    return recorder.tape


@pytest.mark.parametrize(
    "defect",
    [top(9, 101, 101), top(1), top(9, 0, 5), top(9, 300, 301), trade(9, 0), trade(9, 500)],
    ids=["crossed", "out of order", "not positive", "spike", "free trade", "trade beyond the collar"],
)
async def test_what_the_traders_drop_is_not_recorded(defect: MarketEvent) -> None:
    assert await recorded([top(1), trade(8), defect, top(10)]) == ["connected", top(1), trade(8), top(10)]


async def test_a_seam_a_gap_and_a_new_connection_are_marked_where_they_happened() -> None:
    seam = SeamReached(3, {"BTCUSDT": 100}, NOW_NS)

    tape = await recorded([top(5), trade(1), seam, top(1, 50, 51), trade(1, 50)], [trade(4, 50), top(2, 50, 51)])

    gap = "market data has a gap"
    expected = [top(5), trade(1), "lap 3", top(1, 50, 51), trade(1, 50), gap, trade(4, 50), top(2, 50, 51)]
    assert tape == ["connected", *expected]


async def test_the_tape_is_what_a_fresh_state_accepts_between_marks() -> None:
    batches = [[top(1), top(1), trade(3), trade(4), top(2, 99, 98)], [trade(7), top(3, 200, 201), top(4)]]

    tape = await recorded(*batches)

    state = MarketState("BTCUSDT")
    for item in tape:
        if isinstance(item, str):
            state.restart()
        else:
            assert state.accept(item, NOW_NS) is None


async def test_the_recorder_is_closed_with_the_loop_and_its_numbers_are_shown() -> None:
    recorder = Recorder()
    loop = loop_of([top(1)], recorder=recorder)

    await loop.step()
    await loop.close()

    assert recorder.closed
    assert loop.gauges()["recorded_events"] == 7


async def test_without_a_recorder_the_loop_runs_as_ever() -> None:
    loop = loop_of([top(1), trade(1)], recorder=None)

    await loop.step()
    await loop.close()

    assert loop.dropped == {}
