"""When the next stage of learning is due: each indicator with its interval, its trigger, and why not yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import fsum, isfinite, sqrt
from typing import Final

TICKS: Final = {1: 10_000_000, 4: 100_000_000}  # stored ticks that a stage of the roadmap asks for
PLAN_AT: Final = 0.5  # of what is needed: time to plan; ours
LABELS_A_PARAMETER: Final = 10  # independent labels; the usual rule of thumb for regressions
PLATEAU: Final = 0.01  # relative gain of a doubling: below it more of the same is not worth its cost
DOUBLINGS: Final = 2  # in a row; one alone may be luck
ENTROPY_RISE: Final = 0.10  # relative, at a fixed number of regimes, against the time of training; ours
BEHIND: Final = 0.10  # the roadmap's "10 % behind"
FEWEST_BLOCKS: Final = 10  # days; of fewer an interval would be a guess
NOT_MEASURED: Final = "Not measured: run ./console evaluate --registered --indicators."
NORMAL_95: Final = 1.96  # standard errors on each side
FULL: Final = 0.75  # of what there is: the roadmap's 12 of 16 GB


class Verdict(StrEnum):
    """What an indicator says of the upgrade it is about."""

    NOW = "NOW"  # the trigger has fired
    PLAN = "PLAN"  # it is near, or fired once
    OK = "OK"  # measured, and nothing is due
    UNKNOWN = "UNKNOWN"  # not measured, or too little to tell: never OK


class Unit(StrEnum):
    """How the numbers of an indicator are read."""

    COUNT = "count"
    FRACTION = "fraction"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measured value with its 95 % interval; a count is known exactly."""

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse what no interval can be.

        Raises:
            ValueError: a bound is not finite, or the value lies outside them.
        """
        if not (isfinite(self.low) and isfinite(self.high) and self.low <= self.value <= self.high):
            raise ValueError(f"{self.value} is not inside {self.low} to {self.high}; give low <= value <= high.")


@dataclass(frozen=True, slots=True)
class Indicator:
    """One reason for an upgrade, and how far it is."""

    code: str
    name: str
    verdict: Verdict
    unit: Unit
    measured: Estimate | None
    trigger: float  # where it fires, in the unit
    rule: str  # when it fires, in words
    why: str  # it says what it says: why not yet, or why now
    stage: int | None = None  # of the roadmap, where it is about one


def exact(value: float) -> Estimate:
    """Return a value that was counted, not estimated."""
    return Estimate(value, value, value)


def gap_of(ours: Sequence[float], theirs: Sequence[float]) -> Estimate | None:
    """Return how much less `theirs` lose than `ours`, relative; None of fewer than ten blocks, or where ours lose none.

    Shapes:
        ours, theirs: (n,) mean loss of each block (a day), >= 0; within a block losses may depend on each other.

    Source:
        the delta method for a ratio of means, e.g. W. G. Cochran (1977), "Sampling Techniques", 3rd ed., ch. 6.
    """
    n = len(ours)
    if n != len(theirs) or n < FEWEST_BLOCKS or (total := fsum(ours)) <= 0:
        return None
    ratio = fsum(theirs) / total
    off = [(theirs[k] - ratio * ours[k]) * n / total for k in range(n)]
    error = NORMAL_95 * sqrt(fsum(one * one for one in off) / (n * (n - 1)))
    return Estimate(1 - ratio, 1 - ratio - error, 1 - ratio + error)


def data_volume(ticks: int | None, stage: int) -> Indicator:
    """Return whether the stored ticks carry `stage`, one of `TICKS`."""
    rule = f"{TICKS[stage]:,} stored ticks"
    return _filled(f"ticks_stage_{stage}", f"Data for stage {stage}", ticks, TICKS[stage], rule, "ticks", stage)


def independent_labels(labels: float | None, parameters: int, stage: int) -> Indicator:
    """Return whether `labels`, which do not overlap, carry a net of `parameters`."""
    needed = LABELS_A_PARAMETER * parameters
    rule = f"{LABELS_A_PARAMETER} labels that do not overlap for each of {parameters:,} parameters"
    name = f"Independent labels for stage {stage}"
    return _filled(f"labels_stage_{stage}", name, labels, needed, rule, "labels", stage)


def saturation(gains: Sequence[Estimate]) -> Indicator:
    """Return whether more data still help; `gains` are relative falls of the loss, one a doubling, newest last.

    A plateau is two doublings in a row whose upper bound is below 1 %: the model has stopped learning.
    """
    flat = _last_run([gain.high < PLATEAU for gain in gains])
    still = bool(gains) and gains[-1].low >= PLATEAU
    verdict, why = _doublings(flat, still=still, known=bool(gains))
    words = {
        "none": NOT_MEASURED,
        "wide": "The interval of the last doubling holds 1 %: it cannot be told whether more data help.",
        "still": "The last doubling of the data still lowered the loss by at least 1 %: collect more first.",
        "once": "The last doubling gave less than 1 %, the one before it more, or it was not measured: look once more.",
        "twice": "Two doublings of the data in a row gave less than 1 %: this model has stopped learning from more.",
    }
    rule = "upper bound below 1 % for two doublings of the data"
    return _gain("saturation", "Gain of the last data doubling", gains, verdict, rule, words[why])


def capacity(gains: Sequence[Estimate]) -> Indicator:
    """Return whether a larger net helps; `gains` as for `saturation`, one a doubling of the parameters."""
    helps = _last_run([gain.low >= PLATEAU for gain in gains])
    flat = bool(gains) and gains[-1].high < PLATEAU
    verdict, why = _doublings(helps, still=flat, known=bool(gains))
    words = {
        "none": NOT_MEASURED,
        "wide": "The interval of the last doubling holds 1 %: it cannot be told whether a larger net helps.",
        "still": "Twice the parameters gave less than 1 %: this size is enough for what the data say.",
        "once": "Twice the parameters gave at least 1 %, once: see whether the next doubling does too.",
        "twice": "Two doublings of the parameters in a row gave at least 1 %: the model is too small.",
    }
    rule = "lower bound at least 1 % for two doublings of the parameters"
    return _gain("capacity", "Gain of the last capacity doubling", gains, verdict, rule, words[why])


def regimes(chosen: Estimate | None, modelled: int) -> Indicator:
    """Return whether the market shows more regimes than are modelled; `chosen` by likelihood out of sample."""
    if chosen is None:
        verdict, why = Verdict.UNKNOWN, NOT_MEASURED
    elif chosen.low > modelled:
        verdict, why = (
            Verdict.NOW,
            f"In every fold more than the {modelled} modelled regimes describe unseen data best.",
        )
    elif chosen.value > modelled:
        verdict, why = Verdict.PLAN, f"More than {modelled} regimes describe unseen data best, but not in every fold."
    else:
        verdict, why = Verdict.OK, f"{modelled} regimes describe unseen data as well as more of them."
    rule = f"more than {modelled} regimes chosen out of sample, in every fold"
    return Indicator("regimes", "Regimes chosen out of sample", verdict, Unit.NUMBER, chosen, modelled, rule, why, 3)


def regime_entropy(rise: Estimate | None, at_k: int) -> Indicator:
    """Return whether regimes are less clear than in training; `rise` is relative, of the entropy at a fixed number.

    Only at a fixed number: entropy grows with the number of regimes whatever the market does.
    """
    words = {
        Verdict.UNKNOWN: NOT_MEASURED,
        Verdict.NOW: "Regimes are less clear than in training, beyond what chance explains.",
        Verdict.PLAN: "Regimes seem less clear than in training; the interval does not rule out chance.",
        Verdict.OK: "Regimes are as clear as in training.",
    }
    verdict = _risen(rise, ENTROPY_RISE)
    rule = f"{100 * ENTROPY_RISE:.0f} % above training at {at_k} regimes, lower bound too"
    return Indicator(
        "regime_entropy", f"Rise of regime entropy, K = {at_k}", verdict, Unit.FRACTION, rise, ENTROPY_RISE, rule,
        words[verdict], 3,
    )  # fmt: skip


def competition(gap: Estimate | None, other: str) -> Indicator:
    """Return whether the champion is behind `other`; `gap` is relative, above zero where the other loses less."""
    begin = f"T{other[1:]}" if other.startswith("the ") else other  # a name keeps its letters
    if gap is None:
        verdict, why = Verdict.UNKNOWN, f"Nothing is known of the champion against {other}."
    elif gap.low > 0 and gap.value >= BEHIND:
        verdict, why = Verdict.NOW, f"{begin} is better by {100 * BEHIND:.0f} % or more, beyond what chance explains."
    elif gap.low > 0 or gap.value >= BEHIND:
        verdict, why = Verdict.PLAN, f"{begin} is ahead: by less than {100 * BEHIND:.0f} %, or not beyond chance."
    else:
        verdict, why = Verdict.OK, f"{begin} is not ahead beyond what chance explains."
    rule = f"behind by {100 * BEHIND:.0f} %, and the interval above zero"
    return Indicator("competition", f"Behind {other}", verdict, Unit.FRACTION, gap, BEHIND, rule, why)


def hardware(code: str, name: str, used: Estimate | None, of_what: str) -> Indicator:
    """Return whether a share of `of_what` is nearly used up: memory, time between trainings, a deadline."""
    if used is None:
        verdict, why = Verdict.UNKNOWN, "It was not measured yet."
    elif used.value >= FULL:
        verdict, why = Verdict.NOW, f"At least {100 * FULL:.0f} % of {of_what} is used."
    elif used.value >= PLAN_AT:
        verdict, why = Verdict.PLAN, f"At least {100 * PLAN_AT:.0f} % of {of_what} is used."
    else:
        verdict, why = Verdict.OK, f"Less than {100 * PLAN_AT:.0f} % of {of_what} is used."
    return Indicator(code, name, verdict, Unit.FRACTION, used, FULL, f"{100 * FULL:.0f} % of {of_what}", why)


def _filled(code: str, name: str, have: float | None, needed: int, rule: str, what: str, stage: int) -> Indicator:
    if have is None:
        verdict, why = Verdict.UNKNOWN, f"It is not known how many {what} there are."
    elif have >= needed:
        verdict, why = Verdict.NOW, f"There are enough {what} for stage {stage}."
    else:
        verdict = Verdict.PLAN if have >= PLAN_AT * needed else Verdict.OK
        why = f"Not yet: {needed - have:,.0f} {what} are missing."
    measured = None if have is None else exact(have)
    return Indicator(code, name, verdict, Unit.COUNT, measured, needed, rule, why, stage)


def _last_run(holds: Sequence[bool]) -> int:
    """Return how many of the newest hold without a break."""
    for count, one in enumerate(reversed(holds)):
        if not one:
            return count
    return len(holds)


def _doublings(fired: int, *, still: bool, known: bool) -> tuple[Verdict, str]:
    if fired >= DOUBLINGS:
        return Verdict.NOW, "twice"
    if fired:
        return Verdict.PLAN, "once"
    if still:
        return Verdict.OK, "still"
    return Verdict.UNKNOWN, "wide" if known else "none"


def _gain(code: str, name: str, gains: Sequence[Estimate], verdict: Verdict, rule: str, why: str) -> Indicator:
    return Indicator(code, name, verdict, Unit.FRACTION, gains[-1] if gains else None, PLATEAU, rule, why)


def _risen(rise: Estimate | None, by: float) -> Verdict:
    if rise is None:
        return Verdict.UNKNOWN
    if rise.low >= by:
        return Verdict.NOW
    return Verdict.PLAN if rise.value >= by else Verdict.OK
