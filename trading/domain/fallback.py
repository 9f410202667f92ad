"""Whether a model is heard on one symbol, or the rule-based forecast instead: facts in, a reason out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trading.domain.bars import Floats
from trading.domain.learned import Fault, ModelOutput
from trading.domain.model_card import Card
from trading.domain.model_drift import PSI_LIMIT

HARD_MS: Final = 50.0  # an answer later than this is never used, whatever its card says
SOFT_MISSES: Final = 3  # in a row: a model that is slow, not a host that was busy
GOOD_BARS: Final = 20  # in a row before a model that failed is heard again
# Root of the mean squared distance that one normal number in a thousand exceeds (sqrt of chi-squared 1, 99.9 %):
# features that all say the same reach it so often, any others more rarely.
FAR: Final = 3.29
FURTHEST: Final = 8.0  # standard deviations of one feature alone; nets see nothing beyond
MOST_APART: Final = 2.5  # of log RV between model and rule; a factor of 3.5 in volatility (ours)
# These say nothing about the model: once they are over it is heard at once.
NOT_ITS_FAULT: Final = frozenset({Fault.MISSING, Fault.WARMING, Fault.HALTED})


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one answer of a model after one bar."""

    at_ns: int  # close of the bar
    now_ns: int
    output: ModelOutput | None = None
    fault: Fault | None = None  # what asking came to
    reason: str = ""
    took_ms: float = 0.0
    rms: float = 0.0  # root of the mean squared distance of the features, in standard deviations of the training
    furthest: float = 0.0  # of one feature
    rule_log_rv: float | None = None  # what the rule says of the same; None: it is not known
    psi: float | None = None  # None: too few bars to tell
    loss_drift: float | None = None  # 1 is an alarm; None: too few forecasts to tell


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is used: the model where there is no fault, the rule otherwise."""

    fault: Fault | None = None
    reason: str = ""

    @property
    def is_heard(self) -> bool:
        """True where the model speaks."""
        return self.fault is None


Rule = Callable[[Card, Facts], Verdict | None]


def asking(_: Card, facts: Facts) -> Verdict | None:
    """Whatever went wrong while it was asked, and no answer at all."""
    if facts.fault is not None:
        return Verdict(facts.fault, facts.reason)
    if facts.output is None:
        return Verdict(Fault.BROKEN, "it gave no answer")
    return None


def fresh(card: Card, facts: Facts) -> Verdict | None:
    """The last bar it saw is not older than its card allows."""
    age_s = (facts.now_ns - facts.at_ns) / 1e9
    return Verdict(Fault.STALE, f"its last bar is {age_s:.0f} s old, of {card.ttl_s} s") if age_s > card.ttl_s else None


def in_time(card: Card, facts: Facts) -> Verdict | None:
    """It answered within the deadline of its card, and never later than the hard one."""
    limit_ms = min(card.deadline_ms, HARD_MS)
    if facts.took_ms <= limit_ms:
        return None
    return Verdict(Fault.LATE, f"it took {facts.took_ms:.1f} ms of {limit_ms:g} ms")


def usual(_: Card, facts: Facts) -> Verdict | None:
    """What it saw is like what it was trained on."""
    if facts.rms <= FAR and facts.furthest <= FURTHEST:
        return None
    far = f"{facts.rms:.1f} standard deviations on the whole, {facts.furthest:.1f} in one feature"
    return Verdict(Fault.OUTLIER, f"{far}; up to {FAR} and {FURTHEST:g} it knows")


def agrees(_: Card, facts: Facts) -> Verdict | None:
    """What it says is not wildly another thing than what the rule says."""
    if facts.output is None or facts.rule_log_rv is None:
        return None
    apart = abs(facts.output.log_rv[0] - facts.rule_log_rv)
    if apart <= MOST_APART:
        return None
    return Verdict(Fault.DISAGREEMENT, f"it is {apart:.1f} of log RV away from the rule, at most {MOST_APART}")


def steady(_: Card, facts: Facts) -> Verdict | None:
    """Neither the market nor its errors have moved away from what they were."""
    if facts.psi is not None and facts.psi > PSI_LIMIT:
        return Verdict(Fault.DRIFT, f"what it sees has drifted: index {facts.psi:.2f}, at most {PSI_LIMIT}")
    if facts.loss_drift is not None and facts.loss_drift >= 1:
        return Verdict(Fault.DRIFT, f"its errors have grown: {facts.loss_drift:.1f} times what an alarm needs")
    return None


RULES: Final[tuple[Rule, ...]] = (asking, fresh, in_time, usual, agrees, steady)


@dataclass(slots=True)
class Watch:
    """Follows one model on one symbol."""

    card: Card
    verdict: Verdict = field(default_factory=lambda: Verdict(Fault.WARMING, "no bar yet"))
    last_at_ns: int | None = None  # close of the last bar it was asked about
    _owing: int = 0  # good bars until it is heard again
    _late: int = 0  # in a row

    def judge(self, facts: Facts) -> Verdict:
        """Return who speaks after this bar."""
        found = next((verdict for rule in RULES if (verdict := rule(self.card, facts)) is not None), Verdict())
        self._late = self._late + 1 if found.fault is Fault.LATE else 0
        self.last_at_ns = facts.at_ns
        self.verdict = self._after(found, facts)
        return self.verdict

    def look(self, now_ns: int) -> Verdict:
        """Return who speaks now, with no new bar: what it said last grows old."""
        if self.verdict.is_heard and self.last_at_ns is not None:
            old = fresh(self.card, Facts(self.last_at_ns, now_ns))
            if old is not None:
                self.verdict, self._owing = old, GOOD_BARS
        return self.verdict

    def _after(self, found: Verdict, facts: Facts) -> Verdict:
        if found.fault is not None:
            answered = facts.output is not None and facts.took_ms <= HARD_MS
            once = found.fault is Fault.LATE and answered and self._late < SOFT_MISSES
            if found.fault not in NOT_ITS_FAULT and not once:
                self._owing = GOOD_BARS
            return found
        if self._owing:
            self._owing -= 1
        if self._owing:
            return Verdict(Fault.RECOVERING, f"sound again; heard after {self._owing} more good bars")
        return found


def distances(mean: Floats, spread: Floats, x: NDArray[np.float32]) -> tuple[float, float]:
    """Return how far features lie from the training, in its standard deviations: on the whole, and the furthest.

    Shapes: mean, spread, x (F,).
    """
    z = (x - mean) / spread
    return sqrt(float(z @ z) / len(z)), float(np.max(np.abs(z)))
