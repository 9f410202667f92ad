"""What is run and on which terms: ladder, fees, latency, gates, bounds."""

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from math import lcm
from typing import Final

from trading.domain.limits import ExecutionStyle

MAX_SLOTS: Final = 4_096
MAX_MONEY: Final = 2**61  # half of int64: the sum of two amounts that passed still fits
MAX_FEE_DENOMINATOR: Final = 10_000_000
MAX_STOP_DENOMINATOR: Final = 1_000_000
LONGEST_LATENCY_NS: Final = 86_400_000_000_000

Fraction = tuple[int, int]  # (numerator, denominator)


class UnableToRun(ValueError):
    """A ladder, its terms or its bounds cannot be run; the message names the field, the reason and what to do."""


class Mode(StrEnum):
    """What a ladder holds when it starts.

    NEUTRAL: the level nearest to the first price stays empty; what all slots above it hold is bought at that price.
    LONG: nothing; a slot buys first, once the price has been above its level.
    SHORT: everything, out of the opening lots; a slot sells first, once the price has been below its upper level.
    """

    NEUTRAL = "neutral"
    LONG = "long"
    SHORT = "short"


@dataclass(frozen=True, slots=True)
class Ladder:
    """The slots of one grid: slot i buys at `levels[i]` and sells at `levels[i + 1]`.

    Raises:
        UnableToRun: no slot, too many, levels that do not rise from above zero, lots that are not one a slot and > 0.
    """

    levels: tuple[int, ...]  # ticks, n + 1, strictly ascending
    lots: tuple[int, ...]  # n
    mode: Mode

    def __post_init__(self) -> None:
        if not 1 <= len(self.lots) <= MAX_SLOTS or len(self.levels) != len(self.lots) + 1:
            raise UnableToRun(
                f"ladder: {len(self.levels)} levels and {len(self.lots)} lots; give 1 to {MAX_SLOTS} lots and one more "
                "level."
            )
        if self.levels[0] <= 0 or any(high <= low for low, high in pairwise(self.levels)):
            raise UnableToRun("ladder: the levels do not rise from above zero; use a wider step or fewer slots.")
        if min(self.lots) <= 0:
            raise UnableToRun("ladder: a slot has no lots; give every slot a quantity.")


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a ladder runs.

    Raises:
        UnableToRun: a value out of its range.
    """

    opening_cash: int  # ticks x lots
    opening_lots: int = 0
    maker_fee: Fraction = (0, 1)  # of the notional, each side
    taker_fee: Fraction = (0, 1)  # of what is bought at the start, and of every fill of a TAKER
    submit_ns: int = 0  # decision -> venue
    report_ns: int = 0  # venue -> decision
    max_inventory_lots: int | None = None  # held and in buys sent; slots beyond it are denied, the furthest first
    max_trades_per_day: int | None = None  # fills of a day of UTC, after which no order is sent until the next
    max_drawdown: Fraction | None = None  # of the peak of the equity; the run ends when it is reached
    style: ExecutionStyle = ExecutionStyle.MAKER

    def __post_init__(self) -> None:
        for name in ("opening_cash", "opening_lots"):
            _within(name, getattr(self, name), 0, MAX_MONEY)
        for name in ("maker_fee", "taker_fee"):
            _fraction(name, getattr(self, name), 0, MAX_FEE_DENOMINATOR)
        for name in ("submit_ns", "report_ns"):
            _within(name, getattr(self, name), 0, LONGEST_LATENCY_NS)
        for name in ("max_inventory_lots", "max_trades_per_day"):
            if getattr(self, name) is not None:
                _within(name, getattr(self, name), 1, MAX_MONEY)
        if self.max_drawdown is not None:
            _fraction("max_drawdown", self.max_drawdown, 1, MAX_STOP_DENOMINATOR)
        if self.style is ExecutionStyle.TAKER and self.submit_ns + self.report_ns:
            raise UnableToRun("style: TAKER with latency is not modelled; set both latencies to 0 or use MAKER.")

    @property
    def scale(self) -> int:
        """Money units in one tick x lot: whole fees at both rates."""
        return lcm(self.maker_fee[1], self.taker_fee[1])

    def fee(self, fraction: Fraction) -> int:
        """Return what `fraction` takes of one tick x lot, in money units."""
        return fraction[0] * (self.scale // fraction[1])


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a run ends: after the first event whose mark is at or beyond a price, or whose time is reached."""

    low_ticks: int | None = None
    high_ticks: int | None = None
    until_ns: int | None = None


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise UnableToRun(f"{name}: {value} is outside {low}..{high}; choose a value inside.")


def _fraction(name: str, value: Fraction, low: int, largest: int) -> None:
    numerator, denominator = value
    if not (low <= numerator <= denominator and 1 <= denominator <= largest):
        raise UnableToRun(
            f"{name}: {numerator}/{denominator} is no fraction from {low}/{largest} to 1; use e.g. (1, 1000) for 0.1 %."
        )
