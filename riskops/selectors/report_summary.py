"""The whole desk on one page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from riskops import reporting
from riskops.domain.periods import Kind, containing
from riskops.domain.steps import ROADMAP, next_phase
from riskops.models import Incident, PhaseRun, Report
from riskops.selectors.compliance import ItemLine, items
from riskops.selectors.reports import Json, Loaded, Money, ReportPage, money, page
from riskops.standing import newest, template_of
from trading.selectors.numbers import duration, percent, short

if TYPE_CHECKING:
    from trading.models import Account


@dataclass(frozen=True, slots=True)
class PhaseLine:
    """One phase run in one line."""

    number: int
    phase: str
    capital: str
    since: datetime
    until: datetime | None
    lasted: str
    outcome: str
    accelerated: bool
    incidents: int
    pnl: Money
    drawdown: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole account on one page."""

    report: ReportPage  # of the run in force, else of this month
    since: datetime
    phases: tuple[PhaseLine, ...]
    pnl: Money  # of every phase together
    incidents_open: int
    incidents_all: int
    following: str
    following_words: str
    signers: str
    items: tuple[ItemLine, ...]


def summary(account: "Account", at: datetime) -> Summary:
    """Return the account on one page: ended phases out of their stored reports, the one in force as it stands."""
    runs = list(PhaseRun.objects.filter(account=account).select_related("template", "mandate").order_by("id"))
    stored = Report.objects.filter(account=account, kind=Kind.PHASE.value).values_list("period", "facts")
    facts_of: dict[str, Json] = dict(stored)
    is_running = bool(runs) and runs[-1].ended_at is None
    period = reporting.of_run(runs[-1], at) if is_running else containing(Kind.MONTHLY, at)
    now = reporting.facts(account, period, at)
    if is_running:
        facts_of[str(runs[-1].pk)] = now
    per_run, still_open = dict[int, int](), 0
    for run_id, closed_at in Incident.objects.filter(account=account).values_list("run_id", "closed_at"):
        per_run[run_id] = per_run.get(run_id, 0) + 1
        still_open += closed_at is None
    following, words, signers = _next(runs)
    earned = [_value(facts_of.get(str(run.pk)), "pnl_quote") for run in runs]
    known = [value for value in earned if value is not None]
    return Summary(
        report=page(Loaded(period, now, None, False)),
        since=period.since,
        phases=tuple(_phase_line(run, per_run.get(run.pk, 0), facts_of.get(str(run.pk)), at) for run in runs),
        pnl=money(str(sum(known)) if known and len(known) == len(earned) else None),
        incidents_open=still_open,
        incidents_all=sum(per_run.values()),
        following=following,
        following_words=words,
        signers=signers,
        items=tuple(items(account, at)),
    )


def _value(facts: Json | None, name: str) -> Decimal | None:
    """Return one figure of a report, None where the report or the figure is not there."""
    found = next((row["value"] for row in facts["figures"] if row["name"] == name), None) if facts else None
    return None if found is None else Decimal(found)


def _phase_line(run: PhaseRun, incidents: int, facts: Json | None, at: datetime) -> PhaseLine:
    lasted = int(((run.ended_at or at) - run.started_at).total_seconds())
    earned = _value(facts, "pnl_quote")
    return PhaseLine(
        number=run.pk,
        phase=run.template.phase,
        capital=short(run.mandate.capital_quote),
        since=run.started_at,
        until=run.ended_at,
        lasted=duration(lasted),
        outcome=run.decision if run.ended_at else f"in force, {run.outcome}",
        accelerated=run.accelerated or bool(facts and facts["coverage"]["accelerated"]),
        incidents=incidents,
        pnl=money(None if earned is None else str(earned)),
        drawdown=percent(_value(facts, "high_water_drawdown"), 3),
    )


def _next(runs: Sequence[PhaseRun]) -> tuple[str, str, str]:
    """Return the phase that comes next, what it takes, and who signs for it."""
    if not runs:
        return ROADMAP[0], "The roadmap has not begun at this desk.", ""
    last = runs[-1]
    phase = template_of(last)
    if last.ended_at is not None and last.decision != "GO":
        return phase.id, f"Phase {phase.id} is to be run again.", ""
    following = newest(next_phase(phase.id))
    if following is None:
        return "", "No phase follows: the roadmap ends here.", ""
    words = (
        f"${short(following.capital_quote)}, once phase {phase.id} has passed {phase.duration.min_hours} h in force."
    )
    return following.id, words, ", ".join(phase.signers)
