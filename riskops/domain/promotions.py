"""The promotion of a model: what it is judged on, who signs it, and when GO is possible.

The life of a model is `trading.domain.model_states`; what people say of a step of capital is `steps`, and so is this.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from riskops.domain.gates import State
from riskops.domain.steps import Decision, Signature, why_not_notes, why_not_signed
from trading.domain.model_scores import Measure, Reading
from trading.domain.model_states import LIVE, ModelState
from trading.domain.people import Role

WHAT: Final = "promotion"
CEO_FROM: Final = Decimal(25_000)  # quote, capital in force of any account
NEXT: Final[Mapping[ModelState, ModelState]] = {
    ModelState.OFFLINE_PASS: ModelState.SHADOW,
    ModelState.SHADOW: ModelState.CANARY,
    ModelState.CANARY: ModelState.CHAMPION,
    ModelState.RETIRED: ModelState.SHADOW,
    ModelState.ROLLED_BACK: ModelState.SHADOW,
}
SIGNERS: Final[Mapping[ModelState, tuple[str, ...]]] = {
    ModelState.SHADOW: (Role.ENGINEER.value,),
    ModelState.CANARY: (Role.ENGINEER.value, Role.TRADING_LEAD.value),
    ModelState.CHAMPION: (Role.ENGINEER.value, Role.TRADING_LEAD.value, Role.CTO.value),
}


class Unit(StrEnum):
    """How a measurement is written."""

    FRACTION = "fraction"
    NUMBER = "number"
    DAYS = "days"
    HOURS = "hours"
    T = "t"  # of a test
    TRUTH = "truth"


_SUFFIXES: Final[Mapping[Unit, str]] = {Unit.FRACTION: " %", Unit.DAYS: " d", Unit.HOURS: " h"}


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing a promotion is judged on; `at_least` and `at_most` may be met exactly."""

    measure: Measure
    unit: Unit
    at_least: float | None = None
    at_most: float | None = None
    fewest: int = 0  # samples
    sample: str = ""
    below: float | None = None

    @property
    def limit(self) -> str:
        """The bounds as people read them."""
        if self.unit is Unit.TRUTH:
            return "yes"
        if self.below is not None:
            return f"< {self.words(self.below)}"
        if self.unit is Unit.T:
            return f"t ≥ {self.words(self.at_least)}"
        low, high = self.words(self.at_least), self.words(self.at_most)
        if self.at_least is None:
            return f"≤ {high}"
        return f"≥ {low}" if self.at_most is None else f"{low} to {high}"

    def words(self, value: float | None) -> str:
        """Return a value as people read it."""
        if value is None:
            return "unknown"
        if self.unit is Unit.TRUTH:
            return "yes" if value == 1 else "no"
        number = round(value * 100 if self.unit is Unit.FRACTION else value, 4)
        return f"{number:.4g}{_SUFFIXES.get(self.unit, '')}"

    def holds(self, value: float) -> bool:
        """Return whether a value lies within the bounds."""
        if self.below is not None and not value < self.below:
            return False
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


