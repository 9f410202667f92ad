"""What many symbols teach, one begins with."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import torch

from tests.trading.ml.worlds import learnable
from trading.domain.bars import Ints
from trading.domain.splits import Span
from trading.ml.export import Origin, card_of, weights_of
from trading.ml.forecasting import Forecasting
from trading.ml.learnable import Fitted, Learnable, Plan
from trading.ml.losses import ForecastLoss
from trading.ml.networks.forecaster import OUTPUTS
from trading.ml.stages.attentive import STAGE as ATTENTIVE
from trading.ml.stages.recurrent import STAGE as RECURRENT
from trading.ml.training import Recipe, UnableToTrain, mean_loss
from trading.ml.transfer import fine_tune, restored

HYPER = {"rate": 0.01, "restarts": False, "hidden": 12}


def rows_of(data: Learnable) -> Ints:
    return data.rows((data.span,))


def silent(fraction: float, doing: str) -> None:
    assert 0 <= fraction <= 1, doing


def packed(stage: Forecasting, fitted: Fitted, data: Learnable) -> dict[str, bytes]:
    origin = Origin(stage.name, stage.number, True, (0,), datetime(2026, 11, 1, tzinfo=UTC))
    card = card_of(fitted, data, rows_of(data), origin, parity=0.0).as_json()
    return {"card.json": json.dumps(card).encode(), "weights.safetensors": weights_of(fitted.net)}


@pytest.fixture(scope="module")
def parent() -> dict[str, bytes]:
    many = learnable(symbols=("AUSDT", "BUSDT", "CUSDT", "DUSDT"), bars=700, seed=5)
    return packed(RECURRENT, RECURRENT.fit(many, rows_of(many), Plan(quick=True, epochs=12, hyper=HYPER), silent), many)


def test_a_child_of_many_symbols_does_better_on_a_short_history_than_one_that_begins_anew(parent: Any) -> None:
    short, later = learnable(bars=150, seed=9), learnable(bars=600, seed=10)
    plan = Plan(quick=True, epochs=3)

    child = fine_tune(RECURRENT, parent, short, rows_of(short), plan, silent)
    alone = RECURRENT.fit(short, rows_of(short), Plan(quick=True, epochs=3, hyper=HYPER), silent)

    loss = ForecastLoss(OUTPUTS, torch.ones(2), 900)
    told, untold = (mean_loss(each.net, loss, later, rows_of(later), Recipe()) for each in (child, alone))
    assert told < 0.8 * untold


def test_a_child_that_does_not_learn_is_its_parent(parent: Any) -> None:
    data = learnable(bars=150, seed=9)

    child = fine_tune(RECURRENT, parent, data, rows_of(data), Plan(quick=True, epochs=1, hyper={"rate": 0.0}), silent)

    assert weights_of(child.net) == parent["weights.safetensors"]
    assert child.hyper["hidden"] == 12
    assert child.step is not None


def test_a_child_that_keeps_loses_less_of_what_its_parent_has_settled(parent: Any) -> None:
    longer, turned = learnable(bars=500, seed=9), learnable(bars=500, seed=9, sign=-1.0)
    until = int(longer.labels[0].until_ns[250])
    card = {**json.loads(parent["card.json"]), "trained_until_ns": until}
    parent = {**parent, "card.json": json.dumps(card).encode()}
    new = longer.frames[0].at_ns > until
    longer.labels[0].log_rv[new] = turned.labels[0].log_rv[new]
    old = longer.rows((Span(0, until + 1),))
    loss = ForecastLoss(OUTPUTS, torch.ones(2), 900)

    def lost(keep: float) -> float:
        hyper = {"rate": 0.01, "restarts": False, "keep": keep, "held_out": 0.0}
        rows = rows_of(longer) if keep else longer.rows((Span(until + 1, longer.span.end_ns),))
        child = fine_tune(RECURRENT, parent, longer, rows, Plan(quick=True, epochs=8, hyper=hyper), silent)
        return mean_loss(child.net, loss, longer, old, Recipe())

    assert lost(keep=300.0) < 0.8 * lost(keep=0.0)


def test_a_child_with_nothing_to_keep_is_refused(parent: Any) -> None:
    data = learnable(bars=150, seed=9)
    plan = Plan(quick=True, hyper={"keep": 1.0})

    with pytest.raises(UnableToTrain, match=r"keep: \d+ rows are of the parent's time and 0 after"):
        fine_tune(RECURRENT, parent, data, rows_of(data), plan, silent)
    with pytest.raises(UnableToTrain, match="keep: there is nothing to keep without a parent"):
        RECURRENT.fit(data, rows_of(data), plan, silent)


@pytest.mark.parametrize(
    ("stage", "window", "field"), [(ATTENTIVE, 16, "stage"), (RECURRENT, 8, "window")], ids=["stage", "window"]
)
def test_a_parent_of_another_kind_is_refused(parent: Any, stage: Forecasting, window: int, field: str) -> None:
    data = learnable(bars=150, window=window)

    with pytest.raises(UnableToTrain, match=f"parent: its {field}"):
        fine_tune(stage, parent, data, rows_of(data), Plan(quick=True), silent)


def test_weights_that_are_not_the_cards_are_refused(parent: Any) -> None:
    from trading.domain.model_card import read_card

    torn = {**parent, "weights.safetensors": parent["weights.safetensors"][:-50]}

    with pytest.raises(UnableToTrain, match="weights"):
        restored(RECURRENT, torn, read_card(parent["card.json"]))
