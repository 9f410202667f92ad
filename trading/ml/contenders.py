"""Whoever forecasts volatility in a walk-forward: baselines, and the stages of the roadmap, all fitted the same way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import nn

from trading.domain import baselines
from trading.domain.bars import Floats, Frame, Ints
from trading.domain.baselines import Baseline, Predict
from trading.ml.learnable import Fitted, Learnable, Plan, Progress, Stage

BATCH = 4_096  # windows asked at once


@dataclass(frozen=True, slots=True)
class Fit:
    """One contender after training."""

    forecast: Callable[[Ints], Floats]  # rows (k, 2) -> (k,) log variance per hour over the first horizon
    parameters: int
    fitted: Fitted | None = None  # of nets
    rows: Ints | None = None  # a net was trained on


class Contender(Protocol):
    """Learns from rows, then forecasts rows."""

    name: str
    seeded: bool  # another seed gives another forecast

    def fit(self, data: Learnable, rows: Ints, seed: int, progress: Progress) -> Fit:
        """Learn from `rows` and nothing else."""
        ...


@dataclass(slots=True)
class Simple:
    """A baseline, fitted to each symbol alone."""

    baseline: Callable[[int], Baseline]  # of a seed
    name: str
    extra: bool = False  # it reads the weighted variances too
    seeded: bool = False
    _extras: dict[int, Floats] = field(default_factory=dict)

    def fit(self, data: Learnable, rows: Ints, seed: int, progress: Progress) -> Fit:
        """Fit one line a symbol."""
        predicts: dict[int, Predict] = {}
        for number in np.unique(rows[:, 0]).tolist():
            mine = rows[rows[:, 0] == number]
            predicts[number] = self.baseline(seed).fit(self._x(data, mine), data.target(mine, "log_rv")[:, 0])
        return Fit(partial(self._forecast, data, predicts), len(predicts) * (1 + len(data.features)))

    def _forecast(self, data: Learnable, predicts: Mapping[int, Predict], rows: Ints) -> Floats:
        found = np.empty(len(rows))
        for number in np.unique(rows[:, 0]).tolist():
            mine = rows[:, 0] == number
            found[mine] = predicts[number](self._x(data, rows[mine]))
        return found

    def _x(self, data: Learnable, rows: Ints) -> Floats:
        x = data.last(rows).astype(np.float64)
        if not self.extra:
            return x
        return np.column_stack((x, self._extra(data.frames[rows[0, 0]])[rows[:, 1]]))  # rows of one symbol

    def _extra(self, frame: Frame) -> Floats:
        if id(frame) not in self._extras:
            found = [baselines.ewma(frame.close, frame.bar_ns, one) for one in baselines.HALF_LIVES_S]
            self._extras[id(frame)] = np.stack(found, axis=1)
        return self._extras[id(frame)]


@dataclass(slots=True)
class Net:
    """A stage of the roadmap, trained on all symbols together."""

    stage: Stage
    plan: Plan
    name: str
    thin: int = 1  # every so many-th row is learned from; the seed says which
    seeded: bool = True

    def fit(self, data: Learnable, rows: Ints, seed: int, progress: Progress) -> Fit:
        """Train it with `seed`."""
        mine = rows[seed % self.thin :: self.thin]
        fitted = self.stage.fit(data, mine, replace(self.plan, seed=seed), progress)
        count = sum(each.numel() for each in fitted.net.parameters() if each.requires_grad)
        return Fit(partial(forecasts, fitted.net, data), count, fitted, mine)


def forecasts(net: nn.Module, data: Learnable, rows: Ints) -> Floats:
    """Return what `net` says of the first horizon of each row, (k,)."""
    net.eval()
    found = np.empty(len(rows))
    with torch.no_grad():
        for begin in range(0, len(rows), BATCH):
            x, known = data.windows(rows[begin : begin + BATCH])
            found[begin : begin + BATCH] = net(torch.from_numpy(x), torch.from_numpy(known))[0][:, 0].double().numpy()
    return found


def simple(features: tuple[str, ...]) -> tuple[Simple, ...]:
    """Return every baseline that reads `features`.

    Raises:
        UnableToFit: a feature that one of them needs is missing.
    """
    of = partial(baselines.columns, features)
    har, last = of(baselines.HAR_FEATURES), of((baselines.LAST_FEATURE,))[0]
    weighted = tuple(range(len(features), len(features) + len(baselines.HALF_LIVES_S)))
    return (
        Simple(baselines.Random, "random", seeded=True),
        Simple(lambda _: baselines.LastHour(last), "last_hour"),
        Simple(lambda _: baselines.Ewma(weighted), "ewma", extra=True),
        Simple(lambda _: baselines.Har(har), "har"),
        Simple(lambda _: baselines.Ridge(), "ridge"),
    )
