"""What a grid would be, before it starts: levels, costs, capital, what binds it, and what it can lose."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from typing import Final, NamedTuple

from trading.domain.capital import capital_quote, entries_of, loss_at_stop_quote, slots_of, worst_exposure_quote
from trading.domain.fees import Fees
from trading.domain.grid import (
    Feasible,
    GridPlan,
    GridSettings,
    Infeasible,
    break_even_step_fraction,
    feasibility,
    fee_fraction,
)
from trading.domain.grids import GridSpec
from trading.domain.instruments import Instrument
from trading.domain.ladders import Ladder
from trading.domain.laying import Laid, Opening, lay, opening, weights
from trading.domain.limits import ExecutionStyle, Limits
from trading.domain.orders import Side

_ZERO: Final = Decimal(0)
_CENT: Final = Decimal("0.01")
_MOST_STEPS: Final = 2**37  # cents or lots; no lot is larger


class Resting(NamedTuple):
    """One resting order of a grid."""

    side: Side
    ticks: int
    lots: int


class Trip(NamedTuple):
    """One round trip of one slot, after both fees."""

    low_ticks: int
    high_ticks: int
    step_fraction: Decimal  # of the lower level
    profit_quote: Decimal  # REVERSE: what of the proceeds the buy-back leaves over
    profit_base: Decimal  # REVERSE only


@dataclass(frozen=True, slots=True)
class Preview:
    """What a grid would be at one price; quote currency where nothing else is said."""

    laid: Laid
    opening: Opening
    trips: tuple[Trip, ...]
    narrowest_step_fraction: Decimal
    widest_step_fraction: Decimal
    break_even_fraction: Decimal  # 2 x fee + spread
    spacing_floor_fraction: Decimal | None  # break-even and measured mark-out; None: not measured
    capital_quote: Decimal  # buys every slot, fees included; SHORT: value of the base it starts with
    smallest_capital_quote: Decimal | None  # of the same grid with the smallest lots that pass the venue's filters
    verdict: Feasible | Infeasible | None  # None: no mandate to hold it against
    filter: str | None  # venue filter that refuses an order of this ladder: "MIN_NOTIONAL", "LOT_SIZE", ...
    worst_exposure_quote: Decimal  # at cost, every slot open and every lot parked that may be
    loss_at_stop_quote: Decimal | None  # the most that is lost there; None: no stop, everything open may be lost
    resting: tuple[Resting, ...]  # orders at the start, nearest to the price first


def preview(
    spec: GridSpec,
    instrument: Instrument,
    fees: Fees,
    price_ticks: int,
    *,
    spread_fraction: Decimal = _ZERO,
    mark_out_fraction: Decimal | None = None,
    atr_ticks: Decimal | None = None,
    limits: Limits | None = None,
) -> Preview:
    """Return what `spec` would be at `price_ticks`.

    Shapes:
        spread_fraction: (ask - bid) / bid, >= 0.
        mark_out_fraction: measured mean move of the price against us after a fill, fraction of it; None: not measured.
        limits: the mandate in force; None: none is asked.

    Raises:
        UnableToBuild: the ladder cannot be laid.
    """
    laid = lay(spec, instrument, price_ticks, fees=fees, atr_ticks=atr_ticks)
    needed = opening(spec, instrument, laid, price_ticks)
    trips = tuple(_trips(spec, instrument, fees, laid.ladder))
    steps = [trip.step_fraction for trip in trips]
    plan = plan_of(spec, instrument, laid)
    break_even = break_even_step_fraction(plan.settings, fees, spread_fraction)
    return Preview(
        laid=laid,
        opening=needed,
        trips=trips,
        narrowest_step_fraction=min(steps),
        widest_step_fraction=max(steps),
        break_even_fraction=break_even,
        spacing_floor_fraction=spacing_floor_fraction(break_even, mark_out_fraction),
        capital_quote=capital_quote(spec, instrument, laid, needed, price_ticks, fees),
        smallest_capital_quote=_smallest_capital(spec, instrument, fees, price_ticks, atr_ticks),
        verdict=None if limits is None else feasibility(plan, instrument, limits, fees, spread_fraction),
        filter=refusing_filter(spec, instrument, laid.ladder),
        worst_exposure_quote=worst_exposure_quote(spec, instrument, laid, needed, price_ticks),
        loss_at_stop_quote=loss_at_stop_quote(spec, instrument, laid, needed, price_ticks, fees),
        resting=resting_orders(spec, laid.ladder, needed.opened, price_ticks),
    )


def plan_of(spec: GridSpec, instrument: Instrument, laid: Laid) -> GridPlan:
    """Return the plan the live loop and its feasibility check know; its lot is the dearest of the ladder."""
    ladder = laid.ladder
    dearest = max(
        instrument.notional(ticks, lots) for ticks, lots in zip(entries_of(spec, ladder), ladder.lots, strict=True)
    )
    lot = spec.lot_quote * max(weights(spec, ladder.slots)) if spec.lot_quote is not None else dearest
    narrowest = min(Decimal(high - low) / low for low, high in pairwise(ladder.levels))
    settings = GridSettings(spec.symbol, spec.style, narrowest, ladder.slots, lot, spec.spacing)
    return GridPlan(settings, ladder.levels, ladder.lots)


def spacing_floor_fraction(break_even: Decimal, mark_out_fraction: Decimal | None) -> Decimal | None:
    """Return the narrowest step worth having: break-even, and what the price moves against both fills of a round trip.

    A mark-out in our favour narrows nothing: it may not last. None where it was not measured.

    Source:
        ours: 2 x (fee + mark-out) + spread.
    """
    return None if mark_out_fraction is None else break_even + 2 * max(mark_out_fraction, _ZERO)


def refusing_filter(spec: GridSpec, instrument: Instrument, ladder: Ladder) -> str | None:
    """Return the first venue filter that refuses an order of `ladder`; None: every order may be sent."""
    largest = instrument.max_quantity
    if spec.style is ExecutionStyle.TAKER:
        largest = min(largest, instrument.market_max_quantity)
    for low, high, bought, sold in slots_of(ladder):
        for ticks, lots in ((low, bought), (high, sold)):
            if lots <= 0 or instrument.quantity(lots) < instrument.min_quantity:
                return "LOT_SIZE"
            if instrument.notional(ticks, lots) < instrument.min_notional:
                return "MIN_NOTIONAL"
            if instrument.quantity(lots) > largest:
                return "MARKET_LOT_SIZE" if largest < instrument.max_quantity else "LOT_SIZE"
    return None


def resting_orders(spec: GridSpec, ladder: Ladder, opened: tuple[bool, ...], price_ticks: int) -> tuple[Resting, ...]:
    """Return the orders that rest at `price_ticks`, nearest first: none of a TAKER, `spec.resting` a side at most."""
    if spec.style is ExecutionStyle.TAKER:
        return ()
    wanted = [
        Resting(Side.SELL, high, sold) if is_open is spec.is_long else Resting(Side.BUY, low, bought)
        for (low, high, bought, sold), is_open in zip(slots_of(ladder), opened, strict=True)
    ]
    fits = [one for one in wanted if (one.ticks > price_ticks if one.side is Side.SELL else one.ticks < price_ticks)]
    fits.sort(key=lambda one: (abs(one.ticks - price_ticks), one.ticks))
    return nearest(fits, spec.resting)


def nearest(orders: Sequence[Resting], resting: int | None) -> tuple[Resting, ...]:
    """Return of `orders`, nearest to the price first, the first `resting` of each side; None: all of them."""
    if resting is None:
        return tuple(orders)
    near = {side: [one for one in orders if one.side is side][:resting] for side in Side}
    return tuple(one for one in orders if one in near[one.side])


def _trips(spec: GridSpec, instrument: Instrument, fees: Fees, ladder: Ladder) -> list[Trip]:
    fee = fee_fraction(spec.style, fees)
    trips: list[Trip] = []
    for low, high, bought, sold in slots_of(ladder):
        paid = instrument.notional(low, bought) * (1 + fee)
        got = instrument.notional(high, sold) * (1 - fee)
        trips.append(Trip(low, high, Decimal(high - low) / low, got - paid, instrument.quantity(bought - sold)))
    return trips


def _smallest_capital(
    spec: GridSpec, instrument: Instrument, fees: Fees, price_ticks: int, atr_ticks: Decimal | None
) -> Decimal | None:
    """Return the capital of the smallest lots, on the cent or the lot, that no filter refuses; None: none passes."""
    low, high = 0, _MOST_STEPS
    found: Decimal | None = None
    while high - low > 1:
        steps = (low + high) // 2
        sized = _sized(spec, instrument, steps)
        laid = lay(sized, instrument, price_ticks, fees=fees, atr_ticks=atr_ticks)
        refused = refusing_filter(sized, instrument, laid.ladder)
        if refused is None:
            needed = opening(sized, instrument, laid, price_ticks)
            found = capital_quote(sized, instrument, laid, needed, price_ticks, fees)
        low, high = (low, steps) if refused is None or _is_too_large(sized, instrument, laid) else (steps, high)
    return found


def _sized(spec: GridSpec, instrument: Instrument, steps: int) -> GridSpec:
    """Return `spec` with lots of so many cents, or of so many of the venue's lots where they are given in base."""
    if spec.lot_quote is not None:
        return replace(spec, lot_quote=steps * _CENT)
    return replace(spec, lot_base=instrument.quantity(steps))


def _is_too_large(spec: GridSpec, instrument: Instrument, laid: Laid) -> bool:
    largest = max(instrument.quantity(max(laid.ladder.lots)), instrument.quantity(max(laid.ladder.sold_lots)))
    return largest > instrument.max_quantity or (
        spec.style is ExecutionStyle.TAKER and largest > instrument.market_max_quantity
    )
