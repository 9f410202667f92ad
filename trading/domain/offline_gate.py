"""Whether a model may run beside the champion: what must be shown offline, and the year that is opened once."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any, Final

from trading.domain.splits import Span

FEWEST_FOLDS: Final = 8
LEAST_T: Final = 2.0
LEAST_BETTER: Final = 0.75  # of the folds
WORST_FOLD: Final = 0.05  # more loss than the best baseline
LEAST_SKILL: Final = 0.05  # against HAR
BEHIND_RIDGE: Final = 0.01  # more loss than Ridge, pooled
HIGHEST_P: Final = 0.05
LEAST_SHIFTS: Final = 20
LEAST_SEEDS: Final = 5
LEAST_DEFLATED: Final = 0.95
HIGHEST_OVERFIT: Final = 0.2
HIGHEST_PARITY: Final = 1e-5
DAY_NS: Final = 86_400_000_000_000
LOCKED_NS: Final = 365 * DAY_NS
SHORTEST_NS: Final = 548 * DAY_NS  # 18 months: of less no year can be locked away


class HoldoutSpent(Exception):
    """The locked year was opened before; the message says by whom and what is left to do."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The locked year was opened for a promotion family; written once."""

    family: str
    model: str  # digest or name of what was tested
    at: str  # ISO 8601, UTC
    by: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured of one model; None was not measured and counts as not met."""

    folds: int | None = None  # purged, walk-forward
    seeds: int | None = None
    t_vs_best: float | None = None  # Diebold-Mariano, against the best baseline and the champion
    better_folds: float | None = None  # fraction of folds with lower loss than the best baseline
    worst_fold: float | None = None  # loss / loss of the best baseline - 1, where it is highest
    skill_vs_har: float | None = None  # 1 - loss / loss of HAR
    behind_ridge: float | None = None  # loss / loss of Ridge - 1, pooled
    shifts: int | None = None  # of the permutation
    permutation_p: float | None = None
    replayed: bool | None = None  # the advice, by the exact ledger, at plain costs
    replayed_adverse: bool | None = None  # and with dearer fees, wider spreads, more latency
    claims_profit: bool | None = None
    deflated: float | None = None  # probability, all trials counted
    overfit: float | None = None  # probability
    parity: float | None = None  # between the net and its export
    latency_p99_ms: float | None = None
    deadline_ms: float | None = None  # of its card
    quick: bool | None = None  # trained to show that the way works
    holdout_openings: int | None = None  # of the locked year, for its family
    holdout_skill: float | None = None  # against HAR in the locked year


@dataclass(frozen=True, slots=True)
class Finding:
    """One criterion, held against the evidence."""

    criterion: str
    need: str
    actual: str  # "not measured" where it is missing
    met: bool


@dataclass(frozen=True, slots=True)
class Criterion:
    """What must hold, and of which fields of the evidence."""

    name: str
    need: str
    of: tuple[str, ...]
    holds: Callable[..., bool]

    def judge(self, evidence: Evidence) -> Finding:
        """Hold it against the evidence; what was not measured, or is no number, is not met."""
        values = [getattr(evidence, name) for name in self.of]
        if any(value is None or not isfinite(value) for value in values):
            return Finding(self.name, self.need, "not measured", met=False)
        return Finding(self.name, self.need, ", ".join(f"{value:g}" for value in values), met=self.holds(*values))


CRITERIA: Final = (
    Criterion("folds", f">= {FEWEST_FOLDS}", ("folds",), lambda n: n >= FEWEST_FOLDS),
    Criterion("seeds", f">= {LEAST_SEEDS}", ("seeds",), lambda n: n >= LEAST_SEEDS),
    Criterion("fully trained", "not quick", ("quick",), lambda quick: not quick),
    Criterion("significance", f"DM t >= {LEAST_T:g} against the best baseline", ("t_vs_best",), lambda t: t >= LEAST_T),
    Criterion("folds won", f">= {LEAST_BETTER:.0%}", ("better_folds",), lambda share: share >= LEAST_BETTER),
    Criterion("worst fold", f"<= {WORST_FOLD:+.0%} loss", ("worst_fold",), lambda more: more <= WORST_FOLD),
    Criterion("skill", f">= {LEAST_SKILL:.0%} below HAR", ("skill_vs_har",), lambda skill: skill >= LEAST_SKILL),
    Criterion("Ridge", f"<= {BEHIND_RIDGE:+.0%} loss", ("behind_ridge",), lambda more: more <= BEHIND_RIDGE),
    Criterion(
        "permutation", f"p <= {HIGHEST_P:g} of >= {LEAST_SHIFTS} shifts", ("permutation_p", "shifts"),
        lambda p, shifts: p <= HIGHEST_P and shifts >= LEAST_SHIFTS,
    ),
    Criterion(
        "replay", "by the exact ledger at plain and adverse costs", ("replayed", "replayed_adverse"),
        lambda plain, adverse: plain and adverse,
    ),
    Criterion("parity", f"<= {HIGHEST_PARITY:g}", ("parity",), lambda parity: 0 <= parity <= HIGHEST_PARITY),
    Criterion(
        "latency", "p99 within the deadline of its card", ("latency_p99_ms", "deadline_ms"),
        lambda took, allowed: took <= allowed,
    ),
    Criterion(
        "locked year", f"opened once, >= {LEAST_SKILL:.0%} below HAR", ("holdout_openings", "holdout_skill"),
        lambda openings, skill: openings == 1 and skill >= LEAST_SKILL,
    ),
)  # fmt: skip
OF_THE_YEAR: Final = ("holdout_openings", "holdout_skill")
OF_PROFIT: Final = (
    Criterion(
        "deflated Sharpe ratio", f">= {LEAST_DEFLATED:g}, all trials counted", ("deflated",),
        lambda probability: probability >= LEAST_DEFLATED,
    ),
    Criterion(
        "overfitting", f"probability <= {HIGHEST_OVERFIT:g}", ("overfit",),
        lambda probability: 0 <= probability <= HIGHEST_OVERFIT,
    ),
)  # fmt: skip


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """Return every criterion; those of profit unless the model is known to claim none."""
    asked = CRITERIA if evidence.claims_profit is False else (*CRITERIA, *OF_PROFIT)
    return tuple(criterion.judge(evidence) for criterion in asked)


def passed(findings: Iterable[Finding]) -> bool:
    """Return whether there are findings and all are met."""
    found = tuple(findings)
    return bool(found) and all(finding.met for finding in found)


def read_evidence(raw: Mapping[str, Any]) -> Evidence:
    """Return the evidence in the field "evidence" of an evaluation; what is missing or of another type is None."""
    told = raw.get("evidence")
    known = told if isinstance(told, Mapping) else {}
    return Evidence(**{field.name: _typed(known.get(field.name), str(field.type)) for field in fields(Evidence)})


def with_locked_year(before: Mapping[str, Any] | None, opened: Mapping[str, Any]) -> dict[str, Any]:
    """Return the evaluation `before` the locked year with what that year showed, judged again.

    Only the two facts of the locked year are taken from `opened`: its few folds do not take the place of the others.
    """
    kept = dict(before or {})
    shown, known = opened.get("evidence"), kept.get("evidence")
    of_year = {name: shown.get(name) for name in OF_THE_YEAR} if isinstance(shown, Mapping) else {}
    kept["evidence"] = {**(known if isinstance(known, Mapping) else {}), **of_year}
    findings = judge(read_evidence(kept))
    kept |= {"findings": [asdict(each) for each in findings], "offline_pass": passed(findings)}
    return kept | {"locked_year_report": {name: value for name, value in opened.items() if name != "evidence"}}


def locked_year(whole: Span) -> Span | None:
    """Return the last year of the data, which no choice may look at; None where the data are shorter than 18 months."""
    if whole.length_ns < SHORTEST_NS:
        return None
    return Span(whole.end_ns - LOCKED_NS, whole.end_ns)


def open_holdout(before: Iterable[Opening], opening: Opening) -> Opening:
    """Return `opening`, if its family has not opened the locked year before.

    Raises:
        HoldoutSpent: it has; a second look would choose by it. Wait for new data and open a new family.
    """
    for each in before:
        if each.family == opening.family:
            text = f"{each.family}: the locked year was opened on {each.at} by {each.by} for {each.model}"
            raise HoldoutSpent(f"{text}; wait for newer data and open a new family.")
    return opening


def _typed(value: object, kind: str) -> Any:
    if kind.startswith("bool"):
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if kind.startswith("float") or isinstance(value, int) else None
