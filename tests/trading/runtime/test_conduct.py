"""What an execution loop sees of itself: nothing counts that was not seen, and no minute counts twice."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.trading.domain.hand import BEGIN, CENTRE, SECOND, SYMBOL, Hand
from tests.trading.runtime.desk import Console
from trading.domain.desk import TraderView
from trading.domain.events import FeedLost, FeedRestored
from trading.domain.evidence import Facts
from trading.domain.limits import ExecutionStyle, TradingState
from trading.models import ConductSample
from trading.ports import ReplayStatus
from trading.runtime import conduct, execution
from trading.runtime.conduct import MINUTE_NS, REAL, Conduct, Look, Pace

Run = Callable[..., AbstractAsyncContextManager[Console]]
STATUS = ReplayStatus(1, 1.0, 0.98, "ticks", "ticks", 0.5, "TRADING", ())


def view(**changes: Any) -> TraderView:
    """Return a desk that runs, holds nothing and has a fresh price."""
    return replace(Hand().trader.view(BEGIN), **changes)


VIEW = view()


def look(at_s: int = 0, **changes: Any) -> Look:
    return replace(Look(BEGIN + at_s * SECOND, VIEW, True, True, REAL), **changes)


def between(before: Look, after: Look) -> Facts:
    return conduct._between(before, after)


def test_the_time_between_two_good_looks_counts_as_everything() -> None:
    facts = between(look(), look(5))

    assert (facts.watched_ns, facts.fed_ns, facts.in_force_ns, facts.market_ns) == (5 * SECOND,) * 4
    assert (facts.samples, facts.equity and facts.equity.last, facts.accelerated) == (1, VIEW.equity_quote, False)


@pytest.mark.parametrize(
    ("change", "fed", "in_force"),
    [
        ({"is_clear": False}, 0, 5),
        ({"view": view(symbols=tuple(replace(s, is_fed=False) for s in VIEW.symbols))}, 0, 5),
        ({"view": view(state=TradingState.HALTED)}, 5, 0),
        ({"has_mandate": False}, 5, 0),
        ({"pace": None}, 5, 0),
    ],
    ids=["an obstacle", "stale prices", "halted", "no mandate", "unknown speed"],
)
@pytest.mark.parametrize("first", [True, False])
def test_what_held_at_one_end_only_did_not_hold(change: dict[str, Any], fed: int, in_force: int, first: bool) -> None:
    before, after = look(0, **(change if first else {})), look(5, **({} if first else change))

    facts = between(before, after)

    assert (facts.watched_ns, facts.fed_ns, facts.in_force_ns) == (5 * SECOND, fed * SECOND, in_force * SECOND)
    assert facts.market_ns == facts.in_force_ns


@pytest.mark.parametrize("at_s", [16, 0, -5], ids=["a long gap", "no time", "a clock set back"])
def test_a_gap_was_not_watched(at_s: int) -> None:
    facts = between(look(), look(at_s))

    assert (facts.watched_ns, facts.fed_ns, facts.in_force_ns, facts.market_ns) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, Pace(1.0)),
        (STATUS, Pace(1.0)),
        (replace(STATUS, speed=60.0, effective_speed=20.0), Pace(20.0, True)),
        (replace(STATUS, speed=60.0, effective_speed=70.0), Pace(60.0, True)),
        (replace(STATUS, effective_speed=0.0), Pace(0.0)),
        (replace(STATUS, effective_speed=0.0, state="BREAK"), Pace(0.0, is_closed=True)),
    ],
    ids=["a real feed", "real time", "slower than asked", "faster than asked", "paused", "between two laps"],
)
def test_the_market_is_never_taken_for_faster_than_it_was(status: ReplayStatus | None, expected: Pace) -> None:
    assert Pace.of(status) == expected


def test_an_accelerated_second_is_many_of_the_market() -> None:
    facts = between(look(pace=Pace(60.0, True)), look(5, pace=Pace(20.5, True)))

    assert (facts.in_force_ns, facts.market_ns, facts.accelerated) == (5 * SECOND, int(102.5 * SECOND), True)


def test_prices_are_not_due_while_the_market_is_closed() -> None:
    stale = view(symbols=tuple(replace(s, is_fed=False) for s in VIEW.symbols))
    closed = Pace(0.0, is_closed=True)

    assert between(look(view=stale, pace=closed), look(5, view=stale, pace=closed)).fed_ns == 5 * SECOND


def test_a_position_without_a_price_is_no_equity() -> None:
    (symbol,) = VIEW.symbols
    unpriced = view(symbols=(replace(symbol, base=Decimal(1), mark_ticks=None),))

    facts = between(look(), look(5, view=unpriced))

    assert (facts.samples, facts.equity) == (0, None)


def test_what_each_symbol_lost_is_the_deepest_of_the_minute_and_unknown_without_a_price() -> None:
    (symbol,) = VIEW.symbols
    kept, told = Conduct(), []
    for at_s, lost in ((59, None), (61, "0.002"), (80, "0.004"), (100, None), (121, "0.009")):
        fraction = None if lost is None else Decimal(lost)
        told.append(kept.look(look(at_s, view=view(symbols=(replace(symbol, drawdown_fraction=fraction),)))))

    (minute,) = [one for one in told if one is not None]
    assert minute[1].symbols[SYMBOL].drawdown == Decimal("0.004")
    unknown = view(symbols=(replace(symbol, drawdown_fraction=None),))
    assert between(look(), look(5, view=unknown)).symbols == {}


def test_market_data_is_lost_once_until_it_is_back() -> None:
    kept = Conduct()
    lost, back = FeedLost("broken", BEGIN), FeedRestored(BEGIN)
    for event in (lost, lost, lost, back, back, lost):
        kept.hear(event)

    told = [kept.look(look(at_s)) for at_s in (59, 61, 70, 121)]

    (minute,) = [one for one in told if one is not None]
    assert (minute[1].feed_losses, minute[1].detailed_ns) == (2, minute[1].watched_ns)


def test_touches_count_on_over_midnight() -> None:
    hand = Hand(ExecutionStyle.MAKER)
    nearest, *_ = buys = hand.sent
    for order in buys:
        hand.accept(order)
    before = hand.trader.view(hand.now_ns)
    hand.trade((nearest.price_ticks or 0) - 1)
    hand.fill(nearest)
    hand.now_ns += 86_400 * SECOND
    hand.top(CENTRE)
    hand.seconds(1)

    touched = between(look(view=before), look(5, view=hand.trader.view(hand.now_ns))).symbols[SYMBOL]

    assert hand.symbol.fill_rate_of == 0
    assert (touched.touched, touched.touch_filled) == (1, 1)


def test_a_minute_is_told_once_it_is_over_and_holds_what_was_read_in_it() -> None:
    kept, told = Conduct(), []
    for at_s in range(0, 130, 5):
        if at_s in (30, 100):
            kept.read(agrees=at_s == 30)
        told.append(kept.look(look(at_s)))

    (first, second) = [one for one in told if one is not None]
    assert [first[0], second[0]] == [BEGIN, BEGIN + MINUTE_NS]
    assert [first[1].watched_ns, second[1].watched_ns] == [55 * SECOND, 60 * SECOND]
    assert [(one.readings, one.in_sync) for _, one in (first, second)] == [(1, 1), (1, 1)]


def test_a_reading_before_the_first_look_is_not_lost() -> None:
    kept = Conduct()
    kept.read(agrees=False)

    told = [kept.look(look(at_s)) for at_s in (59, 61, 119, 121)]

    (minute,) = [one for one in told if one is not None]
    assert (minute[0], minute[1].readings, minute[1].in_sync) == (BEGIN + MINUTE_NS, 1, 1)


@pytest.mark.parametrize(
    ("agrees", "in_sync"),
    [((True, False, True), 3), ((True, False, False), 2), ((False, False, False), 1), ((True, False, False, True), 3)],
)
def test_what_the_next_reading_explains_is_no_mismatch(agrees: tuple[bool, ...], in_sync: int) -> None:
    kept = Conduct()
    for one in agrees:
        kept.read(agrees=one)

    told = [kept.look(look(at_s)) for at_s in (59, 61, 119, 121)]

    (minute,) = [one for one in told if one is not None]
    assert (minute[1].readings, minute[1].in_sync) == (len(agrees), in_sync)


async def test_a_desk_keeps_one_row_a_minute_whatever_restarts(console: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "SAMPLE_EVERY_S", 0.05)
    monkeypatch.setattr(conduct, "MINUTE_NS", SECOND)  # told every second, stored once a minute
    async with console() as made:
        for _ in range(2):
            await made.start("micro")
            await made.ready("micro")
            rows = await made.until(lambda: list(ConductSample.objects.filter(account__slug="micro")))
            await made.stop("micro")

        facts = Facts.from_json(rows[0].facts)
        minutes = [row.at for row in await made.rows(lambda: list(ConductSample.objects.all()))]
        assert len(minutes) == len(set(minutes))
        assert 0 < facts.watched_ns <= 2 * SECOND
        assert facts.equity is not None
        assert not facts.accelerated
