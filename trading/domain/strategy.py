"""What the grid wants: slots and their states, and the orders a price calls for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

from trading.domain.grid import GridPlan
from trading.domain.instruments import Instrument
from trading.domain.limits import ExecutionStyle
from trading.domain.market import BookTop
from trading.domain.orders import Order, OrderStatus, OrderType, Side
from trading.domain.places import Role

NEVER_BELOW: Final = -1  # no ask is at or below it
NEVER_ABOVE: Final = 2**63 - 1  # no bid is at or above it

_CANCELABLE: Final = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})


class SlotState(StrEnum):
    """Where a slot stands: EMPTY -> BUYING -> HELD -> SELLING -> EMPTY; one way round is a round trip."""

    EMPTY = "EMPTY"
    BUYING = "BUYING"
    HELD = "HELD"
    SELLING = "SELLING"


@dataclass(slots=True)
class Slot:
    """One interval of the ladder: buys at its lower level, sells at its upper one."""

    index: int
    buy_ticks: int
    sell_ticks: int
    lots: int  # quantity of a whole lot
    smallest_lots: int  # fewest lots the venue lets us sell at the upper level
    order: Order | None = None  # works for this slot, or its fate is not known: the slot is locked
    held_lots: int = 0
    retry_at_ns: int = 0  # no new order before this
    failures: int = 0  # refusals in a row
    tries: int = 0  # of these, those that reached the venue
    tried_update_id: int = -1  # book top the last order was decided on: one price gets one MARKET order
    denied: str = ""  # code of the denial stored last
    note: str = ""  # last denial or refusal, for people
    role: Role = Role.LADDER  # of a ladder that has moved away: only its lot is still to be sold

    @property
    def state(self) -> SlotState:
        """The state, which follows from the order and the holding."""
        if self.order is not None:
            return SlotState.BUYING if self.order.side is Side.BUY else SlotState.SELLING
        return SlotState.HELD if self.held_lots else SlotState.EMPTY


class Want(NamedTuple):
    """An order the grid would like to send."""

    slot: Slot
    side: Side
    type: OrderType
    quantity_lots: int
    price_ticks: int | None  # None for MARKET
    reference_ticks: int


class Thresholds(NamedTuple):
    """The prices at which there is something to decide; between them a tick costs three comparisons.

    Nothing happens while `buy_at < ask <= rearm_above` and `bid < sell_at`.
    """

    buy_at: int
    rearm_above: int
    sell_at: int


CLOSED: Final = Thresholds(NEVER_BELOW, NEVER_ABOVE, NEVER_ABOVE)  # no price needs a decision
OPEN: Final = Thresholds(NEVER_ABOVE, NEVER_BELOW, NEVER_BELOW)  # the next price needs one


def lay_out(plan: GridPlan, instrument: Instrument) -> list[Slot]:
    """Return the empty slots of `plan`, lowest first."""
    return [
        Slot(i, low, high, plan.lots(i, instrument), instrument.smallest_lots(high))
        for i, (low, high) in enumerate(pairwise(plan.levels))
    ]


def taker_wants(slots: Iterable[Slot], top: BookTop, previous_ask: int | None, now_ns: int) -> list[Want]:
    """Return the MARKET orders a crossing calls for: sells first, lowest level first; then buys, nearest level first.

    A buy needs the ask to fall through its level (it was above, it is at or below); a sell needs the bid to stand at or
    above the upper level.
    """
    ready = [slot for slot in slots if slot.order is None and slot.retry_at_ns <= now_ns]
    bid, ask = top.bid_ticks, top.ask_ticks
    sells = [
        Want(slot, Side.SELL, OrderType.MARKET, slot.held_lots, None, bid)
        for slot in ready
        if _has_exit(slot) and bid >= slot.sell_ticks and slot.tried_update_id != top.update_id
    ]
    if previous_ask is None:
        return sells
    buys = [
        Want(slot, Side.BUY, OrderType.MARKET, slot.lots, None, ask)
        for slot in reversed(ready)
        if _is_free(slot) and previous_ask > slot.buy_ticks >= ask
    ]
    return sells + buys


def maker_wants(
    slots: Sequence[Slot],
    top: BookTop,
    quota: int,
    now_ns: int,
    near: int | None = None,
    levels: int | None = None,
) -> tuple[list[Want], list[Order]]:
    """Return the post-only orders to add and the orders to cancel so that at most `quota` orders rest.

    Every held slot wants its sell at the upper level, or one tick above the bid when the price has passed it. Empty
    slots below the ask want their buy, nearest to the price first; what does not fit stays virtual. Cancelled orders
    count until the venue has confirmed.

    Shapes:
        near: orders a side that may rest, nearest to the price; None: as many as fit.
        levels: slots that may be open or on their way at once, of the empty ones the nearest to the price; None: all.
    """
    resting = sum(slot.order is not None for slot in slots)
    exits, far = _exits(slots, near)
    sells = [_maker_sell(slot, top.bid_ticks) for slot in exits if slot.order is None]
    leaving = sum(_takes_a_place(slot) for slot in slots)
    room = max(quota - leaving - len(sells), 0)
    ladder = [slot for slot in reversed(slots) if _wants_buy(slot, top.ask_ticks)]
    most = None if levels is None else max(levels - sum(_is_open(slot) for slot in slots), 0)
    room = min(each for each in (room, near, most) if each is not None)
    wanted, surplus = ladder[:room], ladder[room:]
    buys = [
        Want(slot, Side.BUY, OrderType.LIMIT_MAKER, slot.lots, slot.buy_ticks, slot.buy_ticks)
        for slot in wanted
        if slot.order is None
    ]
    allowed = _within(sells, slots, near) + _within(buys, slots, near)
    ready = [want for want in allowed if want.slot.retry_at_ns <= now_ns]
    cancels = [slot.order for slot in far + surplus if slot.order is not None] + _overtaken(slots, top.bid_ticks)
    # What is in flight cannot be cancelled, what is being cancelled need not: both are looked at again when answered.
    return ready[: max(quota - resting, 0)], [order for order in cancels if order.status in _CANCELABLE]


def opening_wants(slots: Sequence[Slot], top: BookTop, quota: int, now_ns: int) -> list[Want]:
    """Return the MARKET buys of slots that open with one, lowest first, while fewer than `quota` orders are open."""
    room = max(quota - sum(slot.order is not None for slot in slots), 0)
    ready = [
        slot
        for slot in slots
        if slot.role is Role.OPENING
        and slot.order is None
        and not slot.held_lots
        and slot.retry_at_ns <= now_ns
        and slot.tried_update_id != top.update_id
    ]
    return [Want(slot, Side.BUY, OrderType.MARKET, slot.lots, None, top.ask_ticks) for slot in ready[:room]]


def has_room(slots: Iterable[Slot], levels: int | None) -> bool:
    """Return whether one more slot may buy where so many may be open or on their way at once; None: all."""
    return levels is None or sum(slot.state is not SlotState.EMPTY for slot in slots) < levels


def opens_no_more(slot: Slot, bid_ticks: int) -> bool:
    """Return whether a slot that was to open at the market waits for its level instead: its middle is passed.

    Where the ladder is laid, the slots above the price are those whose middle it has not passed (`laying.empty_line`).
    """
    return slot.role is Role.OPENING and slot.order is None and 2 * bid_ticks > slot.buy_ticks + slot.sell_ticks


def thresholds(style: ExecutionStyle, slots: Iterable[Slot], ask_ticks: int, now_ns: int) -> Thresholds:
    """Return the prices that need a decision while the slots stand as they do and the ask is `ask_ticks`."""
    buy_at, rearm_above, sell_at = CLOSED
    taker = style is ExecutionStyle.TAKER
    for slot in slots:
        if slot.order is not None:
            if not taker and slot.held_lots and slot.order.side is Side.BUY:
                sell_at = min(sell_at, slot.sell_ticks)
        elif slot.retry_at_ns > now_ns:
            continue
        elif slot.held_lots:
            sell_at = min(sell_at, slot.sell_ticks) if taker else sell_at
        elif slot.role is not Role.LADDER:
            continue
        elif slot.buy_ticks >= ask_ticks:
            rearm_above = min(rearm_above, slot.buy_ticks)
        elif taker:
            buy_at = max(buy_at, slot.buy_ticks)
    return Thresholds(buy_at, rearm_above, sell_at)


def _exits(slots: Iterable[Slot], near: int | None) -> tuple[list[Slot], list[Slot]]:
    """Return the slots whose sell may rest, and those whose sell is further than the `near` nearest."""
    exits = [slot for slot in slots if _has_exit(slot) and (slot.order is None or slot.order.side is Side.SELL)]
    if near is None:
        return exits, []
    exits.sort(key=lambda slot: (slot.sell_ticks, slot.index))
    return exits[:near], exits[near:]


def _within(wants: list[Want], slots: Iterable[Slot], near: int | None) -> list[Want]:
    """Return the nearest of `wants`, all of one side, that may be sent while what rests there still counts."""
    if near is None or not wants:
        return wants
    side = wants[0].side
    there = sum(
        slot.order is not None and slot.order.side is side and slot.order.price_ticks is not None for slot in slots
    )
    return wants[: max(near - there, 0)]


def _is_open(slot: Slot) -> bool:
    """Return whether a slot holds something and buys no more, or opens at the market."""
    is_held = slot.held_lots > 0 and (slot.order is None or slot.order.side is Side.SELL)
    return is_held or slot.role is Role.OPENING


def _maker_sell(slot: Slot, bid_ticks: int) -> Want:
    price = max(slot.sell_ticks, bid_ticks + 1)
    return Want(slot, Side.SELL, OrderType.LIMIT_MAKER, slot.held_lots, price, price)


def _wants_buy(slot: Slot, ask_ticks: int) -> bool:
    if slot.order is not None:
        return slot.order.side is Side.BUY and slot.role is not Role.OPENING
    return _is_free(slot) and slot.buy_ticks < ask_ticks


def _takes_a_place(slot: Slot) -> bool:
    """Return whether an order of this slot comes before any buy that would rest."""
    return slot.state is SlotState.SELLING or must_go(slot) or slot.role is Role.OPENING


def must_go(slot: Slot) -> bool:
    """Return whether what the slot holds is to be sold at the market."""
    return slot.role is Role.CLOSING and slot.held_lots > 0


def _has_exit(slot: Slot) -> bool:
    return slot.held_lots > 0 and slot.role is not Role.CLOSING


def _is_free(slot: Slot) -> bool:
    return not slot.held_lots and slot.role is Role.LADDER


def _overtaken(slots: Iterable[Slot], bid_ticks: int) -> list[Order]:
    """Return part-filled buys whose exit the price has reached: the rest is cancelled so that the part can be sold."""
    return [
        slot.order
        for slot in slots
        if slot.order is not None
        and slot.order.side is Side.BUY
        and slot.held_lots >= slot.smallest_lots
        and bid_ticks >= slot.sell_ticks
    ]
