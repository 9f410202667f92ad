"""How a run stands: its evidence measured, judged, and put together as exactly what people are shown and sign.

Services and selectors both need it and may not know each other, so it has a floor of its own below them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.db.models import QuerySet

from riskops.domain import phases, playbooks, steps
from riskops.domain.gates import Evidence, Finding, SameGrids, Verdict, Window, judge, why_not_automatic
from riskops.domain.matrix import Matrix, People, matrix
from riskops.domain.phases import Phase
from riskops.domain.playbooks import IDS, Playbook, UnreadablePlaybook
from riskops.domain.steps import Change, Decision, Signature
from riskops.models import BreakGlass, Incident, PhaseRun, PhaseTemplate, SignOff, StepRequest
from trading.domain.evidence import Measurement
from trading.domain.in_force import GridsInForce
from trading.domain.measuring import Over
from trading.selectors import evidence

if TYPE_CHECKING:
    from trading.models import Account

ASKED_BY_THE_MATRIX: Final = {
    *((metric, Over.RUN.value) for metric in ("crit_alerts", "warn_alerts_per_day", "fill_rate", "latency_p95_ms")),
    ("pnl_per_day_quote", Over.RUN.value),  # the next phase compares itself with it
    ("pnl_per_day_quote", Over.LAST_3_DAYS.value),
    ("pnl_quote", Over.EACH_OF_3_DAYS.value),
}
# Shown and signed with the criteria, and judged by none.
ALSO_MEASURED: Final = (
    "latency_p50_ms", "latency_p99_ms", "tick_submit_p50_ms", "tick_submit_p95_ms", "tick_submit_p99_ms",
    "ack_fill_p50_ms", "ack_fill_p95_ms", "ack_fill_p99_ms", "reject_rate", "reconnects", "symbol_drawdown",
    "kill_drills",
)  # fmt: skip
_TEMPLATES_KEPT: Final = 64
_RUNS_LOOKED_AT: Final = 10
PLAYBOOKS: Final = Path(__file__).resolve().parent / "playbooks"


@dataclass(frozen=True, slots=True)
class Standing:
    """One run at one moment."""

    phase: Phase
    following: Phase | None
    verdict: Verdict
    accelerated: bool
    changes: tuple[Change, ...]
    measured: dict[str, str]  # metric -> value over the whole window, for the next phase's baseline
    at: datetime
    watched_until: datetime | None
    retest: Window | None  # since the run began; None: the run before did not fail
    evidence: Evidence
    baseline: Mapping[str, Decimal]

    @property
    def unwatched(self) -> timedelta | None:
        """Return how long nothing has been watched, None where nothing ever was."""
        return None if self.watched_until is None else max(self.at - self.watched_until, timedelta())

    @property
    def also(self) -> tuple[Measurement, ...]:
        """What was measured over the whole window and no criterion of the phase asks for."""
        judged = {criterion.metric for criterion in self.phase.criteria}
        return tuple(self.evidence[metric, Over.RUN][0] for metric in ALSO_MEASURED if metric not in judged)

    @property
    def parameters(self) -> list[list[str]]:
        """What a GO changes, as JSON."""
        return [[change.name, change.old, change.new] for change in self.changes]

    @property
    def shown(self) -> dict[str, Any]:
        """Everything a signature binds, as JSON."""
        return {
            "at": self.at.isoformat(),
            "findings": [_plain(finding) for finding in self.verdict.findings],
            "measured": [_plain_measurement(one) | {"metric": one.metric} for one in self.also],
            "outcome": self.verdict.outcome.value,
            "hours_in_force": f"{self.verdict.window.hours_in_force:.2f}",
            "same_grids": None if self.verdict.same_grids is None else _plain_grids(self.verdict.same_grids),
            "accelerated": self.accelerated,
            "parameters": self.parameters,
        }

    @property
    def digest(self) -> str:
        """SHA-256 of what is shown."""
        return steps.digest_of_step(self.phase, self.following, self.shown, self.changes)


def stand(run: PhaseRun, at: datetime) -> Standing:
    """Measure and judge `run` as of `at`."""
    phase = template_of(run)
    following = newest(steps.next_phase(phase.id))
    wanted = {(criterion.metric, criterion.over.value) for criterion in phase.criteria}
    wanted |= {(criterion.metric, Over.RUN.value) for criterion in phase.criteria} | ASKED_BY_THE_MATRIX
    wanted |= {(metric, Over.RUN.value) for metric in ALSO_MEASURED}
    if following is not None:  # will compare itself with this phase
        wanted |= {(one.metric, Over.RUN.value) for one in following.criteria if one.of_previous is not None}
    found = evidence.evidence(run.account, wanted, run.window_from, at, _seen(run))
    begins_with = steps.RETEST_H if run.is_retest and run.window_from == run.started_at else 0
    measured, baseline = _by_window(found.measured), baseline_of(run)
    return Standing(
        phase=phase,
        following=following,
        verdict=judge(
            phase,
            measured,
            baseline,
            found.hours_in_force,
            begins_with,
            is_extended=run.extended,
            grids=_changed_in(run, found.grids),
        ),
        accelerated=found.accelerated,
        changes=tuple(steps.changes_between(phase, following)) if following else (),
        measured={
            metric: str(row.value)
            for (metric, over), rows in measured.items()
            for row in rows
            if over is Over.RUN and row.value is not None
        },
        at=at,
        watched_until=evidence.watched_until(run.account, at),
        retest=_retest(run, at),
        evidence=measured,
        baseline=baseline,
    )


def fatal_alerts(run: PhaseRun, at: datetime) -> tuple[Finding, ...]:
    """Return what fails `run` by its CRIT alerts alone: one query, where all of its evidence takes seven."""
    counted = _by_window(evidence.crit_alerts(run.account, run.window_from, at, _seen(run)))
    return judge(template_of(run), counted, {}, Decimal(0)).fatal


def template_of(run: PhaseRun) -> Phase:
    """Return the template the run was started with."""
    return _read(run.template.text, run.template.phase)


def next_of(run: PhaseRun) -> str | None:
    """Return the phase that follows the one of `run`, None after the last."""
    return steps.next_phase(run.template.phase)


def newest(phase_id: str | None) -> Phase | None:
    """Return the newest stored version of a phase, None where there is none."""
    row = PhaseTemplate.objects.filter(phase=phase_id).first() if phase_id else None
    return _read(row.text, row.phase) if row else None


def baseline_of(run: PhaseRun) -> Mapping[str, Decimal]:
    """Return what the phase before measured when it ended with GO."""
    before = PhaseRun.objects.filter(account=run.account, decision=Decision.GO, id__lt=run.pk).first()
    found: dict[str, Decimal] = {}
    for metric, text in (before.measured if before else {}).items():
        try:
            found[metric] = Decimal(text)
        except InvalidOperation:
            continue  # what cannot be read is no baseline
    return found


def checklist_of(request: StepRequest) -> tuple[str, ...]:
    """Return what must be ticked before the phase that follows may begin."""
    following = newest(steps.next_phase(request.run.template.phase))
    return following.to_tick if following else ()


def unticked(request: StepRequest) -> list[str]:
    """Return the items nobody has ticked, or whose tick was taken back."""
    last = {row.item: row.done for row in request.ticks.all()}
    return [item for item in checklist_of(request) if not last.get(item)]


def automatic_of(standing: Standing) -> list[tuple[str, str]]:
    """Return the items that the evidence ticks, each with what is still in its way."""
    following = standing.following
    items = following.automatic if following else ()
    return [(one.item, why_not_automatic(standing.verdict, one.metric)) for one in items]


def not_done(request: StepRequest, standing: Standing) -> list[str]:
    """Return every item of the checklist that neither the evidence nor a person has ticked."""
    return [*(f"{item} is {why}" for item, why in automatic_of(standing) if why), *unticked(request)]


def lock_newest_run(account: "Account") -> None:
    """Lock the newest run of `account`, so that two people who ask for the same thing wait for each other.

    Runs are locked before accounts, and rows that point to one can be added meanwhile.
    """
    list(PhaseRun.objects.select_for_update(of=("self",), no_key=True).filter(account=account)[:1])


def glass_broken(account: "Account", at: datetime) -> BreakGlass | None:
    """Return the break-glass in force at `account`."""
    rows = BreakGlass.objects.filter(account=account, granted_at__isnull=False, expires_at__gt=at)
    return rows.select_related("asked_by", "granted_by").first()


def glass_asked(account: "Account", at: datetime) -> BreakGlass | None:
    """Return the break-glass that waits for a second person."""
    rows = BreakGlass.objects.filter(account=account, granted_at=None, expires_at__gt=at)
    return rows.select_related("asked_by").first()


def open_incidents(account: "Account") -> list[str]:
    """Return the incidents of `account` that nobody has closed, in words."""
    return [f"incident {row} is open" for row in Incident.objects.filter(account=account, closed_at=None)]


def recommendation(run: PhaseRun, standing: Standing) -> Matrix:
    """Return the answer of the scale-up matrix for `run` as it stands."""
    signed = SignOff.objects.filter(request__run=run, request__state=StepRequest.State.OPEN, approves=False)
    failed = Incident.objects.filter(run__account=run.account, run__template__phase=run.template.phase, failed_run=True)
    people = People(
        rejected_by=list(signed.values_list("role", flat=True)),
        open_incidents=open_incidents(run.account),
        failed_alike=_failed_alike(run, failed),
    )
    return matrix(standing.verdict, standing.evidence, standing.baseline, people)


def _failed_alike(run: PhaseRun, failed: QuerySet[Incident]) -> int:
    """Return how many of the newest ended runs of this phase in a row failed on a metric the newest failed on."""
    ended = PhaseRun.objects.filter(account=run.account, ended_at__isnull=False).order_by("-id")[:_RUNS_LOOKED_AT]
    metrics: dict[int, set[str]] = {}
    for of_run, metric in failed.values_list("run", "metric"):
        metrics.setdefault(of_run, set()).add(metric)
    count, alike = 0, set[str]()
    for one in ended.values_list("id", flat=True):
        alike = metrics.get(one, set()) & alike if count else metrics.get(one, set())
        if not alike:
            break
        count += 1
    return count


def signatures(request: StepRequest) -> list[Signature]:
    """Return the signatures of a request, oldest first."""
    return [Signature(one.role, one.person_id, one.approves, one.digest) for one in request.sign_offs.all()]


def _retest(run: PhaseRun, at: datetime) -> Window | None:
    if not run.is_retest:
        return None
    hours, _ = evidence.hours_in_force(run.account, run.started_at, at)
    return Window(hours, steps.RETEST_H)


def _changed_in(run: PhaseRun, grids: GridsInForce | None) -> GridsInForce | None:
    """Return since when the grids are those that trade now, None where that is longer than the run."""
    at = None if grids is None else grids.changed.at
    return None if at is not None and at <= run.started_at else grids


def _seen(run: PhaseRun) -> evidence.Seen:
    return evidence.Seen(run.window_snapshot, run.window_transaction)


@cache
def all_playbooks() -> Mapping[str, Playbook]:
    """Return every playbook by its id, in the order of `playbooks.IDS`.

    Raises:
        UnreadablePlaybook: one of them must not be used, or two claim the same alert.
    """
    read = [playbooks.read((PLAYBOOKS / f"{name}.toml").read_text(encoding="utf-8"), name=name) for name in IDS]
    if found := playbooks.conflicts(read):
        raise UnreadablePlaybook("; ".join(found))
    return {playbook.id: playbook for playbook in read}


def playbook_for(*, metric: str = "", code: str = "") -> Playbook | None:
    """Return the playbook that a missed criterion or an alert opens, None where none names it."""
    found = all_playbooks().values()
    return next((one for one in found if metric in one.metrics or code in one.alerts), None)


def retest_hours(incident: Incident, at: datetime) -> Decimal | None:
    """Return the hours in force on paper since the re-test began, None while it has not; real money is no re-test."""
    if incident.retest_from is None or incident.account.mode != incident.account.Mode.PAPER:
        return None
    return evidence.hours_in_force(incident.account, incident.retest_from, incident.closed_at or at)[0]


def measurement(shown: Mapping[str, Any]) -> Measurement:
    """Return one of `Standing.shown["measured"]` as it was measured."""
    return Measurement(
        metric=shown["metric"],
        value=None if shown["value"] is None else Decimal(shown["value"]),
        samples=shown["samples"],
        coverage=Decimal(shown["coverage"]),
        since=datetime.fromisoformat(shown["since"]),
        until=datetime.fromisoformat(shown["until"]),
        detail=shown["detail"],
        query=shown["query"],
        each=tuple((symbol, None if value is None else Decimal(value)) for symbol, value in shown["each"]),
    )


def _by_window(found: evidence.Measured) -> Evidence:
    return {(metric, Over(over)): rows for (metric, over), rows in found.items()}


@lru_cache(_TEMPLATES_KEPT)
def _read(text: str, name: str) -> Phase:
    return phases.read(text, name=name)


def _plain(finding: Finding) -> dict[str, Any]:
    measured = finding.measured
    return {
        "metric": finding.criterion.metric,
        "over": finding.criterion.over.value,
        "on_miss": finding.criterion.on_miss.value,
        "sign": finding.sign,
        "bound": None if finding.bound is None else str(finding.bound),
        "state": finding.state.value,
        "reason": finding.reason,
        "measured": None if measured is None else _plain_measurement(measured),
    }


def _plain_grids(same: SameGrids) -> dict[str, Any]:
    found, changed = same.found, same.found.changed
    times = {"saved_at": changed.saved_at, "in_force_at": changed.in_force_at, "since": found.since}
    return {
        "symbol": changed.symbol,
        **{name: None if at is None else at.isoformat() for name, at in times.items()},
        "until": found.until.isoformat(),
        "hours": None if found.hours is None else f"{found.hours:.2f}",
        "min_hours": same.min_hours,
        "samples": found.samples,
        "is_complete": same.is_complete,
        "words": same.words,
        "query": found.query,
    }


def _plain_measurement(measured: Measurement) -> dict[str, Any]:
    return {
        "value": None if measured.value is None else str(measured.value),
        "samples": measured.samples,
        "coverage": str(measured.coverage),
        "since": measured.since.isoformat(),
        "until": measured.until.isoformat(),
        "detail": measured.detail,
        "query": measured.query,
        "each": [[symbol, None if value is None else str(value)] for symbol, value in measured.each],
    }
