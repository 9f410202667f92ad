"""Conduct overrides: what a playbook takes from an account for a while. The mandate always wins; nothing can loosen."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from math import prod
from typing import Final

DECISION_NS: Final = 1_000_000_000  # the interval that is multiplied: the core's own second
LONGEST_TIMEOUT_MS: Final = 10_000  # by then the venue itself has given up
_ONE: Final = Decimal(1)


class Act(StrEnum):
    """What an override does."""

    ORDERS_PER_MINUTE = "orders_per_minute"  # of the pace so far; a sell is counted and never held back
    DECISION_INTERVAL = "decision_interval"  # at most one decision to buy a symbol in so many seconds
    ORDER_TIMEOUT = "order_timeout"  # an answer is waited for longer, at most as long as the venue needs
    LOT_SIZE = "lot_size"  # of every new buy
    MARKET_ONLY = "market_only"  # nothing rests any more


_RANGES: Final[Mapping[Act, tuple[str, Decimal, Decimal]]] = {
    Act.ORDERS_PER_MINUTE: ("above 0, at most 1", Decimal("0.01"), _ONE),
    Act.DECISION_INTERVAL: ("from 1 to 600", _ONE, Decimal(600)),
    Act.ORDER_TIMEOUT: ("from 1 to 10", _ONE, Decimal(10)),
    Act.LOT_SIZE: ("above 0, at most 1", Decimal("0.01"), _ONE),
    Act.MARKET_ONLY: ("1", _ONE, _ONE),
}


@dataclass(frozen=True, slots=True)
class Override:
    """One override in force."""

    act: Act
    factor: Decimal
    limit: int | None = None  # ORDERS_PER_MINUTE: what the factor came to when it was applied


@dataclass(frozen=True, slots=True)
class Throttle:
    """What every override in force comes to."""

    max_orders_per_minute: int | None = None
    decision_interval_ns: int = 0
    timeout_factor: Decimal = _ONE
    lot_factor: Decimal = _ONE
    market_only: bool = False

    def lots(self, lots: int) -> int:
        """Return the size of a new buy whose whole lot is `lots`."""
        return int(lots * self.lot_factor)

    def timeout_ms(self, mandate_ms: int) -> int:
        """Return how long an answer is waited for."""
        return max(min(int(mandate_ms * self.timeout_factor), LONGEST_TIMEOUT_MS), mandate_ms)


NO_THROTTLE: Final = Throttle()


def in_force(overrides: Iterable[Override]) -> Throttle:
    """Return the tightest of what is in force; factors of one kind multiply."""
    factors: dict[Act, list[Decimal]] = {act: [] for act in Act}
    limits = []
    for override in overrides:
        factors[override.act].append(override.factor)
        if override.act is Act.ORDERS_PER_MINUTE and override.limit is not None:
            limits.append(override.limit)
    slower = prod(factors[Act.DECISION_INTERVAL], start=_ONE)
    return Throttle(
        max_orders_per_minute=min(limits, default=None),
        decision_interval_ns=int(slower * DECISION_NS) if factors[Act.DECISION_INTERVAL] else 0,
        timeout_factor=prod(factors[Act.ORDER_TIMEOUT], start=_ONE),
        lot_factor=prod(factors[Act.LOT_SIZE], start=_ONE),
        market_only=bool(factors[Act.MARKET_ONLY]),
    )


def why_not(act: Act, factor: Decimal) -> str:
    """Return why an override would loosen something or is none, or an empty text."""
    words, least, most = _RANGES[act]
    if factor.is_finite() and least <= factor <= most:
        return ""
    return f"{act} takes a factor {words}, not {factor}: an override may only tighten."


def pace_limit(factor: Decimal, orders: int, seconds: int) -> int:
    """Return the orders a minute that `factor` leaves of `orders` in so many seconds; never below one.

    Less than a minute counts as one: a burst is no pace.
    """
    return max(int(factor * orders * 60 / max(seconds, 60)), 1)
