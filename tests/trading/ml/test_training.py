"""A training learns, stops in time, goes on where it was broken off, and never writes a pickle."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trading.ml.worlds import learnable
from trading.ml import checkpoints
from trading.ml.forecasting import Forecasting
from trading.ml.learnable import Fitted, Learnable, Plan
from trading.ml.levelling import straighten
from trading.ml.stages.attentive import STAGE as ATTENTIVE
from trading.ml.stages.recurrent import STAGE
from trading.ml.training import UnableToTrain, split, warm_restart

PLAN = Plan(quick=True, epochs=3, batch=64)


class BrokenOff(Exception):
    pass


def silent(fraction: float, doing: str) -> None:
    assert 0 <= fraction <= 1
    assert doing


def breaks_off_in(epoch: int) -> Callable[[float, str], None]:
    def progress(_: float, doing: str) -> None:
        if doing.startswith(f"epoch {epoch} "):
            raise BrokenOff

    return progress


def fit(
    data: Learnable, plan: Plan, progress: Callable[[float, str], None] = silent, stage: Forecasting = STAGE
) -> Fitted:
    return stage.fit(data, data.rows((data.span,)), plan, progress)


def weights(fitted: Fitted) -> torch.Tensor:
    return torch.cat([each.detach().flatten() for each in fitted.net.state_dict().values()])


def test_a_net_finds_what_a_straight_line_cannot() -> None:
    data = learnable(bars=1_500)

    curve = fit(data, replace(PLAN, epochs=12, hyper={"hidden": 16, "rate": 0.01, "restarts": False})).curve

    assert [point["epoch"] for point in curve] == list(range(len(curve)))
    assert min(point["validation"] for point in curve) < 0.8 * curve[0]["validation"]


def test_a_training_that_only_harms_leaves_ridge_regression_as_it_was() -> None:
    data = learnable(bars=300)
    plan = replace(PLAN, hyper={"rate": 30.0, "restarts": False, "clip": 1e9})

    net: Any = fit(data, plan).net

    fitted, _ = split(data, data.rows((data.span,)), 0.15)
    z = net.standardize(torch.from_numpy(data.last(fitted)), torch.ones(len(fitted))).numpy()
    y = (data.target(fitted, "log_rv") - net.heads.target_mean.numpy()) / net.heads.target_spread.numpy()
    trained = net.heads.straight.weight.detach().clone()
    straighten(net.heads, z, y)
    assert torch.allclose(trained, net.heads.straight.weight, atol=1e-5)


@pytest.mark.parametrize(
    ("stage", "extra"),
    [
        (STAGE, {}),
        (STAGE, {"average": 0.9, "noise": 0.1, "shift": 3, "adversarial": 0.05}),
        (ATTENTIVE, {"dropout": 0.3}),
    ],
    ids=["plain", "everything", "dropout"],
)
@pytest.mark.parametrize("broken", [1, 2, 3])
def test_broken_off_and_gone_on_gives_the_same_weights(
    tmp_path: Path, broken: int, stage: Forecasting, extra: dict[str, Any]
) -> None:
    data = learnable(bars=150)
    plan = replace(PLAN, hyper={"held_out": 0.0, **extra})  # so that the last epoch counts, whatever it came to
    whole = fit(data, plan, stage=stage)

    with pytest.raises(BrokenOff):
        fit(data, replace(plan, checkpoints=tmp_path), breaks_off_in(broken), stage)
    begun: list[str] = []
    again = fit(data, replace(plan, checkpoints=tmp_path), lambda _, doing: begun.append(doing), stage)

    assert begun[0].startswith(f"epoch {broken} ")
    assert torch.equal(weights(whole), weights(again))
    assert whole.curve == again.curve


def test_a_checkpoint_of_another_training_is_not_gone_on_from(tmp_path: Path) -> None:
    data = learnable(bars=250)
    fit(data, replace(PLAN, checkpoints=tmp_path))

    other = fit(data, replace(PLAN, seed=1, checkpoints=tmp_path))

    assert torch.equal(weights(other), weights(fit(data, replace(PLAN, seed=1))))


def test_a_torn_checkpoint_begins_anew(tmp_path: Path) -> None:
    data = learnable(bars=250)
    fit(data, replace(PLAN, checkpoints=tmp_path))
    path = tmp_path / checkpoints.FILE
    path.write_bytes(path.read_bytes()[:-100])

    again = fit(data, replace(PLAN, checkpoints=tmp_path))

    assert torch.equal(weights(again), weights(fit(data, PLAN)))


def test_a_training_ends_when_nothing_gets_better() -> None:
    data = learnable(bars=300)
    plan = replace(PLAN, epochs=50, hyper={"rate": 1.0, "restarts": False, "patience": 2})

    assert len(fit(data, plan).curve) < 50


def test_no_label_of_the_rows_to_fit_on_reaches_the_rows_to_stop_by() -> None:
    data = learnable(symbols=("BTCUSDT", "ETHUSDT"))

    fitted, later = split(data, data.rows((data.span,)), 0.2)

    until = max(int(data.labels[frame].until_ns[bar]) for frame, bar in fitted)
    begins = min(int(data.frames[frame].at_ns[bar]) for frame, bar in later)
    assert until < begins
    assert len(later) > 0.15 * (len(fitted) + len(later))


def test_too_few_rows_to_stop_by_are_refused() -> None:
    data = learnable(bars=60)

    with pytest.raises(UnableToTrain, match="longer recording"):
        split(data, data.rows((data.span,))[:3], 0.15)


def test_warm_restarts_are_those_of_torch() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=100, T_mult=2)

    for step in range(800):
        assert warm_restart(step) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        (replace(PLAN, device="tpu"), "device"),
        (replace(PLAN, hyper={"size": "huge"}), "size"),
        (replace(PLAN, hyper={"layers": 3}), "layers"),
        (replace(PLAN, hyper={"rate": float("nan")}), "rate"),
    ],
    ids=["device", "size", "unknown", "not finite"],
)
def test_what_cannot_be_trained_is_named(plan: Plan, field: str) -> None:
    with pytest.raises(UnableToTrain, match=f"^{field}: "):
        fit(learnable(bars=250), plan)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(UnableToTrain, match="no GPU"):
        fit(learnable(bars=250), replace(PLAN, device="cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_same_code_trains_on_a_gpu() -> None:
    data = learnable(bars=300)

    here, there = fit(data, PLAN), fit(data, replace(PLAN, device="cuda"))

    assert np.allclose(weights(here).numpy(), weights(there).numpy(), atol=1e-2)
