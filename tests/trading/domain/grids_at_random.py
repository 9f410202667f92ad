"""Tapes, ladders and terms at random: small prices and coarse times, so that ties, gaps and crossings are common."""

from itertools import accumulate

import numpy as np
from hypothesis import strategies as st

from trading.domain.kernel import Bounds, Ladder, Mode, Terms
from trading.domain.limits import ExecutionStyle
from trading.domain.tapes import Ints, Tape, of_tops, of_trades

UNIT_NS = 24 * 3600 * 10**9 // 6  # a day is six units: days pass within a few events
fractions = st.sampled_from([(0, 1), (1, 1000), (3, 4000), (7, 10)])


def array(values: list[int]) -> Ints:
    return np.array(values, np.int64)


@st.composite
def times(draw: st.DrawFn, length: int) -> Ints:
    steps = draw(st.lists(st.integers(0, 3), min_size=length, max_size=length))
    return array(list(accumulate(step * UNIT_NS for step in steps)))


@st.composite
def prices(draw: st.DrawFn, length: int) -> Ints:
    steps = draw(st.lists(st.integers(-4, 4), min_size=length, max_size=length))
    walk = list(accumulate(steps, initial=draw(st.integers(8, 22))))[1:]
    return array([min(max(price, 2), 40) for price in walk])


@st.composite
def tapes(draw: st.DrawFn, longest: int = 80) -> Tape:
    length = draw(st.integers(1, longest))
    at_ns, price = draw(times(length)), draw(prices(length))
    kind = draw(st.sampled_from(["touch", "through", "tops", "apart"]))
    offsets = st.lists(st.integers(0, 3), min_size=length, max_size=length).map(array)
    if kind == "tops":
        return of_tops("XYZ", at_ns, price, price + draw(offsets))
    if kind == "apart":
        return Tape(
            "XYZ", at_ns, price + draw(offsets), price, np.maximum(price + draw(offsets) - draw(offsets), 0), ()
        )
    return of_trades("XYZ", at_ns, price, through=kind == "through")


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    levels = draw(st.lists(st.integers(4, 30), min_size=2, max_size=12, unique=True).map(sorted))
    lots = draw(st.lists(st.integers(1, 4), min_size=len(levels) - 1, max_size=len(levels) - 1))
    return Ladder(tuple(levels), tuple(lots), draw(st.sampled_from(Mode)))


@st.composite
def terms(draw: st.DrawFn, ladder: Ladder) -> Terms:
    style = draw(st.sampled_from(ExecutionStyle))
    maker = style is ExecutionStyle.MAKER
    delays = st.integers(0, 5).map(lambda units: units * UNIT_NS) if maker else st.just(0)
    least = sum(ladder.lots) if ladder.mode is Mode.SHORT else 0
    return Terms(
        opening_cash=draw(st.integers(0, 500)),
        opening_lots=draw(st.integers(least, least + 3)),
        maker_fee=draw(fractions),
        taker_fee=draw(fractions),
        submit_ns=draw(delays),
        report_ns=draw(delays),
        max_inventory_lots=draw(st.none() | st.integers(1, 20)),
        max_trades_per_day=draw(st.none() | st.integers(1, 4)),
        max_drawdown=draw(st.none() | st.sampled_from([(1, 2), (1, 7), (1, 1)])),
        style=style,
    )


@st.composite
def bounds(draw: st.DrawFn) -> Bounds:
    return Bounds(
        low_ticks=draw(st.none() | st.integers(2, 12)),
        high_ticks=draw(st.none() | st.integers(18, 40)),
        until_ns=draw(st.none() | st.integers(0, 100).map(lambda units: units * UNIT_NS)),
    )
