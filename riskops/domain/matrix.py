"""The scale-up matrix: may capital rise? Each question of the roadmap with what was measured, its trend and the answer.

It recommends and never decides: GO still needs the machine's PASS and the signatures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from riskops.domain.gates import Evidence, Outcome, Verdict
from trading.domain.measuring import Over

LEAST_FILL_RATE: Final = Decimal("0.85")
MOST_LATENCY_MS: Final = Decimal(2_500)
LATENCY_MAY_RISE: Final = Decimal("1.2")  # times the phase before: the roadmap expects +10-20 %; +50 % misses the gate
STEADY: Final = Decimal("0.05")  # a change up to this fraction is none (ours)
WARNS_A_DAY: Final = Decimal(1)
SYSTEMATIC: Final = 2  # runs of a phase in a row that failed alike


class Answer(StrEnum):
    """May capital rise, by one question or by all."""

    PEOPLE = "PEOPLE"  # no machine knows; the signatures say so
    YES = "YES"
    WAIT = "WAIT"
    NO = "NO"


class Trend(StrEnum):
    """How a value moved since the phase before."""

    UP = "up"
    STEADY = "steady"
    DOWN = "down"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Row:
    """One question and its answer."""

    question: str
    answer: Answer
    reason: str
    metric: str = ""  # whose value it is
    measured: Decimal | None = None
    before: Decimal | None = None

    @property
    def trend(self) -> Trend:
        """How the value moved since the phase before."""
        return trend(self.measured, self.before)


@dataclass(frozen=True, slots=True)
class People:
    """What people know and said."""

    rejected_by: Sequence[str] = ()  # roles
    open_incidents: Sequence[str] = ()
    failed_alike: int = 0  # newest runs of this phase in a row that failed on the same metric


@dataclass(frozen=True, slots=True)
class Matrix:
    """Every question, and the gravest of the answers."""

    rows: tuple[Row, ...]

    @property
    def answer(self) -> Answer:
        """NO where one answer is NO, else WAIT where one is, else YES."""
        gravity = list(Answer).index
        return max((Answer.YES, *(row.answer for row in self.rows)), key=gravity)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is that answer."""
        return tuple(row.reason for row in self.rows if row.answer is self.answer and self.answer is not Answer.YES)


def trend(measured: Decimal | None, before: Decimal | None) -> Trend:
    """Return how a value moved; within 5 % of the one before it is steady, and what is not known has no trend."""
    if measured is None or before is None or not (measured.is_finite() and before.is_finite()):
        return Trend.UNKNOWN
    if abs(measured - before) <= abs(before) * STEADY:
        return Trend.STEADY
    return Trend.UP if measured > before else Trend.DOWN


