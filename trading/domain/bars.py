"""Bars of fixed length, as features and labels read them; a bar that is missing is absent, never invented."""

from dataclasses import dataclass
from math import isfinite
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SECOND_NS: Final = 1_000_000_000
ENOUGH_PERCENT: Final = 80  # of the bars of a window: a hole of a few blinds nobody, a long one does (ours)


class UnsoundBars(ValueError):
    """These are no bars; the message names the field, the place and what to do."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One closed bar."""

    at_ns: int  # its close, ns UTC: what it says was known from then on
    open: float  # quote currency, > 0; the other prices too
    high: float
    low: float
    close: float
    volume: float  # base currency, >= 0


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """The closed bars of one symbol, oldest first.

    Shapes:
        at_ns: (n,) close of each bar, ns UTC, rising, multiples of the length; a missing bar leaves a larger step.
        open, high, low, close: (n,) quote currency, finite, > 0, low <= open, close <= high.
        volume: (n,) base currency, finite, >= 0.
    """

    symbol: str
    bar_ns: int  # length of a bar
    at_ns: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __post_init__(self) -> None:
        """Refuse what no bars can be.

        Raises:
            UnsoundBars: lengths differ, times do not rise on the length of a bar, or a value is out of range.
        """
        if self.bar_ns <= 0:
            raise UnsoundBars(f"{self.symbol}: bar_ns is {self.bar_ns}; use the length of a bar in nanoseconds.")
        columns = (self.open, self.high, self.low, self.close, self.volume)
        if any(column.shape != self.at_ns.shape for column in columns) or self.at_ns.ndim != 1:
            raise UnsoundBars(f"{self.symbol}: the columns differ in length; give one value of each a bar.")
        self._refuse_first("at_ns", self.at_ns % self.bar_ns != 0, "does not close on the length of a bar")
        self._refuse_first("at_ns", np.diff(self.at_ns, prepend=self.at_ns[:1] - 1) <= 0, "does not rise; sort them")
        highest, lowest = np.maximum(self.open, self.close), np.minimum(self.open, self.close)
        prices = np.isfinite(self.high) & (self.low > 0) & (self.low <= lowest) & (highest <= self.high)
        self._refuse_first("prices", ~prices, "are not 0 < low <= open, close <= high; drop the bar")
        volumes = np.isfinite(self.volume) & (self.volume >= 0)
        self._refuse_first("volume", ~volumes, "is not finite and >= 0; drop the bar")

    def __len__(self) -> int:
        return len(self.at_ns)

    def between(self, from_ns: int, until_ns: int) -> "Bars":
        """Return the bars that close in from_ns <= t < until_ns."""
        a, b = (int(k) for k in np.searchsorted(self.at_ns, (from_ns, until_ns)))
        open_, high, low = self.open[a:b], self.high[a:b], self.low[a:b]
        return Bars(self.symbol, self.bar_ns, self.at_ns[a:b], open_, high, low, self.close[a:b], self.volume[a:b])

    def _refuse_first(self, name: str, wrong: Bools, reason: str) -> None:
        if wrong.any():
            raise UnsoundBars(f"{self.symbol}: {name} of bar {int(np.argmax(wrong))} {reason}.")


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The features of one symbol on an unbroken row of bar times; what is missing is masked, not filled.

    Shapes:
        at_ns: (m,) close of each bar, ns UTC, one length apart.
        x: (m, F) float32; 0 wherever `known` is False.
        known: (m,) whether every feature of the bar is known: it exists, and so does the history it needs.
        close: (m,) quote currency; NaN where the bar is missing.
    """

    symbol: str
    bar_ns: int
    at_ns: Ints
    x: NDArray[np.float32]
    known: Bools
    close: Floats

    def __len__(self) -> int:
        return len(self.at_ns)


def enough(bars: int) -> int:
    """Return how many of `bars` must be known for a window of them to be known."""
    return -(-bars * ENOUGH_PERCENT // 100)


def on_grid(bars: Bars) -> tuple[Ints, Ints]:
    """Return every bar time from the first to the last, (m,) ns UTC, and the place of each bar among them, (n,)."""
    place = (bars.at_ns - bars.at_ns[0]) // bars.bar_ns
    return bars.at_ns[0] + np.arange(place[-1] + 1, dtype=np.int64) * bars.bar_ns, place


class BarMaker:
    """Makes the bars of one symbol out of prices as they come in; the same prices give the same bars.

    A bar holds open <= t < close: a price at the very end belongs to the next. A bar without a price is missing. One
    that was joined late, after the start or a restart, is dropped, since nobody knows what it held before.
    """

    def __init__(self, bar_ns: int) -> None:
        """Begin with nothing heard.

        Raises:
            UnsoundBars: `bar_ns` is not above zero.
        """
        if bar_ns <= 0:
            raise UnsoundBars(f"bar_ns: {bar_ns} is no length; use the length of a bar in nanoseconds.")
        self._bar_ns = bar_ns
        self._open: Bar | None = None  # the bar in progress, `at_ns` is its close
        self._is_whole = False
        self._over_ns = 0  # nothing before counts any more
        self._joined = False

    def observe(self, price: float, at_ns: int, volume: float = 0.0) -> Bar | None:
        """Take one price (quote currency) with what was traded at it (base currency, 0: a quote).

        Returns:
            The bar that is over with it. A price that is not finite and above zero, a volume that is not finite and
            at least zero, or a time in a bar that is already over changes nothing.
        """
        is_sound = isfinite(price) and price > 0 and isfinite(volume) and volume >= 0
        if not is_sound or at_ns < self._over_ns:
            return None
        closed = self.until(at_ns)
        self._open = self._begun(price, at_ns, volume) if self._open is None else _with(self._open, price, volume)
        return closed

    def until(self, now_ns: int) -> Bar | None:
        """Return the bar that is over at `now_ns`, once; later prices of it change nothing."""
        self._over_ns = max(self._over_ns, now_ns // self._bar_ns * self._bar_ns)
        bar = self._open
        if bar is None or now_ns < bar.at_ns:
            return None
        self._open = None
        return bar if self._is_whole else None

    def restart(self) -> None:
        """Drop the bar in progress: a seam, or a feed that was lost. What comes next joins a bar late."""
        self._open, self._joined = None, False

    def _begun(self, price: float, at_ns: int, volume: float) -> Bar:
        begin_ns = at_ns // self._bar_ns * self._bar_ns
        self._is_whole, self._joined = self._joined or at_ns == begin_ns, True
        return Bar(begin_ns + self._bar_ns, price, price, price, price, volume)


def _with(bar: Bar, price: float, volume: float) -> Bar:
    return Bar(bar.at_ns, bar.open, max(bar.high, price), min(bar.low, price), price, bar.volume + volume)
