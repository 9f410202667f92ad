"""The gate page: every criterion beside its evidence, what a GO changes, who has signed and who has not."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.contrib.auth.models import User

from riskops.domain import promotions, steps
from riskops.domain.approvals import REASON_MIN_LENGTH
from riskops.domain.gates import Finding, Outcome, SameGrids, State, Window
from riskops.domain.incidents import Clock
from riskops.domain.matrix import Matrix, Row, Trend
from riskops.domain.steps import EXPIRES_AFTER_H, Change, Decision, Signature
from riskops.models import ChecklistAttachment, ChecklistTick, Incident, PhaseRun, ReleaseTag, StepRequest
from riskops.promoting import open_promotions
from riskops.selectors.incidents import GLYPHS as SEVERITIES
from riskops.selectors.incidents import clocks_of
from riskops.selectors.signing import SignatureLine, signature_lines
from riskops.standing import (
    Standing,
    automatic_of,
    not_done,
    open_incidents,
    recommendation,
    signatures,
    stand,
    template_of,
)
from trading.domain.evidence import METRICS, Measurement, Unit
from trading.domain.people import DESK, why_not
from trading.selectors.numbers import UNKNOWN, measured_value, percent, plain, short

if TYPE_CHECKING:
    from trading.models import Account

GLYPHS: Final = {State.MET: "✓", State.NOT_MET: "✗", State.IN_PROGRESS: "◷", State.NO_DATA: "?"}
ARROWS: Final = {Trend.UP: "▲", Trend.STEADY: "▶", Trend.DOWN: "▼", Trend.UNKNOWN: UNKNOWN}
ADVICE: Final = {
    Outcome.RUNNING: "WAIT",
    Outcome.PASS: "GO is possible",
    Outcome.STAY: "HOLD",
    Outcome.FAIL: "NO_GO",
}


@dataclass(frozen=True, slots=True)
class CriterionLine:
    """One criterion as it is read."""

    title: str
    window: str
    glyph: str
    state: str  # State
    value: str
    target: str
    detail: str  # denominator, samples, coverage
    reason: str
    each: tuple[tuple[str, str], ...]
    query: str
    on_miss: str
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class MeasuredLine:
    """One metric that is shown and not judged."""

    title: str
    value: str
    detail: str  # denominator, samples, coverage
    each: tuple[tuple[str, str], ...]
    query: str


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One item of the checklist."""

    item: str
    done: bool
    person: str  # who ticked it, or took the tick back
    at: datetime | None
    note: str
    attachment: ChecklistAttachment | None = None


@dataclass(frozen=True, slots=True)
class CheckSection:
    """Items that belong together, with how many are done."""

    title: str
    lines: tuple[CheckLine, ...]
    is_automatic: bool = False

    @property
    def done(self) -> int:
        """How many items are done."""
        return sum(line.done for line in self.lines)

    @property
    def percent(self) -> int:
        """The part that is done, whole percent; 100 only where all is."""
        return 100 * self.done // len(self.lines)


@dataclass(frozen=True, slots=True)
class OpenStep:
    """The request that waits for signatures."""

    id: int
    by: str
    at: datetime
    expires_at: datetime
    digest: str
    signatures: tuple[SignatureLine, ...]
    why_not_tick: str  # why the reader may not tick; "" when they may
    why_not_go: str
    why_not_decide: str  # why the reader decides nothing of this step; "" when they do
    why_not_withdraw: str


@dataclass(frozen=True, slots=True)
class MatrixLine:
    """One question of the scale-up matrix."""

    question: str
    measured: str
    before: str
    arrow: str
    trend: str
    answer: str
    reason: str


@dataclass(frozen=True, slots=True)
class GatePage:
    """One run at one moment."""

    run: PhaseRun
    phase: str
    name: str
    following: str
    capital: str
    next_capital: str
    outcome: str
    answer: str  # of the scale-up matrix
    reasons: tuple[str, ...]
    matrix: tuple[MatrixLine, ...]
    advice: str
    open_count: int
    of_count: int
    hours: str
    hours_needed: int
    hours_left: str
    fraction: float
    same_grids: SameGrids | None  # None: no grid was changed in the run
    retest: Window | None
    accelerated: bool
    must: tuple[CriterionLine, ...]
    advisory: tuple[CriterionLine, ...]
    also: tuple[MeasuredLine, ...]
    changes: tuple[Change, ...]
    checklist: tuple[CheckSection, ...]
    ticked: int
    to_tick: int
    stay: str
    request: OpenStep | None
    may_ask: bool
    judged_at: datetime


@dataclass(frozen=True, slots=True)
class PastStep:
    """One request that was closed."""

    id: int
    by: str
    at: datetime
    state: str
    decision: str
    decided_by: str
    notes: str


def open_run(account: "Account") -> PhaseRun | None:
    """Return the run in force of `account`, None where no roadmap was begun or its run has ended."""
    return PhaseRun.objects.select_related("template", "account").filter(account=account, ended_at=None).first()


