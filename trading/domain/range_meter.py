"""The average true range as prices come in, bar by bar, with what a restart needs of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import isfinite
from typing import Any, Final

SECOND_NS: Final = 1_000_000_000
NO_BAR: Final = -1


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known after a bar: it is stored with the grid, and a restart goes on from here."""

    bars: int
    bar_s: int
    ranges: int = 0  # true ranges so far, at most `bars`
    value: float = 0.0  # ticks; their sum before there are `bars` of them, from then on their average
    close_ticks: int | None = None  # of the newest bar that is over
    bar: int = NO_BAR  # its number: seconds since 1970 UTC / bar_s

    @property
    def atr_ticks(self) -> Decimal | None:
        """The average true range; None while there are too few bars, or nothing has moved."""
        return Decimal(self.value) if self.ranges >= self.bars and self.value > 0 else None

    @property
    def waits(self) -> str:
        """What is waited for, "" once the range is known."""
        if self.atr_ticks is not None:
            return ""
        if self.ranges >= self.bars:
            return f"waits for a price that moves: {self.bars} bars of {self.bar_s} s had no range"
        return f"waits for {self.bars} bars of {self.bar_s} s, has {self.ranges}"

    def after(self, bar: int, high: int, low: int, close: int, *, is_whole: bool) -> "Measured":
        """Return what is known after one more bar; one that was not seen whole gives its close alone.

        Source:
            J. W. Wilder (1978), as `true_range.average_true_range`, to the same last digit.
        """
        if self.close_ticks is None or not is_whole:
            return replace(self, close_ticks=close, bar=bar)
        true_range = max(high, self.close_ticks) - min(low, self.close_ticks)
        if self.ranges >= self.bars:
            value = (self.value * (self.bars - 1) + true_range) / self.bars
            return replace(self, value=value, close_ticks=close, bar=bar)
        ranges, total = self.ranges + 1, self.value + true_range
        value = total / self.bars if ranges == self.bars else total
        return replace(self, ranges=ranges, value=value, close_ticks=close, bar=bar)

    def is_like(self, other: "Measured") -> bool:
        """Return whether both measure the same bars."""
        return (self.bars, self.bar_s) == (other.bars, other.bar_s)


@dataclass(slots=True)
class RangeMeter:
    """Measures while prices come in. A bar in which the stream broke, or that it joined late, is not seen whole."""

    known: Measured
    kept_at_ns: int = 0  # when what is known was stored last
    _bar: int = field(default=NO_BAR)  # the one in progress
    _high: int = 0
    _low: int = 0
    _close: int = 0
    _is_whole: bool = False
    _is_broken: bool = True  # nothing was heard since: a process that starts, a stream that broke

    def observe(self, at_ns: int, ticks: int) -> bool:
        """Take a price; return whether a bar is over with it."""
        bar = at_ns // (self.known.bar_s * SECOND_NS)
        if bar <= self._bar:
            self._high, self._low, self._close = max(self._high, ticks), min(self._low, ticks), ticks
            self._is_whole, self._is_broken = self._is_whole and not self._is_broken, False
            return False
        is_over = self._bar != NO_BAR
        if is_over:
            whole = self._is_whole and not self._is_broken
            self.known = self.known.after(self._bar, self._high, self._low, self._close, is_whole=whole)
        if self._is_broken and bar - self.known.bar > self.known.bars:
            self.known = Measured(self.known.bars, self.known.bar_s)  # of another time: nothing is known of this one
        self._is_whole, self._is_broken = is_over and not self._is_broken, False
        self._bar, self._high, self._low, self._close = bar, ticks, ticks, ticks
        return is_over

    def broke(self) -> None:
        """Prices were missed from here on."""
        self._is_broken = True


def as_json(known: Measured) -> dict[str, Any]:
    """Return `known` as a document that `from_json` reads; the value as text, to its last digit."""
    return {
        "bars": known.bars,
        "bar_s": known.bar_s,
        "ranges": known.ranges,
        "value": repr(known.value),
        "close_ticks": known.close_ticks,
        "bar": known.bar,
    }


def from_json(document: Mapping[str, Any]) -> Measured:
    """Return what a stored document says.

    Raises:
        ValueError, KeyError, TypeError: it was not written by `as_json`.
    """
    bars, bar_s, ranges, bar = (int(document[name]) for name in ("bars", "bar_s", "ranges", "bar"))
    value, close = float(document["value"]), document["close_ticks"]
    if bars < 1 or bar_s < 1 or not 0 <= ranges <= bars or not isfinite(value) or value < 0:
        raise ValueError(f"measured: {value} over {ranges} of {bars} bars of {bar_s} s is no range; measure anew.")
    return Measured(bars, bar_s, ranges, value, None if close is None else int(close), bar)
