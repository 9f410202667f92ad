"""What a search may vary, as strictly read data: lists of values and ranges, each one line of text a field."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from itertools import product
from math import exp, log, prod
from typing import Final

import numpy as np

from trading.domain.backtest_settings import OF_A_CAMPAIGN, READERS, UnusableSettings, Wrong, shown

VARIABLE: Final = (
    "grid", "mode", "style", "levels", "lower", "upper", "step", "lot", "max_drawdown", "max_trades_per_day",
    *OF_A_CAMPAIGN,
)  # fmt: skip
WHOLE: Final = frozenset({
    "levels", "max_trades_per_day", "atr_bars", "atr_bar_s", "recentre_steps", "reinvest_every_s", "resting",
})  # fmt: skip
MOST_AXES: Final = 8
MOST_POINTS: Final = 5_000  # of a grid of parameters
LONGEST_TEXT: Final = 400
DIGITS: Final = 4  # significant ones of a decimal that is drawn
FINEST: Final = Decimal("0.000001")  # and no finer: so a grid keeps its step
HOW: Final = "write values (10, 20, 40), or a range: 8..40, 8..40 by 4, 0.0002..0.002 log, 0.0002..0.002 log in 7"
_RANGE: Final = re.compile(r"(?P<low>[-0-9.]+?)\.\.(?P<high>[-0-9.]+)(?P<log> log)?(?: (?P<how>by|in) (?P<n>[0-9.]+))?")
_ROUND: Final = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Choices:
    """Some values of one setting, in the order given; drawn alike."""

    field: str
    points: tuple[str, ...]
    is_ordered: bool  # a range in steps; else a list, whose order means nothing

    def draw(self, u: float) -> str:
        """Return the value at `u`, 0 <= u < 1."""
        return self.points[int(u * len(self.points))]


@dataclass(frozen=True, slots=True)
class Range:
    """Every value between two ends, both included; `is_log`: drawn alike in every factor instead of every distance."""

    field: str
    low: Decimal
    high: Decimal
    is_log: bool

    @property
    def is_whole(self) -> bool:
        """True where only whole numbers lie in it."""
        return self.field in WHOLE

    def draw(self, u: float) -> str:
        """Return the value at `u`, 0 <= u < 1."""
        if self.is_whole and not self.is_log:
            return str(int(self.low) + int(u * (int(self.high) - int(self.low) + 1)))
        return self.text(_between(self.low, self.high, u, is_log=self.is_log))

    def text(self, value: float | Decimal) -> str:
        """Return `value` as a setting is written: whole, or in so many significant digits, and inside the range."""
        found = Decimal(round(value)) if self.is_whole else _ROUND.create_decimal(Decimal(str(value)))
        if found != found.quantize(FINEST):
            found = found.quantize(FINEST)
        return _plain(min(max(found, self.low), self.high))


Axis = Choices | Range
Parameters = Mapping[str, str]  # setting -> its value as text


@dataclass(frozen=True, slots=True)
class Space:
    """Everything that may be varied together."""

    axes: tuple[Axis, ...]  # by name: however they were written or stored, the same seed draws the same

    @property
    def size(self) -> int | None:
        """How many combinations there are; None: a range has no number of points."""
        counts = [len(axis.points) for axis in self.axes if isinstance(axis, Choices)]
        return prod(counts) if len(counts) == len(self.axes) else None

    def every(self) -> Iterator[dict[str, str]]:
        """Yield every combination, the last axis fastest.

        Raises:
            UnusableSettings: a range without a number of points, or more combinations than a search may try.
        """
        for axis in self.axes:
            if isinstance(axis, Range):
                text = "is a range without a number of points, which a grid needs; add by STEP or in COUNT."
                raise UnusableSettings(Wrong(axis.field, text))
        if (self.size or 0) > MOST_POINTS:
            text = f"make {self.size:,} combinations, more than {MOST_POINTS:,}; use fewer points, or draw at random."
            raise UnusableSettings(Wrong("vary", text))
        columns = [axis.points for axis in self.axes if isinstance(axis, Choices)]
        names = [axis.field for axis in self.axes]
        yield from (dict(zip(names, row, strict=True)) for row in product(*columns))

    def drawn(self, generator: np.random.Generator) -> dict[str, str]:
        """Return one combination; the same generator in the same state gives the same."""
        return {
            axis.field: axis.draw(float(u)) for axis, u in zip(self.axes, generator.random(len(self.axes)), strict=True)
        }


def read_space(vary: Mapping[str, object]) -> Space:
    """Return the space that `vary` (setting -> text) describes; every point of it is a value its setting takes.

    Raises:
        UnusableSettings: names every field that cannot be used.
    """
    wrong, axes = list[Wrong](), list[Axis]()
    for name, text in sorted(vary.items()):
        try:
            axes.append(_axis(name, text))
        except ValueError as error:
            wrong.append(Wrong(name, str(error)))
    if not vary:
        wrong.append(Wrong("vary", f"names nothing to vary; {HOW}, for example levels = 8..40 by 4."))
    if len(vary) > MOST_AXES:
        wrong.append(Wrong("vary", f"names {len(vary)} settings, at most {MOST_AXES} are varied together; leave some."))
    if wrong:
        raise UnusableSettings(*wrong)
    return Space(tuple(axes))


def _axis(name: str, text: object) -> Axis:
    if name not in VARIABLE:
        raise ValueError(f"cannot be varied; what a person chooses can: {', '.join(VARIABLE)}.")
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_TEXT:
        raise ValueError(f"{shown(text)} is no text of 1 to {LONGEST_TEXT} characters; {HOW}.")
    plain = " ".join(text.split())
    if ".." in plain:
        return _range(name, plain)
    points = tuple(_taken(name, one.strip()) for one in plain.split(","))
    if len(set(points)) < len(points):
        raise ValueError(f"{shown(text)} names a value twice, which would be tried and counted twice; name it once.")
    return Choices(name, points, is_ordered=False)


def _range(name: str, text: str) -> Axis:
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ValueError(f"{shown(text)} is no range; {HOW}.")
    low, high = Decimal(_taken(name, found["low"])), Decimal(_taken(name, found["high"]))
    if low >= high:
        raise ValueError(f"{shown(text)} does not rise; write the lower end first.")
    is_log = found["log"] is not None
    if is_log and low <= 0:
        raise ValueError(f"{shown(text)} is log and does not begin above 0; begin above 0, or leave log out.")
    whole = Range(name, low, high, is_log)
    if found["how"] is None:
        return whole
    points = _stepped(whole, found["n"], text) if found["how"] == "by" else _counted(whole, found["n"], text)
    return Choices(name, points, is_ordered=True)


def _stepped(of: Range, text: str, given: str) -> tuple[str, ...]:
    try:
        step = Decimal(text)
    except ArithmeticError:
        raise ValueError(f"{shown(given)} has no step; write a number after by.") from None
    if of.is_log:
        raise ValueError(f"{shown(given)} is log and has a step; say how many points: in COUNT.")
    if step <= 0 or (of.is_whole and step % 1) or (of.high - of.low) / step >= MOST_POINTS:
        raise ValueError(f"{shown(given)} has no usable step; use one above 0 with fewer than {MOST_POINTS} points.")
    return tuple(_plain(of.low + step * k) for k in range(int((of.high - of.low) / step) + 1))


def _counted(of: Range, text: str, given: str) -> tuple[str, ...]:
    if not text.isdecimal() or len(text) > 4 or not 2 <= int(text) <= MOST_POINTS:
        raise ValueError(f"{shown(given)} has no usable number of points; use a whole one from 2 to {MOST_POINTS}.")
    last = int(text) - 1
    every = (of.text(_between(of.low, of.high, k / last, is_log=of.is_log)) for k in range(last + 1))
    return tuple(dict.fromkeys(every))  # whole numbers close to each other fall together


def _between(low: Decimal, high: Decimal, share: float, *, is_log: bool) -> float | Decimal:
    if is_log:
        return exp(log(low) + share * (log(high) - log(low)))
    return low + (high - low) * Decimal(str(share))


def _taken(name: str, text: str) -> str:
    """Return `text` as its setting writes it.

    Raises:
        ValueError: the setting refuses it.
    """
    value = READERS[name](text)
    return _plain(value) if isinstance(value, Decimal) else str(value)


def _plain(value: Decimal) -> str:
    """Return `value` in plain digits without zeros at its end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
