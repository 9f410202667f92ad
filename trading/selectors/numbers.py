"""How a number is written: group separators, true minus, decimals of the tick; unknown is a dash, never 0."""

import math
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final, Literal

from trading.domain.evidence import Unit
from trading.live import Value

UNKNOWN: Final = "\N{EM DASH}"
MINUS: Final = "\N{MINUS SIGN}"

Number = Decimal | float | int
Format = Literal["number", "signed", "text"]


def plain(value: Number | None, decimals: int = 2) -> str:
    """Return `value` with `decimals` places: 1,234.50 or -0.25 with a true minus; a dash when it is unknown."""
    if value is None:
        return UNKNOWN
    text = f"{abs(value):,.{decimals}f}"
    return f"{MINUS}{text}" if value < 0 and text.strip("0.,") else text


def signed(value: Number | None, decimals: int = 2) -> str:
    """Return `value` with its sign: +1.20, -0.25 with a true minus, 0.00; a dash when it is unknown."""
    text = plain(value, decimals)
    return f"+{text}" if sign(value, decimals) == 1 else text


def sign(value: Number | None, decimals: int = 2) -> int:
    """Return 1, -1 or 0 for `value` as it is written with `decimals` places."""
    if value is None or not f"{abs(value):.{decimals}f}".strip("0."):
        return 0
    return 1 if value > 0 else -1


def decimals_of(step: Decimal) -> int:
    """Return how many decimals a value on the grid of `step` needs: 2 for 0.01, 0 for 1."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def percent(fraction: Number | None, decimals: int = 2) -> str:
    """Return a fraction as percent: 0.015 becomes "1.50 %"."""
    return UNKNOWN if fraction is None else f"{plain(fraction * 100, decimals)} %"


def short(value: Number | None) -> str:
    """Return `value` without decimals that say nothing: 300, 0.1, 2.5."""
    if value is None:
        return UNKNOWN
    text = f"{abs(value):,.8f}".rstrip("0").rstrip(".")
    return f"{MINUS}{text}" if value < 0 and text != "0" else text


def measured_value(unit: Unit, value: Decimal | None) -> str:
    """Return a measured value in its unit; a dash when it is unknown or no number."""
    if value is None or not value.is_finite():
        return UNKNOWN
    if unit is Unit.FRACTION:
        return percent(value, 1)
    if unit is Unit.QUOTE:
        return signed(value)
    if unit is Unit.MILLISECONDS:
        return f"{plain(value, 0 if value >= 10 else 2)} ms"  # our own part may take less than one
    return short(value.quantize(Decimal("0.01")))


def duration(seconds: int) -> str:
    """Return a span of time to the minute: 23 h 12 min, 45 min, 3 days 2 h."""
    minutes = seconds // 60
    if minutes >= 2 * 24 * 60:
        return f"{minutes // 1_440} days {minutes % 1_440 // 60} h"
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def in_words(span: timedelta) -> str:
    """Return a span of time as a person says it: 3 s, 5 min, 2 h, 4 days; less than a second counts as one."""
    s = max(1, math.ceil(span.total_seconds()))
    if s < 120:
        return f"{s} s"
    if s < 7_200:
        return f"{s // 60} min"
    return f"{s // 3_600} h" if s < 172_800 else f"{s // 86_400} days"


def as_number(value: Value) -> float | None:
    """Return a live value as a number, or None when it is unknown or no number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


@dataclass(frozen=True, slots=True)
class Cell:
    """One live value on a page: its key on the wire, how it is written, and what to show before the first frame."""

    key: str
    value: Value = None
    format: Format = "number"
    decimals: int = 2

    @property
    def text(self) -> str:
        """The value as it is written."""
        if self.format == "text":
            return str(self.value) if self.value not in (None, "") else UNKNOWN
        write = signed if self.format == "signed" else plain
        return write(as_number(self.value), self.decimals)

    @property
    def sign(self) -> int:
        """1, -1 or 0: which glyph and colour a profit or loss gets."""
        return sign(as_number(self.value), self.decimals)

    @property
    def number(self) -> float:
        """The value for a bar; an unknown one shows an empty bar."""
        return as_number(self.value) or 0.0


@dataclass(frozen=True, slots=True)
class Gauge:
    """A bar of one live value against its limit."""

    cell: Cell
    limit: float | None  # where the bar is full; None: no limit in this phase
    good_when_full: bool = False  # a target to reach ("need >= 85 %"), not a limit to stay under

    @property
    def level(self) -> str:
        """ "" | "near" | "over": how close the value is to its limit, or how far under its target."""
        value = as_number(self.cell.value)
        if value is None or not self.limit:
            return ""
        if self.good_when_full:
            return "" if value >= self.limit else "near"
        return "over" if value >= self.limit else "near" if value >= 0.8 * self.limit else ""
