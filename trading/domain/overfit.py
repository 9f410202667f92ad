"""How likely the best of many trials is nothing but the luckiest of them."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from trading.domain.bars import Bools, Floats, Ints
from trading.domain.deflation import Deflated, deflated, moments

GROUPS: Final = 16  # of time; 12,870 ways to take half of them, as its authors suggest
FEWEST_SHIFTS: Final = 20  # fewer cannot show p <= 0.05


class UnableToJudge(ValueError):
    """This cannot be judged; the message names the field, the reason and what to do."""


@dataclass(frozen=True, slots=True)
class Overfit:
    """How often the trial that was best in one half of the time is below the median in the other."""

    probability: float  # of backtest overfitting; 0.5: choosing tells nothing
    ways: int  # in which the time was halved
    trials: int


@dataclass(frozen=True, slots=True)
class Shifted:
    """A signal held against itself at other times."""

    actual: float
    shifted: tuple[float, ...]
    p: float  # how likely a signal that knows nothing of its time does as well


def overfit_probability(returns: Floats, groups: int = GROUPS) -> Overfit:
    """Return the probability of backtest overfitting by combinatorially symmetric cross-validation.

    Shapes:
        returns: (t, n) of n >= 2 trials over the same t >= 2 * `groups` spans of time; the Sharpe ratio decides.

    Raises:
        UnableToJudge: a single trial, too few spans, an odd number of groups, or a number that is not finite.

    Source:
        D. H. Bailey, J. M. Borwein, M. Lopez de Prado, Q. J. Zhu (2017), "The probability of backtest overfitting",
        Journal of Computational Finance 20(4), 39-69.
    """
    _check(returns, groups)
    parts = np.array_split(returns, groups)
    sums = np.array([part.sum(axis=0) for part in parts])
    squares = np.array([np.square(part).sum(axis=0) for part in parts])
    counts = np.array([len(part) for part in parts])
    ways = list(combinations(range(groups), groups // 2))
    below = 0
    for chosen in ways:
        inside = np.zeros(groups, bool)
        inside[list(chosen)] = True
        best = int(np.argmax(_sharpe(sums, squares, counts, inside)))
        below += _below_median(_sharpe(sums, squares, counts, ~inside), best)
    return Overfit(below / len(ways), len(ways), returns.shape[1])


def time_shifted(
    signal: Floats, outcome: Floats, score: Callable[[Floats, Floats], float], *, shifts: int = 40, least: int = 1
) -> Shifted:
    """Return how `score(signal, outcome)` stands among the scores of the signal turned through time in a circle.

    Turning keeps how the signal moves and how long it lasts, and breaks only what it knows of its moment. The shifts
    are spread evenly and are at least `least` from either end.

    Raises:
        UnableToJudge: fewer than 20 shifts, or the signal is too short for so many.

    Source:
        E. S. Edgington, P. Onghena (2007), "Randomization Tests", 4th ed., CRC, ch. 3: p = (1 + as good) / (1 + all).
    """
    if shifts < FEWEST_SHIFTS:
        raise UnableToJudge(f"shifts: {shifts} are fewer than {FEWEST_SHIFTS}; they could not show p <= 0.05.")
    steps = _steps(len(signal), shifts, least)
    actual = score(signal, outcome)
    shifted = tuple(score(np.roll(signal, int(step)), outcome) for step in steps)
    return Shifted(actual, shifted, (1 + sum(one >= actual for one in shifted)) / (1 + shifts))


def deflated_best(returns: Floats, trials: int) -> Deflated | None:
    """Return the deflated Sharpe ratio of the best column of `returns` (t, n); None where too little is known.

    `trials` counts every one that was made, also those whose returns were not kept.

    Raises:
        ValueError: fewer trials than columns.
    """
    found = [each for column in returns.T if (each := moments(column.tolist())) is not None]
    if not found:
        return None
    best = max(found, key=lambda each: each.sharpe)
    return deflated(best, [each.sharpe for each in found], trials)


def _check(returns: Floats, groups: int) -> None:
    if groups < 2 or groups % 2:
        raise UnableToJudge(f"groups: {groups} is not an even number above zero; use {GROUPS}.")
    if returns.ndim != 2 or returns.shape[1] < 2:
        raise UnableToJudge("returns: one trial leaves nothing to choose; give the returns of every trial.")
    if len(returns) < 2 * groups:
        raise UnableToJudge(f"returns: {len(returns)} spans are fewer than {2 * groups}; use fewer groups.")
    if not np.isfinite(returns).all():
        raise UnableToJudge("returns: not all are finite; leave out the spans that no trial lived through.")


def _sharpe(sums: Floats, squares: Floats, counts: Ints, mine: Bools) -> Floats:
    n = int(counts[mine].sum())
    mean = sums[mine].sum(axis=0) / n
    variance = np.maximum(squares[mine].sum(axis=0) / n - np.square(mean), 0.0)
    ratio: Floats = np.divide(mean, np.sqrt(variance), out=np.zeros_like(mean), where=variance > 0)
    return ratio


def _below_median(ratios: Floats, best: int) -> bool:
    """Return whether the logit of the relative rank of `best` is not above zero; ties share their rank."""
    rank = (ratios < ratios[best]).sum() + ((ratios == ratios[best]).sum() + 1) / 2
    return bool(rank / (len(ratios) + 1) <= 0.5)


def _steps(count: int, shifts: int, least: int) -> Ints:
    steps = np.unique(np.linspace(least, count - least, shifts).astype(np.int64))
    if least < 1 or count - least < least or len(steps) < shifts:
        raise UnableToJudge(f"signal: {count} spans are too few for {shifts} shifts of at least {least}; use more.")
    return steps
