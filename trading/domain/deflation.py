"""The deflated Sharpe ratio: how likely a Sharpe ratio is more than the luck of so many trials."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import e, fsum, isfinite, sqrt
from statistics import NormalDist
from typing import Final

EULER: Final = 0.5772156649015329  # Euler-Mascheroni constant
FEWEST_RETURNS: Final = 20  # of fewer, skewness and kurtosis are noise: ours
_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True)
class Moments:
    """What the returns of one trial say; ratios of one period, not of a year."""

    count: int
    sharpe: float  # mean / standard deviation (n - 1)
    skewness: float  # normal: 0
    kurtosis: float  # normal: 3


@dataclass(frozen=True, slots=True)
class Deflated:
    """The best of a search, held against what so many trials without any skill would show."""

    trials: int  # all of them
    sharpes: int  # those whose Sharpe ratio is known
    variance: float  # of the Sharpe ratios of the trials
    expected: float  # the highest Sharpe ratio that so many trials without skill are expected to show
    probability: float  # that the true Sharpe ratio is above zero, deflated; 0.95 is the usual bar


def moments(returns: Sequence[float]) -> Moments | None:
    """Return the moments of `returns`, (n,) of equal spans of time; None where they are too few or do not vary."""
    n = len(returns)
    if n < FEWEST_RETURNS or not all(map(isfinite, returns)):
        return None
    mean = fsum(returns) / n
    second, third, fourth = (fsum((one - mean) ** power for one in returns) / n for power in (2, 3, 4))
    # What is left of rounding is no variation.
    if second <= (1e-12 * max(map(abs, returns))) ** 2:
        return None
    spread = sqrt(second * n / (n - 1))
    return Moments(n, mean / spread, third / second**1.5, fourth / second**2)


def probabilistic_sharpe(of: Moments, benchmark: float) -> float | None:
    """Return the probability that the true Sharpe ratio lies above `benchmark`; None where the moments allow none.

    Source:
        D. H. Bailey, M. Lopez de Prado (2012), "The Sharpe Ratio Efficient Frontier", Journal of Risk 15(2), eq. 14.
    """
    variance = 1 - of.skewness * of.sharpe + (of.kurtosis - 1) / 4 * of.sharpe**2
    if variance <= 0:
        return None
    return _NORMAL.cdf((of.sharpe - benchmark) * sqrt(of.count - 1) / sqrt(variance))


def expected_highest(trials: int, variance: float) -> float:
    """Return the highest Sharpe ratio expected of `trials` (>= 1) independent trials whose true one is zero.

    Source:
        D. H. Bailey, M. Lopez de Prado (2014), "The Deflated Sharpe Ratio: Correcting for Selection Bias, Backtest
        Overfitting, and Non-Normality", Journal of Portfolio Management 40(5), 94-107, eq. 1.
    """
    if trials == 1:
        return 0.0  # nothing was chosen
    first, second = (_NORMAL.inv_cdf(1 - 1 / (trials * factor)) for factor in (1, e))
    return sqrt(variance) * ((1 - EULER) * first + EULER * second)


def deflated(best: Moments, sharpes: Sequence[float], trials: int) -> Deflated | None:
    """Return the deflated Sharpe ratio of `best`; None where too little is known: then it is unknown, not zero.

    Shapes:
        sharpes: (k,) of one period each, of every trial whose Sharpe ratio is known, that of `best` among them.
        trials: of all trials, also those that failed, were pruned or were made before; >= k.

    Raises:
        ValueError: fewer trials than Sharpe ratios.

    Source:
        As `expected_highest`, eq. 2. Trials that resemble each other count in full, so the true probability is higher.
    """
    if trials < len(sharpes):
        raise ValueError(f"trials: {trials} are fewer than {len(sharpes)} Sharpe ratios; count every trial.")
    if trials > 1 and len(sharpes) < 2:
        return None  # one ratio has no variance
    mean = fsum(sharpes) / len(sharpes) if sharpes else 0.0
    variance = fsum((one - mean) ** 2 for one in sharpes) / max(len(sharpes) - 1, 1)
    expected = expected_highest(trials, variance)
    probability = probabilistic_sharpe(best, expected)
    return None if probability is None else Deflated(trials, len(sharpes), variance, expected, probability)
