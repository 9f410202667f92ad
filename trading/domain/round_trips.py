"""Round trips out of a fill log: which sell closed which buy, and what each pair earned after both fees."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


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


def paired(log: FillLog, *, opens: int, unit: int) -> RoundTrips:
    """Return the round trips of `log`: each fill that opens with the next one of its slot, which closes it.

    A fill that closes what the grid was given to begin with is no round trip: nothing here says what that was bought
    for. `opens` is 1 where a buy comes first (neutral, long), -1 where a sell does (short).

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
    by_time = np.argsort(closed, kind="stable")
    return RoundTrips(closed[by_time], log.slot[closed][by_time], profit[by_time])
