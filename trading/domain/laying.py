"""From a specification and a price to a ladder: its levels, the lots of every slot, what is open at the start."""

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final

from trading.domain.fees import Fees
from trading.domain.grid import UnableToBuild, fee_fraction
from trading.domain.grids import GridSpec, Kind
from trading.domain.instruments import Instrument
from trading.domain.ladders import Ladder
from trading.domain.levels import Rungs, around, between, upward
from trading.domain.terms import Mode

NO_FEES: Final = Fees(Decimal(0), Decimal(0))
_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Laid:
    """A ladder and where it was cut out of its rungs: level i is rung `first + i`."""

    rungs: Rungs
    first: int
    ladder: Ladder

    @property
    def top(self) -> int:
        """Rung of the highest level."""
        return self.first + self.ladder.slots


@dataclass(frozen=True, slots=True)
class Opening:
    """What a grid needs before its first order rests."""

    opened: tuple[bool, ...]  # (slots,) True: the slot has its base (NEUTRAL) and rests its sell
    base_lots: int  # NEUTRAL buys them at the market; SHORT must have them
    reserve_lots: int  # of these, what no slot offers (INFINITY)


def lay(
    spec: GridSpec,
    instrument: Instrument,
    price_ticks: int,
    *,
    fees: Fees = NO_FEES,
    atr_ticks: Decimal | None = None,
    earned_quote: Decimal = _ZERO,
) -> Laid:
    """Return the ladder of `spec` at `price_ticks`.

    Shapes:
        fees: REVERSE buys back what its proceeds pay for, fees included.
        atr_ticks: average true range; needed with `atr_multiple`.
        earned_quote: grid profit so far, of which `reinvest_fraction` enlarges the lots.

    Raises:
        UnableToBuild: a price off the tick, levels that fall together or reach zero, a bound inside the range or
            already passed, no average true range; the message names the field, the reason and what to do.
    """
    if price_ticks <= 0:
        raise UnableToBuild(f"{spec.symbol} grid: the price is not above zero; wait for a price.")
    rungs = _rungs(spec, instrument, price_ticks, atr_ticks)
    first, slots = _window(spec, rungs, price_ticks)
    levels = rungs.window(first, slots)
    _check_levels(spec, instrument, levels, price_ticks)
    return Laid(rungs, first, ladder(spec, instrument, levels, fees=fees, earned_quote=earned_quote))


def ladder(
    spec: GridSpec,
    instrument: Instrument,
    levels: tuple[int, ...],
    *,
    fees: Fees = NO_FEES,
    earned_quote: Decimal = _ZERO,
) -> Ladder:
    """Return `levels` with the lots of every slot; shapes as `lay`."""
    if spec.kind is Kind.INFINITY:
        holdings = [constant_value_lots(spec, instrument, ticks, earned_quote) for ticks in levels]
        return Ladder(levels, tuple(low - high for low, high in pairwise(holdings)), spec.mode)
    opening = levels[:-1] if spec.is_long else levels[1:]
    lots = tuple(
        _slot_lots(spec, instrument, ticks, weight, earned_quote)
        for ticks, weight in zip(opening, weights(spec, len(opening)), strict=True)
    )
    if spec.kind is not Kind.REVERSE:
        return Ladder(levels, lots, spec.mode)
    fraction = fee_fraction(spec.style, fees)
    back = tuple(
        bought_back_lots(sold, low, high, fraction) for sold, (low, high) in zip(lots, pairwise(levels), strict=True)
    )
    return Ladder(levels, back, spec.mode, lots)


