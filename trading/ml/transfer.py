"""Learn from many symbols, then go on with one: the child begins with the weights of its parent."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from trading.domain.bars import Ints
from trading.domain.model_card import Card, read_card
from trading.ml.forecasting import Forecasting
from trading.ml.learnable import Fitted, Learnable, Plan, Progress
from trading.ml.losses import ForecastLoss
from trading.ml.networks.forecaster import OUTPUTS, Forecaster
from trading.ml.networks.recurrent import Recurrent, Step
from trading.ml.training import Recipe, UnableToTrain, split, train

RATE = 3e-4  # of the learning, a third of what a net begins with (ours)


def fine_tune(
    stage: Forecasting,
    parent: Mapping[str, bytes],
    data: Learnable,
    rows: Ints,
    plan: Plan,
    progress: Progress,
) -> Fitted:
    """Go on training the net in the files of `parent` on `rows`; its scales and regimes stay as they were.

    Raises:
        UnableToTrain: the parent is of another stage, or reads other features or windows.
    """
    card = read_card(parent["card.json"])
    _refuse_other(stage, card, data)
    net = restored(stage, parent, card)
    asked = {name: value for name, value in plan.hyper.items() if name != "size"}
    recipe, _ = stage.read(replace(plan, hyper={"rate": RATE, **asked}))
    return go_on(net, card.hyper, data, rows, recipe, plan, progress)


def go_on(
    net: Forecaster,
    hyper: Mapping[str, Any],
    data: Learnable,
    rows: Ints,
    recipe: Recipe,
    plan: Plan,
    progress: Progress,
) -> Fitted:
    """Train a net on, whatever it has learned before."""
    torch.manual_seed(plan.seed)
    fitted, later = split(data, rows, recipe.held_out)
    loss = ForecastLoss(OUTPUTS, net.heads.target_spread, data.horizons_s[0])
    curve = train(net, loss, data, fitted, later, recipe, progress, folder=plan.checkpoints)
    step = Step(net) if isinstance(net.trunk, Recurrent) else None
    return Fitted(net, OUTPUTS, dict(hyper), curve, step=step)


def restored(stage: Forecasting, files: Mapping[str, bytes], card: Card) -> Forecaster:
    """Return the net in the files of a model.

    Raises:
        UnableToTrain: its weights are not those of such a net.
    """
    names = stage.sizes["quick"].keys() | {"regimes"}
    sizes = {name: value for name, value in card.hyper.items() if name in names}
    net = stage.build(len(card.features), card.window, len(card.horizons_s), sizes)
    try:
        net.load_state_dict(load(files["weights.safetensors"]))
    except (RuntimeError, SafetensorError) as error:
        raise UnableToTrain("parent: its weights are not those of its card; choose another model.") from error
    return net


def _refuse_other(stage: Forecasting, card: Card, data: Learnable) -> None:
    for name, theirs, ours in (
        ("stage", card.stage, stage.number),
        ("features", card.schema, data.schema),
        ("window", card.window, data.window),
        ("horizons", card.horizons_s, data.horizons_s),
    ):
        if theirs != ours:
            raise UnableToTrain(f"parent: its {name} are {theirs!r:.40}, not {ours!r:.40}; choose another model.")
