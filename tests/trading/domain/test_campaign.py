"""A grid over a whole tape: small worlds by hand, and laws that hold over every relay."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.domain import kernel
from trading.domain.campaign import Campaign, run_campaign
from trading.domain.carrying import Why
from trading.domain.dealing import OPENING, Deal, beyond_window
from trading.domain.grids import Carried, GridSpec, Kind
from trading.domain.instruments import Instrument
from trading.domain.kernel import Ended, Side
from trading.domain.laying import lay
from trading.domain.levels import Spacing
from trading.domain.limits import ExecutionStyle
from trading.domain.recounting import drawdown
from trading.domain.relaying import has_started
from trading.domain.tapes import Tape, of_tops, of_trades
from trading.domain.terms import Ladder, Mode, Terms, UnableToRun

D = Decimal
ABC = Instrument("ABCUSDT", "ABC", "USDT", D("0.01"), D("0.001"), D(5))
MONEY = 100_000  # ticks x lots in one quote
RANGE = GridSpec("ABCUSDT", 4, lot_quote=D(100), lower=D(80), upper=D(120), spacing=Spacing.ARITHMETIC)
TRAILING = replace(RANGE, trail_up_to=D(150), trail_down_to=D(50))
AROUND = GridSpec("ABCUSDT", 4, lot_quote=D(100), step_fraction=D("0.1"), spacing=Spacing.ARITHMETIC, recentre_steps=1)
INFINITY = GridSpec(
    "ABCUSDT", 2, lot_quote=D(100), kind=Kind.INFINITY, mode=Mode.NEUTRAL, lower=D(50), step_fraction=D("0.25")
)
FREE = Terms(opening_cash=2_000 * MONEY)
PAID = Terms(opening_cash=2_000 * MONEY, opening_lots=20_000, maker_fee=(1, 1_000), taker_fee=(2, 1_000))


def tape(*prices: int, through: bool = False, every_s: int = 1) -> Tape:
    at_ns = np.arange(len(prices), dtype=np.int64) * every_s * 1_000_000_000
    return of_trades("ABCUSDT", at_ns, np.array(prices, np.int64), through=through)


def fills(of: Campaign) -> list[tuple[int, int, int, int]]:
    return [(int(f["event"]), int(f["side"]), int(f["ticks"]), int(f["lots"])) for f in of.outcome.fills]


def deals(of: Campaign) -> list[tuple[int, Side, int, int, str]]:
    return [(one.event, one.side, one.ticks, one.lots, one.why) for one in of.deals]


def test_a_grid_without_bounds_is_one_run_of_the_kernel() -> None:
    prices = tape(*(100_00 + int(30_00 * np.sin(x / 7)) for x in range(200)))
    ladder = lay(RANGE, ABC, 100_00).ladder

    alone = kernel.run(prices, Ladder(ladder.levels, ladder.lots, Mode.LONG), PAID)
    driven = run_campaign(prices, RANGE, ABC, PAID)

    assert fills(driven) == [tuple(int(f[k]) for k in ("event", "side", "ticks", "lots")) for f in alone.fills]
    assert len(alone.fills) > 20
    for name in ("cash", "lots", "fees", "equity", "max_drawdown", "grid_profit", "turnover", "round_trips"):
        assert getattr(driven.outcome, name) == getattr(alone, name)
    assert (driven.ended, len(driven.segments), driven.deals) == (Ended.TAPE, 1, ())


def test_trailing_up_leaves_the_lowest_slot_and_works_above() -> None:
    done = run_campaign(tape(105_00, 100_00, 110_00, 126_00, 119_00, 131_00), TRAILING, ABC, FREE)

    assert fills(done) == [(1, 1, 100_00, 1_000), (2, -1, 110_00, 1_000), (4, 1, 120_00, 833), (5, -1, 130_00, 833)]
    assert [(s.why, s.standing.laid.ladder.levels[0]) for s in done.segments] == [
        (None, 80_00),
        (Why.TRAIL_UP, 90_00),
    ]
    assert done.outcome.grid_profit == 1_000 * 10_00 + 833 * 10_00
    assert deals(done) == []


def test_trailing_down_parks_the_dearest_lot_until_its_exit() -> None:
    done = run_campaign(tape(115_00, 75_00, 69_00, 80_00, 125_00), TRAILING, ABC, FREE)

    assert [fill for fill in fills(done) if fill[0] == 1] == [
        (1, 1, 110_00, 909),
        (1, 1, 100_00, 1_000),
        (1, 1, 90_00, 1_111),
        (1, 1, 80_00, 1_250),
    ]
    assert [(s.why, s.standing.laid.ladder.levels[0]) for s in done.segments] == [
        (None, 80_00),
        (Why.TRAIL_DOWN, 70_00),
        (Why.TRAIL_UP, 90_00),
    ]
    assert deals(done) == [(4, Side.SELL, 120_00, 909, Why.EXIT)]
    assert (done.outcome.lots, done.outcome.grid_profit) == (0, done.outcome.cash - 2_000 * MONEY)
    assert done.outcome.round_trips == 5


def test_a_stop_closes_everything_at_the_market() -> None:
    done = run_campaign(tape(115_00, 79_00, 69_00, 90_00), replace(RANGE, stop=D(70)), ABC, FREE)

    assert deals(done) == [(2, Side.SELL, 69_00, 4_270, Why.STOP)]
    assert (done.ended, done.outcome.lots, done.outcome.ended_at) == (Why.STOP, 0, 2)
    paid = 110_00 * 909 + 100_00 * 1_000 + 90_00 * 1_111 + 80_00 * 1_250
    assert done.outcome.cash == 2_000 * MONEY - paid + 69_00 * 4_270
    assert done.outcome.max_drawdown == paid - 69_00 * 4_270


def test_a_stop_may_leave_what_is_held() -> None:
    done = run_campaign(tape(115_00, 79_00, 69_00), replace(RANGE, stop=D(70), flatten=False), ABC, FREE)

    assert (done.ended, done.outcome.lots, deals(done)) == (Why.STOP, 4_270, [])


def test_a_take_profit_bound_ends_a_neutral_grid_in_cash() -> None:
    spec = replace(RANGE, mode=Mode.NEUTRAL, take_profit=D(125))

    done = run_campaign(tape(100_00, 111_00, 126_00, 50_00), spec, ABC, FREE)

    assert deals(done) == [(0, Side.BUY, 100_00, 1_909, OPENING)]
    assert (done.ended, done.outcome.lots) == (Why.TAKE_PROFIT, 0)
    assert done.outcome.grid_profit == 10_00 * 1_000 + 20_00 * 909


def test_a_short_grid_that_is_stopped_buys_back_what_it_owes() -> None:
    spec = replace(RANGE, mode=Mode.SHORT, stop=D(130))

    done = run_campaign(tape(85_00, 121_00, 131_00), spec, ABC, replace(FREE, opening_lots=4_000))

    assert [fill[1:] for fill in fills(done)] == [
        (-1, 90_00, 1_111),
        (-1, 100_00, 1_000),
        (-1, 110_00, 909),
        (-1, 120_00, 833),
    ]
    assert deals(done) == [(2, Side.BUY, 131_00, 3_853, Why.STOP)]
    assert done.outcome.lots == 4_000


def test_a_short_round_trip_earns_the_step_also_after_its_ladder_moved() -> None:
    spec = replace(TRAILING, mode=Mode.SHORT)

    done = run_campaign(tape(105_00, 126_00, 109_00, 99_00), spec, ABC, replace(FREE, opening_lots=4_000))

    assert [s.why for s in done.segments] == [None, Why.TRAIL_UP]
    assert [fill[1:] for fill in fills(done)] == [
        (-1, 110_00, 909),
        (-1, 120_00, 833),
        (1, 110_00, 833),
        (1, 100_00, 909),
    ]
    assert done.outcome.grid_profit == 10_00 * (833 + 909)


def test_a_grid_waits_for_its_start_price() -> None:
    done = run_campaign(tape(115_00, 99_00, 95_00, 90_00, 101_00), replace(RANGE, start_at=D(95)), ABC, FREE)

    assert done.segments[0].first_event == 2
    assert fills(done) == [(3, 1, 90_00, 1_111), (4, -1, 100_00, 1_111)]


@settings(deadline=None)  # the first example may compile the kernel
@given(steps=st.lists(st.integers(-9_00, 9_00), min_size=2, max_size=40), start=st.integers(90_00, 110_00))
def test_a_backtest_starts_where_a_live_grid_would(steps: list[int], start: int) -> None:
    prices = walk(100_00, steps, through=False)
    marks = [int(mark) for mark in prices.mark]
    live = next((event for event, mark in enumerate(marks) if has_started(start, marks[0], mark)), None)

    try:
        first = run_campaign(prices, replace(AROUND, start_at=ABC.price(start)), ABC, PAID).segments[0].first_event
    except UnableToRun:
        first = None

    assert first == live


def test_a_start_price_that_never_comes_is_said() -> None:
    with pytest.raises(UnableToRun, match="start_at: the tape never reaches 95"):
        run_campaign(tape(115_00, 99_00), replace(RANGE, start_at=D(95)), ABC, FREE)


def test_a_ladder_in_true_ranges_starts_when_one_is_known() -> None:
    spec = replace(AROUND, step_fraction=None, atr_multiple=D(2), atr_bars=2, atr_bar_s=2)
    prices = (100_00, 104_00, 100_00, 104_00, 100_00, 104_00, 100_00, 96_00, 92_00)

    done = run_campaign(tape(*prices), spec, ABC, FREE)

    assert done.segments[0].first_event == 6  # two bars after the first: true ranges 4.00 and 4.00
    assert done.segments[0].standing.laid.ladder.levels == (80_00, 88_00, 96_00, 104_00, 112_00)
    assert fills(done) == [(7, 1, 96_00, 1_041)]


def test_a_tape_too_short_for_a_true_range_is_said() -> None:
    with pytest.raises(UnableToRun, match="atr_bars"):
        run_campaign(tape(100_00, 101_00), replace(AROUND, step_fraction=None, atr_multiple=D(2)), ABC, FREE)


def test_a_rebuilt_grid_works_around_the_new_price() -> None:
    done = run_campaign(tape(100_00, 94_00, 60_00, 56_00, 64_00, 96_00), AROUND, ABC, FREE)

    assert [s.why for s in done.segments] == [None, Why.RECENTRE, Why.RECENTRE]
    assert done.segments[1].standing.laid.ladder.levels == (45_00, 51_00, 57_00, 63_00, 69_00)
    assert [fill[1:3] for fill in fills(done)] == [(1, 95_00), (1, 85_00), (1, 75_00), (1, 57_00), (-1, 63_00)]
    assert deals(done) == [  # at 96 the exits at 85 and 95 are behind the price, the one at 105 is not
        (5, Side.SELL, 85_00, 1_333, Why.EXIT),
        (5, Side.SELL, 95_00, 1_176, Why.EXIT),
    ]
    assert [one.exit_ticks for one in done.standing.parked] == [105_00]


def test_reinvested_profit_buys_larger_lots() -> None:
    spec = replace(RANGE, reinvest_fraction=D(1), reinvest_every_s=2)

    done = run_campaign(tape(105_00, 100_00, 110_00, 105_00, 100_00), spec, ABC, FREE)

    assert fills(done)[0] == (1, 1, 100_00, 1_000)
    assert fills(done)[2] == (4, 1, 100_00, 1_025)  # 10 earned: 2.50 more a slot


def test_an_infinity_grid_follows_the_price_without_end() -> None:
    done = run_campaign(tape(100_00, 200_00, 400_00, 800_00, 500_00), INFINITY, ABC, FREE)

    held = done.outcome.lots
    assert deals(done)[0] == (0, Side.BUY, 100_00, 4_095, OPENING)
    assert [s.why for s in done.segments][1:] == [Why.EXTEND] * 4 or len(done.segments) > 2
    assert abs(held * 500_00 - 400 * MONEY) < 110 * MONEY  # a value of 400, give or take one step
    assert held > 0


def test_what_an_account_could_not_have_paid_is_shown() -> None:
    poor, rich = (
        run_campaign(tape(115_00, 79_00), RANGE, ABC, replace(FREE, opening_cash=q * MONEY)) for q in (399, 400)
    )

    assert (poor.is_funded, rich.is_funded) == (False, True)


@pytest.mark.parametrize(("resting", "missed"), [(None, 0), (1, 2), (2, 0)])
def test_fills_of_virtual_levels_are_counted(resting: int | None, missed: int) -> None:
    done = run_campaign(tape(115_00, 99_00, 109_00, 121_00), replace(RANGE, resting=resting), ABC, FREE)

    assert [fill[:3] for fill in fills(done)] == [(1, 1, 110_00), (1, 1, 100_00), (3, -1, 110_00), (3, -1, 120_00)]
    assert done.beyond_window == missed


def test_exits_of_parked_lots_count_among_the_fills_of_virtual_levels() -> None:
    filled = np.zeros(2, kernel.FILL)
    filled["event"], filled["side"] = 7, (1, -1)
    exits = [
        Deal(event, event, Side.SELL, 100_00, 1, maker, "exit") for event, maker in ((7, True), (7, False), (8, True))
    ]

    assert [beyond_window(most, filled, exits) for most in (None, 1, 2)] == [0, 1, 0]


def test_a_reverse_grid_gains_base_and_needs_no_quote_of_its_own() -> None:
    spec = replace(RANGE, kind=Kind.REVERSE, mode=Mode.SHORT)

    done = run_campaign(tape(85_00, 111_00, 79_00), spec, ABC, Terms(opening_cash=0, opening_lots=3_853))

    assert [fill[1:] for fill in fills(done)] == [
        (-1, 90_00, 1_111),
        (-1, 100_00, 1_000),
        (-1, 110_00, 909),
        (1, 100_00, 999),
        (1, 90_00, 1_111),
        (1, 80_00, 1_249),
    ]
    assert done.outcome.lots == 3_853 + 90 + 111 + 138
    assert done.outcome.cash == done.outcome.grid_profit == 90_00 + 10_00 + 7_000
    assert done.is_funded


def test_a_short_grid_that_moves_down_sells_no_base_it_does_not_have() -> None:
    spec = replace(TRAILING, mode=Mode.SHORT)

    done = run_campaign(tape(105_00, 75_00, 91_00), spec, ABC, replace(FREE, opening_lots=3_853))

    lots = done.segments[1].standing.laid.ladder.lots
    assert done.segments[1].standing.laid.ladder.levels == (70_00, 80_00, 90_00, 100_00, 110_00)
    assert lots == tuple(wanted * 3_853 // 4_270 for wanted in (1_250, 1_111, 1_000, 909))
    assert [fill[1:] for fill in fills(done)] == [(-1, 80_00, lots[0]), (-1, 90_00, lots[1])]


def test_a_short_grid_without_base_for_its_next_slot_ends() -> None:
    spec = replace(TRAILING, mode=Mode.SHORT)

    done = run_campaign(tape(85_00, 121_00, 126_00, 90_00), spec, ABC, replace(FREE, opening_lots=3_853))

    assert (done.ended, done.outcome.lots, done.outcome.ended_at) == (Why.SHORT_OF_BASE, 0, 2)


@pytest.mark.parametrize("gate", [{"max_drawdown": (1, 2)}, {"max_inventory_lots": 9_000}])
def test_gates_that_count_inventory_are_refused_for_a_reverse_grid(gate: Any) -> None:
    spec = replace(RANGE, kind=Kind.REVERSE, mode=Mode.SHORT)

    with pytest.raises(UnableToRun, match="reverse"):
        run_campaign(tape(100_00, 101_00), spec, ABC, replace(FREE, opening_lots=9_000, **gate))


def test_a_taker_grid_pays_the_touch_and_the_taker_fee() -> None:
    at_ns = np.arange(3, dtype=np.int64)
    tops = of_tops("ABCUSDT", at_ns, np.array([105_00, 98_99, 111_00]), np.array([105_10, 99_09, 111_10]))
    terms = replace(PAID, opening_lots=0)

    done = run_campaign(tops, replace(RANGE, style=ExecutionStyle.TAKER), ABC, terms)

    assert fills(done) == [(1, 1, 99_09, 1_000), (2, -1, 111_00, 1_000)]
    assert done.outcome.fees == (99_09 + 111_00) * 1_000 * 2


# --- laws --------------------------------------------------------------------------------------------------

TERMS: Sequence[Terms] = (
    PAID,
    replace(PAID, submit_ns=700_000_000, report_ns=2_500_000_000),
    replace(PAID, max_trades_per_day=9, max_inventory_lots=22_000),
    replace(PAID, max_drawdown=(1, 50)),
    replace(PAID, opening_lots=5_500),  # no more than a SHORT ladder needs at its first levels
)
WALKS = st.lists(st.integers(-9_00, 9_00), min_size=2, max_size=120)
SPECS: Sequence[GridSpec] = (
    RANGE,
    replace(RANGE, stop=D(70), take_profit=D(130)),
    TRAILING,
    replace(TRAILING, skew_fraction=D("0.5"), stop=D(49), take_profit=D(151)),
    AROUND,
    replace(AROUND, spacing=Spacing.GEOMETRIC, stop=D(60)),
    replace(RANGE, reinvest_fraction=D("0.5"), reinvest_every_s=10),
)


def walk(start: int, steps: Sequence[int], *, through: bool) -> Tape:
    prices = np.clip(start + np.cumsum(np.array(steps, np.int64)), 20_00, 400_00)
    return tape(*(int(price) for price in prices), through=through)


def book(of: Campaign, terms: Terms, prices: Tape) -> tuple[int, int, int, int]:
    """Return cash, lots, fees and largest drawdown, from the list of trades alone, valued after every event."""
    scale, cash, lots, fees = terms.scale, terms.opening_cash * terms.scale, terms.opening_lots, 0
    rates = {maker: num * (scale // den) for maker, (num, den) in ((True, terms.maker_fee), (False, terms.taker_fee))}
    peak = cash + lots * int(prices.mark[of.segments[0].first_event]) * scale
    worst = 0
    for event in range(of.segments[0].first_event, of.outcome.ended_at + 1):
        moves: list[list[tuple[int, int, int, bool]]] = [
            [_move(one) for one in of.deals if one.event == event and one.why == OPENING],
            [(f[1], f[2], f[3], True) for f in fills(of) if f[0] == event],
            [_move(one) for one in of.deals if one.event == event and one.why != OPENING],
        ]
        for place, group in enumerate(moves):
            if place != 1 and not group:
                continue
            for side, ticks, quantity, maker in group:
                fee = ticks * quantity * rates[maker]
                cash -= side * ticks * quantity * scale + fee
                lots += side * quantity
                fees += fee
            equity = cash + lots * int(prices.mark[event]) * scale
            peak = max(peak, equity)
            worst = max(worst, peak - equity)
    return cash, lots, fees, worst


def _move(one: Deal) -> tuple[int, int, int, bool]:
    return (1 if one.side is Side.BUY else -1), one.ticks, one.lots, one.maker


@settings(max_examples=60, deadline=None)  # the first example may compile the kernel
@given(
    spec=st.sampled_from(SPECS),
    mode=st.sampled_from(Mode),
    carried=st.sampled_from(Carried),
    steps=WALKS,
    through=st.booleans(),
    terms=st.sampled_from(TERMS),
)
def test_cash_base_fees_and_drawdown_follow_from_the_trades_alone(
    spec: GridSpec, mode: Mode, carried: Carried, steps: list[int], through: bool, terms: Terms
) -> None:
    spec = _in_mode(spec, mode, carried)
    prices = walk(100_00, steps, through=through)

    done = run_campaign(prices, spec, ABC, terms)

    outcome = done.outcome
    assert book(done, terms, prices) == (outcome.cash, outcome.lots, outcome.fees, outcome.max_drawdown)
    assert outcome.equity == outcome.cash + outcome.lots * int(prices.mark[outcome.ended_at]) * outcome.scale
    last = drawdown(prices, terms, done.segments[0].first_event, outcome.ended_at, outcome.fills, list(done.deals))
    assert last == (outcome.max_drawdown, outcome.max_drawdown_fraction)
    owed = _open_lots(spec, done)
    base = terms.opening_lots + (owed if spec.is_long else -owed)
    assert outcome.lots == base


def _in_mode(spec: GridSpec, mode: Mode, carried: Carried) -> GridSpec:
    changes: dict[str, Any] = {"mode": mode, "carried": carried}
    if mode is Mode.SHORT:
        changes |= {"stop": spec.take_profit, "take_profit": spec.stop}
        changes |= {"reinvest_fraction": D(0), "reinvest_every_s": None}
    return replace(spec, **changes)


def _open_lots(spec: GridSpec, done: Campaign) -> int:
    """Return what the slots and parked lots of the last standing hold (SHORT: owe)."""
    at = done.standing
    held = sum(q for q, is_open in zip(at.laid.ladder.lots, at.opened, strict=True) if is_open)
    return held + sum(one.lots for one in at.parked)


@settings(max_examples=40, deadline=None)  # the first example may compile the kernel
@given(
    spec=st.sampled_from(SPECS),
    carried=st.sampled_from([Carried.KEEP, Carried.CLOSE]),
    steps=WALKS,
    through=st.booleans(),
    terms=st.sampled_from(TERMS[:2]),
)
def test_the_base_of_a_reverse_grid_follows_from_the_trades_alone(
    spec: GridSpec, carried: Carried, steps: list[int], through: bool, terms: Terms
) -> None:
    spec = replace(_in_mode(spec, Mode.SHORT, carried), kind=Kind.REVERSE)
    prices = walk(100_00, steps, through=through)

    done = run_campaign(prices, spec, ABC, terms)

    outcome = done.outcome
    assert book(done, terms, prices) == (outcome.cash, outcome.lots, outcome.fees, outcome.max_drawdown)
    assert done.deals or done.lowest_cash == terms.opening_cash * terms.scale  # its slots never need quote


@settings(max_examples=40, deadline=None)  # the first example may compile the kernel
@given(spec=st.sampled_from(SPECS), carried=st.sampled_from(Carried), steps=WALKS, through=st.booleans())
def test_every_buy_of_a_slot_has_its_sell_one_level_higher(
    spec: GridSpec, carried: Carried, steps: list[int], through: bool
) -> None:
    done = run_campaign(walk(100_00, steps, through=through), replace(spec, carried=carried), ABC, PAID)

    for segment in done.segments:
        levels = segment.standing.laid.ladder.levels
        held = list(segment.standing.opened)
        for fill in segment.fills:
            slot, is_buy = int(fill["slot"]), int(fill["side"]) == 1
            assert int(fill["ticks"]) == levels[slot if is_buy else slot + 1]
            assert int(fill["lots"]) == segment.standing.laid.ladder.lots[slot]
            assert held[slot] is not is_buy
            held[slot] = is_buy


@settings(max_examples=40, deadline=None)  # the first example may compile the kernel
@given(spec=st.sampled_from(SPECS), mode=st.sampled_from([Mode.LONG, Mode.NEUTRAL]), steps=WALKS, through=st.booleans())
def test_a_stopped_grid_holds_what_the_account_held_before(
    spec: GridSpec, mode: Mode, steps: list[int], through: bool
) -> None:
    done = run_campaign(walk(100_00, steps, through=through), replace(spec, mode=mode), ABC, PAID)

    assert isinstance(done.ended, Ended) or done.outcome.lots == PAID.opening_lots


@settings(max_examples=40, deadline=None)  # the first example may compile the kernel
@given(steps=WALKS, through=st.booleans())
def test_an_infinity_grid_is_never_sold_out(steps: list[int], through: bool) -> None:
    done = run_campaign(walk(100_00, steps, through=through), INFINITY, ABC, replace(PAID, opening_lots=0))

    held = np.cumsum(done.outcome.fills["side"] * done.outcome.fills["lots"])
    assert done.outcome.lots > 0
    assert 4_095 + int(held.min(initial=0)) + sum(_signed(one) for one in done.deals[1:]) > 0


def _signed(one: Deal) -> int:
    return one.lots if one.side is Side.BUY else -one.lots
