"""What becomes of the lots of a grid when its ladder is laid anew: none is lost, none is made up."""

from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from trading.domain.grids import Carried, GridSpec, Kind
from trading.domain.instruments import Instrument
from trading.domain.ladders import Ladder
from trading.domain.laying import Laid, constant_value_lots, empty_line
from trading.domain.terms import Mode


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
    SHORT_OF_BASE = "no base left for a slot of the new ladder"


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


def is_reached(spec: GridSpec, one: Lots, touch: Touch) -> bool:
    """Return whether a resting exit of `one` has filled at `touch`."""
    return touch.up_ticks >= one.exit_ticks if spec.is_long else touch.down_ticks <= one.exit_ticks


def move(spec: GridSpec, instrument: Instrument, standing: Standing, why: Why, laid: Laid, touch: Touch) -> Relay:
    """Return the relay to `laid` that gives every open lot its place: its own slot, another, parked, or the market."""
    staying, leaving = _split(spec, standing, laid, touch)
    sources: list[Source | None] = [None] * laid.ladder.slots
    for new, old in staying.items():
        sources[new] = Source(From.SLOT, old)
    overtaken = [slot for slot in leaving if is_reached(spec, _lot(spec, standing, slot), touch)]
    fallen = [slot for slot in leaving if slot not in overtaken]
    if spec.kind is Kind.INFINITY:
        fallen = []  # they go back to the reserve, which is never counted in lots of slots
    if spec.carried is Carried.ROLL:
        fallen = _roll(spec, standing, laid, sources, fallen, touch)
    closed = [_lot(spec, standing, slot) for slot in overtaken]
    parked = list(standing.parked)
    (parked if spec.carried is Carried.KEEP else closed).extend(_lot(spec, standing, slot) for slot in fallen)
    closed += [] if why is Why.EDIT else _surplus(spec, parked, laid.ladder.slots)  # an edit sells nothing
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
        if new is None or is_reached(spec, _lot(spec, standing, old), touch):
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


def within_base(standing: Standing, base_lots: int) -> Standing | None:
    """Return `standing` of a SHORT ladder with lots that `base_lots` suffice for; None where a slot would have none.

    A ladder that moves down sells for the same value, and so wants more base than it has: what there is, is spread
    over the slots that have not sold, in proportion.
    """
    ladder = standing.laid.ladder
    wanted = sum(sold for sold, is_open in zip(ladder.sold_lots, standing.opened, strict=True) if not is_open)
    if wanted <= base_lots:
        return standing
    rows = list(zip(ladder.lots, ladder.sold_lots, standing.opened, strict=True))
    sold = tuple(q if is_open else q * base_lots // wanted for _, q, is_open in rows)
    lots = tuple(q if is_open else q * base_lots // wanted for q, _, is_open in rows)
    if min(lots) <= 0 or min(sold) <= 0:
        return None
    sized = replace(ladder, lots=lots, sell_lots=sold if ladder.sell_lots else ())
    return replace(standing, laid=replace(standing.laid, ladder=sized))


def as_they_are(opened: tuple[bool, ...]) -> tuple[Source | None, ...]:
    """Return the sources of a ladder whose slots stay what they are."""
    return tuple(Source(From.SLOT, slot) if is_open else None for slot, is_open in enumerate(opened))
