"""Growth: what the roadmap projects, what a person assumes, and never the one for the other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

MONTH: Final = timedelta(days=365) / 12
LARGEST_RETURN: Final = Decimal(10)  # a month, as a fraction: beyond it a scenario is a typing error
MOST_MONTHS: Final = 60

# Source: shared/mission/phase4-scale-up-roadmap.md, "Year 1 Projection (Conservative)"; months since the begin ->
# capital in quote. A projection of the roadmap and nothing else (decision 17).
YEAR_ONE: Final = (
    (0, Decimal(300)),
    (1, Decimal(5_000)),
    (2, Decimal(25_000)),
    (3, Decimal(50_000)),
    (4, Decimal(100_000)),
    (12, Decimal(250_000)),
)
PROJECTED_MONTHLY: Final = (Decimal("0.15"), Decimal("0.25"))  # "Monthly returns: 15-25% per account"
PROJECTED_ANNUAL: Final = (Decimal(2), Decimal(4))  # "Annual return: 200-400% (high-risk scenario)"


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the roadmap expects something to cost, USD a month."""

    name: str
    low: Decimal
    high: Decimal


# Source: the same file, "Operational Costs at Scale".
ESTIMATES: Final = (
    Estimate("Server or hosting", Decimal(100), Decimal(500)),
    Estimate("Monitoring", Decimal(200), Decimal(500)),
    Estimate("VPN and network", Decimal(50), Decimal(100)),
    Estimate("Venue API", Decimal(0), Decimal(0)),
)


@dataclass(frozen=True, slots=True)
class Point:
    """Capital at one moment."""

    at: datetime
    capital_quote: Decimal


@dataclass(frozen=True, slots=True)
class Stage:
    """One phase on a path."""

    phase: str
    capital_quote: Decimal
    since: datetime
    until: datetime | None  # None: it still runs, or nothing follows


def year_one(begin: datetime) -> list[Point]:
    """Return the roadmap's growth of the first year, counted from `begin`."""
    return [Point(begin + months * MONTH, capital) for months, capital in YEAR_ONE]


def earliest_path(begin: datetime, phases: Iterable[tuple[str, Decimal, int]]) -> list[Stage]:
    """Return when each phase (id, capital, hours it must be observed) could begin, had each passed at once."""
    found, since = list[Stage](), begin
    for phase, capital, hours in phases:
        until = since + timedelta(hours=hours)
        found.append(Stage(phase, capital, since, until))
        since = until
    return found


def own_path(
    begin: datetime, capital: Decimal, monthly_return: Decimal, monthly_costs: Decimal, months: int
) -> list[Point]:
    """Return capital month by month under a return that a person assumes; costs leave at each month's end.

    Capital that is used up stays at 0.

    Raises:
        ValueError: the return is not within -1 to 10, costs are below zero, or the months not within 1 to 60.
    """
    if not monthly_return.is_finite() or not -1 <= monthly_return <= LARGEST_RETURN:
        raise ValueError(f"A return of {monthly_return} a month is not within -1 to {LARGEST_RETURN}.")
    if monthly_costs < 0:
        raise ValueError("Costs are not below zero.")
    if months not in range(1, MOST_MONTHS + 1):
        raise ValueError(f"{months} months are not within 1 to {MOST_MONTHS}.")
    found = [Point(begin, capital)]
    for month in range(1, months + 1):
        capital = max(capital * (1 + monthly_return) - monthly_costs, Decimal(0)).quantize(Decimal("0.01"))
        found.append(Point(begin + month * MONTH, capital))
    return found


def per_month(amounts: Sequence[tuple[datetime, Decimal]], at: datetime) -> Decimal | None:
    """Return what was billed per month from the first bill to `at`, over at least one month; None before the first."""
    if not amounts:
        return None
    months = max(Decimal((at - min(day for day, _ in amounts)) / MONTH), Decimal(1))
    return sum((amount for _, amount in amounts), Decimal(0)) / months
