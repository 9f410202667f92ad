"""Stage 4: forecasts and acts from the past alone, learns from its rows alone, and is judged on others."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trading.ml.made_learnable import made
from trading.domain.learned import Output
from trading.ml.export import onnx_of, parity_of
from trading.ml.learnable import Fitted, Learnable, Plan
from trading.ml.networks.actor_critic import GridActor
from trading.ml.networks.blocks import parameters_of
from trading.ml.stages.reinforcement import ROADMAP, STAGE, episodes_of, market_of
from trading.ml.training import UnableToTrain


def quiet(share: float, words: str) -> None:
    assert 0 <= share <= 1
    assert words


@pytest.fixture(scope="module")
def data() -> Learnable:
    return made()


@pytest.fixture(scope="module")
def fitted(data: Learnable) -> Fitted:
    return STAGE.fit(data, data.rows((data.span,), stride=3), Plan(quick=True), quiet)


def test_it_tells_volatility_and_an_action(data: Learnable, fitted: Fitted) -> None:
    rows = data.rows((data.span,), stride=7)
    x, known = data.windows(rows)

    said = dict(zip(fitted.outputs, fitted.net(torch.from_numpy(x), torch.from_numpy(known)), strict=True))

    assert said[Output.LOG_RV].shape == (len(rows), 2)
    assert said[Output.ACTION].shape == (len(rows), 4)
    assert said[Output.ACTION].abs().max() <= 1
    target = data.target(rows, "log_rv")
    error = said[Output.LOG_RV].detach().numpy() - target
    assert error.var() < 0.6 * target.var()


def test_the_curve_and_the_judgement_are_told(fitted: Fitted) -> None:
    told: dict[str, Any] = fitted.hyper["policy"]

    assert [row["epoch"] for row in fitted.curve] == [0, 1, 2]
    assert len(told["rewards"]) == fitted.hyper["rounds"]
    assert [row["name"] for row in told["held_out"]] == [
        "policy", "plain grid", "random", "half and half", "buy and hold"
    ]  # fmt: skip
    assert all(row["low"] <= row["alpha"] <= row["high"] for row in told["held_out"])


def test_nothing_after_its_rows_is_lived_in(data: Learnable) -> None:
    rows = data.rows((data.span,), stride=3)
    train = rows[(rows[:, 1] < 600) | (rows[:, 1] >= 900)]
    begins = np.array([0, 1_200])

    episodes, at_ns = episodes_of(data, train, begins, 48, 12)

    bars = episodes % 1_200
    assert len(episodes) == len(at_ns) > 20
    assert ((bars[:, 1] < 600) | (bars[:, 0] >= 900)).all()
    assert (episodes // 1_200 == (episodes // 1_200)[:, :1]).all()


def test_no_episode_spans_a_missing_bar(data: Learnable) -> None:
    rows = data.rows((data.span,))
    market = market_of(GridActor(6, 2, latent=4, hidden=(4,)), data)

    episodes, _ = episodes_of(data, rows, market.begins, 24, 1)

    assert len(market.points) == len(market.latent) == 2_400
    assert all((market.points[first : last + 1] > 0).all() for first, last in episodes)
    assert (market.points[400:403] == 0).all()


def test_the_same_seed_gives_the_same_net(data: Learnable, fitted: Fitted) -> None:
    again = STAGE.fit(data, data.rows((data.span,), stride=3), Plan(quick=True), quiet)

    first, second = fitted.net.state_dict(), again.net.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("after", [0.4, 0.6], ids=["while it learned to forecast", "while it learned to act"])
def test_a_training_that_was_broken_off_gives_the_same_net(
    data: Learnable, fitted: Fitted, tmp_path: Path, after: float
) -> None:
    class BrokenOff(Exception):
        pass

    def ends(share: float, words: str) -> None:
        if share > after:
            raise BrokenOff

    rows, plan = data.rows((data.span,), stride=3), Plan(quick=True, checkpoints=tmp_path)
    with pytest.raises(BrokenOff):
        STAGE.fit(data, rows, plan, ends)

    again = STAGE.fit(data, rows, plan, quiet)

    first, second = fitted.net.state_dict(), again.net.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_onnx_says_the_same(data: Learnable, fitted: Fitted) -> None:
    example = (torch.zeros(2, data.window, 6), torch.ones(2, data.window))
    onnx = onnx_of(fitted.net, example, ("x", "known"), tuple(map(str, fitted.outputs)))

    assert parity_of(fitted.net, onnx, data.windows(data.rows((data.span,), stride=50))) <= 1e-5


def test_too_short_a_recording_is_refused() -> None:
    data = made(bars=130, symbols=1)

    with pytest.raises(UnableToTrain, match=r"too few to act in|to stop by"):
        STAGE.fit(data, data.rows((data.span,)), Plan(quick=True, hyper={"held_out": 0.0, "epochs": 1}), quiet)


def test_the_roadmaps_sizes_can_be_built() -> None:
    net = GridActor(50, 3, latent=ROADMAP["latent"], hidden=ROADMAP["hidden"])  # type: ignore[arg-type]  # as written

    assert parameters_of(net.policy) == 128 * 256 + 256 + 256 * 256 + 256 + 256 * 4 + 4
