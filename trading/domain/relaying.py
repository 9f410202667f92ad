"""At a bound: does the grid stay, is it laid anew, or does it stop."""

from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from typing import Final

from trading.domain.carrying import Relay, Standing, Touch, Why, as_they_are, is_reached, move
from trading.domain.fees import Fees
from trading.domain.grid import UnableToBuild
from trading.domain.grids import GridSpec, Kind
from trading.domain.instruments import Instrument
from trading.domain.laying import NO_FEES, Laid, bound_ticks, infinity_window, ladder, lay
from trading.domain.terms import Bounds

SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Stay:
    """Nothing changes."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The grid ends; `flatten`: everything open is closed at the market."""

    why: Why
    flatten: bool


Step = Stay | Relay | Stop


def next_step(
    spec: GridSpec,
    instrument: Instrument,
    standing: Standing,
    touch: Touch,
    *,
    fees: Fees = NO_FEES,
    atr_ticks: Decimal | None = None,
    earned_quote: Decimal = Decimal(0),
) -> Step:
    """Return what follows from `touch`; shapes of the keywords as `laying.lay`."""
    why = end(spec, instrument, touch.mark_ticks)
    if why is not None:
        return Stop(why, spec.flatten)
    exited = tuple(one for one in standing.parked if is_reached(spec, one, touch))
    if exited:
        standing = replace(standing, parked=tuple(one for one in standing.parked if one not in exited))
    found = _next_laid(spec, instrument, standing, touch, fees, atr_ticks, earned_quote)
    if found is not None:
        return replace(move(spec, instrument, standing, *found, touch), exited=exited)
    if not exited:
        return Stay()
    return Relay(Why.EXIT, standing, as_they_are(standing.opened), exited)


def bounds(spec: GridSpec, instrument: Instrument, standing: Standing) -> Bounds:
    """Return at which prices and time `next_step` has something to say."""
    laid = standing.laid
    below, above = ("stop", "take_profit") if spec.is_long else ("take_profit", "stop")
    lows = [bound_ticks(spec, instrument, below), _trail_down_at(spec, instrument, laid)]
    highs = [bound_ticks(spec, instrument, above), _trail_up_at(spec, instrument, laid)]
    if spec.recentre_steps is not None:
        lows.append(laid.rungs.at(laid.first - spec.recentre_steps))
        highs.append(laid.rungs.at(laid.top + spec.recentre_steps))
    if spec.kind is Kind.INFINITY:
        lows.append(laid.ladder.levels[0] if laid.first > 0 else None)
        highs.append(laid.ladder.levels[-1])
    exits = [one.exit_ticks for one in standing.parked]
    if exits:
        (highs if spec.is_long else lows).append(min(exits) if spec.is_long else max(exits))
    until = None
    if spec.reinvest_every_s is not None:
        until = standing.reinvested_at_ns + spec.reinvest_every_s * SECOND_NS
    known_lows, known_highs = [x for x in lows if x is not None], [x for x in highs if x is not None]
    return Bounds(max(known_lows, default=None), min(known_highs, default=None), until)


def has_started(start_ticks: int, first_ticks: int, mark_ticks: int) -> bool:
    """Return whether a price that began at `first_ticks` has reached the start price, from whichever side."""
    return mark_ticks <= start_ticks if first_ticks >= start_ticks else mark_ticks >= start_ticks


def end(spec: GridSpec, instrument: Instrument, mark: int) -> Why | None:
    """Return which bound of `spec` the price has reached; None: it goes on."""
    for name, why, is_below in (
        ("stop", Why.STOP, spec.is_long),
        ("take_profit", Why.TAKE_PROFIT, not spec.is_long),
    ):
        bound = bound_ticks(spec, instrument, name)
        if bound is not None and (mark <= bound if is_below else mark >= bound):
            return why
    return None


# --- which ladder comes next ------------------------------------------------------------------------------


