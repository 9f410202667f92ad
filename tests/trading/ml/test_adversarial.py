"""Features pushed to hurt, and markets that break."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trading.domain.shipped_bars import shipped
from tests.trading.ml.worlds import FEATURES, learnable
from trading.domain.bars import Bars
from trading.ml.adversarial import Stress, fgsm, stressed
from trading.ml.learnable import Plan
from trading.ml.learnable import learnable as learn
from trading.ml.losses import ForecastLoss, batch_of
from trading.ml.networks.forecaster import OUTPUTS
from trading.ml.stages.recurrent import STAGE

BEGIN, LENGTH = 4_000, 60


def bars() -> Bars:
    return shipped("BTCUSDT")


def test_a_push_hurts_and_stays_within_its_steps() -> None:
    data = learnable(bars=300)
    rows = data.rows((data.span,))
    net = STAGE.fit(data, rows, Plan(quick=True, epochs=2), lambda _, __: None).net
    loss, batch = ForecastLoss(OUTPUTS, torch.ones(2), 900), batch_of(data, rows[:50])
    steps = torch.linspace(0.1, 0.2, FEATURES)

    hurt = fgsm(net, loss, batch, steps)

    assert float((loss(net(hurt.x, hurt.known), hurt) - loss(net(batch.x, batch.known), batch)).detach().mean()) > 0
    assert ((hurt.x - batch.x).abs() <= steps + 1e-5).all()
    assert torch.equal(hurt.x[batch.known == 0], batch.x[batch.known == 0])


def test_training_against_pushes_makes_them_hurt_less() -> None:
    data = learnable(bars=700)
    rows = data.rows((data.span,))
    steps = torch.full((FEATURES,), 1.0)

    def harm(**hyper: float) -> float:
        plan = Plan(quick=True, epochs=12, hyper={"rate": 0.01, "restarts": False, "held_out": 0.0, **hyper})
        net = STAGE.fit(data, rows, plan, lambda _, __: None).net
        loss, batch = ForecastLoss(OUTPUTS, torch.ones(2), 900), batch_of(data, rows)
        hurt = fgsm(net, loss, batch, steps)
        return float((loss(net(hurt.x, hurt.known), hurt) - loss(net(batch.x, batch.known), batch)).detach().mean())

    assert harm(adversarial=0.5) < 0.9 * harm()


@pytest.mark.parametrize("stress", Stress)
def test_before_a_stress_nothing_changes(stress: Stress) -> None:
    plain, other = bars(), stressed(bars(), stress, BEGIN, LENGTH)

    for name in ("open", "high", "low", "close", "volume"):
        assert np.array_equal(getattr(plain, name)[:BEGIN], getattr(other, name)[:BEGIN])


def test_a_crash_falls_by_a_third_of_itself_and_wins_half_back() -> None:
    ratio = stressed(bars(), Stress.CRASH, BEGIN, LENGTH).close / bars().close

    assert ratio[BEGIN + 11] == pytest.approx(0.7)
    assert ratio[-1] == pytest.approx(0.85)


def test_a_jump_has_nothing_in_between() -> None:
    other = stressed(bars(), Stress.JUMP, BEGIN, LENGTH)

    assert other.close[BEGIN] / bars().close[BEGIN] == pytest.approx(1 / 1.1)
    assert other.open[BEGIN] == pytest.approx(bars().open[BEGIN])


def test_a_storm_moves_five_times_as_far() -> None:
    plain, other = (np.diff(np.log(each.close)) for each in (bars(), stressed(bars(), Stress.STORM, BEGIN, LENGTH)))

    assert np.allclose(other[BEGIN - 1 : BEGIN + LENGTH - 1], 5 * plain[BEGIN - 1 : BEGIN + LENGTH - 1])
    assert np.allclose(other[BEGIN + LENGTH - 1 :], plain[BEGIN + LENGTH - 1 :])


def test_nobody_trades_in_a_freeze_and_bars_are_gone_in_a_hole() -> None:
    frozen, holed = (stressed(bars(), each, BEGIN, LENGTH) for each in (Stress.FREEZE, Stress.HOLE))

    assert not frozen.volume[BEGIN : BEGIN + LENGTH].any()
    assert len(set(frozen.close[BEGIN : BEGIN + LENGTH].tolist())) == 1
    assert len(holed) == len(bars()) - LENGTH


@pytest.mark.parametrize("stress", Stress)
def test_a_net_keeps_its_word_finite_through_every_stress(stress: Stress) -> None:
    plain = bars()
    data = learn([plain, stressed(replace(plain, symbol="ETHUSDT"), stress, BEGIN, LENGTH)], window=16,
                 horizons_s=(3_600,), source="shipped")  # fmt: skip
    calm = data.rows((data.span,), stride=50)
    net = STAGE.fit(data, calm[calm[:, 0] == 0], Plan(quick=True, epochs=1), lambda _, __: None).net
    hard = np.array([[1, bar] for bar in range(BEGIN, BEGIN + 3 * LENGTH)])
    x, known = data.windows(hard)

    with torch.no_grad():
        said = net(torch.from_numpy(x), torch.from_numpy(known))

    assert all(torch.isfinite(each).all() for each in said)


@pytest.mark.parametrize(("begin", "length"), [(0, 10), (10, 0), (10_000, 80)])
def test_a_stress_outside_the_bars_is_refused(begin: int, length: int) -> None:
    with pytest.raises(ValueError, match="begin"):
        stressed(bars(), Stress.CRASH, begin, length)
