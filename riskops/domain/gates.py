"""The gate: criteria and evidence in, findings and an outcome out. What is not known is never a pass."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from typing import Final

from riskops.domain.phases import Criterion, OnMiss, Phase
from trading.domain.evidence import METRICS, Measurement
from trading.domain.in_force import GridsInForce
from trading.domain.measuring import Over

LEAST_COVERAGE: Final = Decimal("0.95")  # of the window (ours)
FAILS: Final = frozenset({OnMiss.HALT, OnMiss.AUTO_HALT})
_RULES: Final[Mapping[str, tuple[str, Callable[[Decimal, Decimal], bool]]]] = {
    "at_least": ("≥", operator.ge),
    "at_most": ("≤", operator.le),
    "above": (">", operator.gt),
    "below": ("<", operator.lt),
    "of_previous": ("≤", operator.le),
}


class State(StrEnum):
    """How one criterion stands."""

    MET = "met"
    NOT_MET = "not met"
    IN_PROGRESS = "in progress"
    NO_DATA = "no data"


class Outcome(StrEnum):
    """What the machine makes of a run."""

    RUNNING = "RUNNING"
    PASS = "PASS"
    STAY = "STAY"
    FAIL = "FAIL"


_GRAVITY: Final = (State.MET, State.IN_PROGRESS, State.NO_DATA, State.NOT_MET)


@dataclass(frozen=True, slots=True)
class Finding:
    """One criterion beside what was measured; of several days the gravest, of days that stand alike the first."""

    criterion: Criterion
    state: State
    sign: str  # of the comparison
    bound: Decimal | None  # None: the phase before left no measurement to compare with
    measured: Measurement | None
    reason: str = ""  # why it is not met, where the numbers do not say so

    @property
    def is_needed(self) -> bool:
        """True where a GO needs it."""
        return self.criterion.on_miss is not OnMiss.ADVISE

    @property
    def is_open(self) -> bool:
        """True where it stands between the run and a PASS."""
        return self.is_needed and self.state is not State.MET


@dataclass(frozen=True, slots=True)
class Window:
    """How long a run has been observed."""

    hours_in_force: Decimal
    min_hours: int

    @property
    def is_complete(self) -> bool:
        """True once the whole duration has passed in force."""
        return self.hours_in_force >= self.min_hours

    @property
    def fraction(self) -> Decimal:
        """The part of it that has passed, 0 to 1."""
        return min(self.hours_in_force / self.min_hours, Decimal(1))

    @property
    def hours_left(self) -> Decimal:
        """Hours in force that are still to come."""
        return max(self.min_hours - self.hours_in_force, Decimal(0))


@dataclass(frozen=True, slots=True)
class SameGrids:
    """How long the grids that trade now have traded, in a run in which they were changed."""

    found: GridsInForce
    min_hours: int

    @property
    def is_complete(self) -> bool:
        """True once the grids that trade now have been in force for the whole time; what is not known is not."""
        hours = self.found.hours
        return hours is not None and hours.is_finite() and hours >= self.min_hours

    @property
    def words(self) -> str:
        """Return how far it is, for people."""
        changed, hours = self.found.changed, self.found.hours
        told = changed.words if hours is None else f"{_down(hours)} h since {changed.words}"
        return f"{self.min_hours} h with the grids that trade now: {told}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the machine says of a run."""

    outcome: Outcome
    findings: tuple[Finding, ...]
    window: Window
    same_grids: SameGrids | None = None  # None: no grid was changed in the run

    @property
    def missing(self) -> tuple[str, ...]:
        """What time is still to come, in words; () once it has passed."""
        hours = () if self.window.is_complete else (f"{self.window.hours_left:.1f} h in force are still to come",)
        same = self.same_grids
        return hours if same is None or same.is_complete else (*hours, same.words)

    @property
    def open(self) -> tuple[Finding, ...]:
        """What stands between the run and a PASS, besides time."""
        return tuple(finding for finding in self.findings if finding.is_open)

    @property
    def fatal(self) -> tuple[Finding, ...]:
        """What fails the run at once."""
        return tuple(f for f in self.findings if f.state is State.NOT_MET and f.criterion.on_miss in FAILS)

    @property
    def to_investigate(self) -> tuple[Finding, ...]:
        """What calls for an incident."""
        return tuple(f for f in self.findings if f.state is State.NOT_MET and f.criterion.on_miss is OnMiss.INVESTIGATE)


def why_not_automatic(verdict: Verdict, metric: str) -> str:
    """Return why the evidence does not tick an item on `metric`, or an empty text; what is not judged is not known."""
    findings = [finding for finding in verdict.findings if finding.criterion.metric == metric]
    worst = max((finding.state for finding in findings), key=_GRAVITY.index, default=State.NO_DATA)
    return "" if worst is State.MET else worst.value


Evidence = Mapping[tuple[str, Over], Sequence[Measurement]]  # one of a window, three of "each of the last 3 days"


