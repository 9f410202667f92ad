"""How good a forecast is: losses, calibration, and how sure we are that one forecast beats another.

A loss has one value a forecast, lower is better. Forecasts overlap and volatility clusters, so neither the test nor the
interval takes them for independent.
"""

from dataclasses import dataclass
from math import ceil, erf, isfinite, pi, sqrt
from typing import Final

import numpy as np

from trading.domain.bars import Bools, Floats, Ints

LEVEL: Final = 0.95  # of an interval
DRAWS: Final = 2_000  # of the bootstrap: the ends of an interval move by about a twentieth of its width (ours)
BINS: Final = 10  # of a reliability diagram
FEWEST: Final = 20  # of fewer forecasts nothing is claimed: ours
_ROOT_TWO_PI: Final = sqrt(2 * pi)


class UnableToScore(ValueError):
    """These numbers cannot be scored; the message names the field, the reason and what to do."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and between what it lies, with probability `level`."""

    estimate: float
    low: float
    high: float
    level: float = LEVEL


@dataclass(frozen=True, slots=True)
class DieboldMariano:
    """Whether one forecast's loss is lower than another's."""

    difference: float  # mean of loss - reference; below zero: better than the reference
    t: float  # above zero: better than the reference; 2 is the usual bar
    lags: int  # over which the differences were taken to depend on each other
    count: int  # forecasts


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of a reliability diagram."""

    count: int
    said: float  # mean probability
    happened: float  # how often it came true


def squared(y: Floats, forecast: Floats) -> Floats:
    """Return the squared errors, (n,)."""
    return np.square(_same(y, forecast) - y)


def absolute(y: Floats, forecast: Floats) -> Floats:
    """Return the absolute errors, (n,)."""
    return np.abs(_same(y, forecast) - y)


def qlike(log_rv: Floats, forecast: Floats) -> Floats:
    """Return the quasi-likelihood loss RV/F - log(RV/F) - 1, (n,) >= 0, of logs of variances.

    Source:
        A. J. Patton (2011), "Volatility forecast comparison using imperfect volatility proxies", Journal of
        Econometrics 160(1), 246-256.
    """
    ratio = log_rv - _same(log_rv, forecast)
    return np.exp(ratio) - ratio - 1


def pinball(y: Floats, quantile: Floats, level: float) -> Floats:
    """Return the pinball loss of the forecast `quantile` at `level` in 0..1, (n,) >= 0.

    Source:
        R. Koenker, G. Bassett (1978), "Regression Quantiles", Econometrica 46(1), 33-50.
    """
    if not 0 < level < 1:
        raise UnableToScore(f"level: {level} is not between 0 and 1; use 0.1 for the 10 % quantile.")
    over = y - _same(y, quantile)
    return np.maximum(level * over, (level - 1) * over)


def crps_normal(y: Floats, mean: Floats, spread: Floats) -> Floats:
    """Return the continuous ranked probability score of normal forecasts, (n,), in units of y; `spread` > 0.

    Source:
        T. Gneiting, A. E. Raftery (2007), "Strictly Proper Scoring Rules, Prediction, and Estimation", JASA 102, 4.2.
    """
    z = (y - _same(y, mean)) / spread
    density = np.exp(-np.square(z) / 2) / _ROOT_TWO_PI
    below = 0.5 * (1 + np.array([erf(one / sqrt(2)) for one in z]))
    score: Floats = spread * (z * (2 * below - 1) + 2 * density - 1 / sqrt(pi))
    return score


def crps_quantiles(y: Floats, quantiles: Floats, levels: tuple[float, ...]) -> Floats:
    """Return the score of forecasts known by their (n, k) `quantiles`: twice the mean pinball loss over `levels`.

    Source:
        As `crps_normal`, 5.2 (it is the integral of the pinball loss over all levels).
    """
    losses = [pinball(y, quantiles[:, k], level) for k, level in enumerate(levels)]
    mean: Floats = 2 * np.mean(losses, axis=0)
    return mean


def brier(happened: Bools, probability: Floats) -> Floats:
    """Return the squared error of each probability, (n,).

    Source:
        G. W. Brier (1950), "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78.
    """
    return np.square(probability - happened)


def reliability(happened: Bools, probability: Floats, bins: int = BINS) -> tuple[Bin, ...]:
    """Return a reliability diagram in `bins` of equal width from 0 to 1; bins without a forecast are left out."""
    if not ((probability >= 0) & (probability <= 1)).all():
        raise UnableToScore("probability: not all are from 0 to 1; map scores to probabilities first.")
    number = np.minimum((probability * bins).astype(np.int64), bins - 1)
    found = [number == k for k in range(bins)]
    return tuple(
        Bin(int(mine.sum()), float(probability[mine].mean()), float(happened[mine].mean()))
        for mine in found
        if mine.any()
    )


def calibration_error(diagram: tuple[Bin, ...]) -> float:
    """Return the expected calibration error: how far said and happened are apart, weighted by count.

    Source:
        M. P. Naeini, G. F. Cooper, M. Hauskrecht (2015), "Obtaining Well Calibrated Probabilities Using Bayesian
        Binning", AAAI 29.
    """
    count = sum(each.count for each in diagram)
    return sum(each.count * abs(each.said - each.happened) for each in diagram) / count


def coverage(y: Floats, low: Floats, high: Floats) -> float:
    """Return how often low <= y <= high; a 10 % and a 90 % quantile should hold 80 %."""
    return float(np.mean((y >= low) & (y <= high)))


def area_under_curve(happened: Bools, score: Floats) -> float | None:
    """Return how likely a case that happened has the higher score; ties count half; None without both kinds.

    Source:
        J. A. Hanley, B. J. McNeil (1982), "The meaning and use of the area under a ROC curve", Radiology 143(1).
    """
    yes = int(happened.sum())
    no = len(happened) - yes
    if yes == 0 or no == 0:
        return None
    return float((_ranks(score)[happened].sum() - yes * (yes + 1) / 2) / (yes * no))


def information_coefficient(score: Floats, outcome: Floats) -> float | None:
    """Return the rank correlation of `score` and `outcome`; None where one of them does not vary.

    Source:
        C. Spearman (1904), "The proof and measurement of association between two things", Am. J. Psychology 15.
    """
    a, b = _ranks(score), _ranks(outcome)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def long_run_variance(series: Floats, lags: int) -> float:
    """Return the variance of sqrt(n) * mean of a dependent series, >= 0.

    Source:
        W. K. Newey, K. D. West (1987), "A Simple, Positive Semi-Definite, Heteroskedasticity and Autocorrelation
        Consistent Covariance Matrix", Econometrica 55(3), 703-708.
    """
    n, centred = len(series), series - series.mean()
    total = float(centred @ centred)
    for lag in range(1, min(lags, n - 1) + 1):
        total += 2 * (1 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag])
    return max(total / n, 0.0)


def lags_of(count: int, overlap: int) -> int:
    """Return over how many of `count` forecasts to expect dependence, where `overlap` of them see the same outcome.

    Source:
        E. Lazarus, D. J. Lewis, J. H. Stock, M. W. Watson (2018), "HAR Inference: Recommendations for Practice",
        Journal of Business & Economic Statistics 36(4), 541-559: 1.3 * sqrt(n); many more than the overlap asks for,
        since volatility clusters.
    """
    return max(overlap - 1, ceil(1.3 * sqrt(count)))


def diebold_mariano(loss: Floats, reference: Floats, *, overlap: int = 1, lags: int = 0) -> DieboldMariano | None:
    """Return whether `loss` is lower than `reference`, both (n,) in order of time; None where too few or all equal.

    `overlap` forecasts in a row share part of their outcome; `lags` of 0 follows `lags_of`.

    Source:
        F. X. Diebold, R. S. Mariano (1995), "Comparing Predictive Accuracy", JBES 13(3), 253-263; small-sample factor:
        D. Harvey, S. Leybourne, P. Newbold (1997), "Testing the equality of prediction mean squared errors",
        International Journal of Forecasting 13(2), 281-291, eq. 9, for forecasts over `overlap` steps.
    """
    difference = _same(loss, reference) - loss
    n = len(difference)
    if n < FEWEST or not np.isfinite(difference).all():
        return None
    used = lags or lags_of(n, overlap)
    variance = long_run_variance(difference, used) / n
    if variance <= (1e-15 * float(np.abs(loss).max())) ** 2:
        return None  # what is left of rounding is no difference
    small = max(n + 1 - 2 * overlap + overlap * (overlap - 1) / n, 0.0) / n
    mean = float(difference.mean())
    return DieboldMariano(-mean, mean / sqrt(variance) * sqrt(small), used, n)


def relative_skill(
    loss: Floats, reference: Floats, block: int, *, draws: int = DRAWS, seed: int = 0
) -> Interval | None:
    """Return 1 - mean loss / mean reference with its interval; 0.05 says 5 % lower loss. None where nothing is known.

    Shapes:
        loss, reference: (n,) in order of time, drawn together in blocks of `block`.

    Source:
        As `resampled`.
    """
    if len(loss) < max(FEWEST, 2 * block) or not isfinite(float(np.sum(loss) + np.sum(reference))):
        return None
    base = float(np.mean(_same(loss, reference)))
    if base <= 0:
        return None
    means = resampled(np.stack((loss, reference), axis=1), block, draws=draws, seed=seed)
    ratios = 1 - means[:, 0] / means[:, 1]
    return _interval(1 - float(np.mean(loss)) / base, ratios)


def mean_difference(
    loss: Floats, reference: Floats, block: int, *, draws: int = DRAWS, seed: int = 0
) -> Interval | None:
    """Return the mean of loss - reference with its interval; None of too few."""
    difference = loss - _same(loss, reference)
    if len(difference) < max(FEWEST, 2 * block) or not np.isfinite(difference).all():
        return None
    means = resampled(difference[:, np.newaxis], block, draws=draws, seed=seed)[:, 0]
    return _interval(float(difference.mean()), means)


def resampled(columns: Floats, block: int, *, draws: int = DRAWS, seed: int = 0) -> Floats:
    """Return (draws, k) means of the (n, k) `columns`, each of blocks of `block` rows drawn in a circle.

    Source:
        D. N. Politis, J. P. Romano (1992), "A circular block-resampling procedure for stationary data", in "Exploring
        the Limits of Bootstrap", Wiley, 263-270.
    """
    n = len(columns)
    if not 1 <= block <= n:
        raise UnableToScore(f"block: {block} is not from 1 to the {n} rows; use a shorter block or more rows.")
    around = np.concatenate((np.zeros((1, columns.shape[1])), np.cumsum(np.vstack((columns, columns[:block])), axis=0)))
    sums = around[block : block + n] - around[:n]
    starts = np.random.default_rng(seed).integers(0, n, (draws, ceil(n / block)))
    means: Floats = sums[starts].mean(axis=1) / block
    return means


def by_time(at_ns: Ints, values: Floats) -> Floats:
    """Return the sum of `values` (n,) at each time, in order of time: symbols of one moment are no independent cases.

    Shapes:
        result: (number of different times,).
    """
    _, where = np.unique(at_ns, return_inverse=True)
    total: Floats = np.bincount(where, values).astype(np.float64)
    return total


def mean_by_time(at_ns: Ints, values: Floats) -> Floats:
    """Return the mean of `values` (n,) at each time, in order of time.

    Shapes:
        result: (number of different times,).
    """
    return by_time(at_ns, values) / by_time(at_ns, np.ones(len(values)))


def _interval(estimate: float, draws: Floats) -> Interval:
    low, high = np.quantile(draws, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(estimate, float(low), float(high))


def _same(y: Floats, other: Floats) -> Floats:
    if y.shape != other.shape or y.ndim != 1:
        raise UnableToScore(f"forecast: {other.shape} does not match {y.shape}; give one value a case.")
    return other


def _ranks(values: Floats) -> Floats:
    """Return the ranks from 1; those that are equal share their mean rank."""
    _, where, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: Floats = (last - (count - 1) / 2)[where]
    return ranks
