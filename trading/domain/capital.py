"""What a grid needs, what it has open at worst, and what it loses at its stop."""

from decimal import Decimal
from itertools import pairwise
from typing import Final

from trading.domain.fees import Fees
from trading.domain.grid import fee_fraction
from trading.domain.grids import Carried, GridSpec, Kind
from trading.domain.instruments import Instrument
from trading.domain.ladders import Ladder
from trading.domain.laying import Laid, Opening, bound_ticks, constant_value_lots, weights

_ZERO: Final = Decimal(0)


def capital_quote(
    spec: GridSpec, instrument: Instrument, laid: Laid, needed: Opening, price_ticks: int, fees: Fees
) -> Decimal:
    """Return the quote that pays for every buy of the ladder, fees included; SHORT: the value of the base it sells."""
    at_start = instrument.notional(price_ticks, needed.base_lots)
    if not spec.is_long:
        return at_start
    buys = _cost_below(spec, instrument, laid, needed)
    return at_start * (1 + fees.taker_fraction) + buys * (1 + fee_fraction(spec.style, fees))


def worst_exposure_quote(
    spec: GridSpec, instrument: Instrument, laid: Laid, needed: Opening, price_ticks: int
) -> Decimal:
    """Return the most that is open at once, at what it cost (SHORT: at what it was sold for).

    A ladder that moves may have lots of every level it passes: each of its slots counts with its largest lot, and with
    parked lots each counts twice. Reinvested profit comes on top.
    """
    if spec.kind is Kind.INFINITY:
        return instrument.notional(price_ticks, needed.base_lots) + _cost_below(spec, instrument, laid, needed)
    if not spec.is_trailing and spec.recentre_steps is None:
        return sum(_costs(spec, instrument, laid, needed, price_ticks), _ZERO)
    if spec.lot_quote is not None:
        lot = spec.lot_quote * max(weights(spec, spec.slots))
    else:
        lot = _dearest_base_lot(spec, instrument, laid)
    return spec.slots * lot * (2 if spec.carried is Carried.KEEP else 1)


def loss_at_stop_quote(
    spec: GridSpec, instrument: Instrument, laid: Laid, needed: Opening, price_ticks: int, fees: Fees
) -> Decimal | None:
    """Return what is lost when everything is open at the stop and closed there; None without a stop.

    A ladder that moves: its worst exposure, bought at the highest entry its limits allow; without such a limit all of
    it.
    """
    stop = bound_ticks(spec, instrument, "stop")
    if stop is None:
        return None
    if spec.is_trailing or spec.recentre_steps is not None:
        return _moving_loss(spec, instrument, laid, needed, price_ticks, stop, fees)
    lots = sum(laid.ladder.lots) if spec.kind is not Kind.INFINITY else _lots_at_lower(spec, instrument)
    at_stop = instrument.notional(stop, lots)
    if not spec.is_long:
        sold = sum(_costs(spec, instrument, laid, needed, price_ticks), _ZERO)
        return at_stop * (1 + fees.taker_fraction) - sold * (1 - fee_fraction(spec.style, fees))
    paid = capital_quote(spec, instrument, laid, needed, price_ticks, fees)
    return paid - at_stop * (1 - fees.taker_fraction)


def _costs(spec: GridSpec, instrument: Instrument, laid: Laid, needed: Opening, price_ticks: int) -> list[Decimal]:
    """Return what opening each slot costs (SHORT: brings), fees left out; what is open at the start at the price."""
    ladder = laid.ladder
    lots = ladder.lots if spec.is_long else ladder.sold_lots
    rows = zip(entries_of(spec, ladder), lots, needed.opened, strict=True)
    return [instrument.notional(price_ticks if is_open else ticks, quantity) for ticks, quantity, is_open in rows]


def _cost_below(spec: GridSpec, instrument: Instrument, laid: Laid, needed: Opening) -> Decimal:
    """Return the value of every buy below the price, fees left out; INFINITY: down to its lower end."""
    slots = slots_of(laid.ladder)
    cost = sum(
        (instrument.notional(low, q) for (low, _, q, _), o in zip(slots, needed.opened, strict=True) if not o), _ZERO
    )
    if spec.kind is not Kind.INFINITY:
        return cost
    for rung in range(laid.first):
        low, high = laid.rungs.at(rung), laid.rungs.at(rung + 1)
        lots = constant_value_lots(spec, instrument, low) - constant_value_lots(spec, instrument, high)
        cost += instrument.notional(low, lots)
    return cost


def _lots_at_lower(spec: GridSpec, instrument: Instrument) -> int:
    lower = bound_ticks(spec, instrument, "lower")
    assert lower is not None  # an infinity grid without it is refused
    return constant_value_lots(spec, instrument, lower)


def _dearest_base_lot(spec: GridSpec, instrument: Instrument, laid: Laid) -> Decimal:
    """Return the value of the largest lot at the highest price at which it may be opened."""
    highest = bound_ticks(spec, instrument, "trail_up_to") or laid.ladder.levels[-1]
    return instrument.notional(highest, max(laid.ladder.lots))


def _moving_loss(
    spec: GridSpec, instrument: Instrument, laid: Laid, needed: Opening, price_ticks: int, stop: int, fees: Fees
) -> Decimal:
    exposure = worst_exposure_quote(spec, instrument, laid, needed, price_ticks)
    at_entry = exposure * (1 + fees.taker_fraction)
    if spec.recentre_steps is not None:
        return at_entry
    if spec.is_long:
        highest = max(bound_ticks(spec, instrument, "trail_up_to") or 0, laid.ladder.levels[-1], price_ticks)
        return at_entry - exposure * stop / highest * (1 - fees.taker_fraction)
    lowest = min(bound_ticks(spec, instrument, "trail_down_to") or laid.ladder.levels[0], laid.ladder.levels[0])
    return exposure * stop / lowest * (1 + fees.taker_fraction) - exposure * (1 - fee_fraction(spec.style, fees))


def slots_of(ladder: Ladder) -> list[tuple[int, int, int, int]]:
    """Return lower level, upper level, lots bought and lots sold of every slot."""
    rows = zip(pairwise(ladder.levels), ladder.lots, ladder.sold_lots, strict=True)
    return [(low, high, bought, sold) for (low, high), bought, sold in rows]


def entries_of(spec: GridSpec, ladder: Ladder) -> tuple[int, ...]:
    """Return the level at which each slot opens."""
    return ladder.levels[:-1] if spec.is_long else ladder.levels[1:]
