"""A controller comes to prefer what earned more, and a net's time is measured where it is served."""

import numpy as np
import pytest
import torch

from trading.ml.networks.supernet import OPERATIONS, Controller, Path, Supernet, TradingModelSpace, operation
from trading.ml.searching import Teacher

SPACE = TradingModelSpace(4)
GOOD = OPERATIONS.index("conv3")


def teacher(seed: int = 0) -> Teacher:
    torch.manual_seed(0)

    def reward(path: Path) -> float:
        return path.count(GOOD) / len(path)

    return Teacher(Controller(SPACE), reward, seed, rate=2e-2)


def test_it_prefers_the_better_operation() -> None:
    one = teacher()
    before = np.mean([one.propose().count(GOOD) for _ in range(100)])
    for _ in range(60):
        one.learn(8)
    after = np.mean([one.propose().count(GOOD) for _ in range(100)])

    assert before < 1.5
    assert after > 2.5
    assert one.finish() == (GOOD,) * 4
    assert one.tried == 60 * 8 + 1


def test_the_same_seed_proposes_the_same() -> None:
    one, two, other = ([each.propose() for _ in range(5)] for each in (teacher(1), teacher(1), teacher(2)))

    assert one == two != other


def test_only_the_path_that_is_walked_learns() -> None:
    net = Supernet(TradingModelSpace(2), 4, 8, 0.0)
    net.path = (OPERATIONS.index("conv5"), OPERATIONS.index("dense"))

    net(torch.randn(2, 8, 4)).square().sum().backward()

    touched = {
        name.split(".")[1] + "." + name.split(".")[2] for name, p in net.named_parameters() if p.grad is not None
    }
    assert touched == {f"0.{net.path[0]}", f"1.{net.path[1]}"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_operation_looks_ahead(name: str) -> None:
    torch.manual_seed(0)
    one, x = operation(name, 4, 16, 0.0).eval(), torch.randn(2, 16, 4)
    other = x.clone()
    other[:, 9:] += 1

    assert torch.equal(one(x)[:, :9], one(other)[:, :9])
    assert not torch.equal(one(x)[:, 9:], one(other)[:, 9:])


@pytest.mark.parametrize("layers", [0, 21])
def test_a_space_has_1_to_20_layers(layers: int) -> None:
    assert TradingModelSpace(20).size == 7**20
    with pytest.raises(ValueError, match=r"outside 1\.\.20"):
        TradingModelSpace(layers)