def matrix(verdict: Verdict, evidence: Evidence, baseline: Mapping[str, Decimal], people: People) -> Matrix:
    """Return the answer to every question; what was not measured says WAIT."""
    seen = _Seen(evidence, baseline)
    return Matrix(
        (
            _completed(verdict),
            _crits(seen),
            _warns(seen),
            _fills(seen),
            _latency(seen),
            _profit(seen),
            _losses(seen),
            _operation(people),
            _systematic(people),
            _confidence(people),
            Row("External market concerns?", Answer.PEOPLE, "signers say so: HOLD or NO_GO with the reason"),
        )
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    evidence: Evidence
    baseline: Mapping[str, Decimal]

    def of(self, metric: str, over: Over = Over.RUN) -> Decimal | None:
        """Return the newest value of a metric, None where there is none that is a number."""
        found = self.evidence.get((metric, over), ())
        value = found[-1].value if found else None
        return value if value is not None and value.is_finite() else None

    def row(self, question: str, metric: str, answer: Answer, reason: str, over: Over = Over.RUN) -> Row:
        return Row(question, answer, reason, metric, self.of(metric, over), self.before(metric))

    def before(self, metric: str) -> Decimal | None:
        value = self.baseline.get(metric)
        return value if value is not None and value.is_finite() else None


def _completed(verdict: Verdict) -> Row:
    question = "Is this phase complete, with everything met?"
    names = ", ".join(finding.criterion.metric for finding in verdict.open)
    if verdict.outcome is Outcome.FAIL:
        return Row(question, Answer.NO, f"failed: {', '.join(f.criterion.metric for f in verdict.fatal)}")
    if verdict.missing:
        return Row(question, Answer.WAIT, "; ".join(verdict.missing))
    if names:
        return Row(question, Answer.WAIT, f"open: {names}")
    return Row(question, Answer.YES, "the whole time in force, and every criterion met")


def _crits(seen: _Seen) -> Row:
    question, count = "No CRIT alert in the whole phase?", seen.of("crit_alerts")
    if count is None:
        return seen.row(question, "crit_alerts", Answer.WAIT, "CRIT alerts were not counted")
    answer, reason = (Answer.NO, f"{count:f} CRIT alerts") if count else (Answer.YES, "none")
    return seen.row(question, "crit_alerts", answer, reason)


def _warns(seen: _Seen) -> Row:
    question, now = "WARN alerts not increasing?", seen.of("warn_alerts_per_day")
    before = seen.before("warn_alerts_per_day")
    most, words = (WARNS_A_DAY, "one a day") if before is None else (before, "in the phase before")
    if now is None:
        answer, reason = Answer.WAIT, "WARN alerts were not counted"
    else:
        answer, reason = (Answer.WAIT, f"more than {words}") if now > most else (Answer.YES, f"not more than {words}")
    return seen.row(question, "warn_alerts_per_day", answer, reason)


def _fills(seen: _Seen) -> Row:
    question, now = "Fill rate at least 85 % and not declining?", seen.of("fill_rate")
    if now is None:
        answer, reason = Answer.WAIT, "no fill rate was measured"
    elif now < LEAST_FILL_RATE:
        answer, reason = Answer.WAIT, "below 85 %"
    elif trend(now, seen.before("fill_rate")) is Trend.DOWN:
        answer, reason = Answer.WAIT, "declining since the phase before"
    else:
        answer, reason = Answer.YES, "at least 85 %"
    return seen.row(question, "fill_rate", answer, reason)


def _latency(seen: _Seen) -> Row:
    question, now = "Latency p95 below 2.5 s and not trending up?", seen.of("latency_p95_ms")
    before = seen.before("latency_p95_ms")
    if now is None:
        answer, reason = Answer.WAIT, "no latency was measured"
    elif now >= MOST_LATENCY_MS:
        answer, reason = Answer.WAIT, "not below 2.5 s"
    elif before is not None and now > before * LATENCY_MAY_RISE:
        answer, reason = Answer.WAIT, "more than 20 % above the phase before"
    else:
        answer, reason = Answer.YES, "below 2.5 s" if before is None else "at most 20 % above the phase before"
    return seen.row(question, "latency_p95_ms", answer, reason)


def _profit(seen: _Seen) -> Row:
    question, metric = "P&L trend positive (average of 3 days)?", "pnl_per_day_quote"
    now = seen.of(metric, Over.LAST_3_DAYS)
    if now is None:
        answer, reason = Answer.WAIT, "no P&L was measured"
    else:
        answer, reason = (Answer.YES, "positive") if now > 0 else (Answer.WAIT, "flat or declining")
    return seen.row(question, metric, answer, reason, Over.LAST_3_DAYS)


def _losses(seen: _Seen) -> Row:
    question = "No losses on days that follow each other?"
    days = [one.value for one in seen.evidence.get(("pnl_quote", Over.EACH_OF_3_DAYS), ())]
    lost = 0
    for value in reversed(days):
        if value is None or not value < 0:
            break
        lost += 1
    if not days:
        return Row(question, Answer.WAIT, "no whole market day was measured")
    if lost > 1:
        return Row(question, Answer.NO, f"the last {lost} market days lost")
    return Row(question, Answer.YES, f"{len(days)} market days looked at")


def _operation(people: People) -> Row:
    question = "No operational issue open?"
    if people.open_incidents:
        return Row(question, Answer.WAIT, "; ".join(people.open_incidents))
    return Row(question, Answer.YES, "no incident is open")


def _systematic(people: People) -> Row:
    question = "No systematic issue?"
    if people.failed_alike >= SYSTEMATIC:
        return Row(question, Answer.NO, f"the last {people.failed_alike} runs of this phase failed alike")
    return Row(question, Answer.YES, "no two runs in a row failed alike")


def _confidence(people: People) -> Row:
    question = "Team confidence?"
    if people.rejected_by:
        return Row(question, Answer.NO, f"rejected by {', '.join(people.rejected_by)}")
    return Row(question, Answer.PEOPLE, "each signature says so")