def judge(
    phase: Phase,
    evidence: Evidence,
    baseline: Mapping[str, Decimal],
    hours_in_force: Decimal,
    hours_before: int = 0,
    *,
    is_extended: bool = False,
    grids: GridsInForce | None = None,
) -> Verdict:
    """Return what the machine says of a run of `phase`; `baseline` is what the phase before measured.

    `hours_before` are those of a re-test: the hours of the phase count after them. After a HOLD (`is_extended`) the
    window takes the time that the phase names for staying.
    `grids` says since when the grids are those that trade now, None where none was changed in the run: all evidence of
    the run counts, and a PASS needs the hours of the phase with exactly these grids besides.
    """
    hours = phase.stay.extend_hours if is_extended else phase.duration.min_hours
    window = Window(hours_in_force, hours + hours_before)
    findings = tuple(
        _of_every_symbol(
            _judge(criterion, evidence.get((criterion.metric, criterion.over), ()), baseline, window), phase.symbols
        )
        for criterion in phase.criteria
    )
    same = None if grids is None else SameGrids(grids, phase.duration.min_hours)
    return Verdict(_outcome(findings, window, same), findings, window, same)


def _outcome(findings: Sequence[Finding], window: Window, same: SameGrids | None) -> Outcome:
    """Return FAIL for a grave miss at once; before the time is over nothing else ends a run."""
    if any(f.state is State.NOT_MET and f.criterion.on_miss in FAILS for f in findings):
        return Outcome.FAIL
    if not window.is_complete or not (same is None or same.is_complete):
        return Outcome.RUNNING
    return Outcome.STAY if any(finding.is_open for finding in findings) else Outcome.PASS


def _down(hours: Decimal) -> Decimal:
    return hours.quantize(Decimal("0.1"), ROUND_DOWN)  # 47.99 h are not shown as 48


def _of_every_symbol(finding: Finding, symbols: Sequence[str]) -> Finding:
    """Return the finding, no data where a metric of each symbol leaves one of the phase out."""
    measured = finding.measured
    if finding.state is not State.MET or measured is None or not METRICS[measured.metric].of_each:
        return finding
    missing = [symbol for symbol in symbols if symbol not in dict(measured.each)]
    if not missing:
        return finding
    return replace(finding, state=State.NO_DATA, reason=f"nothing was measured on {', '.join(missing)}")


def _judge(
    criterion: Criterion, measured: Sequence[Measurement], baseline: Mapping[str, Decimal], window: Window
) -> Finding:
    kind, bound = criterion.bound
    sign, holds = _RULES[kind]
    if kind == "of_previous":
        before = baseline.get(criterion.metric)
        if before is None or not before.is_finite():
            reason = "the phase before left no measurement to compare with"
            return Finding(criterion, State.NO_DATA, sign, None, measured[-1] if measured else None, reason)
        bound *= before
    days = 3 if criterion.over is Over.EACH_OF_3_DAYS else 1
    worst = Finding(criterion, State.MET, sign, bound, measured[-1] if measured else None)
    if len(measured) < days:
        unknown = State.NO_DATA if window.is_complete or days == 1 else State.IN_PROGRESS
        reason = f"{len(measured)} of {days} days measured" if days > 1 else "nothing was measured"
        worst = Finding(criterion, unknown, sign, bound, worst.measured, reason)
    for one in measured:
        state, reason = _stands(one, holds, bound, window)
        if _GRAVITY.index(state) > _GRAVITY.index(worst.state):
            worst = Finding(criterion, state, sign, bound, one, reason)
    return worst


def _stands(
    measured: Measurement, holds: Callable[[Decimal, Decimal], bool], bound: Decimal, window: Window
) -> tuple[State, str]:
    metric = METRICS[measured.metric]
    values = [measured.value, *(value for _, value in measured.each)]
    if any(value is not None and not value.is_finite() for value in (*values, measured.coverage)):
        return State.NO_DATA, "what was measured is no number"
    if measured.samples < metric.fewest:
        words = f"{measured.samples} {metric.sample}, at least {metric.fewest} are needed"
        return (State.NO_DATA if window.is_complete else State.IN_PROGRESS), words
    if any(value is not None and not holds(value, bound) for value in values):
        return State.NOT_MET, ""
    if any(value is None for value in values):
        silent = [symbol for symbol, value in measured.each if value is None]
        return State.NO_DATA, f"nothing was measured{' on ' + ', '.join(silent) if silent else ''}"
    if measured.coverage < LEAST_COVERAGE:
        watched = measured.coverage.quantize(Decimal("0.001"), ROUND_DOWN)  # 94.99 % is not shown as 95 %
        return (
            State.NO_DATA,
            f"watched for {watched * 100:.1f} % of the time, at least {LEAST_COVERAGE * 100:.0f} % is needed",
        )
    return State.MET, ""
