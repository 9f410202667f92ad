"""Every net looks back only, is as large as it says, can learn, and says the same for the same seed."""

import numpy as np
import pytest
import torch

from tests.trading.ml.worlds import FEATURES, learnable
from trading.ml.forecasting import Forecasting, prepare
from trading.ml.learnable import Plan
from trading.ml.losses import ForecastLoss, batch_of
from trading.ml.networks.blocks import Attention, parameters_of
from trading.ml.networks.forecaster import OUTPUTS, Forecaster
from trading.ml.networks.mixture import WIDENED, Mixture
from trading.ml.networks.multiscale import MultiScale
from trading.ml.networks.recurrent import Step
from trading.ml.stages.attentive import STAGE as ATTENTIVE
from trading.ml.stages.multiscale import STAGE as MULTISCALE
from trading.ml.stages.recurrent import STAGE as RECURRENT

WINDOW, SYMBOLS = 16, 5
STAGES = pytest.mark.parametrize("stage", [RECURRENT, ATTENTIVE, MULTISCALE], ids=lambda stage: str(stage.name))


def quick(stage: Forecasting, window: int = WINDOW) -> Forecaster:
    """Return the tiny net of a stage with weights of its own everywhere: none is left at zero."""
    torch.manual_seed(1)
    hyper = dict(stage.sizes["quick"], regimes=3)
    net = stage.build(FEATURES, window, 2, hyper).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        for buffer in (net.mixture.factors, net.mixture.shifts, net.mixture.offsets):
            buffer.copy_(torch.randn_like(buffer))
    net.set_scales(torch.full((FEATURES,), 3.0), torch.full((FEATURES,), 2.0), torch.ones(2), torch.ones(2))
    return net


def window(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    known = (torch.rand(SYMBOLS, WINDOW, generator=draw) > 0.2).float()
    return 3 + 2 * torch.randn(SYMBOLS, WINDOW, FEATURES, generator=draw), known


@STAGES
def test_what_comes_later_never_changes_what_is_said_now(stage: Forecasting) -> None:
    net, (x, known) = quick(stage), window()
    count = net.sequence(x, known)[0].shape[1]

    for bar in range(WINDOW - count, WINDOW - 1):
        later, gone = x.clone(), known.clone()
        later[:, bar + 1 :] += torch.randn_like(later[:, bar + 1 :])
        gone[:, bar + 1 :] = 1 - gone[:, bar + 1 :]
        for before, after in zip(net.sequence(x, known), net.sequence(later, gone), strict=True):
            said = bar + 1 - (WINDOW - count)
            assert torch.equal(before[:, :said], after[:, :said])


@STAGES
def test_what_came_before_is_heard_as_far_back_as_a_window_reaches(stage: Forecasting) -> None:
    net, (x, _) = quick(stage), window()
    known = torch.ones(SYMBOLS, WINDOW)
    other = x.clone()
    other[:, 0] += 5

    assert not torch.equal(net(x, known)[0], net(other, known)[0])


@STAGES
def test_whatever_stands_where_a_bar_is_unknown_changes_nothing(stage: Forecasting) -> None:
    net, (x, known) = quick(stage), window()
    junk = torch.where(known.unsqueeze(-1) > 0, x, torch.full_like(x, torch.nan))

    for clean, dirty in zip(net(x, known), net(junk, known), strict=True):
        assert torch.equal(clean, dirty)


@STAGES
def test_quantiles_never_cross_and_regimes_sum_to_one(stage: Forecasting) -> None:
    x, known = window()

    log_rv, quantiles, trend, regime = quick(stage)(50 * x, known)

    assert (quantiles[..., 0] <= log_rv).all()
    assert (log_rv <= quantiles[..., 1]).all()
    assert torch.allclose(regime.sum(dim=-1), torch.ones(SYMBOLS))
    assert trend.shape == (SYMBOLS,)


@STAGES
def test_a_net_can_learn_one_batch_by_heart(stage: Forecasting) -> None:
    data = learnable(bars=120)
    rows = data.rows((data.span,))[:24]
    torch.manual_seed(0)
    hyper = {**stage.sizes["quick"], "regimes": 2}
    if "dropout" in hyper:
        hyper["dropout"] = 0.0
    net = stage.build(FEATURES, data.window, 2, hyper)
    prepare(net, data, rows, seed=0)
    loss, batch = ForecastLoss(OUTPUTS, net.heads.target_spread, data.horizons_s[0]), batch_of(data, rows)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)

    def error() -> float:
        return float((net(batch.x, batch.known)[0] - batch.log_rv).detach().square().mean())

    straight = error()
    for _ in range(120):
        optimizer.zero_grad()
        loss(net(batch.x, batch.known), batch).mean().backward()
        optimizer.step()

    assert error() < 0.1 * straight


