"""What was measured of a model before it ran, out of its evaluation; what is missing or odd is None, never 0."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from trading.domain.indicators import NORMAL_95, Estimate
from trading.selectors.numbers import UNKNOWN, signed

HAR: Final = "har"
LONGEST_NAME: Final = 40  # characters of a name that is shown
Raw = Mapping[str, Any]
NOTHING: Final[Raw] = {}


@dataclass(frozen=True, slots=True)
class Fold:
    """One stretch that was tested on, and what each lost there."""

    name: str  # when
    rows: int | None
    loss: float | None  # of the model, mean squared error of log RV
    best: str  # of the others, who lost least
    best_loss: float | None
    skill: float | None  # against HAR: 1 - loss / loss of HAR

    @property
    def skill_text(self) -> str:
        """The skill as people read it."""
        return UNKNOWN if self.skill is None else f"{signed(100 * self.skill, 1)} %"


@dataclass(frozen=True, slots=True)
class Bin:
    """What was said to happen with this probability, and how often it came."""

    said: float
    came: float
    count: int


@dataclass(frozen=True, slots=True)
class Point:
    """Loss after learning from so many rows."""

    rows: int
    loss: float
    low: float | None  # of its 95 % interval
    high: float | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What else stood on the same folds."""

    name: str
    skill: Estimate | None  # against HAR


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All of it."""

    skill: Estimate | None  # against HAR
    folds: tuple[Fold, ...]
    reliability: tuple[Bin, ...]
    learning: tuple[Point, ...]  # fewest rows first
    doublings: tuple[Estimate, ...]  # relative gain of each doubling of the data, newest last
    capacity: tuple[Estimate, ...]  # of the parameters
    baselines: tuple[Standing, ...]
    regimes: Estimate | None  # chosen out of sample
    entropy_rise: Estimate | None  # relative, at a fixed number
    gap: Estimate | None  # relative; above 0 where the best baseline loses less
    best: str  # of the baselines


def read_evaluation(raw: Raw | None, name: str = "") -> Evaluation:
    """Return what `raw` tells of the model `name`: the report of a walk-forward, of it alone or of many stages."""
    told = _map(raw)
    mine = _standing(told, name)
    called = _word(mine.get("name")) or name
    evidence, curve = (
        _map(mine.get("evidence", told.get("evidence"))),
        _map(_map(told.get("learning_curves")).get(called)),
    )
    return Evaluation(
        skill=_skill(mine) or estimate(told.get("skill")),
        folds=tuple(_fold(one, called) for one in _maps(told.get("folds"))),
        reliability=tuple(_bins(mine.get("reliability"))),
        learning=tuple(_points(curve)),
        doublings=_last_known(curve.get("doublings", [curve.get("last_doubling")])),
        capacity=_last_known(mine.get("capacity_doublings", told.get("capacity_doublings"))),
        baselines=tuple(
            Standing(_word(one.get("name")), _skill(one) or estimate(one.get("skill")))
            for one in _maps(told.get("baselines"))
        ),
        regimes=estimate(told.get("regimes")),
        entropy_rise=estimate(told.get("entropy_rise")),
        gap=_gap(told, mine, evidence),
        best=_word(evidence.get("best_rival", told.get("best_baseline"))),
    )


def estimate(raw: object) -> Estimate | None:
    """Return a value with its bounds, a list of three or by name; None where one is missing or they contradict."""
    named = [raw.get(name) for name in ("value", "low", "high")] if isinstance(raw, Mapping) else raw
    if not isinstance(named, list) or len(named) != 3:
        return None
    value, low, high = map(number, named)
    if value is None or low is None or high is None or not low <= value <= high:
        return None
    return Estimate(value, low, high)


def number(raw: object) -> float | None:
    """Return a finite number, or None."""
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not isfinite(raw):
        return None
    return float(raw)


def count(raw: object) -> int | None:
    """Return a whole number that is not below zero, or None."""
    found = number(raw)
    return None if found is None or found < 0 else round(found)


def _standing(told: Raw, name: str) -> Raw:
    """Return the part of a report that is about `name`."""
    stages = _maps(told.get("stages"))
    named = [one for one in stages if one.get("name") == name]
    return next(iter(named or ([stages[0]] if len(stages) == 1 else [])), _map(told.get("standing")) or told)


def _skill(of: Raw) -> Estimate | None:
    bounds = of.get("interval")
    return estimate([of.get("skill_vs_har"), *bounds]) if isinstance(bounds, list) else None


def _gap(told: Raw, mine: Raw, evidence: Raw) -> Estimate | None:
    """Return how far the best baseline is ahead; the interval is that of the Diebold-Mariano test."""
    best = next((one for one in _maps(told.get("baselines")) if one.get("name") == evidence.get("best_rival")), NOTHING)
    ours, theirs, t = number(mine.get("mse")), number(best.get("mse")), number(evidence.get("t_vs_best"))
    if ours is None or theirs is None or ours <= 0 or not t:
        return None
    ahead = 1 - theirs / ours
    error = NORMAL_95 * abs(ahead / t)
    return Estimate(ahead, ahead - error, ahead + error)


def _fold(raw: Raw, name: str) -> Fold:
    losses = {who: loss for who, one in _map(raw.get("mse")).items() if (loss := number(one)) is not None}
    mine, har = losses.get(name, number(raw.get("loss"))), losses.get(HAR)
    others = {who: loss for who, loss in losses.items() if who != name}
    best = min(others, key=lambda who: others[who], default="")
    when, rows = raw.get("test"), raw.get("rows")
    return Fold(
        name=" to ".join(map(_word, when)) if isinstance(when, list) else _word(raw.get("name")) or UNKNOWN,
        rows=count(rows[-1] if isinstance(rows, list) and rows else rows),
        loss=mine,
        best=_word(best),
        best_loss=others.get(best),
        skill=None if mine is None or not har else 1 - mine / har,
    )


def _bins(raw: object) -> Iterator[Bin]:
    for one in _list(raw):
        if isinstance(one, list) and len(one) == 3:
            cases, said, came = count(one[0]), number(one[1]), number(one[2])
            if cases is not None and said is not None and came is not None:
                yield Bin(said, came, cases)


def _points(curve: Raw) -> Iterator[Point]:
    counts, losses, lows, highs = (_list(curve.get(name)) for name in ("rows", "mse", "low", "high"))
    for k in range(min(len(counts), len(losses))):
        rows, loss = count(counts[k]), number(losses[k])
        low, high = (number(column[k]) if k < len(column) else None for column in (lows, highs))
        if rows is not None and loss is not None:
            yield Point(rows, loss, low, high)


def _map(raw: object) -> Raw:
    return raw if isinstance(raw, Mapping) else NOTHING


def _list(raw: object) -> list[Any]:
    return raw if isinstance(raw, list) else []


def _maps(raw: object) -> Sequence[Raw]:
    return [one for one in _list(raw) if isinstance(one, Mapping)]


def _last_known(raw: object) -> tuple[Estimate, ...]:
    """Return the newest estimates in a row: what lies behind one that is not known says nothing of now."""
    found = [estimate(one) for one in reversed(_list(raw))]
    known = found[: found.index(None)] if None in found else found
    return tuple(one for one in reversed(known) if one is not None)


def _word(raw: object) -> str:
    return raw[:LONGEST_NAME] if isinstance(raw, str) else ""
