"""The average true range: how far a market moves in one bar, gaps included."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SECOND_NS: Final = 1_000_000_000


def average_true_range(high: Ints, low: Ints, close: Ints, bars: int) -> Floats:
    """Return the average true range of each bar.

    Shapes:
        high, low, close: (n,) ticks, oldest first, high >= close >= low.
        result: (n,) ticks; the first `bars` values are NaN, because a true range needs the close before.

    Raises:
        ValueError: the arrays differ in length, or `bars` is below 1.

    Source:
        J. W. Wilder (1978), "New Concepts in Technical Trading Systems": the true range is the largest of high - low,
        |high - close before| and |low - close before|; the first average is the mean of `bars` of them, each later one
        (average before * (bars - 1) + true range) / bars.
    """
    if bars < 1 or not len(high) == len(low) == len(close):
        raise ValueError(
            f"bars: {bars} of {len(high)}, {len(low)} and {len(close)} prices; give equal lengths, bars >= 1."
        )
    average = np.full(len(close), np.nan)
    if len(close) <= bars:
        return average
    before = close[:-1]
    ranges = np.maximum(high[1:], before) - np.minimum(low[1:], before)
    value = float(ranges[:bars].sum()) / bars
    average[bars] = value
    for bar, true_range in enumerate(ranges[bars:].tolist(), start=bars + 1):
        value = (value * (bars - 1) + true_range) / bars
        average[bar] = value
    return average


@dataclass(frozen=True, slots=True, eq=False)
class RangeHistory:
    """The average true range that was known at any event of a tape."""

    known_from: Ints  # (m,) event from which each value is known: the first one after its bar
    atr_ticks: Floats  # (m,)

    def at(self, event: int) -> float | None:
        """Return the value known at `event`; None before the first."""
        place = int(np.searchsorted(self.known_from, event, side="right")) - 1
        return float(self.atr_ticks[place]) if place >= 0 else None


def history(at_ns: Ints, mark: Ints, *, bar_s: int, bars: int) -> RangeHistory:
    """Return the average true range over bars of `bar_s` seconds of UTC; a bar without an event is left out.

    A value is known from the first event after its bar on: nothing looks ahead.

    Shapes:
        at_ns, mark: (n,) n > 0, time never decreasing.
    """
    number = at_ns // (bar_s * SECOND_NS)
    first = np.flatnonzero(np.diff(number, prepend=number[0] - 1))
    close = mark[np.append(first[1:], len(mark)) - 1]
    atr = average_true_range(np.maximum.reduceat(mark, first), np.minimum.reduceat(mark, first), close, bars)
    done = slice(bars, len(first) - 1)  # the last bar is not over
    return RangeHistory(first[1:][done], atr[:-1][done])
