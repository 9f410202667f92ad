"""The prices a grid can stand on: an endless row of rungs, of which a ladder is a window."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Final

_CONTEXT: Final = Context(prec=40, rounding=ROUND_HALF_EVEN)
_HALF: Final = Decimal("0.5")
_FURTHEST: Final = 1_000_000  # rungs; a price further away is a slip of the pen


class Spacing(StrEnum):
    """How levels follow one another: by a fixed distance or by a fixed ratio."""

    ARITHMETIC = "arithmetic"
    GEOMETRIC = "geometric"


@dataclass(frozen=True, slots=True)
class Rungs:
    """An endless row of prices; rung k lies at `anchor + span * (k + shift) / per`, or `anchor * span^(...)`.

    A window that moves up and down again stands on the same ticks: a rung depends on its number alone.
    """

    spacing: Spacing
    anchor_ticks: int
    span: Decimal  # arithmetic: distance in ticks; geometric: ratio above 1; of `per` rungs
    per: int = 1
    shift: Decimal = Decimal(0)  # rung 0 lies so many rungs above the anchor

    def at(self, rung: int) -> int:
        """Return the price of `rung` in ticks, rounded half to even; it may not be above zero."""
        return _price(self, rung)

    def window(self, first: int, slots: int) -> tuple[int, ...]:
        """Return the `slots + 1` levels from rung `first` on, in ticks."""
        return tuple(self.at(rung) for rung in range(first, first + slots + 1))

    def below(self, price_ticks: int) -> int:
        """Return the highest rung strictly below `price_ticks`.

        Raises:
            ValueError: there is none within a million rungs of the anchor.
        """
        low, high = -1, 0
        while self.at(low) >= price_ticks:
            low, high = _further(2 * low, price_ticks), low
        while self.at(high) < price_ticks:
            low, high = high, _further(2 * high + 1, price_ticks)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.at(middle) < price_ticks else (low, middle)
        return low

    def above(self, price_ticks: int) -> int:
        """Return the lowest rung strictly above `price_ticks`; errors as `below`."""
        return self.below(price_ticks + 1) + 1


def _further(rung: int, price_ticks: int) -> int:
    if abs(rung) > _FURTHEST:
        raise ValueError(f"{price_ticks} ticks lie more than {_FURTHEST} rungs from the grid; lay a new one.")
    return rung


@lru_cache(maxsize=65_536)
def _price(rungs: Rungs, rung: int) -> int:
    places = _CONTEXT.add(rung, rungs.shift)
    if rungs.spacing is Spacing.ARITHMETIC:
        away = _CONTEXT.divide(_CONTEXT.multiply(rungs.span, places), rungs.per)
        price = _CONTEXT.add(rungs.anchor_ticks, away)
    else:
        growth = _CONTEXT.power(rungs.span, _CONTEXT.divide(places, rungs.per))
        price = _CONTEXT.multiply(rungs.anchor_ticks, growth)
    return int(price.to_integral_value(ROUND_HALF_EVEN))


def between(spacing: Spacing, lower_ticks: int, upper_ticks: int, slots: int) -> Rungs:
    """Return the rungs of which 0 is `lower_ticks` and `slots` is `upper_ticks`, equally far apart.

    Source:
        arithmetic and geometric progression; geometric ratio (upper / lower)^(1 / slots).
    """
    if spacing is Spacing.ARITHMETIC:
        return Rungs(spacing, lower_ticks, Decimal(upper_ticks - lower_ticks), slots)
    return Rungs(spacing, lower_ticks, _CONTEXT.divide(upper_ticks, lower_ticks), slots)


def around(spacing: Spacing, centre_ticks: int, step_fraction: Decimal) -> Rungs:
    """Return the rungs `step_fraction` apart; rung 0 lies half a step above the centre, rung -1 half a step below."""
    if spacing is Spacing.ARITHMETIC:
        return Rungs(spacing, centre_ticks, _CONTEXT.multiply(centre_ticks, step_fraction), shift=_HALF)
    return Rungs(spacing, centre_ticks, 1 + step_fraction, shift=_HALF)


def upward(lower_ticks: int, step_fraction: Decimal) -> Rungs:
    """Return the geometric rungs from `lower_ticks` (rung 0) on, each `1 + step_fraction` times the one below."""
    return Rungs(Spacing.GEOMETRIC, lower_ticks, 1 + step_fraction)