def why_not_start(reader: User) -> str:
    """Return why `reader` starts no run, or an empty text."""
    return steps.why_not_starter(_roles(reader))


def gate_page(run: PhaseRun, reader: User, at: datetime) -> GatePage:
    """Return what the gate of `run` shows to `reader` at `at`."""
    standing = stand(run, at)
    verdict, phase, following = standing.verdict, standing.phase, standing.following
    lines = [(finding, _line(finding)) for finding in verdict.findings]
    window, asked = verdict.window, recommendation(run, standing)
    request = run.requests.filter(state=StepRequest.State.OPEN).select_related("requested_by").first()
    sections = _sections(request, standing)
    return GatePage(
        run=run,
        phase=phase.id,
        name=phase.name,
        following=following.id if following else "",
        capital=short(phase.capital_quote),
        next_capital=short(following.capital_quote) if following else UNKNOWN,
        outcome=verdict.outcome.value,
        answer=asked.answer.value,
        reasons=asked.reasons,
        matrix=tuple(map(_matrix_line, asked.rows)),
        advice=ADVICE[verdict.outcome],
        open_count=len(verdict.open) + len(verdict.missing),
        of_count=sum(finding.is_needed for finding in verdict.findings) + 1 + (verdict.same_grids is not None),
        hours=plain(window.hours_in_force, 1),
        hours_needed=window.min_hours,
        same_grids=verdict.same_grids,
        retest=standing.retest,
        hours_left=plain(window.hours_left, 1),
        fraction=float(window.fraction),
        accelerated=standing.accelerated or run.accelerated,
        must=tuple(line for finding, line in lines if finding.is_needed),
        advisory=tuple(line for finding, line in lines if not finding.is_needed),
        also=tuple(map(measured_line, standing.also)),
        changes=standing.changes,
        checklist=sections,
        ticked=sum(section.done for section in sections),
        to_tick=sum(len(section.lines) for section in sections),
        stay=f"{phase.stay.label}: {phase.stay.extend_hours // 24} more days",
        request=_open_step(request, standing, reader),
        may_ask=bool(_roles(reader) & steps.ASKERS),
        judged_at=at,
    )


@dataclass(frozen=True, slots=True)
class IncidentLine:
    """One open incident with its clocks."""

    id: int
    what: str
    opened_at: datetime
    clocks: tuple[Clock, ...]
    severity: str
    glyph: str
    failed_run: bool


def incident_lines(account: "Account", at: datetime) -> list[IncidentLine]:
    """Return the open incidents of `account`, the newest first."""
    rows = Incident.objects.filter(account=account, closed_at=None).prefetch_related("steps")
    return [
        IncidentLine(
            row.pk,
            row.what,
            row.opened_at,
            tuple(one for _, one in clocks_of(row, at)),
            row.severity,
            SEVERITIES[row.severity],
            row.failed_run,
        )
        for row in rows
    ]


def matrix_json(asked: Matrix) -> dict[str, object]:
    """Return the scale-up matrix as JSON; numbers as text."""
    rows = [
        {
            "question": row.question,
            "metric": row.metric or None,
            "measured": None if row.measured is None else str(row.measured),
            "before": None if row.before is None else str(row.before),
            "trend": row.trend.value,
            "answer": row.answer.value,
            "reason": row.reason,
        }
        for row in asked.rows
    ]
    return {"answer": asked.answer.value, "reasons": list(asked.reasons), "rows": rows}


def newest_tag(account: "Account") -> ReleaseTag | None:
    """Return the tag of the newest GO of `account`, None where there was none."""
    return ReleaseTag.objects.filter(request__run__account=account).first()


def attachment(account: "Account", attachment_id: int) -> ChecklistAttachment | None:
    """Return a file that was attached at `account`, None where there is no such file."""
    mine = ChecklistAttachment.objects.filter(tick__request__run__account=account)
    return mine.filter(pk=attachment_id).first()


def past_steps(run: PhaseRun, limit: int = 10) -> list[PastStep]:
    """Return the newest closed requests of the run."""
    rows = run.requests.exclude(state=StepRequest.State.OPEN).select_related("requested_by", "decided_by")[:limit]
    return [
        PastStep(
            id=row.pk,
            by=row.requested_by.username,
            at=row.requested_at,
            state=row.get_state_display().lower(),
            decision=row.decision if row.decision != Decision.PENDING else "",
            decided_by=row.decided_by.username if row.decided_by else "",
            notes=row.notes or row.why_void,
        )
        for row in rows
    ]


