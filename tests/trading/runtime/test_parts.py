"""The small parts of the runtime: what waits, what is measured, what the rows say."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from trading.domain.drills import Drill
from trading.domain.events import (
    DrillRequested,
    HaltRequested,
    MandateChanged,
    Resumed,
    SymbolPaused,
    SymbolResumed,
    TimerFired,
)
from trading.domain.limits import ExecutionStyle, Limits
from trading.runtime import inbox as boxes
from trading.runtime.inbox import Inbox, TooSlow
from trading.runtime.meter import ACK_FILL, SUBMIT_ACK, TICK_SUBMIT, Meter
from trading.runtime.rows import Latched, Orders, changes
from trading.runtime.show import Changes

LIMITS = Limits(
    "4.0", 1, Decimal(300), frozenset({"BTCUSDT"}), frozenset({ExecutionStyle.TAKER}), Decimal("0.02"), Decimal("0.1"),
    Decimal("0.2"), Decimal("0.02"), Decimal("0.05"), None, 20, 3,
)  # fmt: skip


# --- inbox --------------------------------------------------------------------------------------------------


async def test_what_stops_trading_overtakes_what_feeds_it() -> None:
    inbox = Inbox()
    for at_ns in (1, 2, 3):
        inbox.put(TimerFired(at_ns))

    inbox.put_urgent(HaltRequested("stop", flatten=False))

    assert inbox.take(2) == [HaltRequested("stop", flatten=False), TimerFired(1)]
    assert inbox.take(9) == [TimerFired(2), TimerFired(3)]


async def test_a_wait_ends_with_an_event_and_with_a_wake() -> None:
    inbox = Inbox()
    waiting = asyncio.create_task(inbox.wait())
    await asyncio.sleep(0)
    inbox.put(TimerFired(1))
    await waiting
    inbox.take(1)
    inbox.wake()

    await inbox.wait()

    assert len(inbox) == 0


def test_a_loop_that_falls_too_far_behind_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "LIMIT", 2)
    inbox = Inbox()

    with pytest.raises(TooSlow):
        inbox.extend([TimerFired(1), TimerFired(2), TimerFired(3)])


# --- meter --------------------------------------------------------------------------------------------------


class Now:
    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


def test_each_segment_of_an_order_is_counted_once() -> None:
    now = Now()
    meter = Meter(now)
    meter.decided("a", 1_000_000)
    for at_ms, mark in ((3, meter.sent), (5, meter.acknowledged), (9, meter.filled)):
        now.ns = at_ms * 1_000_000
        mark("a")
        mark("a")

    assert [meter.run[s].percentile_ms(50) for s in (TICK_SUBMIT, SUBMIT_ACK, ACK_FILL)] == pytest.approx(
        [2, 2, 4], rel=0.04
    )
    assert [meter.run[s].samples for s in (TICK_SUBMIT, SUBMIT_ACK, ACK_FILL)] == [1, 1, 1]


def test_an_order_that_no_tick_called_for_has_no_tick_segment() -> None:
    meter = Meter(Now())
    meter.decided("a", None)
    meter.sent("a")
    meter.sent("somebody else's")

    assert meter.run[TICK_SUBMIT].samples == 0


def test_a_minute_is_handed_out_once() -> None:
    meter = Meter(Now())
    meter.decided("a", 0)
    meter.sent("a")

    assert list(meter.take_minute()) == [TICK_SUBMIT]
    assert meter.take_minute() == {}


# --- rows ---------------------------------------------------------------------------------------------------

NOTHING = Orders(mandate_version=1, limits=LIMITS)


def halted(key: int = 1, *, flatten: bool = False, symbol: str = "") -> Orders:
    return replace(NOTHING, halts={symbol: Latched(key, "r", flatten)})


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (NOTHING, NOTHING, []),
        (NOTHING, halted(), [HaltRequested("r", flatten=False)]),
        (halted(), halted(), []),
        (halted(), halted(flatten=True), [HaltRequested("r", flatten=True)]),
        (halted(), NOTHING, [Resumed("released")]),
        (halted(), halted(key=2), [Resumed("released"), HaltRequested("r", flatten=False)]),
        (halted(), replace(NOTHING, released={"": 1}), [Resumed("released")]),
        (NOTHING, replace(NOTHING, released={"": 1}), [Resumed("released")]),
        (replace(NOTHING, released={"": 1}), replace(NOTHING, released={"": 1}), []),
        (NOTHING, replace(halted(key=2), released={"": 1}), [Resumed("released"), HaltRequested("r", flatten=False)]),
        (NOTHING, halted(symbol="BTCUSDT"), [HaltRequested("r", flatten=False, symbol="BTCUSDT")]),
        (halted(symbol="BTCUSDT"), halted(), [Resumed("released", "BTCUSDT"), HaltRequested("r", flatten=False)]),
        (NOTHING, replace(NOTHING, paused={"BTCUSDT": "rule"}), [SymbolPaused("BTCUSDT", "rule")]),
        (replace(NOTHING, paused={"BTCUSDT": "rule"}), NOTHING, [SymbolResumed("BTCUSDT")]),
        (NOTHING, replace(NOTHING, mandate_version=2), [MandateChanged(LIMITS)]),
        (NOTHING, replace(NOTHING, drill=(1, "DRAWDOWN")), [DrillRequested(Drill.DRAWDOWN)]),
        (replace(NOTHING, drill=(1, "DRAWDOWN")), replace(NOTHING, drill=(1, "DRAWDOWN")), []),
    ],
    ids=[
        "nothing",
        "halt",
        "same halt",
        "flatten added",
        "released",
        "halted anew",
        "released, and on record",
        "latched and released between two readings",
        "released long ago",
        "latched, released and latched between two readings",
        "one symbol halted",
        "the symbol released, the account halted",
        "paused",
        "resumed",
        "mandate",
        "drill",
        "same drill",
    ],
)
def test_only_what_changed_between_two_readings_is_told(before: Orders, after: Orders, told: list[object]) -> None:
    assert changes(before, after) == told


# --- show ---------------------------------------------------------------------------------------------------


def test_only_changed_values_leave_and_unknown_is_a_value() -> None:
    changed = Changes()

    assert changed.of({"a": 1, "b": None}) == {"a": 1, "b": None}
    assert changed.of({"a": 1, "b": None}) == {}
    assert changed.of({"a": 1, "b": 0}) == {"b": 0}
