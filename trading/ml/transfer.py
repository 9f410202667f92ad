"""Learn from many symbols, then go on with one: the child begins with the weights of its parent."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load

from trading.domain.bars import Ints
from trading.domain.model_card import Card, read_card
from trading.ml.continual import anchor
from trading.ml.forecasting import Forecasting
from trading.ml.learnable import Fitted, Learnable, Plan, Progress
from trading.ml.losses import ForecastLoss, batch_of
from trading.ml.networks.forecaster import OUTPUTS, Forecaster
from trading.ml.networks.recurrent import Recurrent, Step
from trading.ml.training import Penalty, Recipe, UnableToTrain, split, train

RATE = 3e-4  # of the learning, a third of what a net begins with (ours)
ANCHORED = 256  # rows of the old task that tell how much each weight matters to it


def fine_tune(
    stage: Forecasting,
    parent: Mapping[str, bytes],
    data: Learnable,
    rows: Ints,
    plan: Plan,
    progress: Progress,
) -> Fitted:
    """Go on training the net in the files of `parent` on `rows`; its scales and regimes stay as they were.

    With "keep" above 0 in the plan's `hyper` only rows are learned that begin after what the parent has learned, and
    leaving what the older ones settled costs so much (elastic weight consolidation).

    Raises:
        UnableToTrain: the parent is of another stage, reads other features or windows, or there is nothing to keep.
    """
    card = read_card(parent["card.json"])
    _refuse_other(stage, card, data)
    net = restored(stage, parent, card)
    asked = {name: value for name, value in plan.hyper.items() if name != "size"}
    recipe, _ = stage.read(replace(plan, hyper={"rate": RATE, **asked}))
    if not recipe.keep:
        return go_on(net, card.hyper, data, rows, recipe, plan, progress)
    old, new = _parted(data, rows, card.trained_until_ns)
    some = old[np.linspace(0, len(old) - 1, min(ANCHORED, len(old))).astype(np.int64)]
    loss = ForecastLoss(OUTPUTS, net.heads.target_spread, data.horizons_s[0])
    held = anchor(net, loss, batch_of(data, some)).to(recipe.device).penalty(recipe.keep)
    return go_on(net, {**card.hyper, "keep": recipe.keep}, data, new, recipe, plan, progress, penalty=held)


def go_on(
    net: Forecaster,
    hyper: Mapping[str, Any],
    data: Learnable,
    rows: Ints,
    recipe: Recipe,
    plan: Plan,
    progress: Progress,
    *,
    penalty: Penalty | None = None,
) -> Fitted:
    """Train a net on, whatever it has learned before."""
    torch.manual_seed(plan.seed)
    fitted, later = split(data, rows, recipe.held_out)
    loss = ForecastLoss(OUTPUTS, net.heads.target_spread, data.horizons_s[0])
    curve = train(net, loss, data, fitted, later, recipe, progress, folder=plan.checkpoints, penalty=penalty)
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


def _parted(data: Learnable, rows: Ints, until_ns: int) -> tuple[Ints, Ints]:
    """Return the rows whose labels were known by then, and those that begin after."""
    at = np.array([data.frames[frame].at_ns[bar] for frame, bar in rows], np.int64)
    until = np.array([data.labels[frame].until_ns[bar] for frame, bar in rows], np.int64)
    old, new = rows[until <= until_ns], rows[at > until_ns]
    if not len(old) or not len(new):
        text = f"{len(old)} rows are of the parent's time and {len(new)} after it; load bars of both, or leave it out."
        raise UnableToTrain(f"keep: {text}")
    return old, new


def _refuse_other(stage: Forecasting, card: Card, data: Learnable) -> None:
    for name, theirs, ours in (
        ("stage", card.stage, stage.number),
        ("features", card.schema, data.schema),
        ("window", card.window, data.window),
        ("horizons", card.horizons_s, data.horizons_s),
    ):
        if theirs != ours:
            raise UnableToTrain(f"parent: its {name} are {theirs!r:.40}, not {ours!r:.40}; choose another model.")
