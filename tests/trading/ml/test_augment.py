"""More data of the same, and no word about the future."""

import numpy as np
import torch

from tests.trading.domain.shipped_bars import shipped
from tests.trading.ml.worlds import FEATURES, learnable
from trading.domain.bar_features import FEATURES as NAMES
from trading.domain.bar_kernel import FLOOR
from trading.ml.augment import noisy, scaled, shifted
from trading.ml.learnable import learnable as learn
from trading.ml.losses import batch_of


def test_noise_is_as_wide_as_asked_and_leaves_unknown_bars_alone() -> None:
    data = learnable(bars=400)
    batch = batch_of(data, data.rows((data.span,)))
    deviations = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])

    other = noisy(batch, deviations, np.random.default_rng(0))

    added = (other.x - batch.x)[batch.known > 0]
    assert np.allclose(added.std(dim=0).numpy(), deviations.numpy(), rtol=0.05)
    assert torch.equal(other.x[batch.known == 0], batch.x[batch.known == 0])
    assert torch.equal(other.log_rv, batch.log_rv)
    assert len(deviations) == FEATURES


def test_a_shifted_window_is_one_that_was_there_and_has_its_own_labels() -> None:
    data = learnable(symbols=("BTCUSDT", "ETHUSDT"))
    rows = data.rows((data.span,), stride=4)
    part = np.arange(len(rows))

    moved = shifted(data, rows, part, 5, np.random.default_rng(0))

    back = rows[:, 1] - moved[:, 1]
    assert {0, 1, 2, 3} <= set(back.tolist()) <= set(range(6))
    assert (moved[:, 0] == rows[:, 0]).all()
    every = {tuple(row) for row in data.rows((data.span,)).tolist()}
    assert {tuple(row) for row in moved.tolist()} <= every


def test_a_shift_never_leaves_the_stretch_that_may_be_learned_from() -> None:
    data = learnable()
    rows = data.rows((data.span,))
    kept = rows[(rows[:, 1] < 200) | (rows[:, 1] >= 300)][::3]

    for seed in range(20):
        moved = shifted(data, kept, np.arange(len(kept)), 5, np.random.default_rng(seed))
        assert not ((moved[:, 1] >= 200) & (moved[:, 1] < 300)).any()
        assert moved[:, 1].min() >= kept[0, 1]


def test_a_scaled_market_has_its_volatility_label_scaled_with_it() -> None:
    bars, factor = shipped("BTCUSDT").between(0, 2**62), 1.1

    both = learn([bars, scaled(bars, factor)], window=8, horizons_s=(3_600,), source="shipped")

    plain, wilder = (labels.log_rv[:, 0] for labels in both.labels)
    usual = plain > np.log(FLOOR) + 1
    assert np.allclose((wilder - plain)[usual], 2 * np.log(factor), atol=1e-9)
    assert np.allclose(both.labels[1].returns[usual], factor * both.labels[0].returns[usual], atol=1e-12)
    assert both.symbols == ("BTCUSDT", "BTCUSDTx1.1")
    hour = NAMES.index("log_rv_1h")
    known = both.frames[0].known & (both.frames[0].x[:, hour] > np.log(FLOOR) + 1)
    moved = (both.frames[1].x - both.frames[0].x)[known, hour]
    assert known.any()
    assert np.allclose(moved, moved.mean(), atol=1e-3)