def _open_step(request: StepRequest | None, standing: Standing, reader: User) -> OpenStep | None:
    if request is None:
        return None
    run = request.run
    given = signatures(request)
    needed = template_of(run).signers
    notes = "." * REASON_MIN_LENGTH  # what only concerns the notes is said by the form
    return OpenStep(
        id=request.pk,
        by=request.requested_by.username,
        at=request.requested_at,
        expires_at=request.requested_at + timedelta(hours=EXPIRES_AFTER_H),
        digest=request.digest,
        signatures=signature_lines(
            needed, request.sign_offs.select_related("person"), lambda role: _why_not(role, reader, needed, given)
        ),
        why_not_decide=steps.why_not_decider(_roles(reader), needed),
        why_not_withdraw=steps.why_not_withdrawer(
            _roles(reader), needed, is_requester=request.requested_by_id == reader.pk
        ),
        why_not_tick=why_not(frozenset(_roles(reader)), DESK, "tick the checklist"),
        why_not_go=steps.why_not_decide(
            Decision.GO,
            verdict=standing.verdict,
            needed=needed,
            given=given,
            requester=request.requested_by_id,
            digest=request.digest,
            notes=notes,
            unticked=[*not_done(request, standing), *open_incidents(run.account)],
            is_real=run.account.mode != run.account.Mode.PAPER,
            is_accelerated=run.accelerated or standing.accelerated,
            unwatched=standing.unwatched,
            retest=standing.retest,
            in_the_way=promotions.why_not_step(open_promotions()),
        ),
    )


def _sections(request: StepRequest | None, standing: Standing) -> tuple[CheckSection, ...]:
    following = standing.following
    if following is None:
        return ()
    automatic = [CheckLine(item, not why, "", None, why) for item, why in automatic_of(standing)]
    ticks = request.ticks.select_related("person", "attachment").defer("attachment__content") if request else ()
    last = {row.item: row for row in ticks}
    parts = [("People", following.checklist), ("Infrastructure", following.infrastructure)]
    manual = [
        CheckSection(title, tuple(_check_line(item, last.get(item)) for item in items))
        for title, items in [*parts, ("Compliance", following.compliance)]
        if items
    ]
    return (CheckSection("Evidence", tuple(automatic), is_automatic=True), *manual) if automatic else tuple(manual)


def _check_line(item: str, row: ChecklistTick | None) -> CheckLine:
    if row is None:
        return CheckLine(item, False, "", None, "")
    return CheckLine(item, row.done, row.person.username, row.at, row.note, getattr(row, "attachment", None))


def _why_not(role: str, reader: User, needed: Sequence[str], given: Sequence[Signature]) -> str:
    return steps.why_not_sign(
        role=role, roles_held=_roles(reader), person=reader.pk, needed=needed, given=given, approves=True, note=""
    )


def _line(finding: Finding) -> CriterionLine:
    metric, measured = METRICS[finding.criterion.metric], finding.measured
    return CriterionLine(
        title=metric.label,
        window="" if finding.criterion.over.value == "run" else finding.criterion.over.value,
        glyph=GLYPHS[finding.state],
        state=finding.state.value,
        value=measured_value(metric.unit, measured.value) if measured else UNKNOWN,
        target=_target(finding, metric.unit),
        detail=_detail(measured, metric.sample),
        reason=finding.reason,
        each=tuple((symbol, measured_value(metric.unit, value)) for symbol, value in measured.each) if measured else (),
        query=measured.query if measured else "",
        on_miss=finding.criterion.on_miss.value,
        since=measured.since if measured else None,
        until=measured.until if measured else None,
    )


def measured_line(measured: Measurement) -> MeasuredLine:
    """Return one measurement as it is read; too few samples are no value."""
    metric = METRICS[measured.metric]
    few = f"{measured.samples} {metric.sample}, at least {metric.fewest} are needed"
    is_enough = measured.samples >= metric.fewest
    return MeasuredLine(
        title=metric.label,
        value=measured_value(metric.unit, measured.value if is_enough else None),
        detail=_detail(measured, metric.sample) if is_enough else f"{few} · {_detail(measured, metric.sample)}",
        each=tuple((symbol, measured_value(metric.unit, value)) for symbol, value in measured.each),
        query=measured.query,
    )


def _matrix_line(row: Row) -> MatrixLine:
    unit = METRICS[row.metric].unit if row.metric else Unit.COUNT
    return MatrixLine(
        question=row.question,
        measured=measured_value(unit, row.measured) if row.metric else "",
        before=measured_value(unit, row.before) if row.metric else "",
        arrow=ARROWS[row.trend] if row.metric else "",
        trend=row.trend.value if row.metric else "",
        answer=row.answer.value,
        reason=row.reason,
    )


def _target(finding: Finding, unit: Unit) -> str:
    if finding.criterion.says:
        return finding.criterion.says
    if finding.criterion.of_previous is not None:
        times = finding.criterion.of_previous
        ours = "not above the phase before" if times == 1 else f"at most {percent(times - 1, 0)} above the phase before"
        return ours if finding.bound is None else f"{ours}: {finding.sign} {measured_value(unit, finding.bound)}"
    return f"{finding.sign} {measured_value(unit, finding.bound)}"


def _detail(measured: Measurement | None, sample: str) -> str:
    if measured is None:
        return ""
    parts = [measured.detail or f"{measured.samples:,} {sample}"]
    if measured.coverage < 1:
        parts.append(f"watched {percent(measured.coverage, 0)} of the time")
    return " · ".join(parts)


def _roles(person: User) -> set[str]:
    return set(person.groups.values_list("name", flat=True))
