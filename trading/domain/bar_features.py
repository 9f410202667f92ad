"""Twenty features of a bar for volatility and trend; what is measured live is what a replay measures, to the last bit.

A feature depends on the bars of the last `MEMORY_S` and on nothing before, so that a restart needs no more than them.
"""

from dataclasses import dataclass
from hashlib import sha256
from math import isfinite
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trading.domain.bar_kernel import (
    DAY_S,
    FEATURES,
    FLOOR,
    LEAST_VOLUME,
    WEEK_S,
    WINDOWS_S,
    compiled_replay,
    fresh,
    layout,
    step,
)
from trading.domain.bars import ENOUGH_PERCENT, SECOND_NS, Bar, Bars, Frame, Ints, UnsoundBars, on_grid

__all__ = ["FEATURES", "MEMORY_S", "WARM_S", "BarFeatures", "Row", "frame_of", "schema_digest"]

VERSION: Final = 1  # of the formulas: a model that was trained on others refuses
WARM_S: Final = DAY_S  # of bars without a hole: then every feature is known
MEMORY_S: Final = WEEK_S
SHORTEST_S: Final = 60  # the sums of a week of shorter ones could outgrow their numbers
NO_BAR: Final = (0.0,) * 5


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """The features of one bar."""

    at_ns: int
    x: NDArray[np.float32]  # (F,), 0 where not known
    known: bool
    missed: int  # bars missing between the one before and this one: so many masked rows lie between


def schema_digest(bar_s: int) -> str:
    """Return the SHA-256 of what must be equal in training and in use: names, formulas, windows, length of a bar."""
    said = (FEATURES, VERSION, bar_s, WINDOWS_S, ENOUGH_PERCENT, FLOOR, LEAST_VOLUME)
    return sha256(repr(said).encode()).hexdigest()


class BarFeatures:
    """Measures one symbol bar by bar; the same bars of the last week give the same bits."""

    def __init__(self, bar_s: int) -> None:
        """Begin with nothing known.

        Raises:
            UnsoundBars: the length of a bar is below a minute or does not divide 15 of them.
        """
        places = _layout(bar_s)
        self._bar_s, self._bar_ns = bar_s, bar_s * SECOND_NS
        self._places = tuple(map(tuple, places.tolist()))  # quicker to read, number by number
        self._ints, self._floats = _emptied(places)
        self._number = -1

    def observe(self, bar: Bar) -> Row:
        """Take the next closed bar; bars that are missing before it are stepped over, not invented.

        Raises:
            UnsoundBars: its time does not rise on the length of a bar, or a value is out of range; nothing was taken.
        """
        number, values = bar.at_ns // self._bar_ns, _values(bar)
        self._refuse(bar, number, values)
        missed = number - self._number - 1 if self._number >= 0 else 0
        if missed:
            self._pass_over(missed)
        row = [0.0] * len(FEATURES)
        known = step(self._ints, self._floats, self._places, number, self._bar_s, values, True, row)
        self._number = number
        return Row(bar.at_ns, np.array(row, np.float32), known, missed)

    def _pass_over(self, missed: int) -> None:
        if missed >= MEMORY_S // self._bar_s:
            self._ints, self._floats = _emptied(_layout(self._bar_s))  # what a week without bars leaves
            return
        for number in range(self._number + 1, self._number + 1 + missed):
            step(self._ints, self._floats, self._places, number, self._bar_s, NO_BAR, False, [])

    def _refuse(self, bar: Bar, number: int, numbers: tuple[float, ...]) -> None:
        if bar.at_ns % self._bar_ns or number <= self._number:
            raise UnsoundBars(f"at_ns: {bar.at_ns} does not rise on the length of a bar; give closed bars in order.")
        sound = all(map(isfinite, numbers)) and 0 < bar.low <= min(bar.open, bar.close) and bar.volume >= 0
        if not sound or max(bar.open, bar.close) > bar.high:
            raise UnsoundBars(f"bar: {bar} has a price or volume out of range; drop it.")


def _emptied(places: Ints) -> tuple[list[int], list[float]]:
    """Return the numbers of one that has seen nothing; of lists, which are read quicker one by one than arrays."""
    ints, floats = fresh(places)
    return ints.tolist(), floats.tolist()


def frame_of(bars: Bars) -> Frame:
    """Return the features of `bars`, one row a bar time from the first to the last: the replay of `BarFeatures`.

    A row is known when its bar exists and so do at least 80 % of the bars (returns) of every window up to 24 h; the
    week counts what there is of it, at least as many as a day must have.

    Raises:
        UnsoundBars: there is no bar, or their length is below a minute or does not divide 15 of them.
    """
    if not len(bars):
        raise UnsoundBars(f"{bars.symbol}: there is no bar; load a longer time.")
    at_ns, place = on_grid(bars)
    values, present = np.zeros((len(at_ns), len(NO_BAR))), np.zeros(len(at_ns), np.bool_)
    values[place] = np.stack((bars.open, bars.high, bars.low, bars.close, bars.volume), axis=1)
    present[place] = True
    x, known = np.zeros((len(at_ns), len(FEATURES)), np.float32), np.zeros(len(at_ns), np.bool_)
    bar_s = bars.bar_ns // SECOND_NS
    places = _layout(bar_s)
    number = int(at_ns[0]) // bars.bar_ns
    compiled_replay()(*fresh(places), places, number, bar_s, values, present, x, known)
    close = np.full(len(at_ns), np.nan)
    close[place] = bars.close
    return Frame(bars.symbol, bars.bar_ns, at_ns, x, known, close)


def _values(bar: Bar) -> tuple[float, float, float, float, float]:
    return bar.open, bar.high, bar.low, bar.close, bar.volume


def _layout(bar_s: int) -> Ints:
    if bar_s < SHORTEST_S or WINDOWS_S[0] % bar_s:
        text = f"{bar_s} is below {SHORTEST_S} or does not divide {WINDOWS_S[0]} s; use bars of 60 or 300 s."
        raise UnsoundBars(f"bar_s: {text}")
    return layout(bar_s)
