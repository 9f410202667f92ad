"""How many regimes describe unseen data, and whether they are less clear there than in training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trading.domain import skill
from trading.domain.bars import Floats, Ints
from trading.ml.evaluation import Part, of_rows
from trading.ml.forecasting import REGIMES
from trading.ml.learnable import Learnable, Progress
from trading.ml.networks.mixture import MOST_ROWS, WIDENED
from trading.ml.networks.regime import seen_as

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

BLOCKS: Final = 8  # of a fold: of two months about a week each
FEWEST_A_BLOCK: Final = 5  # moments; of fewer nothing is said (ours)
COUNTED_ROWS: Final = 5_000  # of a fold that numbers of regimes are tried on
STARTS: Final = 10  # of one alone three clear regimes were fitted worse than four, at a local optimum
LEAST_VARIANCE: Final = 1e-3  # added to each when regimes are counted: widened ones would ask for more of them
LEAST_ENTROPY: Final = 1e-6  # nats; below it the regimes of the training never overlap, and a ratio says nothing


@dataclass(frozen=True, slots=True, eq=False)
class _Fold:
    """One fold: scores of each block by each number of regimes, and the entropies at a fixed number over time."""

    scores: Floats  # (BLOCKS, numbers) mean log likelihood of a test row
    trained: Floats  # (moments,) mean entropy of the posterior in training, in nats
    tested: Floats  # (moments,) on test rows


def regimes_of(
    data: Learnable, parts: Sequence[Part], numbers: Sequence[int], progress: Progress, *, seed: int = 0
) -> dict[str, Any]:
    """Return how many regimes unseen rows show, and how much less clear four of them are than in training.

    What is seen of a row is what the regimes of stages 3 and 5 are told by: how volatile its first horizon turned out,
    and its return in standard deviations of that. Mixtures are fitted on training rows alone.

    Args:
        data: features and labels.
        parts: the folds.
        numbers: of regimes that are tried, rising.
        progress: it is told of each fold.
        seed: of the mixtures.

    Returns:
        `regimes`: [chosen over all folds, least of the folds, most of them], and `entropy_rise`: [relative, low, high],
        None where nothing can be said; and what both come from.
    """
    folds = []
    for part in parts:
        progress(1.0, f"regimes of fold {part.number}")
        folds.append(_fold(data, part, numbers, seed))
    told = [fold for fold in folds if fold is not None]
    return {**_counted(told, numbers), "entropy_at": REGIMES, "entropy_rise": _rise(told)}


def chosen(scores: Floats) -> int:
    """Return the column that is chosen: the first that is within one standard error of the best, block by block.

    Shapes:
        scores: (blocks, numbers) mean log likelihood, higher is better; numbers rise from the simplest on.

    Source:
        L. Breiman, J. Friedman, R. Olshen, C. Stone (1984), "Classification and Regression Trees", 3.4.3; the error is
        that of the difference to the best, since all are asked about the same rows.
    """
    best = int(scores.mean(axis=0).argmax())
    behind = scores[:, [best]] - scores
    error = behind.std(axis=0, ddof=1) / sqrt(len(scores)) if len(scores) > 1 else np.zeros(scores.shape[1])
    return int(np.flatnonzero(behind.mean(axis=0) <= error)[0])


def entropy(posterior: Floats) -> Floats:
    """Return (n,) the entropy of (n, K) probabilities, in nats, 0 to log K."""
    found: Floats = -(posterior * np.log(np.clip(posterior, 1e-300, 1.0))).sum(axis=1)
    return found


def _fold(data: Learnable, part: Part, numbers: Sequence[int], seed: int) -> _Fold | None:
    train, level = seen_of(data, part.train)
    test, _ = seen_of(data, part.test, level)
    trained_at, tested_at = of_rows(data, part.train, "at_ns"), of_rows(data, part.test, "at_ns")
    if min(len(np.unique(trained_at)), len(np.unique(tested_at))) < FEWEST_A_BLOCK * BLOCKS:
        return None
    some = train[np.random.default_rng(seed).permutation(len(train))[:MOST_ROWS]]
    few = some[:COUNTED_ROWS]
    counted = [_mixture(few, number, seed, LEAST_VARIANCE, STARTS) for number in numbers]
    said = [_blocks(tested_at, mixture.score_samples(test)) for mixture in counted]
    four = _mixture(some, REGIMES, seed, WIDENED)  # as the stages tell them
    return _Fold(
        np.stack(said, axis=1),
        skill.mean_by_time(trained_at, entropy(four.predict_proba(train))),
        skill.mean_by_time(tested_at, entropy(four.predict_proba(test))),
    )


def seen_of(
    data: Learnable, rows: Ints, level: tuple[float, float] | None = None
) -> tuple[Floats, tuple[float, float]]:
    """Return (n, 2) what regimes are told by, and the mean and spread it was scaled with: its own, or `level`."""
    log_rv = data.target(rows, "log_rv")[:, 0]
    mean, spread = level or (float(log_rv.mean()), max(float(log_rv.std()), LEAST_ENTROPY))
    return seen_as(log_rv, data.target(rows, "returns"), data.horizons_s[0], mean, spread), (mean, spread)


def _mixture(rows: Floats, number: int, seed: int, least: float, starts: int = 1) -> "GaussianMixture":
    from sklearn.mixture import GaussianMixture  # takes a second to load

    how = "k-means++" if starts > 1 else "kmeans"  # the one differs from start to start, the other hardly
    return GaussianMixture(number, reg_covar=least, n_init=starts, init_params=how, random_state=seed).fit(rows)


def _blocks(at_ns: Ints, values: Floats) -> Floats:
    """Return (BLOCKS,) the mean of `values` in as many stretches of time of as many moments each."""
    return np.array([part.mean() for part in np.array_split(skill.mean_by_time(at_ns, values), BLOCKS)])


def _counted(folds: Sequence[_Fold], numbers: Sequence[int]) -> Mapping[str, Any]:
    """Return the number chosen over all blocks of all folds, and by each fold alone."""
    if not folds:
        return {"regimes": None, "regimes_of_folds": [], "log_likelihood": {}}
    found = numbers[chosen(np.concatenate([fold.scores for fold in folds]))]
    alone = [numbers[chosen(fold.scores)] for fold in folds]
    scores = np.mean([fold.scores.mean(axis=0) for fold in folds], axis=0).tolist()
    return {
        "regimes": [found, min(found, *alone), max(found, *alone)],
        "regimes_of_folds": alone,
        "log_likelihood": dict(zip(map(str, numbers), scores, strict=True)),
    }


def _rise(folds: Sequence[_Fold]) -> list[float] | None:
    """Return how much higher the entropy is on test rows, relative, the mean of the folds, with its 95 % interval.

    Training and test are drawn anew in blocks of an eighth of each, by themselves.
    """
    pairs = [(fold.tested, fold.trained) for fold in folds]
    if not pairs or min(float(trained.mean()) for _, trained in pairs) < LEAST_ENTROPY:
        return None
    value = float(np.mean([tested.mean() / trained.mean() for tested, trained in pairs])) - 1
    drawn = [_drawn(tested, 2 * k) / _drawn(trained, 2 * k + 1) for k, (tested, trained) in enumerate(pairs)]
    ends = (1 - skill.LEVEL) / 2, (1 + skill.LEVEL) / 2
    low, high = np.quantile(np.mean(drawn, axis=0) - 1, ends)
    return [value, min(float(low), value), max(float(high), value)]


def _drawn(series: Floats, seed: int) -> Floats:
    return skill.resampled(series[:, np.newaxis], len(series) // BLOCKS, seed=seed)[:, 0]
