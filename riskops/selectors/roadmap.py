"""The roadmap page: every phase with what it grants, and where an account stands on it."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from riskops.domain.phases import Criterion, Phase
from riskops.domain.steps import ROADMAP, Change, Decision, changes_between
from riskops.models import PhaseRun
from riskops.standing import newest
from trading.selectors.numbers import short

if TYPE_CHECKING:
    from trading.models import Account


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run of a phase."""

    id: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    decision: str
    accelerated: bool


@dataclass(frozen=True, slots=True)
class PhaseStop:
    """One phase on the track."""

    phase: Phase
    capital: str
    days: str
    state: str  # done | now | failed | ahead
    runs: tuple[RunLine, ...]
    changes: tuple[Change, ...]  # from the phase before
    ours: frozenset[str]


def track(account: "Account") -> list[PhaseStop]:
    """Return the phases in order with the account's runs; empty before the roadmap was loaded."""
    rows = PhaseRun.objects.filter(account=account).select_related("template").order_by("id")
    runs: dict[str, list[RunLine]] = {}
    for row in rows:
        line = RunLine(row.pk, row.started_at, row.ended_at, row.outcome, row.decision, row.accelerated)
        runs.setdefault(row.template.phase, []).append(line)
    stops: list[PhaseStop] = []
    for phase in filter(None, map(newest, ROADMAP)):
        mine = tuple(runs.get(phase.id, ()))
        before = stops[-1].phase if stops else None
        stops.append(
            PhaseStop(
                phase=phase,
                capital=short(phase.capital_quote),
                days=f"{short(phase.duration.min_hours / 24)} days",
                state=_state(mine),
                runs=mine,
                changes=tuple(changes_between(before, phase)) if before else (),
                ours=frozenset(phase.ours),
            )
        )
    return stops


def as_json(account: "Account | None") -> dict[str, object]:
    """Return the templates, and which phase is in force of `account`."""
    run = PhaseRun.objects.filter(account=account, ended_at=None).select_related("template").first()
    return {
        "phases": [_phase_json(phase) for phase in filter(None, map(newest, ROADMAP))],
        "in_force": run.template.phase if run else None,
    }


def _state(runs: tuple[RunLine, ...]) -> str:
    if not runs:
        return "ahead"
    if runs[-1].ended_at is None:
        return "now"
    return "done" if runs[-1].decision == Decision.GO else "failed"


def _phase_json(phase: Phase) -> dict[str, object]:
    limits = {name: _plain(getattr(phase.limits, name)) for name in phase.limits.__dataclass_fields__}
    return {
        "id": phase.id,
        "version": phase.version,
        "digest": phase.digest,
        "capital": _plain(phase.capital_quote),
        "symbols": list(phase.symbols),
        "limits": limits,
        "executor": {n: _plain(getattr(phase.executor, n)) for n in phase.executor.__dataclass_fields__},
        "monitoring": {n: _plain(getattr(phase.monitoring, n)) for n in phase.monitoring.__dataclass_fields__},
        "min_hours": phase.duration.min_hours,
        "criteria": [_criterion_json(criterion) for criterion in phase.criteria],
        "signers": list(phase.signers),
        "ours": list(phase.ours),
    }


def _criterion_json(criterion: Criterion) -> dict[str, object]:
    kind, bound = criterion.bound
    found: dict[str, object] = {"metric": criterion.metric, kind: _plain(bound)}
    return {**found, "over": criterion.over.value, "on_miss": criterion.on_miss.value}


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    return value if value is None or isinstance(value, int | str) else f"{value:f}"