@STAGES
def test_one_seed_gives_one_net(stage: Forecasting) -> None:
    data = learnable(bars=200)
    rows = data.rows((data.span,))

    def trained(seed: int) -> torch.Tensor:
        net = stage.fit(data, rows, Plan(quick=True, seed=seed, epochs=1), lambda _, __: None).net
        return torch.cat([each.detach().flatten() for each in net.state_dict().values()])

    first = trained(7)
    assert torch.equal(first, trained(7))
    assert not torch.equal(first, trained(8))


@pytest.mark.parametrize(
    ("stage", "size", "count"),
    [
        (RECURRENT, "quick", 2_773),
        (RECURRENT, "usual", 8_965),
        (RECURRENT, "roadmap", 24_389),
        (ATTENTIVE, "quick", 2_273),
        (ATTENTIVE, "usual", 36_233),
        (ATTENTIVE, "roadmap", 52_873),
        (MULTISCALE, "quick", 3_873),
        (MULTISCALE, "usual", 107_113),
        (MULTISCALE, "million", 690_521),
        (MULTISCALE, "roadmap", 5_794_233),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_parameter_counts_are_what_the_documents_say(stage: Forecasting, size: str, count: int) -> None:
    net = stage.build(20, 64, 3, dict(stage.sizes[size]))

    assert parameters_of(net) == count


def test_one_bar_and_the_state_it_left_say_what_the_window_says() -> None:
    net, (x, known) = quick(RECURRENT), window()
    step = Step(net)
    state = torch.zeros(SYMBOLS, step.state_width)

    for bar in range(WINDOW):
        *said, state = step(x[:, bar], known[:, bar], state)
        for one, whole in zip(said, net(x[:, : bar + 1], known[:, : bar + 1]), strict=True):
            assert float((one - whole).detach().abs().max()) <= 1e-6


def test_only_a_recurrent_net_has_a_state() -> None:
    with pytest.raises(TypeError, match="recurrent"):
        Step(quick(ATTENTIVE))


def test_regimes_are_found_in_training_rows_and_told_as_scikit_learn_tells_them() -> None:
    from sklearn.mixture import GaussianMixture

    draw = np.random.default_rng(0)
    z = np.vstack([draw.standard_normal((200, 3)) * 0.3 + centre for centre in (-2, 0, 3)]).astype(np.float32)
    mixture = Mixture(3, 3)
    mixture.fit(z, seed=0)
    order = np.random.default_rng(0).permutation(len(z))
    theirs = GaussianMixture(3, reg_covar=WIDENED, random_state=0).fit(z[order].astype(np.float64))

    for far in (1, 30):  # where float32 would differ in the fourth digit
        away = (far * z).astype(np.float32)
        told = mixture(torch.from_numpy(away)).numpy()
        assert np.allclose(told, theirs.predict_proba(away.astype(np.float64)), atol=1e-6)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="no multiple of 4 heads"):
        Attention(20 + 1, 4, WINDOW)


def test_a_window_that_pieces_do_not_fill_is_refused() -> None:
    with pytest.raises(ValueError, match="no multiple"):
        MultiScale(FEATURES, 30, pooled=4)
