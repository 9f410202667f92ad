"""The stages that forecast: scales, ridge and mixture from the training rows, then the trunk is trained."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from trading.domain.bars import Ints
from trading.ml.learnable import Fitted, Learnable, Plan, Progress
from trading.ml.levelling import level
from trading.ml.losses import ForecastLoss
from trading.ml.networks.blocks import Trunk
from trading.ml.networks.forecaster import OUTPUTS, Forecaster
from trading.ml.networks.recurrent import Recurrent, Step
from trading.ml.training import Recipe, UnableToTrain, split, train

REGIMES = 4  # the roadmap's
Hyper = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Forecasting:
    """One forecasting stage: `trunk(features, window, **sizes)` is all that tells it from another."""

    number: int
    name: str
    trunk: Callable[..., nn.Module]
    sizes: Mapping[str, Hyper]  # by name: "quick", "usual", ...

    def fit(self, data: Learnable, rows: Ints, plan: Plan, progress: Progress) -> Fitted:
        """Train on `rows` and nothing else.

        Raises:
            UnableToTrain: a hyper-parameter is unknown, or the rows are too few.
        """
        recipe, hyper = self.read(plan)
        if recipe.keep:
            raise UnableToTrain("keep: there is nothing to keep without a parent; name one, or leave it out.")
        torch.manual_seed(plan.seed)
        net = self.build(len(data.features), data.window, len(data.horizons_s), hyper)
        rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
        fitted, later = split(data, rows, recipe.held_out)
        prepare(net, data, fitted, plan.seed)
        loss = ForecastLoss(OUTPUTS, net.heads.target_spread, data.horizons_s[0])
        curve = train(net, loss, data, fitted, later, recipe, progress, folder=plan.checkpoints)
        settings = {**hyper, **asdict(recipe)}
        return Fitted(net, OUTPUTS, settings, curve, step=Step(net) if isinstance(net.trunk, Recurrent) else None)

    def build(self, features: int, window: int, horizons: int, hyper: Hyper) -> Forecaster:
        """Return the net of these sizes, not trained yet."""
        sizes: Hyper = {name: tuple(value) if isinstance(value, list) else value for name, value in hyper.items()}
        regimes = int(sizes.pop("regimes", REGIMES))
        return Forecaster(cast(Trunk, self.trunk(features, window, **sizes)), features, horizons, regimes)

    def read(self, plan: Plan) -> tuple[Recipe, Hyper]:
        """Return how to train and what sizes to build, of a plan's `hyper` over the stage's own.

        Raises:
            UnableToTrain: a name in it is neither of a recipe nor of a size.
        """
        asked = dict(plan.hyper)
        size = asked.pop("size", "quick" if plan.quick else "usual")
        if size not in self.sizes:
            raise UnableToTrain(f"size: {size!r:.20} is none of {', '.join(self.sizes)}.")
        hyper: Hyper = {"regimes": REGIMES, **self.sizes[size]}
        known = {field.name for field in fields(Recipe)}
        odd = asked.keys() - known - hyper.keys()
        if odd:
            raise UnableToTrain(f"{min(odd)}: no hyper-parameter of {self.name}; use {', '.join(sorted(hyper))}.")
        recipe = Recipe(epochs=plan.epochs, batch=plan.batch, seed=plan.seed, device=plan.device)
        recipe = replace(recipe, **{name: value for name, value in asked.items() if name in known})
        return recipe, {**hyper, **{name: value for name, value in asked.items() if name in hyper}}


def prepare(net: Forecaster, data: Learnable, rows: Ints, seed: int) -> None:
    """Set what needs no gradient from `rows`: scales, the straight line by ridge regression, quantiles, the mixture."""
    level(net, data, rows)
    last = data.last(rows)
    with torch.no_grad():
        z = net.standardize(torch.from_numpy(last), torch.ones(len(last))).numpy()
    net.mixture.fit(z, seed)
