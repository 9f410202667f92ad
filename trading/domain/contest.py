"""What many forecasters said of the same hours, and how each stands against HAR and Ridge, by fold and symbol."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import erf, sqrt
from typing import Any, Final

import numpy as np

from trading.domain import skill
from trading.domain.bars import Bools, Floats, Ints
from trading.domain.overfit import FEWEST_SHIFTS, time_shifted

HAR, RIDGE = "har", "ridge"
TENTH: Final = 1.2815515655446004  # standard deviations from the mean of a normal to its 90 % quantile
SHIFTS: Final = 40  # p <= 0.05 asks for 20
WEEK_NS: Final = 7 * 86_400_000_000_000  # a block of the bootstrap: what volatility remembers fades within it


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What every contender said of the same test rows, in order of fold and time.

    Shapes:
        at_ns, symbol, fold, y: (n,) when, of which of `symbols`, in which fold, and what came.
        said: by name, (seeds, n) forecasts.
        spread: by name, (n,) standard deviation of the forecast's error on its training rows.
    """

    symbols: tuple[str, ...]
    at_ns: Ints
    symbol: Ints
    fold: Ints
    y: Floats
    said: Mapping[str, Floats]
    spread: Mapping[str, Floats]
    step_ns: int  # between two rows of a symbol
    horizon_ns: int  # what a forecast is of

    def loss(self, name: str) -> Floats:
        """Return the squared error of each row, (n,), the mean of its seeds: a lucky seed proves nothing."""
        mean: Floats = np.square(self.said[name] - self.y).mean(axis=0)
        return mean

    def first(self, name: str) -> Floats:
        """Return the forecasts of the first seed, (n,)."""
        one: Floats = self.said[name][0]
        return one

    @property
    def overlap(self) -> int:
        """How many rows in a row see part of the same outcome."""
        return max(-(-self.horizon_ns // self.step_ns), 1)

    def block(self, times: int) -> int:
        """Return how many of `times` moments a block of the bootstrap holds."""
        return max(min(WEEK_NS // self.step_ns, times // 4), 1)


def folds_of(heard: Heard, name: str) -> dict[int, float]:
    """Return the mean squared error of each fold."""
    return _means(heard.loss(name), heard.fold)


def standing(heard: Heard, name: str) -> dict[str, Any]:
    """Return how `name` stands, as plain JSON; what cannot be known is None.

    A skill of 0.05 says 5 % lower mean squared error; its interval is of blocks of a week, all symbols drawn together.
    """
    loss, first = heard.loss(name), heard.first(name)
    of_seeds = np.square(heard.said[name] - heard.y).mean(axis=1)
    against = _against(heard, name, HAR)
    return {
        "name": name,
        "mse": float(loss.mean()),
        "mse_of_seeds": [float(one) for one in of_seeds],
        "mae": float(skill.absolute(heard.y, first).mean()),
        "qlike": float(skill.qlike(heard.y, first).mean()),
        "skill_vs_har": against["skill"],
        "interval": against["interval"],
        "t_vs_har": against["t"],
        "t_vs_ridge": _against(heard, name, RIDGE)["t"],
        "behind_ridge": _behind(heard, name, np.ones(len(loss), np.bool_)),
        **_by_fold(heard, name, HAR),
        "symbols": [_of_symbol(heard, name, number) for number in sorted(set(heard.symbol.tolist()))],
        **_calibration(heard, name),
    }


def shown(heard: Heard, name: str, rivals: Iterable[str]) -> dict[str, Any]:
    """Return what the offline gate reads of a forecast (`offline_gate.Evidence`), held against the best of `rivals`."""
    best = min((each for each in rivals if each != name), key=lambda each: float(heard.loss(each).mean()))
    har, by_fold = _against(heard, name, HAR), _by_fold(heard, name, best)
    shifted = permutation(heard, name)
    return {
        "best_rival": best,
        "folds": len(set(heard.fold.tolist())),
        "t_vs_best": _against(heard, name, best)["t"],
        "better_folds": by_fold["better_folds"],
        "worst_fold": by_fold["worst_fold"],
        "skill_vs_har": har["skill"],
        "behind_ridge": _behind(heard, name, np.ones(len(heard.y), np.bool_)),
        "permutation_p": shifted,
        "shifts": None if shifted is None else SHIFTS,
    }


def permutation(heard: Heard, name: str) -> float | None:
    """Return how likely what the forecast adds to HAR knows nothing of its moment; None where it adds nothing.

    What no straight line of HAR's forecast explains of the other is turned through time, on the symbol with the most
    rows, and held against what no such line explains of what came.
    """
    mine = heard.symbol == int(np.argmax(np.bincount(heard.symbol)))
    har = heard.first(HAR)[mine]
    added, left = _without(har, heard.first(name)[mine]), _without(har, heard.y[mine])
    count = len(added)
    if np.ptp(added) < 1e-9 or count < 4 * FEWEST_SHIFTS + 2 * heard.overlap:
        return None
    least = min(heard.block(count), count // 8)
    return time_shifted(added, left, _covariance, shifts=SHIFTS, least=least).p


def _without(known: Floats, values: Floats) -> Floats:
    """Return what no straight line of `known` explains of `values`."""
    line = np.column_stack((np.ones(len(known)), known))
    rest: Floats = values - line @ np.linalg.lstsq(line, values, rcond=None)[0]
    return rest


def _covariance(added: Floats, left: Floats) -> float:
    return float(added @ left)


def _against(heard: Heard, name: str, rival: str, mine: Bools | None = None) -> dict[str, Any]:
    """Return skill, interval and t against `rival`; the symbols of one moment count as one case."""
    use = np.ones(len(heard.y), np.bool_) if mine is None else mine
    if name == rival or rival not in heard.said:
        return {"skill": 0.0 if name == rival else None, "interval": None, "t": None}
    loss, other = (skill.by_time(heard.at_ns[use], heard.loss(each)[use]) for each in (name, rival))
    found = skill.relative_skill(loss, other, heard.block(len(loss)))
    test = skill.diebold_mariano(loss, other, overlap=heard.overlap)
    return {
        "skill": None if found is None else found.estimate,
        "interval": None if found is None else [found.low, found.high],
        "t": None if test is None else test.t,
    }


def _by_fold(heard: Heard, name: str, rival: str) -> dict[str, Any]:
    mine, other = folds_of(heard, name), folds_of(heard, rival)
    more = {fold: mine[fold] / other[fold] - 1 for fold in mine}
    return {
        "better_folds": float(np.mean([one < 0 for one in more.values()])),
        "worst_fold": max(more.values()),
        "worst_fold_number": max(more, key=lambda fold: more[fold]),
    }


def _of_symbol(heard: Heard, name: str, number: int) -> dict[str, Any]:
    mine = heard.symbol == number
    against = _against(heard, name, HAR, mine)
    return {
        "symbol": heard.symbols[number],
        "rows": int(mine.sum()),
        "mse": float(heard.loss(name)[mine].mean()),
        "skill_vs_har": against["skill"],
        "interval": against["interval"],
        "t_vs_har": against["t"],
        "behind_ridge": _behind(heard, name, mine),
    }


def _behind(heard: Heard, name: str, mine: Bools) -> float | None:
    if RIDGE not in heard.said:
        return None
    return float(heard.loss(name)[mine].mean() / heard.loss(RIDGE)[mine].mean() - 1)


def _calibration(heard: Heard, name: str) -> dict[str, Any]:
    """Return how well a normal around the forecast, as wide as its errors in training, says what comes.

    The diagram is of "the coming hour is calmer than the median of the test rows".
    """
    mean, spread = heard.first(name), heard.spread[name]
    median = float(np.median(heard.y))
    z = (median - mean) / spread
    calmer = np.array([0.5 * (1 + erf(one / sqrt(2))) for one in z.tolist()])
    diagram = skill.reliability(heard.y < median, calmer)
    return {
        "coverage_80": skill.coverage(heard.y, mean - TENTH * spread, mean + TENTH * spread),
        "crps": float(skill.crps_normal(heard.y, mean, spread).mean()),
        "brier": float(skill.brier(heard.y < median, calmer).mean()),
        "auc": skill.area_under_curve(heard.y < median, calmer),
        "calibration_error": skill.calibration_error(diagram),
        "reliability": [[each.count, each.said, each.happened] for each in diagram],
    }


def _means(values: Floats, groups: Ints) -> dict[int, float]:
    return {int(one): float(values[groups == one].mean()) for one in np.unique(groups)}
