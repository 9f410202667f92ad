"""Mark-out: how far the price goes against us after our fills."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np

from trading.domain.curves import Integers

HORIZON_NS: Final = 10_000_000_000  # ours: longer than a fill is news, shorter than a round trip
FEWEST_FILLS: Final = 20  # ours; the mean of fewer says nothing
NEAR_NS: Final = 1_000_000_000  # ours: what is received later after a fill is not the event that filled it


class MarkOut(NamedTuple):
    """The mean move against us, as a fraction of the price, weighted with the value of each fill."""

    fraction: Decimal | None  # above zero: against us; None: too few fills
    fills: int  # that had the horizon after them


class Move(NamedTuple):
    """One fill of a desk, and the recorded marks at it and one horizon later."""

    signed_quantity: Decimal  # base, bought above zero
    mark: Decimal  # quote
    later: Decimal  # quote


class Moved(NamedTuple):
    """Sums over the fills that had the horizon after them, ticks x lots or quote."""

    lost: Decimal | int  # above zero: against us
    value: Decimal | int
    fills: int


def mark_out(
    at_ns: Integers, mark: Integers, event: Integers, signed_lots: Integers, horizon_ns: int = HORIZON_NS
) -> MarkOut:
    """Return how far the mark had gone against us `horizon_ns` after our fills; see `moved`."""
    return together([(moved(at_ns, mark, event, signed_lots, horizon_ns), Decimal(1))])


def together(each: Iterable[tuple[Moved, Decimal]]) -> MarkOut:
    """Return the mark-out of several symbols; with each goes what one of its ticks x lots is worth."""
    known = list(each)
    fills = sum(one.fills for one, _ in known)
    if fills < FEWEST_FILLS:
        return MarkOut(None, fills)
    lost, value = (sum((one[k] * worth for one, worth in known), Decimal(0)) for k in (0, 1))
    return MarkOut(lost / value, fills)


def moved(
    at_ns: Integers, mark: Integers, event: Integers, signed_lots: Integers, horizon_ns: int = HORIZON_NS
) -> Moved:
    """Return how far the mark had gone against us `horizon_ns` after our fills.

    Measured from the mark of the fill's own event, not from the fill's price: what is earned on the spread is no move.
    A fill that the recording follows for less than the horizon is left out.

    Shapes:
        at_ns, mark: (n,) time, never decreasing; ticks.
        event, signed_lots: (f,) index of the event that filled, lots bought (above zero) or sold.

    Source:
        sum(lots x (mark - mark later)) / sum(|lots| x mark): the markout of market making (Harris, "Trading and
        Exchanges", 2003, on realized spread), here without the spread.
    """
    followed = at_ns[event] <= at_ns[-1] - horizon_ns
    event, signed_lots = event[followed], signed_lots[followed]
    later = np.searchsorted(at_ns, at_ns[event] + horizon_ns, "right") - 1
    lost = sum((signed_lots * (mark[event] - mark[later])).tolist())
    value = sum((np.abs(signed_lots) * mark[event]).tolist())
    return Moved(lost, value, len(event))


def mark_out_of(moves: Iterable[Move]) -> MarkOut:
    """Return the mark-out of a desk's fills, by the rule of `mark_out`."""
    sums = (Moved(size * (mark - later), abs(size) * mark, 1) for size, mark, later in moves)
    return together((one, Decimal(1)) for one in sums)


def events_around(
    at_ns: Integers, segment_ns: Integers, filled_at_ns: Integers, horizon_ns: int = HORIZON_NS
) -> list[tuple[int, int] | None]:
    """Return the event that filled and the last one within the horizon, for every fill; None: the recording lacks one.

    The event that filled is the first one received from the fill on, within `NEAR_NS`. The recording must have begun
    before the fill and go on, without a seam or a gap, until after the horizon: what lies behind it is not guessed.

    Shapes:
        at_ns, segment_ns: (n,) when received, never decreasing; when its unbroken piece of the recording began.
        filled_at_ns: (f,).
    """
    first = np.searchsorted(at_ns, filled_at_ns, "left")
    found: list[tuple[int, int] | None] = []
    for event, filled_ns in zip(first.tolist(), filled_at_ns.tolist(), strict=True):
        if event == len(at_ns) or at_ns[event] > filled_ns + NEAR_NS or segment_ns[event] > filled_ns:
            found.append(None)
            continue
        beyond = int(np.searchsorted(at_ns, at_ns[event] + horizon_ns, "right"))
        goes_on = beyond < len(at_ns) and segment_ns[beyond] == segment_ns[event]
        found.append((event, beyond - 1) if goes_on else None)
    return found
