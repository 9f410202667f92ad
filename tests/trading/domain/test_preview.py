"""What a grid would be before it starts: by hand, and never rosier than what happens."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.domain.campaign import Campaign, run_campaign
from trading.domain.carrying import Why
from trading.domain.dealing import OPENING
from trading.domain.fees import Fees
from trading.domain.grid import Feasible, Infeasible
from trading.domain.grids import Carried, GridSpec, Kind
from trading.domain.instruments import Instrument
from trading.domain.kernel import Side as Traded
from trading.domain.laying import lay
from trading.domain.levels import Spacing
from trading.domain.limits import ExecutionStyle, Limits
from trading.domain.orders import Side
from trading.domain.preview import Resting, preview, refusing_filter, spacing_floor_fraction
from trading.domain.tapes import of_trades
from trading.domain.terms import Mode, Terms

D = Decimal
ABC = Instrument("ABCUSDT", "ABC", "USDT", D("0.01"), D("0.001"), D(5))
FEES = Fees(D("0.001"), D("0.002"))
RANGE = GridSpec("ABCUSDT", 4, lot_quote=D(100), lower=D(80), upper=D(120), spacing=Spacing.ARITHMETIC)
SHORT = replace(RANGE, mode=Mode.SHORT)
NEUTRAL = replace(RANGE, mode=Mode.NEUTRAL)
TRAILING = replace(RANGE, trail_up_to=D(150), trail_down_to=D(50))
REVERSE = replace(SHORT, kind=Kind.REVERSE)
INFINITY = GridSpec(
    "ABCUSDT", 2, lot_quote=D(100), kind=Kind.INFINITY, mode=Mode.NEUTRAL, lower=D(50), step_fraction=D("0.25")
)
PRICE = 100_00
LIMITS = Limits(
    phase="4.4",
    version=1,
    capital_quote=D(10_000),
    symbols=frozenset({"ABCUSDT"}),
    execution_styles=frozenset({ExecutionStyle.MAKER}),
    max_position_fraction=D("0.02"),
    max_symbol_exposure_fraction=D("0.10"),
    max_total_exposure_fraction=D("0.20"),
    max_daily_drawdown_fraction=D("0.02"),
    max_daily_drawdown_hard_fraction=D("0.05"),
    max_symbol_drawdown_fraction=None,
    max_daily_trades=20,
    max_open_orders=30,
)


def test_steps_and_profit_of_a_round_trip_after_both_fees() -> None:
    shown = preview(RANGE, ABC, FEES, PRICE, spread_fraction=D("0.0001"), mark_out_fraction=D("0.0005"))

    assert shown.laid.ladder.levels == (80_00, 90_00, 100_00, 110_00, 120_00)
    assert (shown.narrowest_step_fraction, shown.widest_step_fraction) == (D(10) / 110, D("0.125"))
    assert shown.trips[0].profit_quote == D("12.2875")  # 1.25 x 10.00 less 0.1 % of 100.00 and of 112.50
    assert shown.trips[0].profit_base == 0
    assert (shown.break_even_fraction, shown.spacing_floor_fraction) == (D("0.0021"), D("0.0031"))


def test_a_reverse_round_trip_earns_base() -> None:
    trip = preview(REVERSE, ABC, Fees(D(0), D(0)), PRICE).trips[0]

    assert (trip.profit_base, trip.profit_quote) == (D("0.138"), D("0.07"))  # 1.111 sold for 99.99; 1.249 for 99.92


@pytest.mark.parametrize(("mark_out", "floor"), [(None, None), (D("0.001"), D("0.004")), (D("-0.001"), D("0.002"))])
def test_a_mark_out_in_our_favour_narrows_no_floor(mark_out: Decimal | None, floor: Decimal | None) -> None:
    assert spacing_floor_fraction(D("0.002"), mark_out) == floor


@pytest.mark.parametrize(
    ("spec", "capital"),
    [
        (RANGE, D("400.37998")),  # 399.98 for four buys, and 0.1 %
        (NEUTRAL, D("191.2818") + D("200.18999")),  # 1.909 at 100.00 and 0.2 %; 199.99 for two buys and 0.1 %
        (SHORT, D("385.3")),  # 3.853 at 100.00
    ],
)
def test_the_capital_pays_for_every_buy(spec: GridSpec, capital: Decimal) -> None:
    assert preview(spec, ABC, FEES, PRICE).capital_quote == capital


def test_the_capital_of_an_infinity_grid_reaches_down_to_its_lower_end() -> None:
    shown = preview(INFINITY, ABC, Fees(D(0), D(0)), PRICE)

    # Holds 4.095 at 100.00; buys 1.025 at 78.12, 1.280 at 62.50 and 1.600 at 50.00.
    assert shown.capital_quote == D("409.5") + D("80.073") + D("80") + D("80")
    assert shown.worst_exposure_quote == shown.capital_quote


def test_the_smallest_capital_is_that_of_the_smallest_orders_the_venue_takes() -> None:
    smallest = preview(RANGE, ABC, FEES, PRICE).smallest_capital_quote

    assert smallest == D("20.14") * D("1.001")  # lots of 5.06: 63, 56, 50 and 46 lots


def test_a_venue_that_takes_no_such_order_has_no_smallest_capital() -> None:
    taker, narrow = replace(RANGE, style=ExecutionStyle.TAKER), replace(ABC, market_max_quantity=D("0.01"))

    assert preview(taker, ABC, FEES, PRICE).smallest_capital_quote == D("20.14") * D("1.002")
    assert preview(taker, narrow, FEES, PRICE).smallest_capital_quote is None
    assert preview(RANGE, narrow, FEES, PRICE).smallest_capital_quote == D("20.14") * D("1.001")


@pytest.mark.parametrize("spec", [RANGE, NEUTRAL, SHORT, REVERSE, replace(RANGE, skew_fraction=D("0.5"))])
def test_one_cent_less_a_lot_is_refused(spec: GridSpec) -> None:
    sizes = [D(cents) / 100 for cents in range(1, 2_000)]
    first = next(size for size in sizes if preview_filter(replace(spec, lot_quote=size)) is None)

    shown = preview(replace(spec, lot_quote=first), ABC, FEES, PRICE)

    assert shown.smallest_capital_quote == shown.capital_quote
    assert preview_filter(replace(spec, lot_quote=first - D("0.01"))) is not None


def preview_filter(spec: GridSpec) -> str | None:

    return refusing_filter(spec, ABC, lay(spec, ABC, PRICE, fees=FEES).ladder)


@pytest.mark.parametrize(
    ("change", "listed", "name"),
    [
        ({}, {}, None),
        ({"lot_quote": D("4.9")}, {}, "MIN_NOTIONAL"),
        ({"lot_quote": D("0.01")}, {}, "LOT_SIZE"),
        ({}, {"min_quantity": D(1)}, "LOT_SIZE"),
        ({}, {"max_quantity": D(1)}, "LOT_SIZE"),
        ({"style": ExecutionStyle.TAKER}, {"market_max_quantity": D(1)}, "MARKET_LOT_SIZE"),
        ({}, {"market_max_quantity": D(1)}, None),
    ],
)
def test_the_filter_that_binds_is_named(change: Any, listed: Any, name: str | None) -> None:
    assert preview(replace(RANGE, **change), replace(ABC, **listed), FEES, PRICE).filter == name


@pytest.mark.parametrize(
    ("change", "limits", "binding"),
    [
        ({}, {}, None),
        ({"style": ExecutionStyle.TAKER}, {}, "execution_styles"),
        ({"lot_quote": D(201)}, {}, "max_position_fraction"),
        ({"lot_quote": D(150), "skew_fraction": D("0.5")}, {}, "max_position_fraction"),  # the dearest lot is 225
        ({}, {"symbols": frozenset({"BTCUSDT"})}, "symbols"),
        ({"lot_quote": D(4)}, {}, "MIN_NOTIONAL"),
        ({"upper": D("80.1")}, {}, "break_even_step"),
    ],
)
def test_the_mandate_is_asked_as_for_a_live_grid(change: Any, limits: Any, binding: str | None) -> None:
    verdict = preview(replace(RANGE, **change), ABC, FEES, PRICE, limits=replace(LIMITS, **limits)).verdict

    assert isinstance(verdict, Feasible) if binding is None else isinstance(verdict, Infeasible)
    assert binding is None or getattr(verdict, "binding", None) == binding


@pytest.mark.parametrize(
    ("spec", "exposure"),
    [
        (RANGE, D("399.98")),
        (NEUTRAL, D("390.89")),  # 190.90 for what is held at the start, 199.99 for the buys
        (SHORT, D("399.94")),
        (TRAILING, D(800)),  # four slots, and as many lots parked
        (replace(TRAILING, carried=Carried.ROLL), D(400)),
        (replace(TRAILING, carried=Carried.CLOSE, skew_fraction=D("0.5")), D(600)),
        (replace(TRAILING, carried=Carried.ROLL, lot_quote=None, lot_base=D(1)), D(600)),  # 1 at 150.00, four times
    ],
)
def test_the_worst_exposure_counts_everything_that_may_be_open(spec: GridSpec, exposure: Decimal) -> None:
    assert preview(spec, ABC, FEES, PRICE).worst_exposure_quote == exposure


@pytest.mark.parametrize(
    ("spec", "loss"),
    [
        (RANGE, None),
        (replace(RANGE, stop=D(70)), D("102.07778")),  # paid 400.37998, back 4.270 x 70.00 less 0.2 %
        (replace(SHORT, stop=D(130)), D("102.35172")),  # 3.853 x 130.00 and 0.2 %; got 399.94 less 0.1 %
        (replace(TRAILING, stop=D(45)), D("562.08")),  # 800 and 0.2 % for lots at 150.00, back at 45.00 less 0.2 %
        (replace(TRAILING, mode=Mode.SHORT, stop=D(160)), D("1765.92")),  # 800 at 50.00 less 0.1 %, back at 160.00
        (replace(TRAILING, trail_up_to=None, stop=D(45)), D("502.2")),  # the highest entry is the range's end
        (replace(TRAILING, mode=Mode.SHORT, trail_down_to=None, stop=D(160)), D("804")),
    ],
)
def test_the_loss_at_the_stop(spec: GridSpec, loss: Decimal | None) -> None:
    assert preview(spec, ABC, FEES, PRICE).loss_at_stop_quote == loss


@pytest.mark.parametrize(
    ("spec", "price", "orders"),
    [
        (RANGE, 101_00, ((Side.BUY, 100_00, 1_000), (Side.BUY, 90_00, 1_111), (Side.BUY, 80_00, 1_250))),
        (RANGE, 100_00, ((Side.BUY, 90_00, 1_111), (Side.BUY, 80_00, 1_250))),
        (replace(RANGE, resting=1), 100_00, ((Side.BUY, 90_00, 1_111),)),
        (SHORT, 101_00, ((Side.SELL, 110_00, 909), (Side.SELL, 120_00, 833))),
        (
            replace(NEUTRAL, resting=1),
            100_00,
            ((Side.BUY, 90_00, 1_111), (Side.SELL, 110_00, 1_000)),
        ),
        (replace(RANGE, style=ExecutionStyle.TAKER), 100_00, ()),
    ],
)
def test_the_orders_that_rest_at_the_start(spec: GridSpec, price: int, orders: tuple[Resting, ...]) -> None:
    assert preview(spec, ABC, FEES, price).resting == orders


# --- never rosier than what happens ------------------------------------------------------------------------

TERMS = Terms(opening_cash=5_000 * 100_000, maker_fee=(1, 1_000), taker_fee=(2, 1_000))
MOVING: Sequence[GridSpec] = (
    RANGE,
    NEUTRAL,
    TRAILING,
    replace(TRAILING, mode=Mode.NEUTRAL),
    replace(RANGE, lower=None, upper=None, step_fraction=D("0.1"), recentre_steps=1),
    replace(TRAILING, skew_fraction=D("-0.7")),
)


@settings(max_examples=50, deadline=None)  # the first example may compile the kernel
@given(
    spec=st.sampled_from(MOVING),
    carried=st.sampled_from(Carried),
    stop=st.sampled_from([None, D(30)]),
    steps=st.lists(st.integers(-9_00, 9_00), min_size=2, max_size=150),
)
def test_no_grid_is_open_further_nor_loses_more_at_its_stop_than_was_shown(
    spec: GridSpec, carried: Carried, stop: Decimal | None, steps: list[int]
) -> None:
    spec = replace(spec, carried=carried, stop=stop)
    prices = np.clip(100_00 + np.cumsum(np.array(steps, np.int64)), 20_00, 400_00)
    shown = preview(spec, ABC, FEES, int(prices[0]))

    done = run_campaign(of_trades("ABCUSDT", np.arange(len(prices)), prices, through=False), spec, ABC, TERMS)

    assert worst_cost(done) <= shown.worst_exposure_quote
    assert done.is_funded or shown.capital_quote > 5_000
    if done.ended is Why.STOP and shown.loss_at_stop_quote is not None:
        last = done.deals[-1] if done.deals else None
        slipped = (30_00 - last.ticks) * last.lots if last is not None and last.side is Traded.SELL else 0
        lost = Decimal(done.outcome.opening_equity - done.outcome.equity) / done.outcome.scale - slipped
        assert lost / 100_000 <= shown.loss_at_stop_quote


def worst_cost(done: Campaign) -> Decimal:
    """Return the most that was open at any time, every lot at the level it was bought at."""
    opening = next((deal for deal in done.deals if deal.why == OPENING), None)
    worst = 0
    for segment in done.segments:
        ladder, parked = segment.standing.laid.ladder, sum(x.lots * x.entry_ticks for x in segment.standing.parked)
        open_cost = [
            (opening.ticks if opening is not None and segment.why is None else low) * lots if is_open else 0
            for low, lots, is_open in zip(ladder.levels[:-1], ladder.lots, segment.standing.opened, strict=True)
        ]
        worst = max(worst, parked + sum(open_cost))
        for fill in segment.fills:
            slot = int(fill["slot"])
            open_cost[slot] = int(fill["ticks"]) * int(fill["lots"]) if int(fill["side"]) == 1 else 0
            worst = max(worst, parked + sum(open_cost))
    return Decimal(worst) / 100_000
