"""The wavelet begins as Daubechies' and looks back only."""

import numpy as np
import pytest
import torch

from trading.ml.networks.convolution import DB4, Tcn, Wavelet


@pytest.mark.parametrize("shift", [0, 2, 4, 6])
def test_the_filter_is_orthonormal_to_its_even_shifts(shift: int) -> None:
    low = np.array(DB4)

    assert np.dot(low[shift:], low[: len(low) - shift]) == pytest.approx(1.0 if shift == 0 else 0.0, abs=1e-10)


@pytest.mark.parametrize("moment", [0, 1, 2, 3])
def test_details_begin_blind_to_cubic_trends(moment: int) -> None:
    trend = torch.arange(64, dtype=torch.float32).div(64).pow(moment).reshape(1, 64, 1)

    details = Wavelet(2)(trend)[0, 32:, :2]

    assert float(details.detach().abs().max()) < 1e-5


def test_what_is_left_keeps_the_level() -> None:
    rest = Wavelet(3)(torch.full((1, 64, 2), 5.0))[0, -1].reshape(2, 4)[:, -1]

    assert rest.detach().numpy() == pytest.approx([5.0, 5.0], abs=1e-5)


def test_the_filters_are_learned() -> None:
    wavelet = Wavelet(2)
    wavelet(torch.randn(2, 32, 3)).square().sum().backward()

    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in wavelet.filters)


def test_each_block_looks_twice_as_far_back() -> None:
    torch.manual_seed(0)
    net = Tcn(1, (2, 2, 2), dropout=0.0).double().eval()
    x = torch.randn(1, 64, 1, dtype=torch.float64)
    reach = 2 * 2 * (1 + 2 + 4)

    inside, outside = x.clone(), x.clone()
    inside[0, 63 - reach] += 1
    outside[0, 63 - reach - 1] += 1

    assert not torch.equal(net(x)[0, -1], net(inside)[0, -1])
    assert torch.equal(net(x)[0, -1], net(outside)[0, -1])
