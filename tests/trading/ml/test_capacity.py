"""A second doubling of the parameters is told apart where it helps and where it does not."""

from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from tests.trading.ml.test_evaluation import FEATURES, WALK, data, silent
from trading.domain.bars import Ints
from trading.domain.indicators import Verdict, capacity, regime_entropy, regimes, saturation
from trading.ml.capacity import UnableToGrow, sizes_of, widened
from trading.ml.contenders import Net, simple
from trading.ml.evaluation import walked
from trading.ml.forecasting import Forecasting
from trading.ml.indicating import Look, looked
from trading.ml.learnable import Fitted, Learnable, Plan, Progress, Stage
from trading.ml.networks.dlinear import Pointwise
from trading.ml.stages import STAGES
from trading.ml.stages.light import DLINEAR
from trading.selectors.model_evaluation import read_evaluation

OF = data(days=41)
FOLDS = replace(WALK, newest=2, seeds=(0, 1))
ENOUGH = 8  # hidden units of the smallest net


class Says(nn.Module):
    """Says a share of what the market says."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor(share))

    def forward(self, x: Tensor, known: Tensor) -> tuple[Tensor, ...]:
        return (self.share * (0.5 * x[:, -1, :1] + x[:, -1, 3:4]),)


class Planted(Forecasting):
    """Its nets know the more of the market the wider they are, until they are wide enough."""

    __slots__ = ()

    def fit(self, data: Learnable, rows: Ints, plan: Plan, progress: Progress) -> Fitted:
        recipe, hyper = self.read(plan)
        assert recipe.seed == plan.seed
        return Fitted(Says(min(int(hyper["hidden"]) / int(hyper["enough"]), 1.0)), (), {}, [])


def trunk(features: int, window: int, *, hidden: int, enough: int) -> nn.Module:
    assert enough
    return Pointwise(features, window, hidden=hidden)


def seen(enough: int, look: Look) -> dict[str, Any]:
    stage = Planted(0, "planted", trunk, {"usual": {"hidden": ENOUGH, "enough": enough}})
    net = Net(cast(Stage, stage), Plan(), "planted")
    heard, _, _ = walked(OF, [*simple(FEATURES)[-2:], net], FOLDS, silent)
    return looked(OF, heard, [net], look, FOLDS, silent)


@pytest.mark.parametrize(("enough", "verdict"), [(8 * ENOUGH, Verdict.NOW), (ENOUGH, Verdict.OK)])
def test_two_doublings_that_help_say_that_the_model_is_too_small(enough: int, verdict: Verdict) -> None:
    found = seen(enough, Look(doublings=2, seeds=2))

    told = found["capacity"]["planted"]
    assert capacity(read_evaluation(told).capacity).verdict is verdict
    assert len(told["capacity"]["mse"]) == len(told["capacity"]["parameters"]) == 3
    assert found["trials"] == 4  # two larger nets, two seeds


def test_the_curve_of_a_net_ends_with_what_was_heard_and_counts_its_nets() -> None:
    found = seen(ENOUGH, Look((0.25, 0.5, 1.0)))

    curve = found["learning_curves"]["planted"]
    assert saturation(read_evaluation({"learning_curves": found["learning_curves"]}, "planted").doublings).verdict is (
        Verdict.NOW
    )
    assert curve["rows"][0] * 4 == pytest.approx(curve["rows"][2], rel=0.02)
    assert curve["mse"][0] == pytest.approx(curve["mse"][2])
    assert (found["trials"], found["capacity"], found["market"]) == (2, {}, {})


@pytest.mark.parametrize("number", [0, 3])
def test_each_size_has_about_twice_the_parameters_of_the_one_before(number: int) -> None:
    sizes = sizes_of(Net(STAGES[number], Plan(quick=True), "net"), OF, 2)

    counts = [size.parameters for size in sizes]
    assert counts[1] / counts[0] == pytest.approx(2, rel=0.12)
    assert counts[2] / counts[1] == pytest.approx(2, rel=0.12)


def test_widths_stay_multiples_of_the_heads_and_nothing_else_changes() -> None:
    assert widened({"micro": 8, "channels": [8, 16], "heads": 4, "dropout": 0.1}, 1.4) == {
        "micro": 12, "channels": (12, 24), "heads": 4, "dropout": 0.1,
    }  # fmt: skip


@pytest.mark.parametrize("stage", [DLINEAR, STAGES[5]])
def test_a_net_that_cannot_grow_says_why(stage: Any) -> None:
    with pytest.raises(UnableToGrow, match=stage.name):
        sizes_of(Net(stage, Plan(quick=True), "net"), OF, 1)


ROW = [0.03, 0.02, 0.05]


@pytest.mark.parametrize(
    ("told", "verdicts"),
    [
        ({}, "UNKNOWN UNKNOWN UNKNOWN UNKNOWN"),
        ({"capacity_doublings": [ROW, ROW], "regimes": [6, 5, 7], "entropy_rise": [0.2, 0.1, 0.3]},
         "UNKNOWN NOW NOW NOW"),
        ({"capacity_doublings": [ROW], "regimes": [5, 4, 6], "entropy_rise": [0.2, -0.1, 0.3]},
         "UNKNOWN PLAN PLAN PLAN"),
        ({"capacity_doublings": [[0.0, -0.001, 0.001]], "regimes": [4, 2, 5], "entropy_rise": [0.0, -0.1, 0.1]},
         "UNKNOWN OK OK OK"),
        ({"capacity_doublings": [ROW, None], "regimes": None, "entropy_rise": None},
         "UNKNOWN UNKNOWN UNKNOWN UNKNOWN"),
        ({"learning_curves": {"net": {"doublings": [ROW, ROW]}}}, "OK UNKNOWN UNKNOWN UNKNOWN"),
    ],
)  # fmt: skip
def test_an_evaluation_says_what_is_due(told: dict[str, Any], verdicts: str) -> None:
    found = read_evaluation(told, "net")

    indicators = (
        saturation(found.doublings), capacity(found.capacity), regimes(found.regimes, 4),
        regime_entropy(found.entropy_rise, 4),
    )  # fmt: skip
    assert " ".join(one.verdict for one in indicators) == verdicts
