"""What a run was worth at every event: its equity and drawdown, thinned for a chart without losing an extreme."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
POINTS: Final = 500  # spans of time a curve is thinned to; each keeps up to four points


class Valued(Protocol):
    """Whatever has an equity at every event: one grid's path, or a purse of several."""

    @property
    def at_ns(self) -> Integers: ...
    @property
    def opening(self) -> int: ...
    def equity(self, start: int, stop: int) -> Integers:
        """Return the equity after each event of [start, stop), money units."""
        ...

    def worth(self, start: int, stop: int) -> tuple[Integers, Integers]:
        """Return the equity, and what the inventory alone is worth, after each event of [start, stop)."""
        ...


@dataclass(frozen=True, slots=True)
class Path:
    """What was held between fills; money in units of tick x lot x fee denominator.

    Shapes:
        at_ns, mark: (n,) of every event, in the order received; mark in ticks.
        index: (f,) event at which each fill happened, not falling.
        cash, lots: (f + 1,) held before the first fill, then after each.
        unit: money units of one lot at one tick.
    """

    at_ns: Integers
    mark: Integers
    index: Integers
    cash: Integers
    lots: Integers
    unit: int
    opening: int  # equity before anything was bought: the first high

    def equity(self, start: int, stop: int) -> Integers:
        """Return the equity after each event of [start, stop)."""
        return self.worth(start, stop)[0]

    def worth(self, start: int, stop: int) -> tuple[Integers, Integers]:
        """Return the equity, and what the inventory alone is worth, after each event of [start, stop)."""
        value = self._held(self.lots, start, stop) * self.mark[start:stop] * self.unit
        return self._held(self.cash, start, stop) + value, value

    def _held(self, after: Integers, start: int, stop: int) -> Integers:
        first, last = np.searchsorted(self.index, (start, stop), "left")
        edges = np.concatenate([[start], self.index[first:last], [stop]])
        return np.repeat(after[first : last + 1], np.diff(edges))


def path_of(
    at_ns: Integers, mark: Integers, *, index: Integers, signed_lots: Integers, ticks: Integers, fees: Integers,
    held: tuple[int, int], unit: int, opening: int,
) -> Path:  # fmt: skip
    """Return the path of a run from its fills.

    Shapes:
        index, signed_lots, ticks, fees: (f,) of each fill; lots above 0 bought, fees in money units.
        held: (money units, lots) before the first fill.
    """
    cash = np.cumsum(np.concatenate([[held[0]], -signed_lots * ticks * unit - fees]), dtype=np.int64)
    lots = np.cumsum(np.concatenate([[held[1]], signed_lots]), dtype=np.int64)
    return Path(at_ns, mark, index, cash, lots, unit, opening)


@dataclass(frozen=True, slots=True)
class Curve:
    """A path thinned: no event lies above or below what its span shows.

    Shapes:
        index: (m,) events kept, rising: the first, lowest, highest and last of every span.
        equity, value: (m,) money units at them; value is that of the inventory.
        deepest_index: (s,) the event of each span that lies furthest below the high so far.
        fall, peak: (s,) money units there: how far below, and the high itself.
    """

    index: Integers
    equity: Integers
    value: Integers
    deepest_index: Integers
    fall: Integers
    peak: Integers
    exposure_mean: float | None  # inventory / equity over time; None: no time passed, or equity was not above zero
    exposure_max: float | None

    @property
    def deepest(self) -> tuple[int, int]:
        """Fall and high where the fall is the largest fraction of the high; (0, 1) where nothing fell."""
        if not len(self.fall) or not self.fall.any():
            return 0, 1
        best = int(np.argmax(self.fall / np.maximum(self.peak, 1)))
        return int(self.fall[best]), int(self.peak[best])


def thinned(path: Valued, points: int = POINTS) -> Curve:
    """Return the curve of `path` over at most `points` spans of equal time.

    Raises:
        ValueError: there is no event.
    """
    if not len(path.at_ns):
        raise ValueError("a run without events has no curve; choose data that holds some.")
    kept, deepest, falls, peaks = list[Integers](), list[int](), list[int](), list[int]()
    equities, values = list[Integers](), list[Integers]()
    high, exposure = path.opening, _Exposure()
    for start, stop in pairwise(_spans(path.at_ns, points)):
        equity, value = path.worth(start, stop)
        chosen = np.array(sorted({0, int(equity.argmin()), int(equity.argmax()), stop - start - 1}))
        kept.append(chosen + start)
        equities.append(equity[chosen])
        values.append(value[chosen])
        highs = np.maximum(np.maximum.accumulate(equity), high)
        worst = int(np.argmax((highs - equity) / np.maximum(highs, 1)))
        deepest.append(start + worst)
        falls.append(int(highs[worst] - equity[worst]))
        peaks.append(int(highs[worst]))
        high = int(highs[-1])
        exposure.add(path.at_ns[start : stop + 1], value, equity)
    return Curve(
        np.concatenate(kept), np.concatenate(equities), np.concatenate(values), np.array(deepest, dtype=np.int64),
        np.array(falls, dtype=np.int64), np.array(peaks, dtype=np.int64), exposure.mean, exposure.highest,
    )  # fmt: skip


def closes(path: Valued, every_ns: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of each whole span of `every_ns`, counted from the end, oldest first.

    What lies before the oldest whole span is left out; a span in which nothing happened is empty (start == stop).
    """
    first, last = int(path.at_ns[0]), int(path.at_ns[-1])
    count = (last - first) // every_ns
    edges = last - every_ns * np.arange(count, -1, -1)
    yield from pairwise(np.searchsorted(path.at_ns, edges, "right").tolist())


class _Exposure:
    """Inventory as a fraction of the equity, weighted with the time it lasted."""

    def __init__(self) -> None:
        self._weighted = self._passed = 0.0
        self._highest: float | None = None
        self._known = True

    def add(self, at_ns: Integers, value: Integers, equity: Integers) -> None:
        """Take up the events of one span; `at_ns` goes one event further where there is one."""
        if (equity <= 0).any():
            self._known = False
            return
        share = np.abs(value) / equity
        lasted = np.diff(at_ns).astype(np.float64)
        self._weighted += float(share[: len(lasted)] @ lasted)
        self._passed += float(lasted.sum())
        self._highest = max(self._highest or 0.0, float(share.max()))

    @property
    def mean(self) -> float | None:
        return self._weighted / self._passed if self._known and self._passed else None

    @property
    def highest(self) -> float | None:
        return self._highest if self._known else None


def _spans(at_ns: Integers, points: int) -> list[int]:
    """Return the edges of the spans that hold events, as event numbers."""
    first, last = int(at_ns[0]), int(at_ns[-1])
    inner = [first + (last - first) * number // points for number in range(1, points)]
    edges = np.searchsorted(at_ns, np.array(inner, dtype=np.int64), "left")
    return [int(edge) for edge in np.unique(np.concatenate([[0], edges, [len(at_ns)]]))]