_BARS: Final = (1_000, "bars")
_NO_CRIT: Final = Criterion(Measure.CRITS, Unit.NUMBER, at_most=0)
_SEVEN_DAYS: Final = Criterion(Measure.DAYS, Unit.DAYS, at_least=7)
_HEARD: Final = Criterion(Measure.FALLBACK, Unit.FRACTION, None, None, *_BARS, below=0.001)
CRITERIA: Final[Mapping[ModelState, tuple[Criterion, ...]]] = {
    ModelState.SHADOW: (
        Criterion(Measure.OFFLINE, Unit.TRUTH, at_least=1),
        Criterion(Measure.FULL, Unit.TRUTH, at_least=1),
    ),
    ModelState.CANARY: (
        _SEVEN_DAYS,
        Criterion(Measure.HOURS, Unit.HOURS, at_least=160),  # 95 % of seven days
        Criterion(Measure.SKILL, Unit.T, at_least=2),
        Criterion(Measure.COVERAGE, Unit.FRACTION, 0.77, 0.83, *_BARS),
        _HEARD,
        _NO_CRIT,
        Criterion(Measure.FEATURES, Unit.FRACTION, 1, None, 288, "bars"),  # a day of five minutes
    ),
    ModelState.CHAMPION: (
        _SEVEN_DAYS,
        Criterion(Measure.FILL_RATE, Unit.FRACTION, at_least=0.85),
        Criterion(Measure.LATENCY, Unit.FRACTION, at_most=0.5),
        Criterion(Measure.DRAWDOWN, Unit.FRACTION, at_most=1),
        Criterion(Measure.MARK_OUT, Unit.FRACTION, at_most=0.000_1),  # ours: a basis point is within the noise
        Criterion(Measure.PNL, Unit.FRACTION, at_least=-0.001),  # ours: of the capital, a day
        _HEARD,
        _NO_CRIT,
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One criterion beside what was measured."""

    criterion: Criterion
    state: State
    value: str
    samples: int
    reason: str  # why not yet; of a criterion that is met, how it was measured


def next_state(state: ModelState) -> ModelState | None:
    """Return what people may promote a model to that is in `state`; None where nothing follows by their word."""
    return NEXT.get(state)


def signers(to: ModelState, capital: Iterable[Decimal]) -> tuple[str, ...]:
    """Return who signs the promotion to `to`; `capital` is in force at each account, quote."""
    needed = SIGNERS[to]
    is_large = to is ModelState.CHAMPION and any(one >= CEO_FROM for one in capital)
    return (*needed, Role.CEO.value) if is_large else needed


def judge(to: ModelState, readings: Mapping[Measure, Reading]) -> tuple[Finding, ...]:
    """Return how each criterion of the promotion to `to` stands; what nobody knows is no data, and never met."""
    return tuple(_judge(criterion, readings.get(criterion.measure)) for criterion in CRITERIA[to])


def open_words(findings: Iterable[Finding]) -> str:
    """Return what is not met, in words, or an empty text."""
    return "; ".join(
        f"{one.criterion.measure}: {one.state} ({one.reason})" for one in findings if one.state is not State.MET
    )


def outcome(decision: Decision, before: ModelState, to: ModelState) -> ModelState | None:
    """Return where a decision leads; None leaves the model where it is, with a window that begins now after HOLD.

    NO_GO takes a canary back and retires what has not traded; one that was out already stays out.
    """
    if decision is Decision.GO:
        return to
    if decision is not Decision.NO_GO or before in (ModelState.RETIRED, ModelState.ROLLED_BACK):
        return None
    return ModelState.ROLLED_BACK if before in LIVE else ModelState.RETIRED


def why_not_decide(
    decision: Decision, *, findings: Sequence[Finding], needed: Sequence[str], given: Sequence[Signature],
    requester: int, digest: str, notes: str, in_the_way: str = "",
) -> str:  # fmt: skip
    """Return why this decision may not be recorded now, or an empty text.

    HOLD and NO_GO need a reason and nothing else. `in_the_way` says what keeps any model from changing now.
    """
    if decision is Decision.PENDING:
        return "Choose GO, HOLD or NO_GO."
    if decision is not Decision.GO:
        return why_not_notes(notes)
    if words := open_words(findings):
        return f"The evidence does not carry it: {words}."
    if in_the_way:
        return in_the_way
    return why_not_signed(needed=needed, given=given, requester=requester, digest=digest, what=WHAT)


def why_not_share(to: ModelState, open_steps: Sequence[str]) -> str:
    """Return why no model may change what trades while capital may step up, or an empty text."""
    if to not in LIVE or not open_steps:
        return ""
    where = ", ".join(open_steps)
    return f"A step of capital is asked for at {where}: a model and capital never change in the same window."


def why_not_step(open_promotions: Sequence[str]) -> str:
    """Return why capital may not step up while what trades may change, or an empty text."""
    if not open_promotions:
        return ""
    which = ", ".join(open_promotions)
    return f"The promotion of {which} is asked for: a model and capital never change in the same window."


def _judge(criterion: Criterion, reading: Reading | None) -> Finding:
    if reading is None:
        return Finding(criterion, State.NO_DATA, "unknown", 0, "nothing was measured")
    if reading.value is None or not reading.is_known:
        return Finding(criterion, State.NO_DATA, "unknown", reading.samples, reading.detail)
    value = criterion.words(reading.value)
    if reading.samples < criterion.fewest:
        few = f"{reading.samples} {criterion.sample}, at least {criterion.fewest} are needed"
        return Finding(criterion, State.NO_DATA, value, reading.samples, few)
    state = State.MET if criterion.holds(reading.value) else State.NOT_MET
    return Finding(criterion, state, value, reading.samples, reading.detail)
