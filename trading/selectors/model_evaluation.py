"""What was measured of a model before it ran, out of its evaluation.json; what is missing or odd is None, never 0."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from trading.domain.indicators import Estimate
from trading.selectors.numbers import UNKNOWN, signed


@dataclass(frozen=True, slots=True)
class Fold:
    """One stretch that was tested on, and what each lost there."""

    name: str
    rows: int | None
    loss: float | None  # of the model, mean squared error of log RV
    best: str  # of the baselines, the one that lost least
    best_loss: float | None
    skill: float | None  # against HAR: 1 - loss / loss of HAR
    dm_t: float | None  # Diebold-Mariano against HAR; above 0 the model is better

    @property
    def skill_text(self) -> str:
        """The skill as people read it."""
        return UNKNOWN if self.skill is None else f"{signed(100 * self.skill, 1)} %"


@dataclass(frozen=True, slots=True)
class Bin:
    """What was said to happen with this probability, and how often it came."""

    said: float
    came: float
    count: int | None


@dataclass(frozen=True, slots=True)
class Point:
    """Loss after learning from so many rows, with its interval over seeds and folds."""

    rows: int
    loss: Estimate


@dataclass(frozen=True, slots=True)
class Baseline:
    """What else was tried on the same folds."""

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
    baselines: tuple[Baseline, ...]
    regimes: Estimate | None  # chosen out of sample
    entropy_rise: Estimate | None  # relative, at a fixed number
    gap: Estimate | None  # relative; above 0 where the best baseline loses less
    best: str  # of the baselines


def read_evaluation(raw: Mapping[str, Any] | None) -> Evaluation:
    """Return what `raw`, an evaluation.json, tells."""
    told = raw if isinstance(raw, Mapping) else {}
    return Evaluation(
        skill=estimate(told.get("skill")),
        folds=tuple(_fold(number, one) for number, one in enumerate(_rows(told.get("folds")), 1)),
        reliability=tuple(_bins(told.get("reliability"))),
        learning=tuple(_points(told.get("learning_curve"))),
        doublings=tuple(_estimates(told.get("data_doublings"))),
        capacity=tuple(_estimates(told.get("capacity_doublings"))),
        baselines=tuple(
            Baseline(_word(one.get("name")), estimate(one.get("skill"))) for one in _rows(told.get("baselines"))
        ),
        regimes=estimate(told.get("regimes")),
        entropy_rise=estimate(told.get("entropy_rise")),
        gap=estimate(told.get("gap")),
        best=_word(told.get("best_baseline")),
    )


def estimate(raw: object) -> Estimate | None:
    """Return {"value", "low", "high"} as an estimate; None where one is missing or they contradict each other."""
    if not isinstance(raw, Mapping):
        return None
    value, low, high = (number(raw.get(name)) for name in ("value", "low", "high"))
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
    return raw if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0 else None


def _word(raw: object) -> str:
    return raw[:40] if isinstance(raw, str) else ""


def _rows(raw: object) -> Sequence[Mapping[str, Any]]:
    return [one for one in raw if isinstance(one, Mapping)] if isinstance(raw, list) else []


def _estimates(raw: object) -> Iterator[Estimate]:
    for one in _rows(raw):
        if (found := estimate(one)) is not None:
            yield found


def _fold(at: int, raw: Mapping[str, Any]) -> Fold:
    return Fold(
        name=_word(raw.get("name")) or f"{at}",
        rows=count(raw.get("rows")),
        loss=number(raw.get("loss")),
        best=_word(raw.get("best_baseline")),
        best_loss=number(raw.get("best_loss")),
        skill=number(raw.get("skill")),
        dm_t=number(raw.get("dm_t")),
    )


def _bins(raw: object) -> Iterator[Bin]:
    for one in _rows(raw):
        said, came = number(one.get("said")), number(one.get("came"))
        if said is not None and came is not None:
            yield Bin(said, came, count(one.get("count")))


def _points(raw: object) -> Iterator[Point]:
    for one in sorted(_rows(raw), key=lambda one: count(one.get("rows")) or 0):
        rows, loss = count(one.get("rows")), estimate(one)
        if rows is not None and loss is not None:
            yield Point(rows, loss)
