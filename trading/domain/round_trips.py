"""Round trips out of a fill log: which sell closed which buy, and what each pair earned after both fees."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
NOTHING: Final[Mapping[int, int]] = MappingProxyType({})


class UnpairedFills(ValueError):
    """Two fills of one slot follow each other on the same side: this is no log of whole round trips."""


@dataclass(frozen=True, slots=True)
class FillLog:
    """Whole fills in the order they happened; money in units of tick x lot x fee denominator.

    Shapes:
        event: (f,) number of the event that filled it.
        slot: (f,) interval of the ladder it belongs to: it buys at its lower level and sells at its upper one.
        signed_lots: (f,) above 0 bought, below 0 sold.
        ticks: (f,) price. fee: (f,) money units.
    """

    event: Integers
    slot: Integers
    signed_lots: Integers
    ticks: Integers
    fee: Integers

    def __len__(self) -> int:
        return len(self.event)


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """Closed round trips in the order they closed.

    Shapes:
        closed: (t,) number of the fill that closed it.
        slot: (t,) where. profit: (t,) money units after both fees.
    """

    closed: Integers
    slot: Integers
    profit: Integers

    def __len__(self) -> int:
        return len(self.closed)

    @property
    def wins(self) -> int:
        """How many earned something after both fees."""
        return int((self.profit > 0).sum())

    @property
    def gain(self) -> int:
        """Sum of what was earned, money units."""
        return int(self.profit[self.profit > 0].sum())

    @property
    def loss(self) -> int:
        """Sum of what was lost, >= 0, money units."""
        return -int(self.profit[self.profit < 0].sum())


def paired(log: FillLog, *, opens: int, unit: int, basis: Mapping[int, int] = NOTHING) -> RoundTrips:
    """Return the round trips of `log`: each fill that opens with the next one of its slot, which closes it.

    `opens` is 1 where a buy comes first (neutral, long), -1 where a sell does (short). `basis` is what a slot paid, fee
    included, for lots it held to begin with: the first sell closes them; of a short slot it is what it had sold for.
    Without it such a fill is no round trip.

    Raises:
        UnpairedFills: a slot has two fills of one side in a row.
    """
    order = np.argsort(log.slot, kind="stable")
    slot, side = log.slot[order], np.sign(log.signed_lots[order])
    same_slot = slot[1:] == slot[:-1]
    if (same_slot & (side[1:] == side[:-1])).any():
        raise UnpairedFills("two fills of one slot follow each other on one side; pair partial fills by lots instead.")
    first = np.flatnonzero(same_slot & (side[:-1] == opens))
    opened, closed = order[first], order[first + 1]
    turnover = log.signed_lots * log.ticks * unit
    profit = -(turnover[opened] + turnover[closed]) - log.fee[opened] - log.fee[closed]
    given = _given(log, order, slot, basis, opens)
    closed = np.concatenate([closed, given])
    paid = np.array([basis[slot] for slot in log.slot[given].tolist()], dtype=np.int64)
    profit = np.concatenate([profit, -turnover[given] - log.fee[given] - opens * paid])
    by_time = np.argsort(closed, kind="stable")
    return RoundTrips(closed[by_time], log.slot[closed][by_time], profit[by_time])


def whole_orders(log: FillLog, slot_lots: Integers) -> tuple[FillLog, Integers]:
    """Return the orders of `log` that filled to their last lot, in the order they did, and the last part of each.

    An order of a slot has one price and all the lots of the slot, and the next one is sent when it is filled: the parts
    of one order are those that follow each other in a slot on one side.

    Shapes:
        slot_lots: (slots,) lots of an order of each slot.
        result: a log of (w,) whole orders, and (w,) numbers of fills of `log`.
    """
    order = np.argsort(log.slot, kind="stable")
    slot, side = log.slot[order], np.sign(log.signed_lots[order])
    begins = np.flatnonzero((np.diff(slot, prepend=-1) != 0) | (np.diff(side, prepend=0) != 0))
    if not len(begins):
        return log, begins
    last = order[np.append(begins[1:], len(order)) - 1]
    lots, fees = (np.add.reduceat(column[order], begins) for column in (log.signed_lots, log.fee))
    kept = np.flatnonzero(np.abs(lots) == slot_lots[log.slot[last]])
    kept = kept[np.argsort(last[kept], kind="stable")]
    last = last[kept]
    return FillLog(log.event[last], log.slot[last], lots[kept], log.ticks[last], fees[kept]), last


def _given(log: FillLog, order: Integers, slot: Integers, basis: Mapping[int, int], opens: int) -> Integers:
    """Return the fills that close what was open to begin with: the first of each slot of `basis`."""
    begins = np.flatnonzero(np.diff(slot, prepend=-1))
    firsts = order[begins]
    closes: Integers = firsts[np.isin(slot[begins], list(basis)) & (np.sign(log.signed_lots[firsts]) == -opens)]
    return closes
