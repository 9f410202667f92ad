"""A ladder that moves while it trades: what its slots become when it is laid anew, and after a restart.

Nothing is done here at one stroke that a crash could leave half done: the new ladder is stored with the orders it
wants, and whatever the old one left (a resting buy, a lot) is cancelled or sold because its slot says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count, pairwise
from typing import Final

from trading.domain.carrying import Standing, Touch, Why
from trading.domain.grid import GridPlan, Infeasible, UnableToBuild
from trading.domain.grids import Carried, GridSpec, shape
from trading.domain.instruments import Instrument
from trading.domain.laying import Laid, empty_line, ladder
from trading.domain.limits import ExecutionStyle, Limits
from trading.domain.market import BookTop
from trading.domain.places import Footing, Place, Role
from trading.domain.preview import plan_of
from trading.domain.range_meter import Measured, RangeMeter
from trading.domain.relaying import bounds
from trading.domain.strategy import NEVER_ABOVE, NEVER_BELOW, Slot
from trading.domain.terms import Mode

_AT_ITS_PRICE: Final = {Role.CLOSING: Role.PARKED, Role.OPENING: Role.LADDER}


@dataclass(slots=True)
class Mover:
    """What makes a ladder move, and where it stands."""

    spec: GridSpec
    laid: Laid | None = None
    waits_from_ticks: int | None = None  # first price seen while it waits for its start price
    stays: str = ""  # why it did not follow the price last, as people were told
    fall_at: int = field(default=NEVER_BELOW)  # a best bid at or below it needs a decision
    rise_at: int = field(default=NEVER_ABOVE)  # a best bid at or above it needs a decision
    meter: RangeMeter | None = None  # of a ladder whose step is measured

    def __post_init__(self) -> None:
        """Measure from the beginning where a step is measured."""
        self.measure_anew()

    def measure_anew(self) -> None:
        """Forget what was measured."""
        if self.spec.atr_multiple is not None:
            self.meter = RangeMeter(Measured(self.spec.atr_bars, self.spec.atr_bar_s))

    @property
    def atr_ticks(self) -> Decimal | None:
        """The average true range; None where none is measured, or none is known yet."""
        return None if self.meter is None else self.meter.known.atr_ticks

    @property
    def waits(self) -> str:
        """Why no ladder can be laid yet; "" where one can."""
        if self.meter is not None and self.meter.known.waits:
            return self.meter.known.waits
        return "" if self.waits_from_ticks is None else "the price has not reached the start price yet"

    def stand(self, laid: Laid, instrument: Instrument) -> None:
        """Stand on `laid` from now on.

        Raises:
            UnableToBuild: a bound is not on the tick.
        """
        ends = bounds(self.spec, instrument, standing(laid, ()))
        self.fall_at = NEVER_BELOW if ends.low_ticks is None else ends.low_ticks
        self.rise_at = NEVER_ABOVE if ends.high_ticks is None else ends.high_ticks
        self.laid, self.waits_from_ticks, self.stays = laid, None, ""

    def is_reached(self, bid_ticks: int) -> bool:
        """Return whether the price lies where somebody has to look again."""
        return not self.fall_at < bid_ticks < self.rise_at

    def leave(self) -> None:
        """Stand nowhere: the lap has ended."""
        self.laid, self.waits_from_ticks, self.stays = None, None, ""
        self.fall_at, self.rise_at = NEVER_BELOW, NEVER_ABOVE

    def footing(self, slots: Sequence[Slot]) -> Footing:
        """Return what a restart needs."""
        return Footing(
            shape=shape(self.spec),
            rungs=None if self.laid is None else self.laid.rungs,
            first=0 if self.laid is None else self.laid.first,
            places=tuple(Place(slot.index, slot.buy_ticks, slot.sell_ticks, slot.role) for slot in slots),
            waits_from_ticks=self.waits_from_ticks,
            measured=None if self.meter is None else self.meter.known,
        )

    def remember(self, footing: Footing) -> None:
        """Go on measuring where the last process stopped, if it measured the same bars."""
        if self.meter is not None and footing.measured is not None and footing.measured.is_like(self.meter.known):
            self.meter.known = footing.measured


def touch_of(top: BookTop, now_ns: int) -> Touch:
    """Return what the market shows: the mark is the best bid, as on a tape of book tops."""
    return Touch(now_ns, top.bid_ticks, top.ask_ticks, top.bid_ticks)


def standing(laid: Laid, slots: Sequence[Slot]) -> Standing:
    """Return where the grid stands: which slots of its ladder hold something; what is parked trades by itself."""
    held = {(slot.buy_ticks, slot.sell_ticks): slot.held_lots > 0 for slot in slots if slot.role.is_of_ladder}
    opened = tuple(held.get(pair, False) for pair in pairwise(laid.ladder.levels))
    return Standing(laid, opened, (0,) * len(opened), 0)


def carry(
    slots: Sequence[Slot],
    laid: Laid,
    instrument: Instrument,
    *,
    carried: Carried,
    is_edit: bool,
    bid_ticks: int,
    opens_from: int | None = None,
) -> list[Slot]:
    """Return the slots of `laid`, lowest first, and those of the ladder before that still hold or may still get lots.

    A slot with the same two levels stays itself, with its lot, its order and its number. One that falls out sells at
    its exit, or at the market where `carried` is CLOSE and the exit is not reached yet; of more than there are slots,
    the furthest exits go to the market. An edit (`is_edit`) also takes parked slots back in, and closes none.

    Shapes:
        bid_ticks: what a sell at the market gets now.
        opens_from: line from which empty slots open at the market; None: those that were to, still are.
    """
    there = {(s.buy_ticks, s.sell_ticks): s for s in reversed(slots) if is_edit or s.role.is_of_ladder}
    found = [there.pop(pair, None) for pair in pairwise(laid.ladder.levels)]
    kept = {slot.index for slot in found if slot is not None}
    left = [slot for slot in slots if slot.index not in kept and (slot.order is not None or slot.held_lots)]
    taken = kept | {slot.index for slot in left}
    free = (number for number in count() if number not in taken)
    after = [
        _placed(slot or Slot(next(free), 0, 0, 0, 0), pair, lots, instrument)
        for slot, pair, lots in zip(found, pairwise(laid.ladder.levels), laid.ladder.lots, strict=True)
    ]
    for line, slot in enumerate(after if opens_from is not None else ()):
        slot.role = Role.OPENING if line >= (opens_from or 0) and not slot.held_lots else Role.LADDER
    leaving = {slot.index for slot in left if slot.role.is_of_ladder}
    for slot in left:
        is_leaving, is_passed = slot.index in leaving, bid_ticks >= slot.sell_ticks
        slot.role = Role.CLOSING if is_leaving and carried is Carried.CLOSE and not is_passed else slot.role
        slot.role = Role.PARKED if slot.role.is_of_ladder else slot.role
    held = (slot for slot in left if slot.role is Role.PARKED and slot.held_lots)
    # Of two with the same exit the one that has waited longer goes on waiting, as in the lab.
    parked = sorted(held, key=lambda slot: (slot.sell_ticks, slot.index in leaving, slot.index))
    for slot in [] if is_edit else parked[laid.ladder.slots :]:
        slot.role = Role.CLOSING
    return sorted([*after, *left], key=_level)


def opens_from(spec: GridSpec, laid: Laid, why: Why, bid_ticks: int) -> int | None:
    """Return the line from which empty slots open at the market, as `carry` takes it: the slots above the price of a
    NEUTRAL ladder that is laid, laid anew or edited; none of any other.
    """
    if spec.mode is not Mode.NEUTRAL:
        return laid.ladder.slots
    return empty_line(laid.ladder.levels, bid_ticks) if why in (Why.EDIT, Why.RECENTRE) else None


def still_needed(slots: Sequence[Slot], limits: Limits) -> list[Slot]:
    """Return `slots` without those that fell out of the ladder and have nothing left to do.

    Where the mandate lets nothing be sold at the market (any more), what was to go there keeps its exit, and what was
    to be bought there waits for its level.
    """
    if ExecutionStyle.TAKER not in limits.execution_styles:
        for slot in slots:
            slot.role = _AT_ITS_PRICE.get(slot.role, slot.role)
    return [slot for slot in slots if slot.role.is_of_ladder or slot.order is not None or slot.held_lots]


def restored(
    mover: Mover, instrument: Instrument, levels: tuple[int, ...], footing: Footing | None
) -> tuple[GridPlan | None, list[Slot]]:
    """Return the plan and the empty slots that were stored, and put `mover` where it stood.

    Levels of another choice, or of a ladder that did not move, keep their slots until the new one is laid: no plan.
    """
    if footing is None:
        places = tuple(Place(number, low, high) for number, (low, high) in enumerate(pairwise(levels)))
    else:
        places = footing.places
    slots = [Slot(*place[:3], 0, instrument.smallest_lots(place.high_ticks), role=place.role) for place in places]
    if footing is not None:
        mover.remember(footing)
    if footing is None or footing.shape != shape(mover.spec):
        return None, slots
    mover.waits_from_ticks = footing.waits_from_ticks
    if footing.rungs is None or len(levels) < 2:
        return None, slots
    laid = Laid(footing.rungs, footing.first, ladder(mover.spec, instrument, levels))
    try:
        mover.stand(laid, instrument)
    except UnableToBuild:
        mover.leave()  # a bound that is off the tick now: the ladder is refused when it is laid
        return None, slots
    lots = dict(zip(pairwise(levels), laid.ladder.lots, strict=True))
    for slot in slots:
        slot.lots = lots.get((slot.buy_ticks, slot.sell_ticks), 0)
    return plan_of(mover.spec, instrument, laid), slots


def refusal(spec: GridSpec, limits: Limits) -> Infeasible | None:
    """Return why the mandate does not let `spec` trade at the market: what it opens, or what falls out of it."""
    may_close = spec.trail_down_to is not None or spec.recentre_steps is not None
    if ExecutionStyle.TAKER in limits.execution_styles:
        return None
    if spec.mode is Mode.NEUTRAL:
        text = f"{spec.symbol}: a {spec.mode} grid buys at the market when it is laid, and TAKER is not"
        return Infeasible("execution_styles", f"{text} allowed in phase {limits.phase}; use {Mode.LONG}.", None)
    if not may_close:
        return None
    text = f"{spec.symbol}: a grid that trails down or re-centres may have to sell lots at the market, and TAKER is not"
    return Infeasible("execution_styles", f"{text} allowed in phase {limits.phase}; let it trail up only.", None)


def _placed(slot: Slot, pair: tuple[int, int], lots: int, instrument: Instrument) -> Slot:
    slot.buy_ticks, slot.sell_ticks = pair
    slot.lots, slot.smallest_lots = lots, instrument.smallest_lots(pair[1])
    slot.role = slot.role if slot.role.is_of_ladder else Role.LADDER
    return slot


def _level(slot: Slot) -> tuple[int, int]:
    return slot.buy_ticks, slot.index
