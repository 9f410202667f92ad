"""Forecasts of volatility that a model must beat before it is believed; all are fitted on training rows alone.

Shapes:
    x: (n, F) features of a bar, log variances among them; y: (n,) log of the mean squared return per hour that came.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan
from typing import Final, Protocol

import numpy as np

from trading.domain.bars import Floats

Predict = Callable[[Floats], Floats]
HAR_FEATURES: Final = ("log_rv_1h", "log_rv_24h", "log_rv_7d")
LAST_FEATURE: Final = "log_rv_1h"
HALF_LIVES_S: Final = (1_800, 3_600, 7_200, 14_400, 43_200, 86_400)  # an average forgets half in; the best is taken
PENALTY: Final = 1e-3  # of the number of rows: it steadies columns that say the same and costs the others nothing
FARTHEST: Final = 8.0  # standard deviations; a feature farther out says "far", not how far
FLOOR: Final = 1e-9  # variance per hour; where nothing moves the logarithm still has a value
HOUR_NS: Final = 3_600_000_000_000


class UnableToFit(ValueError):
    """Nothing can be fitted to these rows; the message names the reason and what to do."""


class Baseline(Protocol):
    """A way to forecast."""

    @property
    def name(self) -> str:
        """One word."""
        ...

    def fit(self, x: Floats, y: Floats) -> Predict:
        """Learn from training rows; what is returned looks at nothing else."""
        ...


@dataclass(frozen=True, slots=True)
class LastHour:
    """The next hour will be as the last."""

    column: int
    name: str = "last_hour"

    def fit(self, x: Floats, y: Floats) -> Predict:
        """Learn nothing."""
        _check(x, y)
        return lambda later: later[:, self.column].astype(np.float64)


@dataclass(frozen=True, slots=True)
class Random:
    """Any hour of the past, drawn with a seed: what no skill at all costs."""

    seed: int = 0
    name: str = "random"

    def fit(self, x: Floats, y: Floats) -> Predict:
        """Remember what came."""
        _check(x, y)
        return lambda later: np.random.default_rng(self.seed).choice(y, len(later))


@dataclass(frozen=True, slots=True)
class Har:
    """Hour, day and week, weighted by least squares.

    Source:
        F. Corsi (2009), "A Simple Approximate Long-Memory Model of Realized Volatility", Journal of Financial
        Econometrics 7(2), 174-196: day, week and month for the next day; here one step faster, in logs (his 2.3).
    """

    columns: tuple[int, ...]
    name: str = "har"

    def fit(self, x: Floats, y: Floats) -> Predict:
        """Fit the weights and the level."""
        _check(x, y)
        weights = np.linalg.lstsq(_with_level(x[:, self.columns]), y, rcond=None)[0].astype(np.float64)
        return lambda later: _times(_with_level(later[:, self.columns]), weights)


@dataclass(frozen=True, slots=True)
class Ewma:
    """An exponentially weighted variance, its half-life the best in training, its level and slope calibrated there.

    Source:
        J. P. Morgan/Reuters (1996), RiskMetrics Technical Document, 4th ed., 5.3.
    """

    columns: tuple[int, ...]  # of `ewma`, one a half-life
    name: str = "ewma"

    def fit(self, x: Floats, y: Floats) -> Predict:
        """Take the half-life with the lowest squared error."""
        predicts = [Har((column,)).fit(x, y) for column in self.columns]
        errors = [float(np.mean(np.square(predict(x) - y))) for predict in predicts]
        return predicts[int(np.argmin(errors))]


@dataclass(frozen=True, slots=True)
class Ridge:
    """Every feature, linearly; standardised on training rows, small weights preferred.

    Source:
        A. E. Hoerl, R. W. Kennard (1970), "Ridge Regression: Biased Estimation for Nonorthogonal Problems",
        Technometrics 12(1), 55-67.
    """

    penalty: float = PENALTY
    columns: tuple[int, ...] = ()  # (): all
    name: str = "ridge"

    def fit(self, x: Floats, y: Floats) -> Predict:
        """Solve the normal equations."""
        _check(x, y)
        mine = self.columns or tuple(range(x.shape[1]))
        mean, spread = standard(x[:, mine])
        z = standardised(x[:, mine], mean, spread)
        square = z.T @ z + self.penalty * len(y) * np.eye(z.shape[1])
        level, weights = float(y.mean()), np.linalg.solve(square, z.T @ (y - y.mean()))
        return lambda later: level + _times(standardised(later[:, mine], mean, spread), weights)


def standard(x: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation (F,) of training rows; a column that does not vary has deviation 1."""
    mean, spread = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    return mean, np.where(spread > 1e-12, spread, 1.0)


def standardised(x: Floats, mean: Floats, spread: Floats) -> Floats:
    """Return (x - mean) / spread within `FARTHEST` of zero."""
    z: Floats = np.clip((x - mean) / spread, -FARTHEST, FARTHEST)
    return z


def ewma(close: Floats, bar_ns: int, half_life_s: float) -> Floats:
    """Return the log of the exponentially weighted mean squared return per hour after each bar, (m,).

    `close` is NaN where a bar is missing: there and until the first return nothing is known (NaN). Over a hole no
    return is measured and nothing is forgotten.
    """
    keep = 0.5 ** (bar_ns / 1e9 / half_life_s)
    squares = np.square(np.diff(np.log(close), prepend=np.nan)) * (HOUR_NS / bar_ns)
    found = np.full(len(close), np.nan)
    variance, weight = 0.0, 0.0
    for k, square in enumerate(squares.tolist()):
        if not isnan(square):  # else this bar or the one before is missing
            variance, weight = keep * variance + (1 - keep) * square, keep * weight + (1 - keep)
        if weight:
            found[k] = variance / weight
    logs: Floats = np.where(np.isnan(close), np.nan, np.log(np.maximum(found, FLOOR)))
    return logs


def columns(features: tuple[str, ...], names: tuple[str, ...]) -> tuple[int, ...]:
    """Return where `names` stand among `features`.

    Raises:
        UnableToFit: one is not there.
    """
    missing = [name for name in names if name not in features]
    if missing:
        raise UnableToFit(f"features: {', '.join(missing)} missing; use the features of this version.")
    return tuple(features.index(name) for name in names)


def _check(x: Floats, y: Floats) -> None:
    if len(x) != len(y) or len(y) < 2 * x.shape[1]:
        raise UnableToFit(f"rows: {len(y)} labels for {len(x)} rows of {x.shape[1]} features; use a longer time.")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise UnableToFit("rows: not all numbers are finite; leave out rows that are not known.")


def _with_level(x: Floats) -> Floats:
    return np.column_stack((np.ones(len(x)), x))


def _times(x: Floats, weights: Floats) -> Floats:
    found: Floats = x @ weights
    return found
