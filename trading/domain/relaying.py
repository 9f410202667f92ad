"""At a bound: does the grid stay, is it laid anew, or does it stop; and what becomes of what it holds."""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

from trading.domain.fees import Fees
from trading.domain.grid import UnableToBuild
from trading.domain.grids import Carried, GridSpec, Kind
from trading.domain.instruments import Instrument
from trading.domain.ladders import Ladder
from trading.domain.laying import (
    NO_FEES,
    Laid,
    bound_ticks,
    constant_value_lots,
    empty_line,
    infinity_window,
    ladder,
    lay,
)
from trading.domain.terms import Bounds, Mode

SECOND_NS: Final = 1_000_000_000


class Why(StrEnum):
    """What happened at a bound."""

    STOP = "stop bound"
    TAKE_PROFIT = "take-profit bound"
    TRAIL_UP = "trailing up"
    TRAIL_DOWN = "trailing down"
    RECENTRE = "re-centre"
    EXTEND = "infinity"
    REINVEST = "reinvest"
    EXIT = "exit of parked lots"
    EDIT = "edited by a person"


@dataclass(frozen=True, slots=True)
class Touch:
    """What the market shows at a bound; of a tape."""

    at_ns: int
    mark_ticks: int
    down_ticks: int  # price of a buy at the market; a resting buy at or above it has filled
    up_ticks: int  # price of a sell at the market; a resting sell at or below it has filled


@dataclass(frozen=True, slots=True)
class Lots:
    """An open lot outside the ladder: parked with its exit, or on its way to the market."""

    entry_ticks: int
    exit_ticks: int
    lots: int  # to be sold at the exit (LONG, NEUTRAL) or bought back there (SHORT)
    basis: int = 0  # money that opened it, in the kernel's units


class From(StrEnum):
    """Where the lots of an open slot come from."""

    SLOT = "slot"  # of the ladder before
    RESERVE = "reserve"  # what an infinity grid holds above its highest level
    MARKET = "market"  # bought now


