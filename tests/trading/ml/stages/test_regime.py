"""Stage 3 sees nothing after its bar, learns from its rows alone, and says the same as ONNX."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trading.ml.made_learnable import made
from trading.domain.learned import Output
from trading.ml.export import onnx_of, parity_of
from trading.ml.learnable import Fitted, Learnable, Plan
from trading.ml.networks.blocks import parameters_of
from trading.ml.networks.regime import OUTPUTS, DeepRegime, RegimeTeacher
from trading.ml.stages.regime import ROADMAP, STAGE, net_of, tasks_of


def quiet(share: float, words: str) -> None:
    assert 0 <= share <= 1
    assert words


@pytest.fixture(scope="module")
def data() -> Learnable:
    return made(window=6)  # the exporter takes as long as a window is long


@pytest.fixture(scope="module")
def fitted(data: Learnable) -> Fitted:
    return STAGE.fit(data, data.rows((data.span,), stride=3), Plan(quick=True), quiet)


def said(fitted: Fitted, data: Learnable, rows: np.ndarray) -> dict[str, np.ndarray]:
    with torch.no_grad():
        tensors = fitted.net(*map(torch.from_numpy, data.windows(rows)))
    return {str(name): each.numpy() for name, each in zip(fitted.outputs, tensors, strict=True)}


def test_it_tells_volatility_and_regimes(data: Learnable, fitted: Fitted) -> None:
    rows = data.rows((data.span,), stride=7)

    told = said(fitted, data, rows)

    target = data.target(rows, "log_rv")
    assert (told[Output.LOG_RV] - target).var() < 0.6 * target.var()
    assert told[Output.REGIME].shape == (len(rows), 4)
    assert told[Output.REGIME].sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert fitted.hyper["adaptation"]["tasks"] > 4


def test_it_learns_by_heart_what_it_sees_again_and_again(data: Learnable) -> None:
    rows = data.rows((data.span,), stride=40)
    plan = Plan(quick=True, epochs=60, hyper={"held_out": 0.0, "restarts": False, "rate": 1e-2, "patience": 99})

    curve = STAGE.fit(data, rows, plan, quiet).curve

    assert curve[-1]["train"] < 0.7 * curve[0]["train"]


def test_the_future_changes_nothing(data: Learnable, fitted: Fitted) -> None:
    bar = 600
    frame = data.frames[0]
    x = frame.x.copy()
    x[bar + 1 :] += 3
    changed = replace(data, frames=(replace(frame, x=x), *data.frames[1:]))
    rows = np.array([[0, bar - 20], [0, bar]])

    before, after = said(fitted, data, rows), said(fitted, changed, rows)
    beyond = said(fitted, changed, np.array([[0, bar + 1]]))

    assert all((before[name] == after[name]).all() for name in before)
    assert (beyond[Output.LOG_RV] != said(fitted, data, np.array([[0, bar + 1]]))[Output.LOG_RV]).any()


def test_both_directions_of_the_gru_have_read_the_whole_window(data: Learnable, fitted: Fitted) -> None:
    x, known = data.windows(np.array([[0, 700]]))
    net, half = fitted.net, fitted.hyper["gru"]
    assert isinstance(net, DeepRegime)
    for bar in (0, data.window - 1):
        other = x.copy()
        other[:, bar] += 2

        one, two = (net.state(torch.from_numpy(each), torch.from_numpy(known))[0] for each in (x, other))

        assert not torch.equal(one[:half], two[:half])
        assert not torch.equal(one[half : 2 * half], two[half : 2 * half])


def test_what_stands_where_nothing_is_known_does_not_matter(data: Learnable, fitted: Fitted) -> None:
    x, known = data.windows(np.array([[0, 700]]))
    known[:, 5] = 0
    other = x.copy()
    other[:, 5] = 99

    one, two = (fitted.net(torch.from_numpy(each), torch.from_numpy(known)) for each in (x, other))

    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_the_regimes_are_those_of_the_training_rows_calmest_first() -> None:
    draw = np.random.default_rng(0)
    level = np.repeat((-12.0, -8.0), 500)
    log_rv = torch.from_numpy((level + 0.3 * draw.standard_normal(1_000))[:, np.newaxis]).float()
    returns = torch.from_numpy(np.exp(level / 2) * draw.standard_normal(1_000)).float()
    teacher = RegimeTeacher(2, 3_600)

    teacher.fit(log_rv, returns, 0)

    labels = teacher(log_rv, returns).argmax(dim=1)
    assert (labels[:500] == 0).float().mean() > 0.98
    assert (labels[500:] == 1).float().mean() > 0.98


def test_no_label_of_a_support_is_known_after_its_query_begins(data: Learnable) -> None:
    rows = data.rows((data.span,), stride=3)
    at = torch.from_numpy(np.stack([data.frames[f].at_ns[b] for f, b in rows])).unsqueeze(1).double()
    symbols = torch.from_numpy(rows[:, 0])

    tasks = tasks_of(data, rows, at, symbols, 8)

    assert tasks is not None
    assert len(tasks.support) > 8
    assert (tasks.query.amin(dim=1) > tasks.support.amax(dim=1) + data.horizons_s[0] * 1e9).all()
    assert (tasks.support_labels == tasks.support_labels[:, :1]).all()
    assert (tasks.query_labels == tasks.support_labels).all()
    assert tasks_of(data, rows[:10], at, symbols, 8) is None


def test_the_same_seed_gives_the_same_net(data: Learnable, fitted: Fitted) -> None:
    again = STAGE.fit(data, data.rows((data.span,), stride=3), Plan(quick=True), quiet)

    first, second = fitted.net.state_dict(), again.net.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_onnx_says_the_same(data: Learnable, fitted: Fitted) -> None:
    example = (torch.zeros(2, data.window, 6), torch.ones(2, data.window))
    onnx = onnx_of(fitted.net, example, ("x", "known"), tuple(map(str, OUTPUTS)))

    assert parity_of(fitted.net, onnx, data.windows(data.rows((data.span,), stride=50))) <= 1e-5


def test_the_roadmaps_sizes_can_be_built() -> None:
    net = net_of(50, 3, {**ROADMAP, "regimes": 4}).eval()

    told = net(torch.zeros(2, 8, 50), torch.ones(2, 8))

    assert told[-1].shape == (2, 4)
    assert 500_000 < parameters_of(net) < 700_000
