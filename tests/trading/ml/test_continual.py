"""A net learns what is new and keeps what is old."""

import pytest
import torch

from tests.trading.ml.worlds import learnable
from trading.domain.bars import Ints
from trading.ml.continual import anchor
from trading.ml.forecasting import Forecasting
from trading.ml.learnable import Learnable, Plan
from trading.ml.losses import ForecastLoss, batch_of
from trading.ml.networks.forecaster import OUTPUTS
from trading.ml.stages.attentive import STAGE as ATTENTIVE
from trading.ml.stages.recurrent import STAGE as RECURRENT
from trading.ml.training import Recipe, mean_loss, train

RECIPE = Recipe(epochs=6, rate=0.01, restarts=False, held_out=0.0)
STAGES = pytest.mark.parametrize("stage", [RECURRENT, ATTENTIVE], ids=lambda stage: str(stage.name))


def rows_of(data: Learnable) -> Ints:
    return data.rows((data.span,))


def learned(stage: Forecasting, data: Learnable) -> torch.nn.Module:
    hyper = {"rate": 0.01, "restarts": False, "held_out": 0.0}
    return stage.fit(data, rows_of(data), Plan(quick=True, epochs=10, hyper=hyper), lambda _, __: None).net


@STAGES
def test_fisher_information_is_the_mean_square_of_each_rows_slope(stage: Forecasting) -> None:
    data = learnable(bars=150)
    net = learned(stage, data).eval()
    loss, batch = ForecastLoss(OUTPUTS, torch.ones(2), 900), batch_of(data, rows_of(data)[:5])

    found = anchor(net, loss, batch).fisher

    squares = {name: torch.zeros_like(each) for name, each in net.named_parameters()}
    for k in range(5):
        row = type(batch)(*(part[k : k + 1] for part in batch))
        net.zero_grad()
        loss(net(row.x, row.known), row).sum().backward()
        for name, each in net.named_parameters():
            squares[name] += (each.grad if each.grad is not None else torch.zeros_like(each)) ** 2 / 5
    assert all(torch.allclose(found[name], squares[name], atol=1e-5, rtol=1e-3) for name in squares)


def test_an_anchored_net_forgets_less_of_the_old_task() -> None:
    old, new = learnable(bars=400), learnable(bars=400, seed=1, sign=-1.0)
    loss = ForecastLoss(OUTPUTS, torch.ones(2), 900)

    def after(strength: float) -> tuple[float, float]:
        net = learned(RECURRENT, old)
        held = anchor(net, loss, batch_of(old, rows_of(old)[:200])).penalty(strength)
        train(net, loss, new, rows_of(new), rows_of(new)[:0], RECIPE, lambda _, __: None, penalty=held)
        return tuple(mean_loss(net, loss, each, rows_of(each), RECIPE) for each in (old, new))  # type: ignore[return-value]  # of two

    (forgot, fresh), (kept, slower) = after(0.0), after(300.0)

    before = mean_loss(learned(RECURRENT, old), loss, new, rows_of(new), RECIPE)
    assert kept < 0.8 * forgot
    assert fresh < slower < before


def test_where_the_net_was_costs_nothing() -> None:
    data = learnable(bars=150)
    net = learned(RECURRENT, data)
    held = anchor(net, ForecastLoss(OUTPUTS, torch.ones(2), 900), batch_of(data, rows_of(data)[:20]))

    assert float(held.penalty(1e6)(net).detach()) == 0.0