def _next_laid(
    spec: GridSpec,
    instrument: Instrument,
    standing: Standing,
    touch: Touch,
    fees: Fees,
    atr_ticks: Decimal | None,
    earned_quote: Decimal,
) -> tuple[Why, Laid] | None:
    laid = standing.laid
    moved = _moved(spec, instrument, standing, touch)
    if moved is not None:
        why, first, slots = moved
        levels = laid.rungs.window(first, slots)
        return why, Laid(laid.rungs, first, ladder(spec, instrument, levels, fees=fees, earned_quote=earned_quote))
    if not _is_outside(spec, laid, touch.mark_ticks):
        return None
    try:
        return Why.RECENTRE, lay(
            spec, instrument, touch.mark_ticks, fees=fees, atr_ticks=atr_ticks, earned_quote=earned_quote
        )
    except UnableToBuild:
        return None  # around this price there is no ladder: the one in force stays, and the next price is asked


def _moved(spec: GridSpec, instrument: Instrument, standing: Standing, touch: Touch) -> tuple[Why, int, int] | None:
    """Return why the window moves, and its first rung and slots; None where it stays."""
    laid, mark, slots = standing.laid, touch.mark_ticks, standing.laid.ladder.slots
    up_at, down_at = _trail_up_at(spec, instrument, laid), _trail_down_at(spec, instrument, laid)
    if up_at is not None and mark >= up_at:
        limit = _limit(spec, instrument, "trail_up_to")
        top = min(laid.rungs.above(min(mark, limit)), laid.rungs.above(limit) - 1)
        return Why.TRAIL_UP, top - slots, slots
    if down_at is not None and mark <= down_at:
        limit = _limit(spec, instrument, "trail_down_to")
        first = max(laid.rungs.below(max(mark, limit)), laid.rungs.below(limit) + 1)
        return Why.TRAIL_DOWN, _first_that_rises(laid, first), slots
    if spec.kind is Kind.INFINITY:
        window = infinity_window(spec, laid.rungs, mark)
        low, high = laid.ladder.levels[0], laid.ladder.levels[-1]
        if mark >= high or (laid.first > 0 and mark <= low):
            return Why.EXTEND, *window
    if spec.reinvest_every_s is not None:
        due = standing.reinvested_at_ns + spec.reinvest_every_s * SECOND_NS
        if touch.at_ns >= due:
            return Why.REINVEST, laid.first, slots
    return None


def _is_outside(spec: GridSpec, laid: Laid, mark: int) -> bool:
    steps = spec.recentre_steps
    if steps is None:
        return False
    return mark <= laid.rungs.at(laid.first - steps) or mark >= laid.rungs.at(laid.top + steps)


def _trail_up_at(spec: GridSpec, instrument: Instrument, laid: Laid) -> int | None:
    """Return the price half a step above the top level, from which the ladder follows; None where it may not."""
    limit = bound_ticks(spec, instrument, "trail_up_to")
    top, beyond = laid.rungs.at(laid.top), laid.rungs.at(laid.top + 1)
    return -(-(top + beyond) // 2) if limit is not None and top < beyond <= limit else None


def _trail_down_at(spec: GridSpec, instrument: Instrument, laid: Laid) -> int | None:
    limit = bound_ticks(spec, instrument, "trail_down_to")
    lowest, beyond = laid.rungs.at(laid.first), laid.rungs.at(laid.first - 1)
    return (lowest + beyond) // 2 if limit is not None and lowest > beyond >= limit else None


def _limit(spec: GridSpec, instrument: Instrument, name: str) -> int:
    ticks = bound_ticks(spec, instrument, name)
    assert ticks is not None  # a ladder without a limit does not trail
    return ticks


def _first_that_rises(laid: Laid, first: int) -> int:
    """Return the lowest rung from `first` on below which two rungs would fall on one tick."""
    while first < laid.first and any(b <= a for a, b in pairwise(laid.rungs.window(first, laid.first - first))):
        first += 1
    return first
