"""One purse for several grids: what they are worth together at every event of the merged clock, exactly.

Nothing one grid does reaches another's orders, but a gate on the sum: so each runs alone, the sums are taken on the
merged clock, and a gate that binds ends all of them at one event.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import gcd

import numpy as np

from trading.domain.curves import Integers, Path
from trading.domain.terms import MAX_MONEY, Fraction, UnableToRun


@dataclass(frozen=True, slots=True)
class Leg:
    """One grid in the purse, as it ran alone; its events are those of its path."""

    path: Path
    unit: Decimal  # quote currency of one money unit of the path
    base_lots: int = 0  # what it began with beside the cash, and brings into the purse at its first mark


@dataclass(frozen=True, slots=True)
class Purse:
    """Several grids on one clock; at one time the events of an earlier leg come first.

    Shapes:
        at_ns, leg: (n,) of every event: when, and the number of the leg it belongs to.
        worths, values: (n,) money units after each event: the equity, and what all inventories alone are worth. A leg
            is worth what it began with before its first event, and what it ended with after its last.
    """

    at_ns: Integers
    leg: Integers
    worths: Integers
    values: Integers
    opening: int  # money units: the cash, and the base that legs brought
    unit: Decimal  # quote currency of one money unit

    def until(self, event: int) -> "Purse":
        """Return the purse as it was when `event` was over."""
        stop = event + 1
        return replace(
            self, at_ns=self.at_ns[:stop], leg=self.leg[:stop], worths=self.worths[:stop], values=self.values[:stop]
        )

    def equity(self, start: int, stop: int) -> Integers:
        """Return the equity after each event of [start, stop)."""
        return self.worths[start:stop]

    def worth(self, start: int, stop: int) -> tuple[Integers, Integers]:
        """Return the equity, and what the inventories alone are worth, after each event of [start, stop)."""
        return self.worths[start:stop], self.values[start:stop]


def together(legs: Sequence[Leg], cash: Decimal) -> Purse:
    """Return the purse of `legs` that began with `cash`, quote currency.

    Raises:
        UnableToRun: in the unit that measures all of them exactly an amount does not fit into 64 bits.
    """
    unit = common_unit([cash, *(leg.unit for leg in legs)])
    factors = [int(leg.unit / unit) for leg in legs]
    bases = [leg.base_lots * int(leg.path.mark[0]) * leg.path.unit for leg in legs]
    opening = int(cash / unit) + sum(base * factor for base, factor in zip(bases, factors, strict=True))
    moved = [_moved(leg, base) for leg, base in zip(legs, bases, strict=True)]
    _check_money(unit, opening, moved, factors)
    order = np.argsort(np.concatenate([leg.path.at_ns for leg in legs]), kind="stable")
    gains, values = (
        np.cumsum(np.concatenate([one[k] * factor for one, factor in zip(moved, factors, strict=True)])[order])
        for k in (0, 1)
    )
    held = sum(base * factor for base, factor in zip(bases, factors, strict=True))
    numbers = np.repeat(np.arange(len(legs)), [len(leg.path.at_ns) for leg in legs])
    at_ns = np.concatenate([leg.path.at_ns for leg in legs])[order]
    return Purse(at_ns, numbers[order], opening + gains, held + values, opening, unit)


def common_unit(amounts: Iterable[Decimal]) -> Decimal:
    """Return the largest unit of which every amount, above zero, is a whole number of times."""
    known = list(amounts)
    exponent = min(int(one.as_tuple().exponent) for one in known)
    return Decimal(gcd(*(int(one.scaleb(-exponent)) for one in known))).scaleb(exponent)


def stopped_at(purse: Purse, fraction: Fraction) -> int | None:
    """Return the first event after which the equity lies `fraction` or more below its highest, None: never.

    The edge is the kernel's for one ladder: a fall that reaches the fraction of the high, rounded up to a money unit.
    """
    numerator, denominator = fraction
    peak = np.maximum(np.maximum.accumulate(purse.worths), purse.opening)
    allowed = peak // denominator * numerator - -(peak % denominator * numerator) // denominator
    reached = np.flatnonzero((purse.worths <= peak - allowed) & (peak > 0))
    return int(reached[0]) if len(reached) else None


def events_until(purse: Purse, event: int, legs: int) -> list[int]:
    """Return how many events each of `legs` has had when `event` of the merged clock is over."""
    return [int(count) for count in np.bincount(purse.leg[: event + 1], minlength=legs)]


def _moved(leg: Leg, base: int) -> tuple[Integers, Integers]:
    """Return by how much gain and inventory value change at each event, money units of the leg."""
    equity, value = leg.path.worth(0, len(leg.path.at_ns))
    return np.diff(equity, prepend=leg.path.opening), np.diff(value, prepend=base)


def _check_money(unit: Decimal, opening: int, moved: Sequence[tuple[Integers, Integers]], factors: list[int]) -> None:
    most = opening
    for (gains, values), factor in zip(moved, factors, strict=True):
        most += factor * max(_reach(gains), _reach(values))
    if most > MAX_MONEY:
        raise UnableToRun(
            f"cash: in the common unit of all symbols, {unit.normalize():f}, the amounts do not fit into 64 bits; use "
            "fees with fewer digits, a rounder amount of cash, or fewer symbols."
        )


def _reach(steps: Integers) -> int:
    """Return the furthest that a sum of `steps` comes from zero; steps fit into 63 bits, and so do their sums."""
    sums = np.cumsum(steps)
    return max(abs(int(sums.max())), abs(int(sums.min())))
