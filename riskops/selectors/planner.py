"""Growth as the roadmap projects it beside growth as it was measured, and what it costs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from riskops.domain import figures, planner
from riskops.domain.periods import Kind, containing
from riskops.domain.steps import ROADMAP
from riskops.models import CostEntry, PhaseRun
from riskops.selectors.reports import FigureLine
from riskops.standing import newest
from trading.domain.evidence import Unit
from trading.selectors import desks, evidence
from trading.selectors.numbers import measured_value, plain, short, sign

if TYPE_CHECKING:
    from trading.models import Account


@dataclass(frozen=True, slots=True)
class Plan:
    """The roadmap's projection, the earliest path, the measured one, and what a person assumes."""

    begin: datetime
    projected: tuple[planner.Point, ...]
    earliest: tuple[planner.Stage, ...]
    measured: tuple[planner.Stage, ...]
    assumed: tuple[planner.Point, ...]
    monthly: FigureLine  # the measured return of a month
    quote: str
    capital: str

    @property
    def figure(self) -> dict[str, Any]:
        """The paths as a chart."""
        named = [
            ("Roadmap's projection", "--warn", "dot", _points((one.at, one.capital_quote) for one in self.projected)),
            ("Earliest by the phases' hours", "--trace", "dash", _steps(self.earliest)),
            ("Measured: capital in force", "--accent", "solid", _steps(self.measured)),
            ("Your assumption", "--up", "dashdot", _points((one.at, one.capital_quote) for one in self.assumed)),
        ]
        return figures.paths([one for one in named if one[3]], self.quote)


def plan(
    account: "Account", at: datetime, *, monthly_return: Decimal | None = None, monthly_costs: Decimal = Decimal(0),
    months: int = 12,
) -> Plan:  # fmt: skip
    """Return the paths of capital; without a return that a person typed there is no assumption.

    Raises:
        ValueError: what was assumed is beyond reason.
    """
    runs = list(PhaseRun.objects.filter(account=account).select_related("template", "mandate").order_by("id"))
    begin = runs[0].started_at if runs else at
    phases = filter(None, map(newest, ROADMAP))
    mandate = desks.mandate_in_force(account)
    capital = mandate.capital_quote if mandate else planner.YEAR_ONE[0][1]
    assumed = planner.own_path(at, capital, monthly_return, monthly_costs, months) if monthly_return is not None else []
    month = evidence.measure(account, "monthly_return", containing(Kind.MONTHLY, at).since, at)
    return Plan(
        begin=begin,
        projected=tuple(planner.year_one(begin)),
        earliest=tuple(
            planner.earliest_path(begin, [(one.id, one.capital_quote, one.duration.min_hours) for one in phases])
        ),
        measured=tuple(
            planner.Stage(run.template.phase, run.mandate.capital_quote, run.started_at, run.ended_at or at)
            for run in runs
        ),
        assumed=tuple(assumed),
        monthly=FigureLine(
            "Return per month",
            measured_value(Unit.FRACTION, month.value),
            sign(month.value, 4),
            month.detail,
            month.value is not None,
        ),
        quote=account.quote,
        capital=short(capital),
    )


def _points(found: Iterable[tuple[datetime, Decimal]]) -> list[tuple[str, str]]:
    return [(at.astimezone(UTC).isoformat(), str(amount)) for at, amount in found]


def _steps(stages: Sequence[planner.Stage]) -> list[tuple[str, str]]:
    return _points((at, one.capital_quote) for one in stages for at in (one.since, one.until) if at is not None)


@dataclass(frozen=True, slots=True)
class Bills:
    """What was billed in one currency."""

    currency: str
    total: str
    per_month: str


def costs(account: "Account", at: datetime) -> tuple[list[CostEntry], list[Bills]]:
    """Return the bills, the newest first, and what they come to in each currency; one query."""
    rows = list(CostEntry.objects.filter(account=account).select_related("entered_by"))
    found = []
    for currency in sorted({row.currency for row in rows}):
        mine = [row for row in rows if row.currency == currency]
        dated = [(datetime.combine(row.billed_on, datetime.min.time(), UTC), row.amount) for row in mine]
        total = sum((amount for _, amount in dated), Decimal(0))
        found.append(Bills(currency, plain(total), plain(planner.per_month(dated, at))))
    return rows, found
