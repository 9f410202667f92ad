"""The compiled kernel and the event core do the same: the fills of a MAKER ladder, in their order, for the same money.

What lies between them is named: the core rests at most `max_open_orders`, sends at most 45 ladder orders in ten
seconds and takes at most what the book displays (here none of the three binds), and the venue rounds every fee to a
hundred-millionth, which the kernel does not.
"""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.domain import backtest, grid, kernel, tapes
from trading.domain.desk import DeskSettings
from trading.domain.fees import Fees
from trading.domain.grid import GridSettings, Spacing
from trading.domain.instruments import Instrument
from trading.domain.limits import ExecutionStyle, Limits
from trading.domain.market import BookTop

SECOND = 1_000_000_000
BEGIN = 1_750_032_000 * SECOND
BTC = Instrument("BTCUSDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), Decimal(5))
FEES = Fees(Decimal("0.0002"), Decimal("0.0004"))
CAPITAL = Decimal(1_000_000)
ROUNDED = Decimal("0.00000001")  # a fee
DEEP = 10**9  # lots displayed
FIRST = 60_000_00
APART_NS = 20 * SECOND  # the pace of orders never binds
MANDATE = Limits(
    "4.4", 1, CAPITAL, frozenset({"BTCUSDT"}), frozenset({ExecutionStyle.MAKER}), Decimal("0.5"), Decimal(1),
    Decimal(1), Decimal("0.9"), Decimal("0.95"), None, 10**6, 1_000,
)  # fmt: skip


def tops(steps: Sequence[int], spreads: Sequence[int]) -> list[BookTop]:
    """Return a walk of book tops, one every twenty seconds."""
    bid, found = FIRST, []
    for number, (step, spread) in enumerate(zip(steps, spreads, strict=True), 1):
        at_ns = BEGIN + number * APART_NS
        found.append(BookTop("BTCUSDT", bid, DEEP, bid + spread, DEEP, number, at_ns, at_ns))
        bid += step
    return found


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-9_000, 9_000), st.integers(1, 400)), min_size=2, max_size=60),
    st.integers(1, 12),
    st.sampled_from([Decimal("0.001"), Decimal("0.0017"), Decimal("0.003")]),
    st.sampled_from(Spacing),
)
def test_a_maker_ladder_does_the_same_in_both(
    walk: list[tuple[int, int]], slots: int, step: Decimal, spacing: Spacing
) -> None:
    events = tops([one for one, _ in walk], [other for _, other in walk])
    chosen = GridSettings("BTCUSDT", ExecutionStyle.MAKER, step, slots, Decimal(600), spacing)

    core = backtest.run(
        events,
        settings=DeskSettings("micro", "USDT", (chosen,), FEES, CAPITAL),
        limits=MANDATE,
        instruments={"BTCUSDT": BTC},
    )
    plan = grid.build(chosen, BTC, (events[0].bid_ticks + events[0].ask_ticks) // 2)
    ladder = kernel.Ladder(plan.levels, tuple(plan.lots(slot, BTC) for slot in range(slots)), kernel.Mode.LONG)
    columns = ([e.received_at_ns for e in events], [e.bid_ticks for e in events], [e.ask_ticks for e in events])
    tape = tapes.of_tops("BTCUSDT", *(np.array(column, np.int64) for column in columns))
    terms = kernel.Terms(opening_cash=10**13, maker_fee=(2, 10_000), taker_fee=(4, 10_000))
    compiled = kernel.run(tape, ladder, terms)

    assert not core.denials
    assert not core.halts
    of_core = [
        (one.fill.at_ns, one.slot, 1 if one.fill.side == "BUY" else -1, one.fill.price_ticks, one.fill.quantity_lots)
        for one in core.fills
    ]
    of_kernel = compiled.fills[["at_ns", "slot", "side", "ticks", "lots"]].tolist()
    assert of_core == of_kernel
    unit = BTC.tick_size * BTC.lot_size / compiled.scale
    apart = core.view.equity_quote - CAPITAL - (compiled.equity - compiled.opening_equity) * unit
    assert abs(apart) <= ROUNDED * len(of_core)