def weights(spec: GridSpec, slots: int) -> tuple[Decimal, ...]:
    """Return the weight of every slot's lot, lowest slot first: 1 - skew * (2 h - 1), their mean is 1.

    h is the share of the other slots that are open when this one opens: in a ladder the inventory follows from the
    price, so a lot that depends on the inventory is a lot that depends on the level.

    Source:
        ours; that a quote should lean against the inventory is M. Avellaneda, S. Stoikov (2008), "High-frequency
        trading in a limit order book", Quantitative Finance 8(3), 217-224.
    """
    if slots == 1 or not spec.skew_fraction:
        return (Decimal(1),) * slots
    others = slots - 1
    opened = [others - i if spec.is_long else i for i in range(slots)]
    return tuple(1 - spec.skew_fraction * (2 * h - others) / others for h in opened)


def constant_value_lots(spec: GridSpec, instrument: Instrument, price_ticks: int, earned_quote: Decimal = _ZERO) -> int:
    """Return the base an infinity grid holds at `price_ticks`: a value of lot_quote / step_fraction, rounded down.

    Holding a value V at every level, one step of ratio 1 + s upwards sells V * s at its price: the lot.

    Source:
        ours, after what the bots of exchanges call an infinity grid: inventory of constant value, no upper price.
    """
    assert spec.lot_quote is not None  # a specification without it is refused
    assert spec.step_fraction is not None  # as above
    lot_quote = spec.lot_quote + spec.reinvest_fraction * max(earned_quote, _ZERO) / spec.slots
    return instrument.lots_down(lot_quote / (spec.step_fraction * instrument.price(price_ticks)))


def bought_back_lots(sold_lots: int, low_ticks: int, high_ticks: int, fee_fraction: Decimal) -> int:
    """Return what the proceeds of `sold_lots` at `high_ticks` buy at `low_ticks`, both fees paid, rounded down.

    Source:
        ours: sold * high * (1 - fee) = back * low * (1 + fee).
    """
    proceeds = sold_lots * high_ticks * (1 - fee_fraction)
    return int(proceeds / (low_ticks * (1 + fee_fraction)))


def opening(spec: GridSpec, instrument: Instrument, laid: Laid, price_ticks: int) -> Opening:
    """Return what is open and what base is needed when the grid starts at `price_ticks`."""
    rungs = laid.ladder
    if spec.mode is Mode.LONG:
        return Opening((False,) * rungs.slots, 0, 0)
    if spec.mode is Mode.SHORT:
        return Opening((False,) * rungs.slots, sum(rungs.sold_lots), 0)
    empty = empty_line(rungs.levels, price_ticks)
    reserve = reserve_lots(spec, instrument, laid)
    opened = tuple(slot >= empty for slot in range(rungs.slots))
    return Opening(opened, sum(rungs.lots[empty:]) + reserve, reserve)


def reserve_lots(spec: GridSpec, instrument: Instrument, laid: Laid, earned_quote: Decimal = _ZERO) -> int:
    """Return the base that an infinity grid holds above its highest laid level, and no slot offers; else 0."""
    if spec.kind is not Kind.INFINITY:
        return 0
    return constant_value_lots(spec, instrument, laid.ladder.levels[-1], earned_quote)


def empty_line(levels: tuple[int, ...], price_ticks: int) -> int:
    """Return the line without an order of a NEUTRAL ladder: the nearest to the price, of two equal ones the lower."""
    return min(range(len(levels)), key=lambda line: (abs(levels[line] - price_ticks), line))


def bound_ticks(spec: GridSpec, instrument: Instrument, name: str) -> int | None:
    """Return the price field `name` of `spec` in ticks, None where it is not set.

    Raises:
        UnableToBuild: it is not on the tick.
    """
    price: Decimal | None = getattr(spec, name)
    if price is None:
        return None
    try:
        return instrument.ticks(price)
    except ValueError as e:
        near = instrument.price(instrument.ticks_down(price))
        raise UnableToBuild(
            f"{spec.symbol} grid: {name} {price} is not on the tick {instrument.tick_size}; use {near}."
        ) from e


