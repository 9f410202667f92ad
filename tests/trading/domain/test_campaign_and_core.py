"""A grid that moves does the same in the lab and on a desk: the fills of `run_campaign` and of the event core.

What lies between them is named: the forecast, which holds buys and moves of a desk back, is silent here; the price
stays within the collar of every order; a lot that is parked or closed leaves as an order of its own.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import accumulate, pairwise
from unittest.mock import patch

import numpy as np
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from trading.domain import backtest, kernel, tapes
from trading.domain.campaign import Campaign, run_campaign
from trading.domain.carrying import Why
from trading.domain.desk import DeskSettings
from trading.domain.fees import Fees
from trading.domain.grid import UnableToBuild
from trading.domain.grids import Carried, GridSpec
from trading.domain.instruments import Instrument
from trading.domain.levels import Spacing
from trading.domain.limits import ExecutionStyle, Limits
from trading.domain.market import BookTop
from trading.domain.orders import Side
from trading.domain.terms import Mode, UnableToRun

SECOND = 1_000_000_000
BEGIN = 1_750_032_000 * SECOND
APART_NS = 20 * SECOND  # the pace of orders never binds
DEEP = 10**9  # lots displayed
COIN = Instrument("XYZUSDT", "XYZ", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5))
FEES = Fees(Decimal("0.0002"), Decimal("0.0004"))
CAPITAL = Decimal(1_000_000)
LOSING_STEP = 0.001  # fees of both sides and the widest spread of a tape whose step is measured
ROUNDED = Decimal("0.00000001")  # a fee
MANDATE = Limits(
    "4.4", 1, CAPITAL, frozenset({"XYZUSDT"}), frozenset(ExecutionStyle), Decimal("0.5"), Decimal(1),
    Decimal(1), Decimal("0.9"), Decimal("0.95"), None, 10**6, 1_000,
)  # fmt: skip
Executed = tuple[int, int, int, int]  # (time, 1 buy or -1 sell, ticks, lots)


def tops(moves: Sequence[int], spread: int) -> list[BookTop]:
    bids = accumulate(moves, initial=100_00)
    return [
        BookTop("XYZUSDT", bid, DEEP, bid + spread, DEEP, number, BEGIN + number * APART_NS, BEGIN + number * APART_NS)
        for number, bid in enumerate(bids, 1)
    ]


class Silent:
    """A forecaster that forecasts nothing."""

    def __init__(self, speed: float = 1.0) -> None:
        pass

    def observe(self, top: BookTop, now_ns: int) -> None:
        """Return no forecast."""


def of_core(events: Sequence[BookTop], spec: GridSpec) -> tuple[backtest.Result, Counter[Executed]]:
    with patch.object(backtest, "Forecaster", Silent):
        done = backtest.run(
            events,
            settings=DeskSettings("micro", "USDT", (spec,), FEES, CAPITAL),
            limits=MANDATE,
            instruments={"XYZUSDT": COIN},
        )
    return done, summed(
        (one.fill.at_ns, 1 if one.fill.side is Side.BUY else -1, one.fill.price_ticks, one.fill.quantity_lots)
        for one in done.fills
    )


def of_lab(events: Sequence[BookTop], spec: GridSpec) -> tuple[Campaign, Counter[Executed]]:
    columns = ([e.received_at_ns for e in events], [e.bid_ticks for e in events], [e.ask_ticks for e in events])
    tape = tapes.of_tops("XYZUSDT", *(np.array(column, np.int64) for column in columns))
    terms = kernel.Terms(opening_cash=10**14, maker_fee=(2, 10_000), taker_fee=(4, 10_000))
    done = run_campaign(tape, spec, COIN, terms)
    fills = [
        (at, side, ticks, lots)
        for at, side, ticks, lots in done.outcome.fills[["at_ns", "side", "ticks", "lots"]].tolist()
    ]
    deals = [(one.at_ns, 1 if one.side == "BUY" else -1, one.ticks, one.lots) for one in done.deals]
    return done, summed(fills + deals)


def narrowest_step(done: Campaign) -> float:
    """Return the narrowest step, a fraction, of any ladder that stood: a desk lays none that loses money."""
    ladders = [segment.standing.laid.ladder.levels for segment in done.segments]
    return min((high - low) / low for levels in ladders for low, high in pairwise(levels))


def summed(executions: Iterable[Executed]) -> Counter[Executed]:
    """Return what was executed at each time and price: one order or several there are the same trade."""
    lots: Counter[tuple[int, int, int]] = Counter()
    for at_ns, side, ticks, quantity in executions:
        lots[at_ns, side, ticks] += quantity
    return Counter((*key, quantity) for key, quantity in lots.items())


@st.composite
def specs(draw: st.DrawFn) -> GridSpec:
    is_fixed = draw(st.booleans())
    follows = draw(st.sampled_from(["nothing", "up", "down", "both"] + ["recentre"] * (2 - 2 * is_fixed)))
    return GridSpec(
        symbol="XYZUSDT",
        slots=draw(st.integers(2, 7)),
        lot_quote=Decimal(600),
        spacing=draw(st.sampled_from(Spacing)),
        lower=Decimal(96) if is_fixed else None,
        upper=Decimal(104) if is_fixed else None,
        step_fraction=None if is_fixed else draw(st.sampled_from([Decimal("0.004"), Decimal("0.01")])),
        trail_up_to=Decimal(130) if follows in ("up", "both") else None,
        trail_down_to=Decimal(70) if follows in ("down", "both") else None,
        recentre_steps=draw(st.integers(1, 2)) if follows == "recentre" else None,
        carried=draw(st.sampled_from([Carried.KEEP, Carried.CLOSE])),
        skew_fraction=draw(st.sampled_from([Decimal(0), Decimal("0.4")])),
        stop=draw(st.none() | st.just(Decimal(66))),
        take_profit=draw(st.none() | st.just(Decimal(140))),
        start_at=draw(st.none() | st.sampled_from([Decimal(99), Decimal(101)])),
    )


TWO_LOTS_OF_ONE_EXIT = GridSpec(
    symbol="XYZUSDT", slots=4, lot_quote=Decimal(600), spacing=Spacing.ARITHMETIC, step_fraction=Decimal("0.0036"),
    trail_up_to=Decimal(130), trail_down_to=Decimal(70), skew_fraction=Decimal("0.4"),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(specs(), st.lists(st.integers(-160, 160) | st.integers(-500, 500), min_size=3, max_size=70), st.integers(1, 30))
@example(TWO_LOTS_OF_ONE_EXIT, [0, -51, -52, -70, -106, 53, 55, 97, 59, -230], 1)
def test_a_grid_that_moves_does_the_same_in_both(spec: GridSpec, moves: list[int], spread: int) -> None:
    hold_both(spec, tops(moves, spread))


@settings(max_examples=40, deadline=None)
@given(
    specs(), st.integers(1, 3), st.lists(st.integers(-75, 75), min_size=60, max_size=110),
    st.integers(1, 30),
)  # fmt: skip
def test_a_grid_whose_far_levels_wait_does_the_same_in_both(
    spec: GridSpec, resting: int, moves: list[int], spread: int
) -> None:
    hold_both(replace(spec, resting=resting), tops(moves, spread))


@settings(max_examples=40, deadline=None)
@given(
    specs(), st.sampled_from([Decimal("0.5"), Decimal(1)]), st.integers(1, 4),
    st.lists(st.integers(-160, 160) | st.integers(-500, 500), min_size=30, max_size=70), st.integers(1, 3),
)  # fmt: skip
def test_a_grid_whose_step_is_measured_does_the_same_in_both(
    spec: GridSpec, multiple: Decimal, bars: int, moves: list[int], spread: int
) -> None:
    measured = replace(
        spec, lower=None, upper=None, step_fraction=None, atr_multiple=multiple, atr_bars=bars, slots=min(spec.slots, 4)
    )
    hold_both(measured, tops(moves, spread))


@settings(max_examples=60, deadline=None)
@given(
    specs(), st.none() | st.integers(1, 3),
    st.lists(st.integers(-75, 75) | st.integers(-300, 300), min_size=10, max_size=70), st.integers(1, 30),
)  # fmt: skip
def test_a_neutral_grid_does_the_same_in_both(
    spec: GridSpec, resting: int | None, moves: list[int], spread: int
) -> None:
    hold_both(replace(spec, mode=Mode.NEUTRAL, resting=resting), tops(moves, spread))


def hold_both(spec: GridSpec, events: Sequence[BookTop]) -> None:
    """Hold lab and desk to the same fills and money, unless the tape crosses more levels at once than rest."""
    try:
        lab, executed = of_lab(events, spec)
    except (UnableToRun, UnableToBuild):
        return
    if lab.beyond_window or narrowest_step(lab) < LOSING_STEP:
        return

    core, on_desk = of_core(events, spec)

    if any("PRICE_COLLAR" in order.reason for order in core.denials):
        assume(False)
    assert not core.denials
    assert not core.discrepancies
    assert on_desk == executed
    assert bool(core.halts) is (lab.ended in (Why.STOP, Why.TAKE_PROFIT))
    unit = COIN.tick_size * COIN.lot_size / lab.outcome.scale
    earned = (lab.outcome.equity - lab.outcome.opening_equity) * unit
    assert abs(core.view.equity_quote - CAPITAL - earned) <= ROUNDED * len(core.fills)
