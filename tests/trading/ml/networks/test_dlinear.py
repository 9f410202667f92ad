"""Straight lines by hand, and trunks that hear the newest bar and none after it."""

import pytest
import torch

from trading.ml.networks.blocks import Trunk
from trading.ml.networks.dlinear import SMOOTHED, Dilated, DLinear, Pointwise

WINDOW, FEATURES = 32, 3


def test_a_line_through_the_average_and_one_through_the_rest() -> None:
    net = DLinear(FEATURES, WINDOW)
    z = torch.randn(2, WINDOW, FEATURES)
    for line in (net.smooth, net.rest):
        torch.nn.init.zeros_(line.weight)
        torch.nn.init.zeros_(line.bias)
    with torch.no_grad():
        net.smooth.weight[0, -1], net.rest.weight[0, -1] = 2.0, 3.0

    average = z[:, -SMOOTHED:].mean(dim=1)

    assert torch.allclose(net(z)[:, 0], 2 * average + 3 * (z[:, -1] - average), atol=1e-5)


def test_the_first_bar_stands_before_the_window() -> None:
    net = DLinear(1, WINDOW)
    flat = torch.full((1, WINDOW, 1), 4.0)

    assert torch.allclose(net(flat), 4 * net.smooth.weight.sum() + net.smooth.bias + net.rest.bias, atol=1e-5)


@pytest.mark.parametrize(
    "trunk",
    [
        DLinear(FEATURES, WINDOW),
        Pointwise(FEATURES, WINDOW, hidden=4),
        Dilated(FEATURES, WINDOW, channels=(4, 4), dropout=0.1),
    ],
    ids=["dlinear", "pointwise", "tcn"],
)
def test_a_trunk_says_as_much_as_it_promises_and_hears_every_bar_it_can(trunk: Trunk) -> None:
    trunk.eval()
    z = torch.randn(2, WINDOW, FEATURES, requires_grad=True)

    said = trunk(z)[:, -1]
    said.sum().backward()

    assert said.shape == (2, trunk.width)
    assert z.grad is not None
    assert (z.grad[:, -1] != 0).all()


def test_convolutions_hear_nothing_later() -> None:
    trunk = Dilated(FEATURES, WINDOW, channels=(4, 4), dropout=0.0).eval()
    z = torch.randn(1, WINDOW, FEATURES)
    later = z.clone()
    later[:, 20:] += 1

    assert torch.equal(trunk(z)[:, :20], trunk(later)[:, :20])