def _rungs(spec: GridSpec, instrument: Instrument, price_ticks: int, atr_ticks: Decimal | None) -> Rungs:
    lower, upper = (bound_ticks(spec, instrument, name) for name in ("lower", "upper"))
    if spec.kind is Kind.INFINITY:
        assert lower is not None  # a specification without them is refused
        assert spec.step_fraction is not None  # as above
        return upward(lower, spec.step_fraction)
    if lower is not None and upper is not None:
        return between(spec.spacing, lower, upper, spec.slots)
    return around(spec.spacing, price_ticks, step_fraction(spec, price_ticks, atr_ticks))


def step_fraction(spec: GridSpec, price_ticks: int, atr_ticks: Decimal | None) -> Decimal:
    """Return the step around a price: as given, or `atr_multiple` average true ranges over the price.

    Raises:
        UnableToBuild: there is no average true range yet, or the step is not a fraction below 1.
    """
    if spec.step_fraction is not None:
        return spec.step_fraction
    if spec.atr_multiple is None or atr_ticks is None or not atr_ticks.is_finite() or atr_ticks <= 0:
        raise UnableToBuild(f"{spec.symbol} grid: atr_multiple: no average true range is known; wait for more prices.")
    fraction = spec.atr_multiple * atr_ticks / price_ticks
    if fraction >= 1:
        raise UnableToBuild(f"{spec.symbol} grid: atr_multiple: a step would be {fraction:.3f} of the price; lower it.")
    return fraction


def _window(spec: GridSpec, rungs: Rungs, price_ticks: int) -> tuple[int, int]:
    """Return the rung of the lowest level and the number of slots."""
    if spec.kind is Kind.INFINITY:
        return infinity_window(spec, rungs, price_ticks)
    if spec.lower is not None:
        return 0, spec.slots
    outwards = spec.slots // 2 + 1  # levels on the side where slots open, as `grid.build`
    return (-outwards if spec.is_long else outwards - spec.slots - 1), spec.slots


def infinity_window(spec: GridSpec, rungs: Rungs, price_ticks: int) -> tuple[int, int]:
    """Return the lowest rung and the number of slots of an infinity grid: `slots` beside the one around the price."""
    at = max(rungs.below(price_ticks), 0)
    first = max(at - spec.slots, 0)
    return first, at + 1 + spec.slots - first


def _slot_lots(spec: GridSpec, instrument: Instrument, price_ticks: int, weight: Decimal, earned_quote: Decimal) -> int:
    share = spec.reinvest_fraction * max(earned_quote, _ZERO) / spec.slots
    if spec.lot_quote is not None:
        return instrument.lots_down((spec.lot_quote + share) * weight / instrument.price(price_ticks))
    assert spec.lot_base is not None  # one of the two is given
    return instrument.lots_down((spec.lot_base + share / instrument.price(price_ticks)) * weight)


def _check_levels(spec: GridSpec, instrument: Instrument, levels: tuple[int, ...], price_ticks: int) -> None:
    if levels[0] <= 0:
        raise UnableToBuild(
            f"{spec.symbol} grid: the lowest level is not above zero; use fewer slots or a smaller step."
        )
    if any(high <= low for low, high in pairwise(levels)):
        raise UnableToBuild(
            f"{spec.symbol} grid: two levels fall on the same tick ({instrument.tick_size}); use fewer slots or a "
            "wider step."
        )
    below, above = ("stop", "take_profit") if spec.is_long else ("take_profit", "stop")
    low, high = bound_ticks(spec, instrument, below), bound_ticks(spec, instrument, above)
    if low is not None and low >= min(levels[0], price_ticks):
        raise UnableToBuild(f"{spec.symbol} grid: {below}: not below the range and the price; lower it.")
    if high is not None and high <= price_ticks:
        raise UnableToBuild(f"{spec.symbol} grid: {above}: not above the price; raise it.")
    if high is not None and high <= levels[-1] and spec.kind is not Kind.INFINITY:
        raise UnableToBuild(f"{spec.symbol} grid: {above}: not above the range; raise it.")