class Source(NamedTuple):
    """The origin of one open slot."""

    origin: From
    slot: int = -1  # of the ladder before, where `origin` is SLOT


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a grid stands at a bound.

    Shapes:
        opened: (slots,) True: the slot holds what it bought (LONG, NEUTRAL), or has sold and will buy back (SHORT).
        basis: (slots,) money that opened each open slot, in the kernel's units.
    """

    laid: Laid
    opened: tuple[bool, ...]
    basis: tuple[int, ...]
    reinvested_at_ns: int  # start of the grid, or of the last reinvestment
    parked: tuple[Lots, ...] = ()


@dataclass(frozen=True, slots=True)
class Stay:
    """Nothing changes."""


@dataclass(frozen=True, slots=True)
class Relay:
    """The grid goes on as `standing`; what must happen to its lots first."""

    why: Why
    standing: Standing
    sources: tuple[Source | None, ...]  # (slots,) of the new ladder; None: the slot is empty
    exited: tuple[Lots, ...] = ()  # parked lots that reached their exit: traded there, as maker
    closed: tuple[Lots, ...] = ()  # traded back at the market
    reserve_bought_lots: int = 0  # bought at the market for the reserve of an infinity grid

    @property
    def is_same_ladder(self) -> bool:
        """True when only parked lots left: no order moves."""
        return self.why is Why.EXIT


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
    why = _end(spec, instrument, touch.mark_ticks)
    if why is not None:
        return Stop(why, spec.flatten)
    exited = tuple(one for one in standing.parked if _is_reached(spec, one, touch))
    if exited:
        standing = replace(standing, parked=tuple(one for one in standing.parked if one not in exited))
    found = _next_laid(spec, instrument, standing, touch, fees, atr_ticks, earned_quote)
    if found is not None:
        return replace(move(spec, instrument, standing, *found, touch), exited=exited)
    if not exited:
        return Stay()
    return Relay(Why.EXIT, standing, _as_they_are(standing.opened), exited)


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


def _end(spec: GridSpec, instrument: Instrument, mark: int) -> Why | None:
    for name, why, is_below in (
        ("stop", Why.STOP, spec.is_long),
        ("take_profit", Why.TAKE_PROFIT, not spec.is_long),
    ):
        bound = bound_ticks(spec, instrument, name)
        if bound is not None and (mark <= bound if is_below else mark >= bound):
            return why
    return None


def _is_reached(spec: GridSpec, one: Lots, touch: Touch) -> bool:
    return touch.up_ticks >= one.exit_ticks if spec.is_long else touch.down_ticks <= one.exit_ticks


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
        top = min(laid.rungs.above(mark), _highest(laid, _limit(spec, instrument, "trail_up_to")))
        return Why.TRAIL_UP, top - slots, slots
    if down_at is not None and mark <= down_at:
        first = max(laid.rungs.below(mark), _lowest(laid, _limit(spec, instrument, "trail_down_to")))
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


def _highest(laid: Laid, limit: int) -> int:
    return laid.rungs.above(limit) - 1


def _lowest(laid: Laid, limit: int) -> int:
    return laid.rungs.below(limit) + 1


def _first_that_rises(laid: Laid, first: int) -> int:
    """Return the lowest rung from `first` on below which two rungs would fall on one tick."""
    while first < laid.first and any(b <= a for a, b in pairwise(laid.rungs.window(first, laid.first - first))):
        first += 1
    return first


# --- what becomes of the lots -----------------------------------------------------------------------------


def move(spec: GridSpec, instrument: Instrument, standing: Standing, why: Why, laid: Laid, touch: Touch) -> Relay:
    """Return the relay to `laid` that gives every open lot its place: its own slot, another, parked, or the market."""
    staying, leaving = _split(spec, standing, laid, touch)
    sources: list[Source | None] = [None] * laid.ladder.slots
    for new, old in staying.items():
        sources[new] = Source(From.SLOT, old)
    overtaken = [slot for slot in leaving if _is_reached(spec, _lot(spec, standing, slot), touch)]
    fallen = [slot for slot in leaving if slot not in overtaken]
    if spec.kind is Kind.INFINITY:
        fallen = []  # they go back to the reserve, which is never counted in lots of slots
    if spec.carried is Carried.ROLL:
        fallen = _roll(spec, standing, laid, sources, fallen, touch)
    closed = [_lot(spec, standing, slot) for slot in overtaken]
    parked = list(standing.parked)
    (parked if spec.carried is Carried.KEEP else closed).extend(_lot(spec, standing, slot) for slot in fallen)
    closed += _surplus(spec, parked, laid.ladder.slots)
    bought = 0
    if why in (Why.RECENTRE, Why.EDIT) and spec.mode is Mode.NEUTRAL:
        _open_above(laid, sources, touch.mark_ticks)
    elif why is Why.EXTEND:
        jumped, bought = _jumped(spec, instrument, standing.laid, laid)
        closed += jumped + _extend(standing.laid, laid, sources, touch)
    since = touch.at_ns if why is Why.REINVEST else standing.reinvested_at_ns
    after = Standing(
        replace(laid, ladder=_sized(standing.laid.ladder, laid.ladder, sources)),
        tuple(source is not None for source in sources),
        tuple(standing.basis[s.slot] if s is not None and s.origin is From.SLOT else 0 for s in sources),
        since,
        tuple(parked),
    )
    return Relay(why, after, tuple(sources), closed=tuple(closed), reserve_bought_lots=bought)


def _split(spec: GridSpec, standing: Standing, laid: Laid, touch: Touch) -> tuple[dict[int, int], list[int]]:
    """Return new slot -> old slot of what keeps its place, and the old slots that do not."""
    places = {pair: slot for slot, pair in enumerate(pairwise(laid.ladder.levels))}
    staying: dict[int, int] = {}
    leaving: list[int] = []
    for old, pair in enumerate(pairwise(standing.laid.ladder.levels)):
        if not standing.opened[old]:
            continue
        new = places.get(pair)
        if new is None or _is_reached(spec, _lot(spec, standing, old), touch):
            leaving.append(old)
        else:
            staying[new] = old
    return staying, leaving


def _lot(spec: GridSpec, standing: Standing, slot: int) -> Lots:
    one = standing.laid.ladder
    low, high = one.levels[slot], one.levels[slot + 1]
    if spec.is_long:
        return Lots(low, high, one.sold_lots[slot], standing.basis[slot])
    return Lots(high, low, one.lots[slot], standing.basis[slot])


def _roll(
    spec: GridSpec, standing: Standing, laid: Laid, sources: list[Source | None], fallen: list[int], touch: Touch
) -> list[int]:
    """Give the `fallen` slots free ones, nearest exit first; return those that found none."""
    exits = laid.ladder.levels[1:] if spec.is_long else laid.ladder.levels[:-1]
    sign, price = (1, touch.up_ticks) if spec.is_long else (-1, touch.down_ticks)
    lowest = empty_line(laid.ladder.levels, touch.mark_ticks) if spec.mode is Mode.NEUTRAL else 0
    free = [
        slot
        for slot, source in enumerate(sources)
        if source is None and slot >= lowest and sign * exits[slot] > sign * price
    ]
    free.sort(key=lambda slot: sign * exits[slot])
    fallen = sorted(fallen, key=lambda slot: sign * _lot(spec, standing, slot).exit_ticks)
    for new, old in zip(free, fallen, strict=False):
        sources[new] = Source(From.SLOT, old)
    return fallen[len(free) :]


def _surplus(spec: GridSpec, parked: list[Lots], most: int) -> list[Lots]:
    """Take from `parked` what is more than `most`, the furthest exits, and return it."""
    parked.sort(key=lambda one: one.exit_ticks if spec.is_long else -one.exit_ticks)
    surplus = parked[most:]
    del parked[most:]
    return surplus


def _open_above(laid: Laid, sources: list[Source | None], mark: int) -> None:
    """Buy for every slot of a NEUTRAL ladder above the price that has no lots."""
    for slot in range(empty_line(laid.ladder.levels, mark), laid.ladder.slots):
        sources[slot] = sources[slot] or Source(From.MARKET)


def _extend(before: Laid, laid: Laid, sources: list[Source | None], touch: Touch) -> list[Lots]:
    """Open the slots that were not laid before; return those that the price has passed already, to be sold."""
    passed: list[Lots] = []
    for slot, (low, high) in enumerate(pairwise(laid.ladder.levels)):
        rung = laid.first + slot
        if rung >= before.top and high > touch.up_ticks:
            sources[slot] = Source(From.RESERVE)
        elif rung >= before.top:
            passed.append(Lots(low, high, laid.ladder.lots[slot]))
        elif rung < before.first and low >= touch.down_ticks:
            sources[slot] = Source(From.MARKET)
    return passed


def _jumped(spec: GridSpec, instrument: Instrument, before: Laid, laid: Laid) -> tuple[list[Lots], int]:
    """Return what is sold for rungs jumped over upwards, and the lots bought for those jumped over downwards."""

    def held(rung: int) -> int:
        return constant_value_lots(spec, instrument, laid.rungs.at(rung))

    if laid.first > before.top:
        lots = held(before.top) - held(laid.first)
        return [Lots(laid.rungs.at(before.top), laid.ladder.levels[0], lots)], 0
    return [], held(laid.top) - held(before.first) if laid.top < before.first else 0


def _sized(before: Ladder, after: Ladder, sources: list[Source | None]) -> Ladder:
    """Return `after` with the lots that its open slots really hold."""
    lots, sold = list(after.lots), list(after.sold_lots)
    for slot, source in enumerate(sources):
        if source is not None and source.origin is From.SLOT:
            lots[slot], sold[slot] = before.lots[source.slot], before.sold_lots[source.slot]
    return replace(after, lots=tuple(lots), sell_lots=tuple(sold) if after.sell_lots else ())


def _as_they_are(opened: tuple[bool, ...]) -> tuple[Source | None, ...]:
    return tuple(Source(From.SLOT, slot) if is_open else None for slot, is_open in enumerate(opened))
