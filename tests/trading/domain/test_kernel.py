"""The kernel against a plain grid that shares nothing with it, and the laws every grid keeps."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading.domain import grids_at_random as at_random
from tests.trading.domain.plain_grid import PlainGrid
from trading.domain import kernel, stepping
from trading.domain.kernel import Bounds, Ended, Ladder, Mode, Outcome, Side, Terms, UnableToRun
from trading.domain.limits import ExecutionStyle
from trading.domain.scanning import is_less
from trading.domain.tapes import Tape, of_tops, of_trades

LADDER = Ladder((10, 20, 30, 40), (5, 5, 5), Mode.LONG)


def trades(*ticks: int, step_ns: int = 10, through: bool = False) -> Tape:
    at_ns = np.arange(len(ticks), dtype=np.int64) * step_ns
    return of_trades("XYZ", at_ns, np.array(ticks, np.int64), through=through)


def told(outcome: Outcome) -> list[tuple[int, int, int, int]]:
    return [(int(f["event"]), int(f["slot"]), int(f["side"]), int(f["ticks"])) for f in outcome.fills]


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_the_kernel_does_what_a_plain_grid_does(data: st.DataObject) -> None:
    tape, ladder, bounds = data.draw(at_random.tapes()), data.draw(at_random.ladders()), data.draw(at_random.bounds())
    terms = data.draw(at_random.terms(ladder))
    start = data.draw(st.integers(0, len(tape) - 1))

    fast = kernel.run(tape, ladder, terms, start=start, bounds=bounds)
    slow = PlainGrid(tape, ladder, terms).run(start, bounds)

    fills = [(int(f["event"]), int(f["at_ns"]), int(f["slot"]), int(f["side"]), int(f["ticks"]), int(f["lots"]))
             for f in fast.fills]  # fmt: skip
    assert fills == [(f.event, f.at_ns, f.slot, f.side, f.ticks, f.lots) for f in slow.fills]
    assert (fast.ended, fast.ended_at) == (slow.why, slow.last)
    money = (fast.cash, fast.fees, fast.equity, fast.opening_equity, fast.grid_profit)
    assert tuple(Fraction(m, fast.scale) for m in money) == (
        slow.cash, slow.fees, slow.equities[-1], slow.equities[0], slow.grid_profit
    )  # fmt: skip
    assert (fast.lots, fast.round_trips) == (slow.lots, slow.round_trips)
    assert set(fast.state.denied) == slow.denied
    deepest, relative = slow.falls()
    assert Fraction(fast.max_drawdown, fast.scale) == deepest
    if fast.max_drawdown_fraction is not None:
        assert Fraction(*fast.max_drawdown_fraction) == relative


@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_segments_with_carried_state_are_one_run(data: st.DataObject) -> None:
    tape, ladder = data.draw(at_random.tapes()), data.draw(at_random.ladders())
    terms = replace(data.draw(at_random.terms(ladder)), max_drawdown=None)
    cuts = data.draw(st.lists(st.integers(0, int(tape.at_ns[-1])), max_size=5).map(sorted))

    whole = kernel.run(tape, ladder, terms)
    outcome: Outcome | None = None
    fills = []
    for until in (*cuts, None):
        if outcome is None or outcome.next_event < len(tape):
            start, carried = (0, None) if outcome is None else (outcome.next_event, outcome.state)
            outcome = kernel.run(tape, ladder, terms, start=start, state=carried, bounds=Bounds(until_ns=until))
            fills.append(outcome.fills)

    assert outcome is not None
    assert np.concatenate(fills).tobytes() == whole.fills.tobytes()
    assert outcome.state.books.tobytes() == whole.state.books.tobytes()
    assert outcome.state.slots.tobytes() == whole.state.slots.tobytes()
    same = ("cash", "equity", "max_drawdown", "max_drawdown_fraction", "grid_profit", "turnover", "ended_at")
    assert [getattr(outcome, name) for name in same] == [getattr(whole, name) for name in same]


@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_cash_inventory_and_worst_case_follow_from_the_fills(data: st.DataObject) -> None:
    tape, ladder = data.draw(at_random.tapes()), data.draw(at_random.ladders())
    terms = data.draw(at_random.terms(ladder))

    outcome = kernel.run(tape, ladder, terms)

    opened = kernel.opened(tape, ladder, terms)
    sides, notional = outcome.fills["side"], outcome.fills["ticks"] * outcome.fills["lots"]
    paid_fees = outcome.fees - int(opened.books[stepping.FEES])
    assert outcome.cash == opened.cash - int((sides * notional).sum()) * outcome.scale - paid_fees
    held = opened.lots + np.cumsum(sides * outcome.fills["lots"])
    assert outcome.lots == (held[-1] if len(held) else opened.lots)
    worst = max(opened.lots, terms.max_inventory_lots or 10**9)
    assert all(0 <= lots <= min(worst, opened.lots + sum(ladder.lots)) for lots in held)
    assert outcome.equity == outcome.opening_equity + outcome.grid_profit + outcome.inventory_pnl
    for slot in range(len(ladder.lots)):
        sides_of_slot = [int(f["side"]) for f in outcome.fills if f["slot"] == slot]
        first = -1 if opened.held[slot] else 1
        assert sides_of_slot == [first if k % 2 == 0 else -first for k in range(len(sides_of_slot))]


def test_a_long_ladder_buys_below_and_sells_one_level_higher() -> None:
    outcome = kernel.run(trades(25, 20, 15, 30, 29, 20), LADDER, Terms(1_000))

    assert told(outcome) == [(1, 1, 1, 20), (3, 1, -1, 30), (5, 1, 1, 20)]
    assert (outcome.grid_profit, outcome.round_trips) == (50, 1)
    assert outcome.inventory_pnl == 0
    assert outcome.state.held == (False, True, False)


def test_a_slot_above_the_price_buys_only_after_the_price_was_above_it() -> None:
    outcome = kernel.run(trades(25, 30, 31, 30), LADDER, Terms(1_000))

    assert told(outcome) == [(3, 2, 1, 30)]


def test_a_short_ladder_sells_first_and_counts_when_it_has_bought_back() -> None:
    ladder = replace(LADDER, mode=Mode.SHORT)

    outcome = kernel.run(trades(25, 30, 35, 20), ladder, Terms(0, 15, maker_fee=(1, 100)))

    assert told(outcome) == [(1, 1, -1, 30), (3, 1, 1, 20)]
    assert outcome.round_trips == 1
    assert Fraction(outcome.grid_profit, outcome.scale) == 50 - Fraction(250, 100)


def test_a_neutral_ladder_leaves_the_nearest_level_empty_and_buys_what_it_sells() -> None:
    outcome = kernel.run(trades(24, 30), replace(LADDER, mode=Mode.NEUTRAL), Terms(1_000, taker_fee=(1, 100)))

    assert told(outcome) == [(1, 1, -1, 30)]
    assert outcome.lots == 5
    assert Fraction(outcome.fees, outcome.scale) == Fraction(24 * 10, 100)


def test_a_gap_fills_every_level_it_jumps_over_the_nearest_first() -> None:
    outcome = kernel.run(trades(45, 5), LADDER, Terms(1_000))

    assert told(outcome) == [(1, 2, 1, 30), (1, 1, 1, 20), (1, 0, 1, 10)]


@pytest.mark.parametrize(("through", "fills"), [(False, 1), (True, 0)])
def test_a_print_at_the_level_fills_a_touched_order_and_leaves_one_that_must_be_passed(
    through: bool, fills: int
) -> None:
    assert len(kernel.run(trades(25, 20, through=through), LADDER, Terms(1_000)).fills) == fills


@pytest.mark.parametrize(("latency_ns", "event"), [(9, 1), (10, 2), (11, 2), (20, 3)])
def test_an_order_that_arrives_at_the_stamp_of_a_trade_is_too_late_for_it(latency_ns: int, event: int) -> None:
    outcome = kernel.run(trades(25, 20, 20, 20), LADDER, Terms(1_000, submit_ns=latency_ns))

    assert told(outcome)[0][0] == event


def test_without_latency_an_order_works_from_the_next_event_on_even_at_the_same_time() -> None:
    outcome = kernel.run(trades(25, 20, 30, step_ns=0), LADDER, Terms(1_000))

    assert told(outcome) == [(1, 1, 1, 20), (2, 1, -1, 30)]


def test_an_answer_waits_for_the_report_and_the_way_back() -> None:
    outcome = kernel.run(trades(25, 20, 30, 30, 30, step_ns=10), LADDER, Terms(1_000, submit_ns=5, report_ns=6))

    assert told(outcome) == [(1, 1, 1, 20), (3, 1, -1, 30)]


def test_a_taker_pays_the_price_of_the_touch_and_the_takers_fee() -> None:
    terms = Terms(1_000, maker_fee=(1, 1000), taker_fee=(1, 100), style=ExecutionStyle.TAKER)
    tape = of_tops("XYZ", *(np.array(a, np.int64) for a in ([0, 1], [24, 17], [25, 18])))

    outcome = kernel.run(tape, LADDER, terms)

    assert told(outcome) == [(1, 1, 1, 18)]
    assert Fraction(outcome.fees, outcome.scale) == Fraction(18 * 5, 100)


def test_the_inventory_gate_denies_the_furthest_slots_and_says_which() -> None:
    outcome = kernel.run(trades(45, 5), LADDER, Terms(1_000, max_inventory_lots=10))

    assert told(outcome) == [(1, 2, 1, 30), (1, 1, 1, 20)]
    assert outcome.state.denied == (0,)


def test_the_days_trades_hold_new_orders_back_until_midnight() -> None:
    day = stepping.DAY_NS
    at_ns = np.array([0, 1, 2, day, day + 1], np.int64)
    tape = of_trades("XYZ", at_ns, np.array([25, 20, 30, 30, 30], np.int64), through=False)

    outcome = kernel.run(tape, LADDER, Terms(1_000, max_trades_per_day=1))

    assert told(outcome) == [(1, 1, 1, 20), (4, 1, -1, 30)]


def test_what_was_put_off_leaves_when_the_last_report_of_the_old_day_is_in() -> None:
    day = stepping.DAY_NS
    at_ns = np.array([0, 9, day + 20, day + 25, day + 26], np.int64)
    tape = of_trades("XYZ", at_ns, np.array([25, 20, 30, 30, 30], np.int64), through=False)

    outcome = kernel.run(tape, LADDER, Terms(1_000, max_trades_per_day=1, report_ns=20, submit_ns=5))

    assert told(outcome) == [(1, 1, 1, 20), (4, 1, -1, 30)]


@pytest.mark.parametrize(("limit", "ended"), [((1, 20), Ended.DRAWDOWN), ((6, 100), Ended.TAPE)])
def test_a_drawdown_at_its_limit_stops_the_run(limit: tuple[int, int], ended: Ended) -> None:
    outcome = kernel.run(trades(25, 20, 10), LADDER, Terms(1_000, max_drawdown=limit))

    assert (outcome.max_drawdown, outcome.ended) == (50, ended)


@pytest.mark.parametrize(
    ("bounds", "ended", "at"),
    [
        (Bounds(low_ticks=15), Ended.LOW, 2),
        (Bounds(high_ticks=31), Ended.HIGH, 3),
        (Bounds(until_ns=10), Ended.TIME, 1),
        (Bounds(low_ticks=14, high_ticks=32, until_ns=31), Ended.TAPE, 3),
    ],
    ids=["at the low", "at the high", "at the time", "inside"],
)
def test_the_event_that_reaches_a_bound_belongs_to_the_run(bounds: Bounds, ended: Ended, at: int) -> None:
    outcome = kernel.run(trades(25, 20, 15, 31), LADDER, Terms(1_000), bounds=bounds)

    assert (outcome.ended, outcome.ended_at) == (ended, at)


def test_another_ladder_takes_over_what_is_held() -> None:
    tape = trades(25, 20, 15, 14, 26)
    terms = Terms(1_000, maker_fee=(1, 100))
    first = kernel.run(tape, LADDER, terms, bounds=Bounds(low_ticks=15))
    lower = Ladder((5, 15, 25), (5, 5), Mode.LONG)

    state = kernel.relaid(first.state, lower, [None, 20 * 5 * 101])
    second = kernel.run(tape, lower, terms, start=first.next_event, state=state)

    assert told(second) == [(4, 1, -1, 25)]
    assert second.grid_profit == 25 * 5 * 99 - 20 * 5 * 101
    assert second.cash == first.cash + 25 * 5 * 99


def test_a_trade_between_two_runs_moves_cash_and_inventory() -> None:
    terms = Terms(1_000, taker_fee=(1, 100))
    first = kernel.run(trades(25, 20), LADDER, terms)

    after = kernel.traded(first.state, Side.SELL, 5, 20, terms)

    assert (after.cash, after.lots) == (first.cash + 100 * 99, 0)
    with pytest.raises(UnableToRun, match="trade"):
        kernel.traded(after, Side.SELL, 1, 20, terms)


@given(st.integers(0, 2**62), st.integers(1, 2**62), st.integers(0, 2**62), st.integers(1, 2**62))
def test_fractions_are_compared_exactly(a: int, b: int, c: int, d: int) -> None:
    assert is_less(a, b, c, d) == (a * d < c * b)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"opening_cash": -1}, "opening_cash"),
        ({"maker_fee": (1, 0)}, "maker_fee"),
        ({"taker_fee": (3, 2)}, "taker_fee"),
        ({"submit_ns": -1}, "submit_ns"),
        ({"report_ns": stepping.DAY_NS + 1}, "report_ns"),
        ({"max_trades_per_day": 0}, "max_trades_per_day"),
        ({"max_inventory_lots": 0}, "max_inventory_lots"),
        ({"max_drawdown": (0, 1)}, "max_drawdown"),
        ({"style": ExecutionStyle.TAKER, "submit_ns": 1}, "style"),
    ],
)
def test_terms_out_of_range_are_refused_by_name(change: dict[str, Any], field: str) -> None:
    with pytest.raises(UnableToRun, match=field):
        Terms(**{"opening_cash": 1_000, **change})


@pytest.mark.parametrize(
    ("levels", "lots"),
    [((10,), ()), ((10, 20), (1, 1)), ((20, 10), (1,)), ((10, 10), (1,)), ((0, 10), (1,)), ((10, 20), (0,))],
)
def test_a_ladder_that_is_none_is_refused(levels: tuple[int, ...], lots: tuple[int, ...]) -> None:
    with pytest.raises(UnableToRun, match="ladder"):
        Ladder(levels, lots, Mode.LONG)


def test_amounts_that_do_not_fit_are_refused_before_they_are_wrong() -> None:
    with pytest.raises(UnableToRun, match="64 bits"):
        kernel.run(trades(25, 20), replace(LADDER, lots=(2**50, 1, 1)), Terms(1_000, maker_fee=(1, 10_000)))


def test_a_run_refuses_what_does_not_belong_together() -> None:
    tape, terms = trades(25, 20), Terms(1_000)
    first = kernel.run(tape, LADDER, terms)

    with pytest.raises(UnableToRun, match="start"):
        kernel.run(tape, LADDER, terms, start=2)
    with pytest.raises(UnableToRun, match="another ladder"):
        kernel.run(tape, replace(LADDER, lots=(1, 1, 1)), terms, state=first.state)
    with pytest.raises(UnableToRun, match="another unit"):
        kernel.run(tape, LADDER, Terms(1_000, maker_fee=(1, 1000)), state=first.state)
    with pytest.raises(UnableToRun, match="opening_lots"):
        kernel.run(tape, replace(LADDER, mode=Mode.SHORT), Terms(1_000, 14))
    with pytest.raises(UnableToRun, match="basis"):
        kernel.relaid(first.state, LADDER, [0, 0, None])
