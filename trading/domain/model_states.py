"""How far a model may be promoted, and what takes it back without asking anybody."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class ModelState(StrEnum):
    """How far a model was promoted; the words are those of `trading.models.ModelVersion.State`."""

    REGISTERED = "REGISTERED"
    OFFLINE_PASS = "OFFLINE_PASS"
    SHADOW = "SHADOW"  # it forecasts, and nobody trades on it
    CANARY = "CANARY"  # one symbol heeds it
    CHAMPION = "CHAMPION"  # every symbol does
    RETIRED = "RETIRED"
    ROLLED_BACK = "ROLLED_BACK"
    REFUSED = "REFUSED"  # its files are not what they say

    @property
    def words(self) -> str:
        """The state as people say it."""
        return self.replace("_", " ").lower()


_S = ModelState
LIVE: Final = frozenset({_S.CANARY, _S.CHAMPION})  # what they say may change an order
RUNNING: Final = LIVE | {_S.SHADOW}  # they forecast
FOLLOW: Final[Mapping[ModelState, frozenset[ModelState]]] = {
    _S.REGISTERED: frozenset({_S.OFFLINE_PASS, _S.RETIRED, _S.REFUSED}),
    _S.OFFLINE_PASS: frozenset({_S.SHADOW, _S.RETIRED, _S.REFUSED}),
    _S.SHADOW: frozenset({_S.CANARY, _S.RETIRED, _S.REFUSED}),
    _S.CANARY: frozenset({_S.CHAMPION, _S.ROLLED_BACK, _S.REFUSED}),
    _S.CHAMPION: frozenset({_S.RETIRED, _S.ROLLED_BACK, _S.REFUSED}),
    _S.RETIRED: frozenset({_S.SHADOW, _S.REFUSED}),  # what comes back begins in the shadow
    _S.ROLLED_BACK: frozenset({_S.SHADOW, _S.RETIRED, _S.REFUSED}),
    _S.REFUSED: frozenset(),
}

PSI_LIMIT: Final = 0.25  # of one feature; above it a feature is another one than in training
LOSS_DRIFT_LIMIT: Final = 1.0  # Page-Hinkley over its threshold
FALLBACK_LIMIT: Final = 0.05  # of a day's bars (ours): then the rule trades anyway, at times nobody chose
FALLBACK_FEWEST: Final = 100  # bars; of fewer no rate is told (ours)
WORSE_T: Final = -2.0  # of the loss against the rule's
UNHEARD_BARS: Final = 2  # without a reading for so many bars nobody knows how a model is


def why_not_move(before: ModelState, after: ModelState, *, is_rollback: bool = False) -> str:
    """Return why a model may not go from `before` to `after`, or an empty text.

    A rollback alone gives a retired champion its place back.
    """
    if after in FOLLOW[before] or (is_rollback and (before, after) == (_S.RETIRED, _S.CHAMPION)):
        return ""
    if not FOLLOW[before]:
        return f"A model that was {before.words} stays it: register it anew."
    names = ", ".join(one.words for one in ModelState if one in FOLLOW[before])
    return f"After {before.words} comes {names}, not {after.words}."


@dataclass(frozen=True, slots=True)
class Condition:
    """How one model does that forecasts; None is what nobody knows."""

    psi: float | None = None  # the highest of any feature on any symbol
    loss_drift: float | None = None  # the highest of any symbol
    asked: int = 0  # bars of the last day
    fell_back: int = 0  # of these
    faults: tuple[str, ...] = ()  # what keeps it from being heard now: "BTCUSDT: late"
    silent_s: float | None = None  # since its newest reading
    bar_s: int = 300
    crits: tuple[str, ...] = ()  # codes of CRIT alerts since it is in this state
    t_rule: float | None = None  # of its loss against the rule's; below zero: worse


def drift(seen: Condition) -> str:
    """Return which drift alarm stands, in words, or an empty text."""
    if seen.psi is not None and not seen.psi <= PSI_LIMIT:
        return f"a feature has drifted: PSI {seen.psi:.2f}, limit {PSI_LIMIT:.2f}"
    if seen.loss_drift is not None and not seen.loss_drift < LOSS_DRIFT_LIMIT:
        return f"its loss has drifted: Page-Hinkley at {seen.loss_drift:.2f} of its threshold"
    return ""


def fallback(seen: Condition) -> str:
    """Return why the rule is used instead of it now, in words, or an empty text."""
    if seen.silent_s is None:
        return "nothing is known of it yet"
    if not seen.silent_s <= UNHEARD_BARS * seen.bar_s:
        return f"nothing was heard of it for {seen.silent_s:.0f} s"
    return "; ".join(seen.faults)


def why_roll_back(state: ModelState, seen: Condition) -> str:
    """Return why a model that may change an order is taken back at once, or an empty text.

    One that nobody heeds is left where it is: people see its alarm and its evidence.
    """
    if state not in LIVE:
        return ""
    if state is ModelState.CANARY and seen.crits:
        return f"CRIT while it was the canary: {', '.join(sorted(set(seen.crits)))}"
    if words := drift(seen):
        return words
    if seen.asked >= FALLBACK_FEWEST and seen.fell_back > FALLBACK_LIMIT * seen.asked:
        return f"the rule was used for {seen.fell_back} of {seen.asked} bars, limit {FALLBACK_LIMIT:.0%}"
    if seen.t_rule is not None and not seen.t_rule > WORSE_T:
        return f"its loss is worse than the rule's: t = {seen.t_rule:.1f}, limit {WORSE_T:.0f}"
    return ""
