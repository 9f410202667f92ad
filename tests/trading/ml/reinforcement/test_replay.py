"""The sum tree finds what a plain list would find, and what surprised comes back more often."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.ml.reinforcement import replay
from trading.ml.reinforcement.replay import Replay


def filled(capacity: int, count: int, **more: Any) -> Replay:
    memory = Replay(2, 1, capacity, **more)
    for at in range(count):
        row = np.full((1, 2), at / 8)
        memory.push(np.array([at]), row, row[:, :1], np.array([float(at)]), row + 1, np.array([at % 3 == 0]))
    return memory


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 1_000)), min_size=1, max_size=60),
    st.lists(st.floats(0, 0.999), min_size=1, max_size=20),
)
def test_the_tree_finds_what_a_running_sum_finds(writes: list[tuple[int, int]], shares: list[float]) -> None:
    tree, plain = np.zeros(32), np.zeros(16)
    for leaf, weight in [*writes, (3, 1)]:
        replay.set_leaves(tree, np.array([leaf]), np.array([float(weight)]))
        plain[leaf] = weight
    total = plain.sum()
    found = np.empty(len(shares), np.int64)

    replay.find(tree, np.array(shares) * total, found)

    assert tree[1] == total
    assert list(found) == [int(np.searchsorted(np.cumsum(plain), s * total, side="right")) for s in shares]


def test_the_oldest_gives_way() -> None:
    memory = filled(4, 6)

    drawn = memory.sample(64)

    assert memory.size == 4
    assert set(drawn.at.tolist()) == {2, 3, 4, 5}
    assert (drawn.reward == drawn.at).all()
    assert (drawn.portfolio[:, 0] == drawn.at / 8).all()
    assert (drawn.next_portfolio[:, 0] == drawn.at / 8 + 1).all()
    assert (drawn.done == (drawn.at % 3 == 0)).all()


def test_what_surprised_is_drawn_by_its_share_and_weighed_down_again() -> None:
    memory = filled(8, 8)
    errors = np.array([0, 0, 0, 0, 0, 0, 1.0, 4.0])
    memory.surprised(np.arange(8), errors)

    drawn = memory.sample(4_000, beta=1.0)

    expected = (errors + replay.LEAST) ** replay.ALPHA
    shares = np.bincount(drawn.at, minlength=8) / 4_000
    assert shares == pytest.approx(expected / expected.sum(), abs=1e-3)
    assert drawn.weight.max() == 1
    often, seldom = drawn.weight[drawn.at == 7][0], drawn.weight[drawn.at == 6][0]
    assert often / seldom == pytest.approx(expected[6] / expected[7])


def test_an_error_that_is_no_number_stays_in_reach_and_breaks_nothing() -> None:
    memory = filled(4, 4)

    memory.surprised(np.arange(4), np.array([np.nan, np.inf, 3.0, 0.0]))

    assert np.isfinite(memory._tree).all()
    assert memory._tree[4:7] == pytest.approx([(3 + replay.LEAST) ** replay.ALPHA] * 3)


def test_the_same_seed_draws_the_same() -> None:
    one, two, other = (filled(64, 50, seed=seed).sample(16).at.tolist() for seed in (1, 1, 2))

    assert one == two != other


def test_a_million_transitions_fit() -> None:
    assert Replay(8, 4).megabytes <= 120


def test_what_cannot_be_done_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing was pushed"):
        Replay(2, 1, 4).sample(2)
    with pytest.raises(ValueError, match="push fewer"):
        Replay(1, 1, 1).push(*(np.zeros((2, 1)) for _ in range(6)))
    with pytest.raises(ValueError, match="above zero"):
        Replay(1, 1, 0)
